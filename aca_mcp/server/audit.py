"""The audit log: one line of JSON for each call of a tool, on a logger of its own.

A line says when, who, which tool, in which session, for how long, and how it ended. It has no code,
no arguments, no file names and no identifiers: a session is told apart by a keyed hash.
Names of packages, which go out to an index for a session, have lines of their own.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import secrets
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from aca_mcp.errors import AcaMcpError
from aca_mcp.request_context import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import TextIO

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from aca_mcp.request_context import PackageRecord

_logger = logging.getLogger("aca_mcp.audit")

OK = "ok"
FAILED = "failed"
"""There is a result, and it is of a failure: the code raised, or was stopped."""
CANCELLED = "cancelled"
_HASH_CHARACTERS = 16
_MAX_CHARACTERS = 512
"""Of a text that comes from outside: names of tools and principals."""
_MAX_NAMES = 100
_MAX_NAME_CHARACTERS = 200
_WORD_BEGINS = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(slots=True)
class AuditedCall:
    """One call, while it is made."""

    identifier: str = ""
    """Of the session that it is made in, as soon as that is known."""
    outcome: str = OK
    """Set to ``FAILED`` where a call fails without raising."""


_current: ContextVar[AuditedCall | None] = ContextVar("audited_call", default=None)


def note_session(identifier: str) -> None:
    """Say which session the call that is being served is made in; the last one counts."""
    if (call := _current.get()) is not None:
        call.identifier = identifier


def note_failure(error: BaseException) -> None:
    """Say how the call that is being served failed, where its result alone does not tell."""
    if (call := _current.get()) is not None:
        call.outcome = outcome_of(error)


class AuditLog:
    """Writes the lines.

    Args:
        principal: who makes the call that is being served.
        secret: what sessions are hashed with. Servers that share it give a session the same
            hash; None makes hashes that mean something in this process alone.
    """

    def __init__(self, principal: Callable[[], str], *, secret: bytes | None = None) -> None:
        self._principal = principal
        self._secret = secret or secrets.token_bytes(32)

    @contextmanager
    def call(self, tool: str) -> Generator[AuditedCall]:
        """Write a line when the block ends, however it does.

        Args:
            tool: its name, as the client gave it.
        """
        begun, principal = time.perf_counter(), self._principal()
        call = AuditedCall()
        token = _current.set(call)
        try:
            with serving(record_packages=self._packages_of(principal)):
                yield call
        except BaseException as error:
            call.outcome = outcome_of(error)
            raise
        finally:
            _current.reset(token)
            seconds = time.perf_counter() - begun
            fields: dict[str, object] = {"tool": tool[:_MAX_CHARACTERS]}
            self._write(principal, fields, call.identifier, seconds, call.outcome)

    def _packages_of(self, principal: str) -> PackageRecord:
        """What records the packages that are asked for in a call, by it or by the code it runs."""

        def record(
            identifier: str,
            packages: Sequence[str],
            *,
            seconds: float,
            error: BaseException | None,
        ) -> None:
            shown = [text[:_MAX_NAME_CHARACTERS] for text in packages[:_MAX_NAMES]]
            outcome = OK if error is None else outcome_of(error)
            self._write(principal, {"packages": shown}, identifier, seconds, outcome)

        return record

    async def middleware(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Of an MCP server: write a line for each call of a tool."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        with self.call(str((ctx.params or {}).get("name", ""))) as call:
            result = await call_next(ctx)
            if call.outcome == OK and isinstance(result, dict) and result.get("isError"):
                call.outcome = FAILED
            return result

    def _write(
        self,
        principal: str,
        fields: dict[str, object],
        identifier: str,
        seconds: float,
        outcome: str,
    ) -> None:
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "principal": principal[:_MAX_CHARACTERS],
            **fields,
            "session": self._hash(identifier),
            "duration_ms": round(seconds * 1000, 1),
            "outcome": outcome,
        }
        # In ASCII, so that nothing in it can end the line or act on a terminal.
        _logger.info("%s", json.dumps(line, ensure_ascii=True))

    def _hash(self, identifier: str) -> str:
        if not identifier:
            return ""
        digest = hmac.digest(self._secret, b"audit\0" + identifier.encode(), "sha256")
        return digest.hex()[:_HASH_CHARACTERS]


def outcome_of(error: BaseException) -> str:
    """How a call ended that raised: ``cancelled``, or the kind of the error, as ``session_lost``.

    What is not an error of this package is ``error``, whatever its kind.
    """
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return CANCELLED
    for reason in (error, error.__cause__):
        if isinstance(reason, AcaMcpError):
            kind = type(reason).__name__.removesuffix("Error")
            return _WORD_BEGINS.sub("_", kind).lower()
    return "error"


def write_audit_log(stream: TextIO) -> None:
    """Send the lines to a stream, as they are, whatever else is logged. For one call at start."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    _logger.propagate = False
