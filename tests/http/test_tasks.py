"""The Tasks extension, by the bytes of a client that declares it, and by the SDK's."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.sse import sse_client
from mcp_types import CallToolResult, Request, RequestParams, Result

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.server.app import ServerOptions
from aca_mcp.server.tasks import TASKS
from tests.http.clients import ALICE, BOB, MODERN, WHO, Endpoint, answer_of, call
from tests.support.calling import text_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from mcp.client.extension import ClaimContext

    from tests.http.clients import Transport
    from tests.http.conftest import Running, Serve
    from tests.support.toy_pool import ToyPool

SLOW = "print('begun'); import anyio; await anyio.sleep(0.3); x = 5\nx"
SOON = ServerOptions(task_after_seconds=0.1)
"""What takes longer than a moment is a task."""
FOREVER = "print('begun'); import anyio; await anyio.sleep(60)"


class Host:
    """A client that declares the extension."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.declared: dict[str, Any] = {"extensions": {TASKS: {}}}

    async def send(self, method: str, named: str, /, **params: Any) -> dict[str, Any]:
        """Send a request; gives what is answered, with its error or result."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": self.declared,
        }
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": {**params, "_meta": meta},
        }
        return answer_of(
            await self.endpoint.post(
                message, Mcp_Protocol_Version=MODERN, Mcp_Method=method, Mcp_Name=named
            )
        )

    async def execute(self, code: str, **arguments: Any) -> dict[str, Any]:
        arguments = {"code": code, **arguments}
        answer = await self.send(
            "tools/call", "execute_python", name="execute_python", arguments=arguments
        )
        return answer["result"]

    async def about(self, method: str, task: dict[str, Any]) -> dict[str, Any]:
        answer = await self.send(method, task["taskId"], taskId=task["taskId"])
        return answer["result"]

    async def until(self, task: dict[str, Any], status: str) -> dict[str, Any]:
        now = task
        with anyio.fail_after(10):
            while now["status"] != status:
                await anyio.sleep(0.02)
                now = await self.about("tasks/get", task)
        return now


@asynccontextmanager
async def hosted(
    serve: Serve, chosen: ServerOptions = SOON, **options: Any
) -> AsyncGenerator[Host]:
    async with serve(chosen, **options) as server:
        yield Host(Endpoint(server.http))


async def test_the_extension_is_said_to_be_there(serve: Serve) -> None:
    async with hosted(serve) as host:
        known = await host.send("server/discover", "")
        assert known["result"]["capabilities"]["extensions"] == {TASKS: {}}


async def test_what_takes_long_is_a_task_whose_result_is_the_calls(serve: Serve) -> None:
    async with hosted(serve) as host:
        task = await host.execute(SLOW)
        assert task["resultType"] == "task"
        assert task["status"] == "working"
        assert task["pollIntervalMs"] > 0
        working = await host.about("tasks/get", task)
        assert (working["status"], working["statusMessage"]) == ("working", "begun")
        assert working["resultType"] == "complete"
        done = await host.until(task, "completed")
        assert done["createdAt"] == task["createdAt"] < done["lastUpdatedAt"]
        assert done["ttlMs"] > 3_600_000
        result = CallToolResult.model_validate(done["result"])
        first, *rest = text_of(result).splitlines()
        assert "This is a new session" in first, "its handle must be told"
        assert rest == ["begun", "[value]", "5"]
        assert not result.is_error
        assert await host.about("tasks/get", task) == done, "and again"


async def test_what_ends_soon_is_answered_at_once(serve: Serve) -> None:
    async with hosted(serve) as host:
        result = await host.execute("1 + 1")
        assert result["resultType"] == "complete"
        assert result["content"][0]["text"].endswith("\n2")
        failed = await host.execute("1", timeout_seconds=86_000)
        assert "600 seconds" in failed["content"][0]["text"]


async def test_silent_code_is_said_to_run(serve: Serve) -> None:
    async with hosted(serve) as host:
        task = await host.execute("import anyio; await anyio.sleep(60)")
        working = await host.about("tasks/get", task)
        assert working["statusMessage"] == "running for 0 s"


async def test_an_exception_of_the_code_is_in_the_result(serve: Serve) -> None:
    async with hosted(serve) as host:
        task = await host.execute("import anyio; await anyio.sleep(0.2); 1 / 0")
        done = await host.until(task, "completed")
        assert done["result"]["isError"]
        assert "ZeroDivisionError" in done["result"]["content"][0]["text"]


async def test_a_pool_that_fails_late_is_quoted_in_the_result(
    serve: Serve, toy_pool: ToyPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        await anyio.sleep(0.2)
        raise PoolUnavailableError("The pool has gone away.")

    monkeypatch.setattr(toy_pool, "execute", fail)
    async with hosted(serve) as host:
        done = await host.until(await host.execute("1"), "completed")
        assert done["result"]["isError"]
        assert done["result"]["content"][0]["text"].endswith("The pool has gone away.")


async def test_cancelling_stops_the_code_and_keeps_the_state(serve: Serve) -> None:
    async with hosted(serve) as host:
        task = await host.execute(f"x = 7\n{FOREVER}")
        assert set(await host.about("tasks/cancel", task)) <= {"resultType", "_meta"}
        cancelled = await host.until(task, "cancelled")
        assert "result" not in cancelled
        assert "Interrupted on request" in cancelled["statusMessage"]
        handle = cancelled["statusMessage"].split('session="')[1].split('"')[0]
        after = await host.execute("x", session=handle)
        assert after["content"][0]["text"] == "7"
        assert "resultType" in await host.about("tasks/cancel", task), "it has ended, and no matter"


async def test_answers_that_nobody_asked_for_are_ignored(serve: Serve) -> None:
    async with hosted(serve) as host:
        task = await host.execute(FOREVER)
        name = task["taskId"]
        answer = await host.send("tasks/update", name, taskId=name, inputResponses={"a": {}})
        assert answer["result"]["resultType"] == "complete"


async def test_replicas_begin_none_where_any_may_be_asked(
    serve: Serve, transport: Transport
) -> None:
    waiting = Waiting()
    async with (
        serve(SOON, secret=b"shared" * 8) as server,
        Client(target_of(server, transport), mode=MODERN, extensions=[waiting]) as client,
    ):
        result = await client.call_tool("execute_python", {"code": SLOW})
        assert text_of(result).endswith("begun\n[value]\n5")
    assert len(waiting.finished) == (transport == "sse")


async def test_code_for_the_background_stays_the_models(serve: Serve) -> None:
    async with hosted(serve) as host:
        result = await host.execute(FOREVER, run_in_background=True)
        assert result["resultType"] == "complete"
        assert "runs in the background" in result["content"][0]["text"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_header_that_names_another_task_is_refused(serve: Serve, method: str) -> None:
    """What routes by it would have sent the request elsewhere."""
    async with hosted(serve) as host:
        task = await host.execute(FOREVER)
        refused = await host.send(method, "another", taskId=task["taskId"])
        assert refused["error"]["code"] == -32020


async def test_a_call_that_is_cancelled_before_it_is_a_task_stops(
    serve: Serve, toy_pool: ToyPool
) -> None:
    async with hosted(serve, ServerOptions(task_after_seconds=30)) as host:
        host.endpoint.http.timeout = 0.5
        with pytest.raises(httpx.ReadTimeout):
            await host.execute(FOREVER)
        await until(lambda: not toy_pool.sessions)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_who_does_not_declare_it_has_no_tasks(serve: Serve, method: str) -> None:
    async with hosted(serve) as host:
        task = await host.execute(FOREVER)
        host.declared = {}
        refused = await host.send(method, task["taskId"], taskId=task["taskId"])
        assert refused["error"]["code"] == -32021
        assert refused["error"]["data"]["requiredCapabilities"] == {"extensions": {TASKS: {}}}
        result = await host.execute(SLOW)
        assert result["resultType"] == "complete"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_task_is_its_principals_alone(serve: Serve, method: str) -> None:
    async with serve(SOON, authentication=WHO) as server:
        alice = Host(Endpoint(server.http, Authorization=f"Bearer {ALICE}"))
        bob = Host(Endpoint(server.http, Authorization=f"Bearer {BOB}"))
        task = await alice.execute(FOREVER)
        refused = [
            await bob.send(method, name, taskId=name)
            for name in (task["taskId"], "x", "execution-1")
        ]
        assert {answer["error"]["code"] for answer in refused} == {-32602}
        assert len({answer["error"]["message"] for answer in refused}) == 1
        assert (await alice.about("tasks/get", task))["status"] == "working"


async def test_older_clients_have_none(serve: Serve) -> None:
    async with serve() as server:
        older = Endpoint(server.http)
        await older.open()
        declared: dict[str, Any] = {"extensions": {TASKS: {}}}
        meta = {"io.modelcontextprotocol/clientCapabilities": declared}
        answer = answer_of(await older.post(call("execute_python", {"code": SLOW}, _meta=meta)))
        assert answer["result"]["content"][0]["text"] == "begun\n[value]\n5"
        asked = {"jsonrpc": "2.0", "id": 8, "method": "tasks/get", "params": {"taskId": "x"}}
        assert answer_of(await older.post(asked))["error"]["code"] == -32601


class Begun(Result):
    """As the SDK's client reads a task."""

    result_type: Literal["task"] = "task"
    task_id: str


