"""Reads resources, for callers who may use the session that each belongs to."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio.to_thread
from mcp.server.lowlevel.helper_types import ReadResourceContents

from aca_mcp.errors import FileMissingError, NotSupportedError
from aca_mcp.server.results.files import BYTES, MAX_DOWNLOAD_BYTES, mime_type_of, read_at_most
from aca_mcp.server.results.image_structure import examine
from aca_mcp.server.results.notebook import MIME_TYPE, notebook_of
from aca_mcp.server.results.report import report

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool
    from aca_mcp.server.callers import Caller
    from aca_mcp.server.resources.uris import ResourceUri
    from aca_mcp.server.sessions.client_sessions import OpenSession


async def read(
    resource: ResourceUri, caller: Caller, *, timeout_seconds: float
) -> ReadResourceContents:
    """The content of a resource.

    Args:
        resource: which.
        caller: whose sessions it may be of.
        timeout_seconds: of an execution whose call says nothing else.

    Raises:
        InvalidRequestError: the caller has no such session.
        SessionLostError: the session has ended.
        SessionFileError: the file is not there, or cannot be read.
        SessionPoolError: whatever else the pool says.
    """
    session = await caller.session(resource.handle)
    match resource.kind:
        case "session":
            status = await _status(caller.sessions.pool, session, timeout_seconds)
            return _text(json.dumps(status, indent=1), "application/json")
        case "notebook":
            return ReadResourceContents((await notebook_of(session.executions)).decode(), MIME_TYPE)
        case "outputs":
            return _text(await _output(session, resource.name), "text/plain")
        case "packages" | "package":
            return _text(await _packages(session, resource.name), "text/plain")
        case "files":
            content = await read_at_most(session.python, resource.name, MAX_DOWNLOAD_BYTES)
            return await anyio.to_thread.run_sync(file_contents, resource.name, content)


def file_contents(path: str, content: bytes) -> ReadResourceContents:
    """A file: text as text, other bytes as bytes, each with the type that it has."""
    if (image := examine(content)) is not None:
        return ReadResourceContents(content, image.mime_type)
    # A name may promise what the content is not.
    guess = mime_type_of(path)
    promises_text = guess.startswith("text/") or guess in _TEXT_TYPES
    if b"\0" not in content:
        with suppress(UnicodeDecodeError):
            return _text(content.decode(), guess if promises_text else "text/plain")
    return ReadResourceContents(content, BYTES if promises_text else guess)


_TEXT_TYPES = frozenset(
    {"application/json", "application/javascript", "application/xml", "image/svg+xml"}
)


def _text(text: str, mime_type: str) -> ReadResourceContents:
    # Half of a character cannot be sent.
    return ReadResourceContents(text.encode(errors="replace").decode(), mime_type)


async def _status(
    pool: SessionPool, session: OpenSession, timeout_seconds: float
) -> dict[str, object]:
    metadata = await pool.metadata()
    limits: dict[str, object] = {
        "timeout_seconds": timeout_seconds,
        "max_timeout_seconds": metadata.max_timeout_seconds,
        "max_file_bytes": metadata.max_file_bytes,
        **(metadata.limits._asdict() if metadata.limits is not None else {}),
        # The server keeps its sessions, whatever the pool does by itself.
        "idle_seconds": session.idle_seconds,
    }
    status: dict[str, object] = {
        "pool": metadata.kind,
        "runtime": metadata.runtime,
        "isolation": metadata.isolation,
        "network": metadata.network,
        "work_directory": metadata.work_directory,
        "limits": {name: value for name, value in limits.items() if value is not None},
        "executions": len(session.executions.records()),
    }
    try:
        info = await pool.get_session(session.python.identifier)
    except NotSupportedError:
        return {**status, "status": "unknown"}
    if info is None:
        return {**status, "status": "not started"}
    # The pool counts it as use that the server keeps the session.
    last_used = datetime.now(UTC) - timedelta(seconds=session.python.idle_seconds)
    expires = last_used + timedelta(seconds=session.idle_seconds)
    return {
        **status,
        "checkpoints": info.checkpoints or 0,
        "status": "running code" if info.running else "ready",
        "created": info.created_at.isoformat(),
        "last_used": last_used.isoformat(),
        "expires": None if info.running else expires.isoformat(),
    }


async def _output(session: OpenSession, execution_id: str) -> str:
    execution = session.executions.get(execution_id)
    if execution is None or execution.result is None:
        raise FileMissingError(
            "This session has no such execution, or has forgotten it. Its newest are kept."
        )
    return (await anyio.to_thread.run_sync(report, execution.result)).text


async def _packages(session: OpenSession, name: str) -> str:
    packages = await session.python.list_packages()
    found = [package for package in packages if not name or package.name == name]
    if name and not found:
        raise FileMissingError("The session has no package of that name.")
    return "\n".join(f"{package.name}=={package.version}" for package in found)
