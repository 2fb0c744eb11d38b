"""Executions, files and sessions as the service writes them, in both dialects. Pure."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from aca_mcp.pool import Execution, ExecutionStatus, FileEntry, SessionInfo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from aca_mcp.pool import Output, PoolMetadata

Json = dict[str, object]
NamedSession = tuple[str, SessionInfo, str]
"""Identifier, what is known, etag."""

DEFAULT_STREAM_CHARACTERS = 4096
"""What is kept of each stream where a request does not say."""
TIMED_OUT = "Request timed out waiting for code execution to complete"
INTERPRETER_DIED = "Kernel restarted"
ABORTED = "Execution aborted"
_EXCEPTION_CODE = "ExecutionFailed"


@dataclass(frozen=True, slots=True)
class ResultForm:
    """How an execution wants its result."""

    stream_characters: int = DEFAULT_STREAM_CHARACTERS
    jupyter: bool = False
    """Scalars as their representations."""


def execution_body(
    execution_id: str,
    identifier: str,
    kind: Literal["Synchronous", "Asynchronous"],
    execution: Execution | None,
    form: ResultForm,
) -> Json:
    """An execution in the newer dialect; a running one without its result."""
    body: Json = {"id": execution_id, "identifier": identifier, "executionType": kind}
    if execution is None:
        return {**body, "status": "Running"}
    body["status"] = _status(execution, "Succeeded", "Failed")
    if execution.error is not None and not _service_words(execution):
        message = f"{execution.error.name}: {execution.error.message}"
        body["error"] = {"error": {"code": _EXCEPTION_CODE, "message": message}}
    body["result"] = {**_streams(execution, form), "executionResult": result_value(execution, form)}
    return body


def legacy_execution_body(execution: Execution, form: ResultForm) -> Json:
    """An execution in the older dialect, with both names that its result has had."""
    value = result_value(execution, form)
    status = _status(execution, "Success", "Failure")
    streams = _streams(execution, form)
    inner = {"$id": "2", "status": status, **streams, "result": value, "executionResult": value}
    return {"$id": "1", "properties": inner}


def earliest_execution_body(execution: Execution, form: ResultForm) -> Json:
    """An execution as it was before the first documented API version: without a wrapper."""
    status = _status(execution, "Success", "Failure")
    streams = _streams(execution, form)
    return {"status": status, **streams, "result": result_value(execution, form)}


def shell_execution_body(
    execution_id: str, identifier: str, execution: Execution, form: ResultForm, timeout_seconds: int
) -> Json:
    """What a shell pool answers: the exit code as the status, ``-1`` for one whose time was up."""
    streams = _streams(execution, form)
    if execution.status is ExecutionStatus.TIMED_OUT:
        status = "-1"
        streams["executionTimeInMilliseconds"] = timeout_seconds * 1000
    else:
        code = result_value(execution, form)
        status = str(code) if isinstance(code, int) else "1"
    return {"id": execution_id, "identifier": identifier, "status": status, "result": streams}


def result_value(execution: Execution, form: ResultForm) -> object:
    """The one value of an execution: the last image, or what the code's last expression is."""
    if _service_words(execution):
        return ""
    for output in reversed(execution.outputs):
        for mime, content in output.data.items():
            if mime.startswith("image/") and isinstance(content, bytes):
                data = base64.b64encode(content).decode()
                return {
                    "type": "image",
                    "format": mime.removeprefix("image/"),
                    "base64_data": data,
                }
    for output in reversed(execution.outputs):
        if output.kind == "result":
            return _value(output, form)
    return ""


def _value(output: Output, form: ResultForm) -> object:
    text = str(output.data.get("text/plain", ""))
    scalar = output.data.get("application/json")
    if form.jupyter or not isinstance(scalar, str):
        return text
    value: object = json.loads(scalar)
    return value


def _status(execution: Execution, good: str, bad: str) -> str:
    return good if execution.status is ExecutionStatus.SUCCEEDED else bad