class Task(Result):
    status: str
    result: CallToolResult | None = None


class GetTaskParams(RequestParams):
    task_id: str


class GetTask(Request[GetTaskParams, Literal["tasks/get"]]):
    name_param: ClassVar[str | None] = "taskId"
    method: Literal["tasks/get"] = "tasks/get"
    params: GetTaskParams


class Waiting(ClientExtension):
    """Asks for tasks behind the back of who calls, as hosts do."""

    identifier = TASKS

    def __init__(self) -> None:
        self.finished: list[str] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Begun, resolve=self._resolve)]

    async def _resolve(self, begun: Begun, context: ClaimContext) -> CallToolResult:
        question = GetTask(params=GetTaskParams(task_id=begun.task_id))
        with anyio.fail_after(10):
            while (task := await context.session.send_request(question, Task)).result is None:
                assert task.status == "working"
                await anyio.sleep(0.02)
        self.finished.append(task.status)
        return task.result


def target_of(server: Running, transport: Transport) -> Any:
    return sse_client(f"{server.address}/sse") if transport == "sse" else f"{server.address}/mcp"


async def test_the_sdks_client_waits_for_them(serve: Serve, transport: Transport) -> None:
    waiting = Waiting()
    async with serve(SOON) as server:
        target = (
            f"{server.address}/mcp" if transport == "http" else sse_client(f"{server.address}/sse")
        )
        async with Client(target, mode=MODERN, extensions=[waiting]) as client:
            result = await client.call_tool("execute_python", {"code": SLOW})
            assert text_of(result).endswith("begun\n[value]\n5")
    assert waiting.finished == ["completed"]
