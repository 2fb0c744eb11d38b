"""Whether a resource is one that the control plane knows, by the models of its published SDK."""

from __future__ import annotations

import ast
import enum
import functools
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, cast

from azure.mgmt.appcontainers import models

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODEL = re.compile(r"_models\.(\w+)")
_FIELD = re.compile(r"^    (\w+): (.+?) = rest_field\(\s*(?:name=\"([^\"]+)\")?", re.MULTILINE)


def complaints(value: dict[str, Any], model: type[object], path: str = "") -> Iterator[str]:
    """What of a resource no field has, or no value of an enumeration is.

    Args:
        value: evaluated.
        model: of the SDK.
        path: where the value stands.
    """
    fields = dict(_fields(model))
    for name, given in value.items():
        if name not in fields:
            yield f"{path}.{name} is no field of {model.__name__}"
            continue
        kind = _kind(fields[name])
        if kind is None:
            continue
        several = cast("list[Any]", given if isinstance(given, list) else [given])
        for each in several:
            if issubclass(kind, enum.Enum):
                if each not in [one.value for one in kind]:
                    yield f"{path}.{name} is {each!r}, and no {kind.__name__}"
            elif isinstance(each, dict) and "dict[" not in fields[name]:
                yield from complaints(cast("dict[str, Any]", each), kind, f"{path}.{name}")


def _fields(model: type[object]) -> Iterator[tuple[str, str]]:
    for base in model.__mro__:
        if base.__module__.startswith("azure.mgmt"):
            for name, annotation, rest_name in _FIELD.findall(
                _sources(base.__module__)[base.__name__]
            ):
                yield rest_name or name, annotation


@functools.cache
def _sources(module: str) -> dict[str, str]:
    """Of each class of a module; ``inspect`` would parse the whole module for each of them."""
    source = inspect.getsource(sys.modules[module])
    lines = source.splitlines()
    return {
        node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


def _kind(annotation: str) -> type[object] | None:
    found = _MODEL.search(annotation)
    return cast("type[object]", getattr(models, found[1])) if found else None
