"""Sessions, packages and metadata of a service that answers as it is known to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.azure.known_sessions import KnownSessions
from aca_mcp.azure.pip_in_session import packed
from aca_mcp.errors import FileMissingError, PoolUnavailableError
from tests.azure.service import IDENTIFIER, Service, answer, enter, fault, run, succeeded

if TYPE_CHECKING:
    import httpx

CUSTOM = "https://pool.happyhill-1234abcd.westus2.azurecontainerapps.io"


async def test_a_session_that_is_new_again_is_said_to_be_lost_once() -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers.append(succeeded(1))
        assert (await run(pool)).lost_before is None
        fresh = succeeded(1)
        fresh.headers["x-ms-new-allocation"] = "true"
        service.answers.append(fresh)
        lost = await run(pool)
        assert lost.started_session
        assert lost.lost_before is not None
        service.answers += [succeeded(), succeeded(1)]  # the new one is entered
        assert (await run(pool)).lost_before is None


async def test_a_loss_is_read_from_a_refusal_and_nothing_else_is() -> None:
    service = Service()
    async with service.pool() as pool:
        service.answers += [fault(404, "FileNotFound"), succeeded(), succeeded(1)]
        with pytest.raises(FileMissingError):
            await pool.delete_file(IDENTIFIER, "a.txt")
        assert (await run(pool)).lost_before is None
        service.answers.append(fault(404, "FileNotFound", x_ms_new_allocation="true"))
        with pytest.raises(FileMissingError, match="upload them again"):
            await pool.delete_file(IDENTIFIER, "a.txt")
        service.answers += [succeeded(), succeeded(1)]
        assert (await run(pool)).lost_before is not None


async def test_another_container_behind_a_session_is_noticed() -> None:
    body = {"identifier": IDENTIFIER, "createdAt": "2025-01-01T00:00:00Z", "etag": "one"}
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [answer(200, body), answer(200, {**body, "etag": "two"})]
        await pool.get_session(IDENTIFIER)
        await pool.get_session(IDENTIFIER)
        service.answers += [succeeded(), succeeded(1)]
        assert (await run(pool)).lost_before is not None


async def test_keeping_alive_looks_first_and_then_uses() -> None:
    body = {"identifier": IDENTIFIER, "etag": "one"}
    service = Service(
        answer(200, body), answer(200, {"value": []}), fault(404, "NoSessionFoundError")
    )
    async with service.pool() as pool:
        assert await pool.keep_alive(IDENTIFIER)
        assert not await pool.keep_alive(IDENTIFIER)
    assert service.paths == ["GET /session", "GET /files", "GET /session"]


async def test_a_custom_container_pool_stops_by_its_own_route() -> None:
    service = Service(
        answer(200, b"Session X in session pool Y stopped."),
        fault(404, ""),
    )
    async with service.pool(CUSTOM) as pool:
        assert await pool.stop_session(IDENTIFIER)
        assert not await pool.stop_session(IDENTIFIER)
        assert (await pool.metadata()).runtime == "Python"
    assert service.requests[0].url.path == "/.management/stopSession"


@pytest.mark.parametrize("way", ["{}", "'{}'", '"{}"'])
async def test_packages_and_their_modules_are_told_by_the_session(way: str) -> None:
    told = packed([("b", "2", ["bee"]), ("A", "1", ["aa"])])
    service = Service(succeeded(way.format(told)))
    async with service.pool() as pool:
        found = await pool.list_packages(IDENTIFIER)
    assert [(each.name, each.version, each.modules) for each in found] == [
        ("A", "1", ("aa",)),
        ("b", "2", ("bee",)),
    ]


async def test_packages_come_from_metadata_where_the_session_does_not_tell() -> None:
    told = {
        "runtimes": [{"name": "python", "version": "3.12.7"}],
        "preInstalledPackages": [{"name": "pandas", "version": "2"}, {"name": "", "version": "1"}],
    }
    service = Service(succeeded("<nothing>"), answer(200, told))
    async with service.pool() as pool:
        assert [package.name for package in await pool.list_packages(IDENTIFIER)] == ["pandas"]
        assert (await pool.metadata()).runtime == "Python 3.12.7"
    assert service.paths == ["POST /executions", "GET /metadata"]


@pytest.mark.parametrize("value", [3, "aca-mcp:", packed(3), packed([["a"]]), packed([[1, 2, 3]])])
async def test_packages_that_are_none_are_an_error(value: object) -> None:
    service = Service(succeeded(value), answer(404))
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="packages"):
            await pool.list_packages(IDENTIFIER)


async def test_cancelling_ends_the_session_and_leaves_nothing_behind() -> None:
    begun = anyio.Event()

    class Slow(Service):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                begun.set()
                await anyio.sleep_forever()
            return await super().__call__(request)

    service = Slow(answer(204))
    async with service.pool() as pool:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run, pool)
                await begun.wait()
                tasks.cancel_scope.cancel()
    assert service.paths == ["DELETE /session"]


async def test_of_very_many_sessions_the_last_are_remembered() -> None:
    known = KnownSessions(most=3)
    first = known.get("a")
    async with first.turn.take(0):
        for name in "bcde":
            known.get(name)
        assert known.get("a") is first  # code runs in it
        known.forget("nobody")
        known.note("", True, {})
    second = known.get("c")
    for name in "fgh":
        known.get(name)
    assert known.get("c") is not second
