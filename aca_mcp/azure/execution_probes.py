"""Questions about executions."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import anyio

from aca_mcp.azure.api_versions import DEFAULT_STREAM_CHARACTERS, MAX_TIMEOUT_SECONDS, Feature
from aca_mcp.azure.probe_client import fields_of
from aca_mcp.azure.probes import PYTHON, SHELL, Probe, outcome, run, words

if TYPE_CHECKING:
    from aca_mcp.azure.probe_client import ProbeAnswer, ProbeClient

TIMED_OUT = "Request timed out waiting for code execution to complete"
_POLL_SECONDS = 30
_LEGACY = {"api-version": "2024-02-02-preview"}
_PICTURES = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==",
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAC0lEQVR4nGNgYAAAAAMAAbitOmMAAAAASUVORK5CYII=",
)
"""Two PNG files, of one pixel and of two."""
_SHOW = (
    "from IPython.display import Image\n"
    "first, second = (Image(data=__import__('base64').b64decode(each)) for each in {pictures!r})\n"
)


async def _routes(ask: ProbeClient) -> str:
    fields = {"codeInputType": "inline", "executionType": "synchronous", "code": "1+1"}
    seen = await ask("POST", "code/execute", body={"properties": fields}, query=_LEGACY)
    inner = fields_of(seen.fields.get("properties"))
    return f"{seen.code} {inner.get('status')}: {inner.get('result')!r}"


async def _case(ask: ProbeClient) -> str:
    return outcome(ask, await ask("POST", "Executions", body=ask.asked_to_run()))


async def _nulls(ask: ProbeClient) -> str:
    if ask.runs == "python":
        return outcome(ask, await run(ask, shellCommand=None, timeoutInSeconds=None))
    return outcome(ask, await run(ask, execCommandAndArgs=None, timeoutInSeconds=None))


async def _wrapped_body(ask: ProbeClient) -> str:
    return (await ask("POST", "executions", body={"properties": ask.asked_to_run()})).code


def _problem(seen: ProbeAnswer) -> str:
    return f"{seen.code} {'with' if fields_of(seen.fields.get('errors')) else 'without'} errors"


async def _invalid_body(ask: ProbeClient) -> str:
    return _problem(await run(ask, timeoutInSeconds="long"))


async def _longest_timeout(ask: ProbeClient) -> str:
    return _problem(await run(ask, timeoutInSeconds=MAX_TIMEOUT_SECONDS + 1))


async def _python_execute(ask: ProbeClient) -> str:
    fields = {"codeInputType": "inline", "executionType": "synchronous", "pythonCode": "1+1"}
    seen = await ask("POST", "python/execute", body={"properties": fields}, query=_LEGACY)
    return f"{seen.code}: {seen.fields.get('result')!r}"


async def _values(ask: ProbeClient) -> str:
    seen = [await run(ask, code) for code in ("1+1", "'a'", "float('nan')", "None")]
    values = ", ".join(repr(each.result("executionResult")) for each in seen)
    return f"{seen[0].execution}: {values}"


def _picture(seen: ProbeAnswer) -> str:
    value = fields_of(seen.result("executionResult"))
    try:
        data = base64.b64decode(str(value.get("base64_data")))
    except ValueError:
        data = b""
    known = [at for at, each in enumerate(_PICTURES) if base64.b64decode(each) == data]
    which = ("first", "second")[known[0]] if known else "no"
    return f"{seen.execution}: {value.get('type')} {value.get('format')}, {which} picture"


async def _figures(ask: ProbeClient) -> str:
    return _picture(await run(ask, f"{_SHOW.format(pictures=_PICTURES)}first"))


async def _several_figures(ask: ProbeClient) -> str:
    return _picture(await run(ask, f"{_SHOW.format(pictures=_PICTURES)}display(first, second)"))


async def _displayed_text(ask: ProbeClient) -> str:
    seen = await run(ask, "display({'text/plain': 'shown'}, raw=True)")
    where = [name for name in ("stdout", "executionResult") if "shown" in str(seen.result(name))]
    return f"{seen.execution}: in {', '.join(where) or 'nothing'}"


async def _exception(ask: ProbeClient) -> str:
    seen = await run(ask, "1/0")
    where = "in stderr" if "ZeroDivisionError" in str(seen.result("stderr")) else "elsewhere"
    return f"{seen.execution}: traceback {where}"


async def _exception_error(ask: ProbeClient) -> str:
    seen = await run(ask, "1/0")
    error = fields_of(fields_of(seen.fields.get("error")).get("error"))
    return f"{seen.status}: {error.get('code')}"


async def _output_length(ask: ProbeClient) -> str:
    print_much = ("print('x' * 10000)", "head -c 10000 /dev/zero | tr '\\0' x")
    seen = await run(ask, *print_much)
    told = f"{outcome(ask, seen)}: {len(str(seen.result('stdout')))} characters"
    if ask.has(Feature.OUTPUT_LENGTH):
        fewer = await run(ask, *print_much, outputStreamsMaxLength=100)
        if (length := len(str(fewer.result("stdout")))) != 100:
            return f"{told}; {length} where 100 were asked for"
    return told


async def _asynchronous(ask: ProbeClient) -> str:
    begun = await run(ask, "1+1", executionType="Asynchronous")
    where = "with" if "operation-location" in begun.headers else "without"
    path = f"executions/{begun.fields.get('id')}"
    deadline = time.monotonic() + _POLL_SECONDS
    while (seen := await ask("GET", path)).fields.get("status") == "Running":
        if time.monotonic() > deadline:
            break
        await anyio.sleep(0.05)
    told = f"{seen.execution}: {seen.result('executionResult')!r}"
    return f"{begun.status} {where} Operation-Location, then {told}"


async def _directory(ask: ProbeClient) -> str:
    seen = await run(ask, "import os; os.getcwd()")
    here = str(seen.result("executionResult")).strip("'")
    kind = here if here == "/mnt/data" else "another" if here.startswith("/") else "none"
    return f"{seen.execution}: {kind}"


async def _shell(ask: ProbeClient) -> str:
    failed = await run(ask, command="exit 3")
    late = await run(ask, command="sleep 30", timeoutInSeconds=1)
    refused = await ask("POST", "executions", body={"code": "1", "shellCommand": "true"})
    return f"{failed.execution}; {late.execution}; {refused.status}"


async def _timeout(ask: ProbeClient) -> str:
    seen = await run(ask, "import time; time.sleep(30)", timeoutInSeconds=1)
    stderr = str(seen.result("stderr"))
    return f"{seen.execution}: {TIMED_OUT if stderr.startswith(TIMED_OUT) else words(stderr)}"


async def _aborted(ask: ProbeClient) -> str:
    answers: dict[str, ProbeAnswer | Exception] = {}

    async def send(code: str, timeout_seconds: int) -> None:
        try:
            answers[code] = await run(ask, code, timeoutInSeconds=timeout_seconds)
        except Exception as error:  # as it is, not in a group
            answers[code] = error

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, "while True: pass", 2)
        await anyio.sleep(ask.head_start_seconds)
        await send("1", 60)
    seen = answers["1"]
    if isinstance(seen, Exception):
        raise seen
    return f"{seen.execution}: {words(seen.result('stderr'))}"


async def _interpreter_died(ask: ProbeClient) -> str:
    seen = await run(ask, "import os; os._exit(1)")
    return f"{seen.execution}: {words(seen.result('stderr'))}"


_IMAGE = "200 Succeeded: image png,"
EXECUTION_PROBES = {
    "routes": Probe(_routes, "200 Success: 2", runs=PYTHON),
    "case": Probe(_case, "200 Succeeded"),
    "nulls": Probe(_nulls, "200 Succeeded"),
    "wrapped-body": Probe(_wrapped_body, "400 SessionPropertiesMissing"),
    "invalid-body": Probe(_invalid_body, "400 with errors"),
    "longest-timeout": Probe(_longest_timeout, "400 with errors", runs=PYTHON),
    "python-execute": Probe(_python_execute, "200: 2", runs=PYTHON),
    "values": Probe(_values, "200 Succeeded: 2, 'a', None, ''", runs=PYTHON),
    "figures": Probe(_figures, f"{_IMAGE} first picture", runs=PYTHON),
    "several-figures": Probe(_several_figures, f"{_IMAGE} second picture", runs=PYTHON),
    "displayed-text": Probe(_displayed_text, "200 Succeeded: in stdout", runs=PYTHON),
    "exception": Probe(_exception, "200 Failed: traceback in stderr", runs=PYTHON),
    "exception-error": Probe(_exception_error, "200: ExecutionFailed", runs=PYTHON),
    "output-length": Probe(
        _output_length, f"200 Succeeded: {DEFAULT_STREAM_CHARACTERS} characters"
    ),
    "asynchronous": Probe(
        _asynchronous, "200 with Operation-Location, then 200 Succeeded: 2", runs=PYTHON
    ),
    "directory": Probe(_directory, "200 Succeeded: another", runs=PYTHON),
    "shell": Probe(_shell, "200 3; 200 -1; 400", runs=SHELL),
}
LAST_EXECUTION_PROBES = {
    "timeout": Probe(_timeout, f"200 Failed: {TIMED_OUT}", runs=PYTHON),
    "aborted": Probe(_aborted, "200 Failed: Execution aborted", runs=PYTHON),
    "interpreter-died": Probe(_interpreter_died, "200 Failed: Kernel restarted", runs=PYTHON),
}
"""After which a session may have lost its variables and its files."""
