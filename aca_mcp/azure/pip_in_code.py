"""Which commands to pip a piece of code has in it, by its syntax alone. Nothing of it is run.

Code is read as IPython reads it: turned into Python first, of which the calls that start programs
are looked at. What they pass to a shell is taken apart as a shell does. Text that is no command, in
a string or a comment, is none here. What a command is made of at run time is unknown, except for
``sys.executable`` and names that are given texts. Travels into sessions: Python 3.10, and IPython
where code has its syntax.
"""

from __future__ import annotations

import ast
import io
import os
import shlex
from itertools import pairwise, product
from typing import TYPE_CHECKING, cast

from aca_mcp.kernel.pip_arguments import arguments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
_SHELL_MAGICS = frozenset({*_SHELLS, "!", "sx", "system"})
_PACKAGE_MAGICS = frozenset({"pip", "uv", "conda", "mamba"})
_CODE_MAGICS = frozenset({"time", "timeit", "capture", "prun"})
_STARTS_PROGRAMS = frozenset(
    {
        "run",
        "call",
        "check_call",
        "check_output",
        "Popen",
        "system",
        "getoutput",
        "getstatusoutput",
        "popen",
        "create_subprocess_exec",
        "create_subprocess_shell",
    }
)
_BEFORE_COMMANDS = frozenset(
    {"if", "then", "elif", "else", "while", "until", "do", "{", "!"}
    | {"time", "exec", "command", "eval", "env", "nohup", "nice", "sudo"}
)
_SEPARATORS = frozenset(";|&()\n`")
_MAX_DEPTH = 4
_MAX_VARIANTS = 50

Names = dict[str, list[str]]
"""The texts that a name may stand for."""


def pip_commands(
    code: str, transform: Callable[[str], str], names: Mapping[str, str]
) -> list[list[str]]:
    """What code says to pip, as the arguments of each command, in the order of writing.

    Args:
        code: as a cell has it.
        transform: makes Python of IPython's syntax.
        names: the texts that variables have before the code runs.
    """
    found: list[list[str]] = []
    for words in _in_cell(code, transform, {name: [text] for name, text in names.items()}, 0):
        arguments = arguments_of(words)
        made_later = any("$" in word or "{" in word for word in words)
        if arguments and not made_later and arguments not in found:
            found.append(arguments)
    return found


