"""The emulator answers in the words that the service was seen to use, and takes any spelling."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from aca_mcp.emulator import behaviour_catalogue
from aca_mcp.emulator.options import EmulatorOptions
from tests.emulator.caller import LEGACY, NEWEST, Caller, calling

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool

TIMED_OUT = "Request timed out waiting for code execution to complete"


async def test_code_over_its_time_is_told_in_the_services_words(call: Caller) -> None:
    newer = await call.run("print('a')\nwhile True: pass", timeoutInSeconds=1)
    assert (newer["status"], newer["result"]["stderr"]) == ("Failed", TIMED_OUT)
    assert newer["result"]["stdout"] == "a\n"
    assert "error" not in newer
    older = (await call.run("while True: pass", LEGACY, timeoutInSeconds=1))["properties"]
    assert (older["status"], older["stderr"]) == ("Failure", TIMED_OUT)


async def test_an_interpreter_that_dies_is_told_in_the_services_words(call: Caller) -> None:
    dead = await call.run("import os; os._exit(1)")
    assert (dead["status"], dead["result"]["stderr"]) == ("Failed", "Kernel restarted")
    assert "error" not in dead


async def test_what_waited_for_code_whose_time_ran_out_is_aborted(call: Caller) -> None:
    answers: list[dict[str, Any]] = []

    async def late() -> None:
        answers.append(await call.run("x = 'ran'"))

    await call.run("x = 'did not run'")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: call.run("while True: pass", timeoutInSeconds=1))
        await anyio.sleep(0.3)
        tasks.start_soon(late)
    assert (answers[0]["status"], answers[0]["result"]["stderr"]) == ("Failed", "Execution aborted")
    assert await call.value("x") == "did not run"


async def test_a_null_is_an_absence(call: Caller) -> None:
    nulls = ("shellCommand", "timeoutInSeconds", "outputStreamsMaxLength", "executionType", "stdin")
    assert await call.value("1", **dict.fromkeys(nulls)) == 1


async def test_the_case_of_paths_and_of_parameters_does_not_matter(call: Caller) -> None:
    await call("POST", "FILES", files={"file": ("A.txt", b"abc")})
    params = {"API-Version": NEWEST, "Identifier": call.identifier}
    ran = await call.http.post("Executions", params=params, json={"code": "1+1"})
    assert ran.json()["result"]["executionResult"] == 2
    assert (await call.http.get("Files/A.txt/Content", params=params)).content == b"abc"
    assert (await call.http.get("files/a.txt/content", params=params)).status_code == 404
    assert (await call.http.delete("SESSION", params=params)).status_code == 204


async def test_the_earliest_family_is_served(call: Caller) -> None:
    fields = {"codeInputType": "inline", "executionType": "synchronous"}
    body = {"properties": {**fields, "identifier": call.identifier, "pythonCode": "print(1); 2"}}
    for params in (
        {"api-version": LEGACY, "identifier": call.identifier},
        {"api-version": LEGACY},
        {},
    ):
        ran = (await call.http.post("python/execute", params=params, json=body)).json()
        assert (ran["status"], ran["stdout"], ran["stderr"], ran["result"]) == (
            "Success",
            "1\n",
            "",
            2,
        )
        assert "properties" not in ran
    body["properties"]["pythonCode"] = "1/0"
    failed = (await call("POST", "python/execute", LEGACY, json=body)).json()
    assert failed["status"] == "Failure"
    assert "ZeroDivisionError" in failed["stderr"]


@pytest.mark.parametrize("name", [r"..\..\x.txt", r"C:\dir\w.txt", r"a\b", r"\\host\share\x"])
async def test_a_name_is_judged_as_it_was_sent(call: Caller, name: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    up = await call(
        "POST",
        "files",
        content=head.encode() + b"abc\r\n--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert (up.status_code, up.json()["error"]["code"]) == (400, "FileNameInvalid")


SHELL = EmulatorOptions(pool_type="shell")


async def test_a_shell_pool_runs_programs_and_answers_with_their_exit_codes(
    local: LocalSessionPool,
) -> None:
    async with calling(local, SHELL) as call:
        await call("POST", "files", params={"path": "/mnt/data"}, files={"file": ("a", b"abc")})
        for body, status, stdout, stderr in (
            ({"shellCommand": "cat a; echo err >&2; exit 3"}, "3", "abc", "err\n"),
            ({"execCommandAndArgs": ["cat", "-"], "stdin": "ä\n"}, "0", "ä\n", ""),
            ({"execCommandAndArgs": ["no-such-program"]}, "127", "", "no-such-program: "),
            ({"shellCommand": "echo $((6*7)) > b; cat b"}, "0", "42\n", ""),
        ):
            ran = (await call("POST", "executions", json=body)).json()
            assert ran["status"] == status
            assert ran["result"]["stdout"] == stdout
            assert ran["result"]["stderr"].startswith(stderr)
            assert "executionResult" not in ran["result"]
        late = {"shellCommand": "sleep 60", "timeoutInSeconds": 1}
        ran = (await call("POST", "executions", json=late)).json()
        assert (ran["status"], ran["result"]["executionTimeInMilliseconds"]) == ("-1", 1000)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": "1"},
        {"shellCommand": "ls", "codeInputType": "Inline"},
        {"shellCommand": "ls", "execCommandAndArgs": ["ls"]},
        {"execCommandAndArgs": []},
        {"execCommandAndArgs": "ls"},
        {"shellCommand": "a\0b"},
        {"shellCommand": "ls", "stdin": 1},
        {"shellCommand": "ls", "timeoutInSeconds": 601},
    ],
)
async def test_a_shell_pool_takes_no_code(local: LocalSessionPool, body: object) -> None:
    async with calling(local, SHELL) as call:
        assert (await call("POST", "executions", json=body)).status_code == 400


def test_the_document_has_the_catalogue() -> None:
    """`.venv/bin/python scripts/emulator_table.py --write` brings it up to date."""
    # Not relative: toy sessions that ran before may have left this process elsewhere.
    root = Path(__file__).parents[2]
    script = runpy.run_path(str(root / "scripts" / "emulator_table.py"))
    page = (root / "docs" / "emulator.md").read_text("utf-8")
    assert script["table_in"](page) == script["catalogue_table"]()
    names = [each.name for each in behaviour_catalogue.CATALOGUE]
    assert len(set(names)) == len(names)
