"""Modules of ours that travel into a session as text, to run in its interpreter. Pure."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import tokenize
import zlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGES = ("aca_mcp.kernel", "aca_mcp.azure")

_LOADER = """\
import base64, sys, types, zlib
if name not in sys.modules:
    package = types.ModuleType(name)
    package.__path__ = []
    sys.modules[name] = package
    try:
        texts = iter(zlib.decompress(base64.b64decode(packed)).decode().split("\\0"))
        for part, source in zip(texts, texts):
            module = types.ModuleType(f"{name}.{part}" if part else name)
            module.__package__ = name
            module.__file__ = f"<{name}>/{part}.py"
            if part:
                sys.modules[module.__name__] = module
                setattr(package, part, module)
            exec(compile(source, module.__file__, "exec"), vars(module if part else package))
    except BaseException:
        del sys.modules[name]
        raise
"""


@dataclass(frozen=True, slots=True)
class SentModule:
    """A module, with those that it imports, as text."""

    name: str
    """In the session. Two versions of this package may use one in turn: each has its own."""
    packed: str

    @property
    def load(self) -> str:
        """A statement that loads it, if it is not there yet; an expression as well."""
        return f'exec({_LOADER!r}, {{"name": "{self.name}", "packed": "{self.packed}"}})'

    @property
    def loaded(self) -> str:
        """The expression that is the module where it has been loaded."""
        return f'__import__("sys").modules["{self.name}"]'


def sent_module(own: str, needs: Sequence[str]) -> SentModule:
    """Pack a module.

    Args:
        own: its full name.
        needs: the modules of this package that it needs, each after those that it needs itself.
    """
    sources = [(name.rpartition(".")[2], _source_of(name)) for name in needs]
    # Names and texts in turn. No source has a zero character, and JSON's escapes make them longer.
    source = "\0".join(text for each in [*sources, ("", _source_of(own))] for text in each).encode()
    name = f"_aca_mcp_{hashlib.sha256(source).hexdigest()[:12]}"
    return SentModule(name, base64.b64encode(zlib.compress(source, 9)).decode())


def _source_of(name: str) -> str:
    """A module's text, in which its imports are those of one package, whatever its name."""
    package, _, file = name.rpartition(".")
    text = resources.files(package).joinpath(f"{file}.py").read_text("utf-8")
    tree = ast.parse(text)
    imports = [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("aca_mcp")
    ]
    written = sum(text.count(f"\nfrom {each}.") for each in _PACKAGES)
    if written != len(imports):
        raise AssertionError(f"{name} imports modules of ours in a way that cannot be sent")
    text = _without_explanations(text, tree)
    for each in _PACKAGES:
        text = text.replace(f"\nfrom {each}.", "\nfrom .")
    return text


def _without_explanations(text: str, tree: ast.Module) -> str:
    """A module without its comments, its docstrings and what it imports for its types alone.

    Those are a quarter of it when it is packed.

    What stays is as it was written, each line with its number, and not unparsed: sessions may have
    an older Python than is here, and replicas on different ones must send the same.
    """
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            number, column = token.start
            lines[number - 1] = lines[number - 1][:column].rstrip()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            # An empty one: a block may have nothing else, and what is of the future comes first.
            lines[first] = f"{lines[first][: node.col_offset]}''"
            lines[first + 1 : last] = [""] * (last - first - 1)
    for node in tree.body:
        if _is_for_types(node):
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            lines[first:last] = [""] * (last - first)
    return "\n".join(lines)


def _is_for_types(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse
    )
