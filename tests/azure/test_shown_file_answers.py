"""What a service's answers about files and pools come to, in a tool's result and in a terminal."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from aca_mcp.azure.pip_in_session import packed
from tests.azure.service import answer, fault, succeeded
from tests.azure.shown_answers import Scripted, Terminal, no_gzip, reported, told_to_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import httpx


def file(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": "file", "sizeInBytes": 3, **more}


def next_page() -> httpx.Response:
    return answer(200, {"value": [file("a.txt")], "nextLink": "?skip=1"})


LOST = "the file may be there or not. Upload it again"
FILE_ROWS: dict[str, tuple[Sequence[Callable[[], httpx.Response]], str, str]] = {
    # What is answered; what a list comes to; what an upload does.
    "a bare array": ([lambda: answer(200, [file("a.txt")])], "a.txt\t3 bytes\t20", "3 bytes"),
    "a relative link": (
        [next_page, lambda: answer(200, {"value": [file("b.txt")]})],
        "b.txt\t3 bytes",
        "a.txt",
    ),
    "nulls": ([lambda: answer(200, {"value": None, "nextLink": None})], "no files", "a.txt"),
    "no gzip": (
        [no_gzip],
        "not in the encoding",
        f"not in the encoding that its header names): {LOST}",
    ),
    "a page": (
        [lambda: answer(200, b"<title>Sign in</title>")],
        "HTTP status 200: Sign in",
        f"(HTTP status 200: Sign in): {LOST}",
    ),
    "no content": (
        [lambda: answer(204)],
        "HTTP status 204 without a word",
        f"(HTTP status 204 without a word): {LOST}",
    ),
    "a gateway": (
        [lambda: answer(502, b"<h1>Bad Gateway</h1>")],
        "HTTP status 502",
        f"HTTP status 502: Bad Gateway): {LOST}",
    ),
    "an error as a text": (
        [lambda: answer(400, {"error": "No such thing."})],
        "It says: No such thing.",
        "It says: No such thing.",
    ),
    "too many": ([lambda: answer(429, None, Retry_After="120")], "in 120 s", "in 120 s"),
    "moved": (
        [lambda: answer(302, None, Location="https://login.example/a")],
        "https://login.example/a",
        "https://login.example/a",
    ),
    "no role": ([lambda: answer(401)], "Session Executor", "Session Executor"),
    "too large": ([lambda: fault(413, "X")], "134,217,728 bytes", "134,217,728 bytes"),
    "full": ([lambda: fault(507, "X")], "no room", "no room"),
}


@pytest.mark.parametrize("row", FILE_ROWS)
async def test_a_model_is_told_of_files(row: str) -> None:
    given, listed, uploaded = FILE_ROWS[row]
    upload = {"path": "a.txt", "content": "abc"}
    give = Scripted(list=given, upload=given)
    told = await told_to_model(give, ("list_files", {}), ("upload_file", upload))
    assert listed in told[0]
    assert uploaded in told[1]
    assert "1970" not in told[0]


@pytest.mark.parametrize("row", FILE_ROWS)
def test_a_person_is_told_of_files(row: str, terminal: Terminal, tmp_path: Path) -> None:
    given, _, uploaded = FILE_ROWS[row]
    path = tmp_path / "a.txt"
    path.write_text("abc", encoding="utf-8")
    give = Scripted(upload=given, executions=[succeeded, lambda: succeeded("ran")])
    code, shown = terminal(give, "--upload", str(path), "1")
    if uploaded in {"3 bytes", "a.txt"}:
        assert (code, "ran" in shown) == (0, True), shown
    else:
        assert (code, uploaded in shown) == (1, True), shown
    assert "Traceback" not in shown


async def test_an_etag_that_changes_at_each_look_is_no_loss() -> None:
    def marked(number: int, **headers: str) -> Callable[[], httpx.Response]:
        etag = {"x_ms_session_etag": f"etag-{number}"}
        return lambda: reported(fresh=number == 1, text=f"value {number}", **etag, **headers)

    give = Scripted(
        executions=[marked(1), marked(2), marked(3)],
        list=[lambda: answer(200, [], x_ms_session_etag="another")],
    )
    call = ("execute_python", {"code": "1"})
    told = await told_to_model(give, call, ("list_files", {}), call, call, rich=True)
    assert (told[0], *told[2:]) == ("value 1", "value 2", "value 3")


def test_an_etag_that_changes_is_no_loss_at_a_terminal_either(
    terminal: Terminal, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("abc", encoding="utf-8")
    same = {"x_ms_new_allocation": "false"}
    give = Scripted(
        upload=[
            lambda: answer(200, file("a.txt"), x_ms_session_etag="1", x_ms_new_allocation="true")
        ],
        executions=[lambda: reported(fresh=True, text="ran", x_ms_session_etag="2", **same)],
    )
    assert terminal(give, "--upload", str(path), "1", rich=True) == (0, "ran\n")


ENDED = functools.partial(fault, 400, "SessionWithIdentifierNotFound")


async def test_a_session_that_has_ended_is_restarted_and_left_without_an_error() -> None:
    give = Scripted(executions=[succeeded, lambda: succeeded(7)], stop=[ENDED], session=[ENDED])
    call = ("execute_python", {"code": "1"})
    told = await told_to_model(give, call, ("restart_session", {}))
    assert told[1].startswith("Restarted.")
    assert "stop" in give.asked


def test_a_session_that_has_ended_is_left_without_a_word_at_a_terminal(
    terminal: Terminal,
) -> None:
    give = Scripted(executions=[succeeded, lambda: succeeded(7)], stop=[ENDED])
    assert terminal(give, "1") == (0, "7\n")
    assert give.asked[-1] == "stop"


def of_another_kind(name: str) -> Scripted:
    return Scripted(
        executions=[lambda: fault(400, "SessionPropertiesMissing", "'shellCommand' is required.")],
        metadata=[lambda: answer(200, {"runtimes": [{"name": name, "version": "1"}]})],
    )


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
def test_the_kind_of_a_pool_is_told_at_a_terminal(rich: bool, terminal: Terminal) -> None:
    code, shown = terminal(of_another_kind("Node"), "1", rich=rich)
    assert (code, "names a NodeLTS pool" in shown) == (1, True)


def shell_pool() -> Scripted:
    return Scripted(
        metadata=[lambda: answer(200, {"runtimes": [{"name": "Shell", "version": "1"}]})],
        executions=[
            lambda: fault(400, "SessionPropertiesMissing", "'shellCommand' is required."),
            lambda: answer(200, {"status": "0", "result": {"stdout": "2\n"}}),
        ],
    )


def test_a_shell_pool_is_told_at_a_terminal(terminal: Terminal) -> None:
    give = shell_pool()
    give("POST", "executions")  # a terminal asks first what the pool is
    code, shown = terminal(give, "1+1", rich=True)
    assert (code, "This is a Shell pool" in shown, "2\n" in shown) == (0, True, True)


async def test_a_shell_pool_is_told_to_a_model() -> None:
    (told,) = await told_to_model(shell_pool(), ("execute_python", {"code": "1+1"}), rich=True)
    assert "This is a Shell pool" in told


def refused_length() -> httpx.Response:
    told = {"code": "X", "message": "Validation failed.", "target": "outputStreamsMaxLength"}
    return answer(400, {"error": told})


def refusing() -> Scripted:
    listed = packed([("tea", "1", ["leaves"])])
    return Scripted(
        executions=[refused_length, succeeded, lambda: succeeded(7), lambda: succeeded(listed)],
        metadata=[lambda: fault(400, "X")],
    )


async def test_a_bound_and_metadata_that_are_refused_are_nothing_to_tell_a_model() -> None:
    calls = [("execute_python", {"code": "1"}), ("list_packages", {"query": "leaves"})]
    assert await told_to_model(refusing(), *calls) == ["7", "tea 1 (import leaves)"]


def test_a_bound_and_metadata_that_are_refused_are_nothing_to_tell_at_a_terminal(
    terminal: Terminal,
) -> None:
    assert terminal(refusing(), "1") == (0, "7\n")
