"""An error of any kind below the emulator ends one answer, and nothing else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from aca_mcp.emulator.emulated_sessions import EmulatedSessions
from aca_mcp.emulator.operations import Operations
from tests.emulator.caller import calling
from tests.support.foreign_errors import SECRET, foreign_errors
from tests.support.odd_pools import BreakingPool
from tests.support.toy_pool import ToyPool

REQUESTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "executions", {"json": {"code": "1"}}),
    ("GET", "files", {}),
    ("POST", "files", {"files": {"file": ("a", b"abc")}}),
    ("GET", "files/a/content", {}),
    ("GET", "session", {}),
    ("DELETE", "session", {}),
    ("GET", "listSessions", {}),
    ("GET", "metadata", {}),
)


@pytest.fixture(autouse=True)
def own_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's preparation changes the directory, here of this process; it is put back."""
    monkeypatch.chdir(Path.cwd())


@pytest.mark.parametrize("error", foreign_errors(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("owner", "layer"),
    [
        (ToyPool, "get_session"),
        (ToyPool, "execute"),
        (ToyPool, "list_files"),
        (EmulatedSessions, "find"),
        (EmulatedSessions, "active"),
        (Operations, "answer"),
    ],
)
async def test_an_error_out_of_any_layer_ends_one_answer(
    owner: type,
    layer: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raising(*_: object, **__: object) -> object:
        raise error

    async with calling(ToyPool()) as call:
        monkeypatch.setattr(owner, layer, raising)
        with caplog.at_level(logging.INFO, "aca_mcp"):
            answers = [await call(method, path, **options) for method, path, options in REQUESTS]
        failed = [each for each in answers if each.status_code == 500]
        assert {each.json()["error"]["code"] for each in failed} == {"InternalServerError"}
        assert type(error).__name__ in caplog.text
        assert not any(SECRET in each.text for each in answers)
        monkeypatch.undo()
        assert (await call("GET", "metadata")).status_code == 200


async def test_an_error_in_the_background_is_the_answer_to_who_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for error in foreign_errors():

        async def raising(self: object, *_: object, broken: Exception = error, **__: object) -> Any:
            raise broken

        async with calling(ToyPool()) as call:
            assert (await call("POST", "executions", json={"code": "1"})).status_code == 200
            monkeypatch.setattr(ToyPool, "execute", raising)
            body = {"code": "1", "executionType": "Asynchronous"}
            started = await call("POST", "executions", json=body)
            await anyio.wait_all_tasks_blocked()
            asked = await call.http.get(started.headers["operation-location"])
            assert (asked.status_code, asked.json()["error"]["code"]) == (
                500,
                "InternalServerError",
            )
            monkeypatch.undo()
            assert (await call("GET", "metadata")).status_code == 200


async def test_a_file_that_breaks_in_the_middle_is_an_answer_without_end() -> None:
    async with calling(BreakingPool(OSError(SECRET))) as call:
        await call("POST", "files", files={"file": ("a", b"abc")})
        with pytest.raises(httpx.RemoteProtocolError):
            await call("GET", "files/a/content")
        assert (await call("GET", "metadata")).status_code == 200
