"""Modules that travel into a session: what of their text does, and that it is the same program."""

from __future__ import annotations

import ast
import base64
import io
import sys
import tokenize
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp.azure.sent_modules import sent_module

if TYPE_CHECKING:
    from aca_mcp.azure.sent_modules import SentModule

ROOT = Path(__file__).parents[2]
MODULES = [
    *(
        f"aca_mcp.kernel.{path.stem}"
        for path in sorted((ROOT / "aca_mcp/kernel").glob("[a-z]*.py"))
    ),
    "aca_mcp.azure.in_session",
    "aca_mcp.azure.pip_in_code",
    "aca_mcp.azure.pip_in_session",
]


def sources_of(module: SentModule) -> dict[str, str]:
    """By name; that of the module itself is empty."""
    texts = iter(zlib.decompress(base64.b64decode(module.packed)).decode().split("\0"))
    return dict(zip(texts, texts, strict=True))


def statements(text: str) -> list[tuple[int, str]]:
    """Each with its line, but docstrings, what is for types alone, and what does nothing."""
    tree = ast.parse(text)
    tree.body = [
        each
        for each in tree.body
        if not (isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING")
    ]
    return [
        (node.lineno, ast.dump(node) if not hasattr(node, "body") else type(node).__name__)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and not isinstance(node, ast.Pass | ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


@pytest.mark.parametrize("name", MODULES)
def test_what_is_sent_is_the_module_line_by_line_without_what_explains_it(name: str) -> None:
    (source,) = sources_of(sent_module(name, [])).values()
    path = ROOT / f"{name.replace('.', '/')}.py"
    assert statements(source) == statements(path.read_text("utf-8"))
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    assert not [token.string for token in tokens if token.type == tokenize.COMMENT]
    expressions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    constants = [each.value.value for each in expressions if isinstance(each.value, ast.Constant)]
    assert set(constants) <= {"", ...}
    compile(source, path, "exec", dont_inherit=True)
    assert "aca_mcp." not in "".join(
        line for line in source.splitlines() if line.startswith(("from ", "import "))
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of this name, in which a test writes a module."""
    directory = tmp_path / "explained"
    directory.mkdir()
    (directory / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "explained", raising=False)
    return directory


def test_only_comments_docstrings_and_imports_for_types_are_taken_out(package: Path) -> None:
    (package / "all.py").write_text(
        '"""Module\n# and more\n"""\n'
        'text = """# of a text\nand "more" """  # a comment\n'
        "if TYPE_CHECKING:\n    import ast\n\n    from io import StringIO\n"
        "if TYPE_CHECKING:\n    x = 1\nelse:\n    x = 2\n"
        "class Empty:\n    'It is empty.'\n"
        'def f() -> str: """Of one line"""\n'
        "# alone\n"
        "def g():\n    '''Doc\n\n    of g'''\n    # a comment\n    return '# kept'\n"
    )
    (source,) = sources_of(sent_module("explained.all", [])).values()
    assert source == (
        "''\n\n\n"
        'text = """# of a text\nand "more" """\n'
        "\n\n\n\n"
        "if TYPE_CHECKING:\n    x = 1\nelse:\n    x = 2\n"
        "class Empty:\n    ''\n"
        "def f() -> str: ''\n"
        "\n"
        "def g():\n    ''\n\n\n\n    return '# kept'\n"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "if True:\n    from aca_mcp.kernel.message_framing import encode",
        "from aca_mcp.pool import Execution",
        "from aca_mcp import errors",
    ],
)
def test_a_module_that_imports_ours_in_another_way_is_not_sent(
    package: Path, statement: str
) -> None:
    (package / "odd.py").write_text(f"x = 1\n{statement}\n")
    with pytest.raises(AssertionError, match="cannot be sent"):
        sent_module("explained.odd", [])