def _streams(execution: Execution, form: ResultForm) -> Json:
    shown = [
        str(output.data["text/plain"])
        for output in execution.outputs
        if output.kind == "display"
        and "text/plain" in output.data
        and not any(mime.startswith("image/") for mime in output.data)
    ]
    stdout = "".join([execution.stdout.text, *(f"{text}\n" for text in shown)])
    return {
        "stdout": stdout[: form.stream_characters],
        "stderr": _stderr(execution)[: form.stream_characters],
        "executionTimeInMilliseconds": round(execution.duration_seconds * 1000),
    }


def _stderr(execution: Execution) -> str:
    if words := _service_words(execution):
        return words
    if execution.rollback is not None:
        why, extent = execution.rollback.reason, execution.rollback.extent
        ending = f"The code was ended: {why}. Variables are as they were before {extent}.\n"
        return execution.stderr.text + ending
    if execution.error is None:
        return execution.stderr.text
    written = execution.stderr.text
    gap = "\n" if written and not written.endswith("\n") else ""
    return f"{written}{gap}{execution.error.traceback}\n"


def _service_words(execution: Execution) -> str:
    """What the service itself says of an execution that did not end by the code's own doing."""
    if execution.status is ExecutionStatus.TIMED_OUT:
        return TIMED_OUT
    if execution.status is ExecutionStatus.CANCELED:
        return ABORTED
    return INTERPRETER_DIED if execution.session_lost is not None else ""


def file_body(entry: FileEntry, directory: str | None = None) -> Json:
    """A file in the newer dialect; in a list, with its place below the listed directory."""
    path = PurePosixPath(entry.path)
    body: Json = {
        "name": path.name,
        "type": "directory" if entry.kind == "directory" else "file",
        "contentType": "application/octet-stream",
        "sizeInBytes": entry.size_bytes,
        "lastModifiedAt": _time(entry.modified_at),
    }
    if directory is not None:
        body["directory"] = path.parent.relative_to(directory).as_posix()
    return body


def file_list_body(entries: Iterable[FileEntry], directory: str) -> Json:
    """A directory in the newer dialect. What is neither a file nor a directory is not listed."""
    known = [entry for entry in entries if entry.kind != "other"]
    return {"value": [file_body(entry, directory) for entry in known]}


def legacy_file_body(entry: FileEntry, first_id: int = 1) -> Json:
    """A file in the older dialect."""
    inner: Json = {
        "$id": str(first_id + 1),
        "filename": PurePosixPath(entry.path).name,
        "size": entry.size_bytes,
        "lastModifiedTime": _time(entry.modified_at),
    }
    return {"$id": str(first_id), "properties": inner}


def legacy_file_list_body(entries: Iterable[FileEntry]) -> Json:
    """The files of the work directory in the older dialect, which knows no directories."""
    files = [entry for entry in entries if entry.kind == "file"]
    return {
        "$id": "1",
        "value": [legacy_file_body(entry, 2 + 2 * at) for at, entry in enumerate(files)],
    }


def session_body(identifier: str, info: SessionInfo, etag: str) -> Json:
    """A session."""
    return {
        "identifier": identifier,
        "etag": etag,
        "createdAt": _time(info.created_at),
        "lastAccessedAt": _time(info.last_used_at),
        "expireAt": _time(info.expires_at or info.last_used_at),
    }


def managed_session_body(identifier: str, info: SessionInfo, etag: str) -> Json:
    """A session as the management operations tell it, which name one time otherwise."""
    body = session_body(identifier, info, etag)
    body["expiresAt"] = body.pop("expireAt")
    return body


def metadata_body(metadata: PoolMetadata, started_at: datetime, *, is_shell: bool) -> Json:
    """What the sessions of the pool have."""
    times = {"createdAt": _time(started_at), "lastUpdatedAt": _time(started_at)}
    if is_shell:
        runtime = {"name": "Shell", "version": "bash"}
        return {"runtimes": [runtime], "preInstalledPackages": [], **times}
    _, _, version = metadata.runtime.partition(" ")
    packages = [{"name": each.name, "version": each.version} for each in metadata.packages]
    return {
        "runtimes": [{"name": "Python", "version": version}],
        "preInstalledPackages": packages,
        **times,
        "jupyterKernel": {
            "name": "aca-mcp",
            "version": "1",
            "projectUrl": "https://ipython.org",
            "description": "IPython in a local session",
        },
    }


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
