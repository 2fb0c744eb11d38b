"""Two replicas of the real server behind a balancer, with one service of sessions beneath them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from aca_mcp.emulator.emulator import open_emulator
from tests.http.balancer import Balancer
from tests.http.clients import Endpoint, call, connected, text_in
from tests.server.http.serving import served, server_process
from tests.support.emulators import POOL_PATH, emulator_process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tests.http.conftest import Serve
    from tests.support.toy_pool import ToyPool

SECRET = "a secret that the replicas have in common"


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    """What the replicas have in common."""
    with emulator_process() as emulator:
        yield {
            "ACA_MCP_POOL_MANAGEMENT_ENDPOINT": emulator + POOL_PATH,
            "ACA_MCP_AZURE_CREDENTIAL": "emulator",
            "ACA_MCP_SECRET": SECRET,
        }


@pytest.fixture(scope="module")
def replicas(settings: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Addresses of two servers."""
    with (
        server_process([], **settings) as (first, _),
        server_process([], **settings) as (second, _),
    ):
        yield first, second


@asynccontextmanager
async def balanced(
    replicas: tuple[str, str], *, is_sticky: bool = False
) -> AsyncGenerator[tuple[str, Balancer]]:
    async with httpx.AsyncClient(timeout=20) as http:
        balancer = Balancer(replicas, http, is_sticky=is_sticky)
        async with served(balancer) as address:
            yield address, balancer


async def test_newer_clients_need_no_replica_in_particular(replicas: tuple[str, str]) -> None:
    async with (
        balanced(replicas) as (address, balancer),
        connected(address, "http", "2026-07-28") as client,
        connected(address, "http", "2026-07-28") as other,
    ):
        await client("execute_python", code="x = 0")
        for _ in range(4):
            await client("execute_python", code="x += 1")
        assert await client("execute_python", code="x") == "4"
        await client("upload_file", path="a.txt", content="there")
        assert await client("download_file", path="a.txt") == "there"
        assert "NameError" in await other.refusal("execute_python", code="x")
    assert all(count >= 4 for count in balancer.served.values())


async def test_a_session_that_one_replica_ended_is_gone_for_the_other(
    replicas: tuple[str, str],
) -> None:
    async with (
        connected(replicas[0], "http", "2026-07-28") as here,
        connected(replicas[1], "http", "2026-07-28") as there,
    ):
        await here("execute_python", code="x = 1")
        old = there.handle = here.handle
        assert await there("execute_python", code="x") == "1"
        await here("restart_session")
        text = await there.refusal("execute_python", code="x", session=old)
        assert "The earlier session is gone" in text
        assert await here("execute_python", code="2") == "2"


async def test_older_clients_stay_with_their_replica(replicas: tuple[str, str]) -> None:
    async with (
        balanced(replicas, is_sticky=True) as (address, _),
        connected(address, "http", "legacy") as first,
        connected(address, "http", "legacy") as second,
    ):
        await first("execute_python", code="x = 1")
        await second("execute_python", code="x = 2")
        assert await first("execute_python", code="x") == "1"
        assert await second("execute_python", code="x") == "2"


async def test_an_older_client_that_is_sent_to_another_replica_is_told_so_by_404(
    replicas: tuple[str, str],
) -> None:
    async with balanced(replicas) as (address, _), httpx.AsyncClient(timeout=20) as http:
        client = Endpoint(http)
        http.base_url = replicas[0]
        await client.open()
        http.base_url = address
        answers = [await client.post(call("execute_python", {"code": "1"})) for _ in range(2)]
        assert sorted(answer.status_code for answer in answers) == [200, 404]
        assert text_in(min(answers, key=lambda answer: answer.status_code)) == "1"


async def test_a_handle_is_known_again_by_a_server_that_was_restarted(serve: Serve) -> None:
    secret = SECRET.encode()
    async with (
        serve(secret=secret) as server,
        connected(server.address, "http", "2026-07-28") as client,
    ):
        await client("execute_python", code="x = 1")
        handle = client.handle
    for now, said in ((secret, "has ended"), (secret[::-1], "not a session handle")):
        async with (
            serve(secret=now) as server,
            connected(server.address, "http", "2026-07-28") as client,
        ):
            assert said in await client.refusal("execute_python", code="x", session=handle)


async def test_a_server_without_its_service_is_not_ready(toy_pool: ToyPool) -> None:
    async with AsyncExitStack() as service:
        app = await service.enter_async_context(open_emulator(toy_pool))
        emulator = await service.enter_async_context(served(app))
        settings = {
            "ACA_MCP_POOL_MANAGEMENT_ENDPOINT": emulator + POOL_PATH,
            "ACA_MCP_AZURE_CREDENTIAL": "emulator",
            "ACA_MCP_AZURE_RETRY_SECONDS": "0",
        }
        with server_process([], **settings) as (address, _):
            async with httpx.AsyncClient(base_url=address, timeout=20) as http:
                assert (await http.get("/readyz")).status_code == 200
                await service.aclose()
                with anyio.fail_after(20):
                    while (await http.get("/readyz")).status_code == 200:  # noqa: ASYNC110 -- asked as a probe does
                        await anyio.sleep(0.1)
                assert (await http.get("/healthz")).status_code == 200
