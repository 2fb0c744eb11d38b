"""What is said about what programs wrote."""

from __future__ import annotations

import pytest

from aca_mcp.execution import ExecutionError
from aca_mcp.kernel.renderers import has
from aca_mcp.reports.remarks import remarks_on


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("/bin/sh: 1: xdg-open: not found\n", "xdg-open"),
        ("sh: 12: ffmpeg: not found", "ffmpeg"),
        ("first\nbash: line 1: gcloud: command not found\nlast", "gcloud"),
        ("Couldn't find program: 'ruby'", "ruby"),
    ],
)
def test_a_program_that_a_shell_did_not_find_is_a_sentence(said: str, name: str) -> None:
    for streams in (("", said), (said, ""), (said, said)):
        [told], modules = remarks_on(*streams, None)
        assert told.startswith(f"This session has no program {name!r}, and")
        assert modules == ()


def test_a_program_of_a_package_is_told_with_the_package() -> None:
    [told], _ = remarks_on("", "/bin/sh: 1: pytest: not found\n", None)
    assert told.endswith("comes with the package pytest: %pip install pytest")


@pytest.mark.parametrize(
    "said",
    [
        "curl: (6) Could not resolve host: example.com",
        "wget: unable to resolve host address \u2018example.com\u2019",
        "Error: ... ([Errno -3] Temporary failure in name resolution)",
        "[nltk_data] Error loading x: no\n[nltk_data]     validated address for host\n'y'",
        "ssh: Could not resolve hostname github.com: Name or service not known",
    ],
)
def test_what_did_not_reach_the_network_is_a_sentence(said: str) -> None:
    for streams in (("", said), (said, ""), (said, said)):
        [told], _ = remarks_on(*streams, None)
        assert told.startswith("The network was not reached")


def test_a_module_that_a_program_did_not_find_is_named_once() -> None:
    said = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'yaml.x'\n"
    assert remarks_on("", said * 3, None) == ((), ("yaml.x",))
    assert remarks_on(said, "", None) == ((), ())  # what code prints of its own


@pytest.mark.parametrize(
    ("what", "package", "named"),
    [
        ("plotly figures", "kaleido==0.2.1", "kaleido"),
        ("altair charts", "vl-convert-python", "vl-convert-python"),
    ],
)
def test_what_makes_pictures_is_named_like_a_module_that_is_missing(
    what: str, package: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not has("no_such_module", what, package)
    assert remarks_on("", capsys.readouterr().err, None) == ((), (named,))


def test_what_the_error_says_already_is_not_said_again() -> None:
    hinted = ExecutionError("E", "m", "t", hint="Sessions have no network.")
    assert remarks_on("", "Could not resolve host: x", hinted) == ((), ())
    missing = ExecutionError("ModuleNotFoundError", "m", "t", missing_module="yaml")
    assert remarks_on("", "ModuleNotFoundError: No module named 'yaml'", missing) == ((), ())


@pytest.mark.parametrize(
    "said", ["", "not found", "key: not found", "sh: not found", "a sh: 1: b: not found"]
)
def test_other_output_has_no_remark(said: str) -> None:
    assert remarks_on(said, said, None) == ((), ())


def test_remarks_are_few_however_much_was_written() -> None:
    lines = "".join(f"sh: 1: program-{number}: not found\n" for number in range(100_000))
    remarks, _ = remarks_on(lines, lines, None)
    assert len(remarks) == 3