def _in_cell(
    code: str, transform: Callable[[str], str], names: Names, depth: int
) -> Iterator[list[str]]:
    if depth > _MAX_DEPTH:
        return
    try:
        tree = ast.parse(transform(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # it will not run either
    names = {**names, **_assigned(tree)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda each: (each.lineno, each.col_offset)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else _name(call.func)
        if name in {"run_line_magic", "run_cell_magic"}:
            yield from _in_magic(call, transform, names, depth)
        elif name in _STARTS_PROGRAMS:
            yield from _in_call(call, names, is_magic=_is_get_ipython(call.func))


def _in_magic(
    call: ast.Call, transform: Callable[[str], str], names: Names, depth: int
) -> Iterator[list[str]]:
    texts = [node.value for node in call.args if isinstance(node, ast.Constant)]
    name, line, *bodies = map(str, texts) if len(texts) > 1 else ("", "")
    body = bodies[0] if bodies else line
    if name == "script":
        name = os.path.basename((line.split() or [""])[0])  # noqa: PTH119 -- a word
    if name in _PACKAGE_MAGICS:
        body = f"{name} {line}"
    if name in _PACKAGE_MAGICS | _SHELL_MAGICS:
        # A cell's body is left as it is, and a line's names are replaced.
        for text in [body] if bodies else _expanded(body, names):
            yield from commands_in_shell(text)
    elif name in _CODE_MAGICS:
        yield from _in_cell(body, transform, names, depth + 1)


def _in_call(call: ast.Call, names: Names, *, is_magic: bool) -> Iterator[list[str]]:
    """The commands of a call that starts a program, whichever way it says them."""
    if not call.args:
        return
    first = call.args[0]
    if isinstance(first, ast.List | ast.Tuple):
        yield from map(list, _products([_texts(each, names) for each in first.elts]))
    elif len(call.args) > 1 and not is_magic:  # each word is an argument
        yield from map(list, _products([_texts(each, names) for each in call.args]))
    else:
        for text in _texts(first, names):
            for expanded in _expanded(text, names) if is_magic else [text]:
                yield from commands_in_shell(expanded)


def commands_in_shell(text: str, depth: int = 0) -> Iterator[list[str]]:
    """The words of each simple command of a shell's script, without its redirections."""
    words: list[str] = []
    try:
        for token in _tokens(text):
            if token is None:
                yield from _command(words, depth)
                words = []
            else:
                words.append(token)
    except ValueError:
        return  # a quotation has no end: no shell would run what follows
    yield from _command(words, depth)


def _tokens(text: str) -> Iterator[str | None]:
    """Words, and None where a command ends."""
    lexer = shlex.shlex(_Script(text), posix=True, punctuation_chars=";&|<>()\n`")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    word: str | None = None
    for token in lexer:
        marks = set(token)
        if not marks <= _SEPARATORS | set("<>") or not marks:
            if word is not None:
                yield word
            word = token
        elif marks & set("<>") and not marks & set("()\n;`"):
            if word is not None and not word.isdigit():  # else the number of what is redirected
                yield word
            word = None
            lexer.get_token()  # where to
        else:
            if word is not None:
                yield word
            word = None
            yield None
    if word is not None:
        yield word


class _Script(io.StringIO):
    """A script's text, without what it gives to commands as their input."""

    def __init__(self, text: str) -> None:
        super().__init__("".join(_without_documents(text.replace("\\\n", "").splitlines(True))))

    def readline(self, size: int | None = -1, /) -> str:
        """What the lexer skips of a comment: all but the end of its line, which ends a command."""
        line = super().readline(-1 if size is None else size)
        if line.endswith("\n"):
            self.seek(self.tell() - 1)
        return line


def _without_documents(lines: Iterable[str]) -> Iterator[str]:
    end = ""
    for line in lines:
        if end:
            end = "" if line.strip() == end else end
            continue
        before, here, after = line.partition("<<")
        if here and not after.startswith("<") and before.count("'") % 2 == 0:
            end = (after.lstrip("-").split() or [""])[0].strip("'\"")
        yield line


def _command(words: Sequence[str], depth: int) -> Iterator[list[str]]:
    """A command without what stands before it; what it gives to another shell instead of itself."""
    left = list(words)
    while left and (
        left[0] in _BEFORE_COMMANDS
        or left[0].startswith("-")
        or (left[0].partition("=")[0].isidentifier() and "=" in left[0])
    ):
        left.pop(0)
    if not left:
        return
    if os.path.basename(left[0]) in _SHELLS and depth < _MAX_DEPTH:  # noqa: PTH119 -- a word
        for option, script in pairwise(left):
            if option.startswith("-") and option.endswith("c"):
                yield from commands_in_shell(script, depth + 1)
    else:
        yield left


def _expanded(text: str, names: Names) -> list[str]:
    """A line with ``{expressions}`` and ``$names`` replaced, as IPython does it, where known."""
    from IPython.utils.text import DollarFormatter  # only where there are such lines

    parse = cast(
        "Callable[[str], Iterable[tuple[str, str | None, str | None, str | None]]]",
        DollarFormatter().parse,  # pyright: ignore[reportUnknownMemberType]
    )
    parts: list[list[str]] = []
    try:
        for literal, field, _, _ in parse(text):
            parts.append([literal])
            if field is not None:
                parts.append(_texts(ast.parse(field, mode="eval").body, names))
    except (SyntaxError, ValueError):
        return [text]
    return ["".join(each) for each in _products(parts)] or [text]


def _texts(node: ast.expr, names: Names) -> list[str]:
    """The texts that an expression may be; none if it cannot be told without running it."""
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.Name(id=name):
            return names.get(name, [])
        case ast.Attribute(value=ast.Name(id="sys"), attr="executable"):
            return ["python"]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [
                "".join(each) for each in _products([_texts(left, names), _texts(right, names)])
            ]
        case ast.JoinedStr(values=values):
            return ["".join(each) for each in _products([_texts(each, names) for each in values])]
        case ast.FormattedValue(value=value, format_spec=None):
            return _texts(value, names)
        case _:
            return []


def _assigned(tree: ast.AST) -> Names:
    """The names that code gives texts to, by assignment or one after another."""
    found: Names = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                texts = _texts(value, {})
            case ast.For(target=ast.Name(id=name), iter=ast.List(elts=each) | ast.Tuple(elts=each)):
                texts = [text for value in each for text in _texts(value, {})]
            case _:
                continue
        if texts:
            found.setdefault(name, []).extend(texts)
    return found


def _products(choices: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """All ways to choose one of each; none if they are too many."""
    lists = list(choices)
    count = 1
    for each in lists:
        count *= len(each)
    return list(product(*lists)) if 0 < count <= _MAX_VARIANTS else []


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _is_get_ipython(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython"))):
            return True
        case _:
            return False
