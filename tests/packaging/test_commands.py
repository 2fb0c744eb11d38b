"""Every command that a document shows is run here, or listed with the reason why it is not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from aca_mcp.cli.commands import COMMANDS as ALL_COMMANDS
from aca_mcp.cli.parser import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)

NOT_RUN = {
    r"azd? |az$": "needs an Azure account",
    r"(POOL|SCOPE_ID|OBJECT_ID|APP_ID|TENANT|URL)=": "needs an Azure account",
    r"export ACA_MCP_(AUTH|PUBLIC)": "is for the server behind it",
    r"cat > api\.json": "is sent to Azure",
    r"TOKEN=\$\(az ": "needs an Azure account",
    r"echo \"\$ACA_MCP": "shows what the line before it made",
    r"curl -i \"\$URL\"": "needs a server at a public address",
    r"docker ": "tests/image does what it does, by `./scripts/image --test`",
    r"TOKEN=\$\(openssl": "is for the container behind it",
    r"\./scripts/test|COVERAGE=1 \./scripts/test": "runs these tests",
    r"(export )?ACA_MCP_POOL_MANAGEMENT_ENDPOINT=": "needs an Azure account",
    r"export (ACA_MCP_OTEL|OTEL_)": "tests/observing has a collector of its own",
    r"\./scripts/(check|coverage|conformance|smoke|clients|image|wasm)": "is a gate of CI",
    r"\./scripts/(transcript|hostile|habits|mcpb|oldest_python)": "is a gate of CI",
    r"\./\.ci/run": "is all of CI",
    r"\./scripts/demo": "makes the environment that this runs in",
    r"python3 -m venv .*pip install \.": "installs; `./scripts/smoke` does the same with the wheel",
    r".*--windows": "needs WSL; tests/cli/test_install_care.py has its environment",
    r"mkdir -p /mnt/c": "needs WSL",
    r"\.venv/bin/pip install '\.\[wasm\]'": "installs",
    r"aca-mcp warm|python scripts/platform_report": "compiles for minutes; `./scripts/wasm` does",
    r"aca-mcp repl": "needs a terminal; tests/cli/test_repl.py has one",
    r"(\.venv/bin/)?aca-mcp env (create|update|show|remove)": "downloads packages",
    r"curl -H 'Authorization: Bearer any'": "is run behind the emulator's line",
}
"""What a line begins with, and why nobody tries it here."""
LISTENS = re.compile(r"aca-mcp (serve .*--transport|emulator)")


class Command(NamedTuple):
    """A line of a block for a shell, with those that it goes on in."""

    document: str
    text: str


def commands() -> Iterator[Command]:
    for document in DOCUMENTS:
        for block in BLOCK.findall(document.read_text("utf-8")):
            # What a here-document has is no command.
            plain = re.sub(r"(<<(\w+)\n).*?\n\2\n", r"\1", block, flags=re.DOTALL)
            for line in re.sub(r"\\\n\s*", "", plain).splitlines():
                if line.strip() and not line.startswith("#"):
                    yield Command(document.name, line.strip())


COMMANDS = list({each.text: each for each in commands()}.values())
RUN = [each for each in COMMANDS if not any(re.match(sign, each.text) for sign in NOT_RUN)]


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Where a reader is: a clone, with the files that are spoken of, and a home of the test's."""
    for name in ("examples", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "analysis.py").write_text(
        "open('report.xlsx', 'w').write(open('sales.csv').read())\n", encoding="utf-8"
    )
    (tmp_path / "sales.csv").write_text("a\n1\n", encoding="utf-8")
    (tmp_path / "work.ipynb").write_text('{"cells": []}', encoding="utf-8")
    (tmp_path / "home" / "data").mkdir(parents=True)
    programs = Path(sys.executable).parent
    (tmp_path / ".venv").symlink_to(programs.parent)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ACA_MCP_")}
    home = {"HOME": str(tmp_path / "home"), "PATH": f"{programs}:{os.environ['PATH']}"}
    return tmp_path, {**kept, **home}


@pytest.mark.parametrize("command", RUN, ids=lambda each: each.text[:60])
def test_a_command_of_a_document_does_what_it_says(
    command: Command, desk: tuple[Path, dict[str, str]]
) -> None:
    directory, environment = desk
    text = command.text
    if LISTENS.search(text):
        text = re.sub(r"(serve |emulator)", r"\1 --port 0 ", text, count=1)
    if "--host 0.0.0.0" in text:
        environment = {**environment, "ACA_MCP_AUTH_TOKENS": f"me={'x' * 40}"}
    with subprocess.Popen(
        ["bash", "-euc", f"exec {text}" if LISTENS.search(text) else text],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            if LISTENS.search(text):
                assert process.stdout is not None
                said = ""
                while " at http" not in said:
                    line = process.stdout.readline()
                    assert line, said
                    said += line
                process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=45)[0]
        finally:
            process.kill()
    assert process.returncode == 0, output


def test_what_is_not_run_has_a_reason_that_is_still_needed() -> None:
    unused = [
        sign for sign in NOT_RUN if not any(re.match(sign, command.text) for command in COMMANDS)
    ]
    assert unused == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_commands_and_flags_that_exist(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also within sentences and tables, where nothing runs them."""
    line = CommandLine(ALL_COMMANDS, shows_all=True)
    text = document.read_text("utf-8")
    named = re.findall(r"`[^`\n]*?aca-mcp ([a-z]+)[ `]", text)
    assert [name for name in named if name not in ALL_COMMANDS] == []
    flags = set(re.findall(r"(?<=`)(--[a-z][a-z-]+)(?=[ `])", text))
    of_others = {"--rm", "--user", "--volume", "--security-opt", "--test", "--write", "--scope"}
    of_others |= {"--sign-in-audience", "--index-url"}
    for name in ALL_COMMANDS:
        with suppress(SystemExit):
            line.parse([name, "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert flags - known - of_others == set()
