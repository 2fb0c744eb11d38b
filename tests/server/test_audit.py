"""The audit log: what a line says, what it never says, and that nobody can break it."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp.server.mcpserver.exceptions import ToolError

from aca_mcp.errors import PoolFullError, SessionLostError
from aca_mcp.server.audit import FAILED, AuditLog, note_session, write_audit_log

if TYPE_CHECKING:
    from collections.abc import Generator

SECRET = b"s" * 32


class Lines:
    """What was written."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def all(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def last(self) -> dict[str, object]:
        return self.all()[-1]


@pytest.fixture
def lines() -> Generator[Lines]:
    """What the audit log writes in a test."""
    stream = io.StringIO()
    logger = logging.getLogger("aca_mcp.audit")
    write_audit_log(stream)
    yield Lines(stream)
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


async def test_a_line_says_who_did_what_where_and_how_it_ended(lines: Lines) -> None:
    before = datetime.now(UTC)
    with AuditLog(lambda: "token:alice", secret=SECRET).call("execute_python"):
        note_session("identifier")
        await anyio.sleep(0.002)
    line = lines.last()
    assert list(line) == ["time", "principal", "tool", "session", "duration_ms", "outcome"]
    assert (line["principal"], line["tool"]) == ("token:alice", "execute_python")
    assert line["outcome"] == "ok"
    assert 1 <= float(str(line["duration_ms"])) < 5000
    assert abs((datetime.fromisoformat(str(line["time"])) - before).total_seconds()) < 5


async def test_a_session_has_the_same_hash_wherever_the_secret_is_shared(lines: Lines) -> None:
    for secret, identifier in (
        (SECRET, "one"),
        (SECRET, "one"),
        (SECRET, "other"),
        (b"t" * 32, "one"),
        (None, "one"),
        (SECRET, ""),
    ):
        with AuditLog(lambda: "", secret=secret).call("list_files"):
            note_session(identifier)
    hashes = [line["session"] for line in lines.all()]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 5
    assert hashes[-1] == ""
    assert "one" not in hashes


@pytest.mark.parametrize(
    ("raised", "cause", "outcome"),
    [
        (SessionLostError("gone"), None, "session_lost"),
        (ToolError("failed"), PoolFullError("full"), "pool_full"),
        (ToolError("failed"), ValueError("wrong"), "error"),
        (KeyError("secret"), None, "error"),
    ],
)
async def test_the_kind_of_an_error_is_the_outcome(
    lines: Lines, raised: Exception, cause: Exception | None, outcome: str
) -> None:
    with pytest.raises(type(raised)), AuditLog(lambda: "").call("execute_python"):
        raise raised from cause
    assert lines.last()["outcome"] == outcome


async def test_a_call_may_fail_without_raising(lines: Lines) -> None:
    with AuditLog(lambda: "").call("execute_python") as call:
        call.outcome = FAILED
    assert lines.last()["outcome"] == "failed"


async def test_a_call_that_is_cancelled_has_its_line(lines: Lines) -> None:
    with anyio.move_on_after(0.01), AuditLog(lambda: "").call("execute_python"):
        await anyio.sleep_forever()
    assert lines.last()["outcome"] == "cancelled"


async def test_calls_at_the_same_time_do_not_share_a_session(lines: Lines) -> None:
    audit = AuditLog(lambda: "", secret=SECRET)
    both = anyio.Event()

    async def call(identifier: str, *, is_last: bool) -> None:
        with audit.call("execute_python"):
            note_session(identifier)
            if is_last:
                both.set()
            await both.wait()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: call("one", is_last=False))
            tasks.start_soon(lambda: call("other", is_last=True))
    assert len({line["session"] for line in lines.all()}) == 2


async def test_no_name_can_break_or_forge_a_line(lines: Lines) -> None:
    hostile = 'ann"}\n{"principal": "root"}\r\u2028\x1b[2J\x85' + "x" * 5000
    with AuditLog(lambda: hostile).call(hostile):
        pass
    (line,) = lines.all()
    assert line["principal"] == hostile[:512]
    assert line["tool"] == hostile[:512]


async def test_without_a_request_for_it_nothing_is_written(
    capfd: pytest.CaptureFixture[str],
) -> None:
    note_session("outside of a call")
    with AuditLog(lambda: "").call("execute_python"):
        pass
    assert capfd.readouterr() == ("", "")
