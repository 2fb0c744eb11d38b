"""Worker processes find what code has defined, or are not waited for in vain.

A worker that is started by ``spawn`` or ``forkserver`` begins with the file of the main module, and
a session has none: so one is written, of what the code so far imports and defines. A function that
the workers of a ``Pool`` cannot have is refused: they would fail to find it, one after the other,
and the pool would wait for ever.

Standard library only.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import os
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType

    from .import_hooks import ImportHooks

_MAX_CHARACTERS = 2**20
"""Of the code that definitions are taken from: the newest."""
_DEFINITIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)
_KNOWN = "_names_of_main"
"""Attribute of a ``Pool``: what its workers can find in the main module."""
_LINE_BY_LINE = """
try:
    __import__("sys").stdout.reconfigure(line_buffering=True)
except AttributeError:
    pass
"""
"""What a worker prints is written when it prints it: a ``Pool`` ends its own with a signal."""
_METHODS = ("_map_async", "apply_async", "imap", "imap_unordered")
"""Those of a ``Pool`` that take a function, first, and are not made of others."""


def definitions_in(cells: Iterable[str]) -> ast.Module:
    """What code imports and defines, and the constants that it names; nothing that it does.

    Args:
        cells: pieces of Python in their order; those that are none are left out.

    Returns:
        A module in which no statement that fails keeps the others from being run.
    """
    kept: list[ast.stmt] = []
    for cell in cells:
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            kept += filter(_is_definition, ast.parse(cell).body)
    future = [each for each in kept if _is_future(each)]
    passing = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
    guarded = [ast.Try([each], [passing], [], []) for each in kept if not _is_future(each)]
    return ast.fix_missing_locations(ast.Module([*future, *guarded], []))


def names_of(module: ast.Module) -> frozenset[str]:
    """The names that a module of definitions has, as far as they are written in it."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return frozenset(found)


def prepare_workers(hooks: ImportHooks, cells: Callable[[], Sequence[str]]) -> None:
    """Arrange for it when code imports what starts worker processes.

    Args:
        hooks: of imports.
        cells: gives the code that has run, in the order of that.
    """

    def definitions() -> ast.Module:
        kept: list[str] = []
        room = _MAX_CHARACTERS
        for cell in reversed(cells()):
            room -= len(cell)
            if room < 0:
                break
            kept.append(cell)
        return definitions_in(reversed(kept))

    main = sys.modules.get("__main__")  # %run has another for as long as it takes
    hooks.add("multiprocessing.spawn", lambda module: _begin_with(module, main, definitions))
    hooks.add("multiprocessing.pool", lambda module: _refuse_strangers(module, definitions))


def _is_definition(node: ast.stmt) -> bool:
    if isinstance(node, _DEFINITIONS):
        return True
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    if value is None or isinstance(value, ast.Lambda):
        return value is not None
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _begin_with(
    spawn: ModuleType, main: ModuleType | None, definitions: Callable[[], ast.Module]
) -> None:
    usual = spawn.get_preparation_data

    @functools.wraps(usual)
    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = usual(name)
        has_file = bool({"init_main_from_name", "init_main_from_path"} & data.keys())
        # That of a program has not what was defined at a prompt since, and may be no plain Python.
        if not has_file or sys.modules.get("__main__") is main:
            with suppress(OSError):  # the disk is full: then they have what a module has
                data["init_main_from_path"] = _written(ast.unparse(definitions()) + _LINE_BY_LINE)
        return data

    spawn.get_preparation_data = get_preparation_data  # pyright: ignore[reportAttributeAccessIssue]


def _written(source: str) -> str:
    data = source.encode("utf-8", "surrogatepass")
    name = f"definitions-{hashlib.sha256(data).hexdigest()[:16]}.py"
    path = os.path.join(tempfile.gettempdir(), name)  # noqa: PTH118 -- text is what is wanted
    if not os.path.exists(path):  # noqa: PTH110 -- as above
        # Renamed when it is whole: workers of another pool may be reading it.
        descriptor, unfinished = tempfile.mkstemp(dir=tempfile.gettempdir())
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(unfinished, path)  # noqa: PTH105 -- as above
    return path


def _refuse_strangers(pools: ModuleType, definitions: Callable[[], ast.Module]) -> None:
    begin = pools.Pool.__init__

    @functools.wraps(begin)
    def begin_and_note(pool: Any, *args: Any, **kwargs: Any) -> None:
        arguments = inspect.signature(begin).bind(pool, *args, **kwargs).arguments
        context = arguments.get("context") or sys.modules["multiprocessing"].get_context()
        if not isinstance(pool, pools.ThreadPool):
            is_fork = context.get_start_method() == "fork"
            known = vars(sys.modules["__main__"]) if is_fork else names_of(definitions())
            setattr(pool, _KNOWN, frozenset(known))
        begin(pool, *args, **kwargs)

    pools.Pool.__init__ = begin_and_note
    for name in _METHODS:
        setattr(pools.Pool, name, _checking(getattr(pools.Pool, name)))


def _checking(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def checked(pool: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        if (known := getattr(pool, _KNOWN, None)) is not None:
            _check(func, known)
        return method(pool, func, *args, **kwargs)

    return checked


def _check(func: Any, known: frozenset[str]) -> None:
    while isinstance(func, functools.partial):
        func = func.func
    name = str(getattr(func, "__qualname__", "<")).partition(".")[0]
    if getattr(func, "__module__", None) == "__main__" and name not in known and "<" not in name:
        raise RuntimeError(
            f"The workers of this pool do not have {name}: they know what was defined before the "
            "pool was made. Make the pool after it, or write the function to a module "
            "(%%writefile) and import it from there."
        )
