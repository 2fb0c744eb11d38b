"""The road of a call in docs/architecture.md is the one that the code takes."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/architecture.md").read_text()
_HOP = re.compile(r"^( *)(~ )?([\w/]+\.py) +([\w.]+)(?:  .*)?$")


@dataclass(frozen=True)
class Hop:
    """One line of the road."""

    depth: int
    is_in_another_process: bool
    file: str
    function: str

    @property
    def name(self) -> str:
        return self.function.rpartition(".")[2]


def roads() -> list[list[Hop]]:
    """The blocks of the document whose first line is a hop."""
    found: list[list[Hop]] = []
    for block in re.findall(r"^```\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL):
        lines = [_HOP.match(line) for line in block.splitlines()]
        if lines[0] is None:
            continue
        assert all(lines), "a line of the road is none of its hops"
        found.append([_hop(line) for line in lines if line is not None])
    return found


def _hop(line: re.Match[str]) -> Hop:
    depth = len(line[1]) + (2 if line[2] else 0)
    return Hop(depth, line[2] is not None, line[3], line[4])


def caller_of(road: list[Hop], index: int) -> Hop | None:
    """The hop above that is less indented; None for the first, and for a step between processes."""
    hop = road[index]
    if hop.is_in_another_process:
        return None
    return next((each for each in reversed(road[:index]) if each.depth < hop.depth), None)


def body_of(hop: Hop) -> ast.AST:
    node: ast.AST = ast.parse((ROOT / "aca_mcp" / hop.file).read_text())
    for part in hop.function.split("."):
        node = next(
            each
            for each in ast.iter_child_nodes(node)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and each.name == part
        )
    return node


def called_in(hop: Hop) -> set[str]:
    """The last name of whatever a function calls, or hands to another to call."""
    nodes = list(ast.walk(body_of(hop)))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | {
        node.id for node in nodes if isinstance(node, ast.Name)
    }


def test_there_are_the_roads_of_both_kinds_of_pool() -> None:
    first, *others = roads()
    assert [road[0].file for road in others] == ["azure/pool.py"]
    of_all = {hop.file for hop in first}
    assert {"session.py", "local/kernel_process.py", "kernel/interpreter.py"} <= of_all


@pytest.mark.parametrize("number", range(len(roads())))
def test_each_function_is_called_by_the_one_above_it(number: int) -> None:
    road = roads()[number]
    for index, hop in enumerate(road):
        assert isinstance(body_of(hop), ast.FunctionDef | ast.AsyncFunctionDef), hop
        caller = caller_of(road, index)
        if caller is not None:
            assert hop.name in called_in(caller), f"{caller} does not call {hop}"


def test_the_rooms_of_the_document_are_those_of_the_package() -> None:
    tables = re.findall(r"^\| (`[^|]*) \|", DOCUMENT, re.MULTILINE)
    named = {name.strip("/") for cell in tables for name in re.findall(r"`([\w/]+)`", cell)}
    for folder in ("aca_mcp", "aca_mcp/server"):
        children = {
            path.stem
            for path in (ROOT / folder).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        assert {name for name in children if not name.startswith("__")} <= named


def test_the_glossary_is_short_and_tells_whose_words_they_are() -> None:
    lines = DOCUMENT.partition("## Words")[2].splitlines()
    table = [line for line in lines if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    assert 0 < len(rows) <= 15
    assert all(source and "," not in word for word, _, source in rows)


def test_the_environment_is_read_where_the_document_says() -> None:
    readers = {
        str(path.relative_to(ROOT / "aca_mcp")).partition("/")[0]
        for path in (ROOT / "aca_mcp").rglob("*.py")
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }
    # The template, forks of it, code that is sent, and processes of instances.
    of_sessions = {"kernel", "local", "azure", "wasm"}
    assert readers <= {"settings", "cli", "installing"} | of_sessions


def test_every_folder_of_tests_is_named_where_a_newcomer_looks() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "tests/README.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)/`", row)}
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("*.py"))}
    assert folders == named
