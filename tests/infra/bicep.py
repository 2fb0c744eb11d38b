"""Bicep, read by a parser that others keep, and ARM: both in a form that can be compared.

The parser does not tell a text from the name of a variable, so names stand for themselves; of what
is computed, the words in it are compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import pycep

from tests.infra.arm import INFRA

_REFERENCE = re.compile(r"\[(?:parameters|variables)\('(\w+)'\)\]")
_WORD = re.compile(r"[A-Za-z][\w-]*")
_SAME = {"id", "properties", "value", "outputs"}
"""Words that one language needs where the other has them in its grammar."""


@dataclass(frozen=True)
class Computed:
    """A value that is known when it is deployed, by the words of its expression."""

    words: frozenset[str]

    def is_like(self, other: Computed) -> bool:
        """Whether the words of Bicep, which are fewer, are among those of ARM."""
        return self.words <= other.words


def parsed(name: str) -> Any:
    return pycep.BicepParser().parse(text=(INFRA / name).read_text(encoding="utf-8"))


def from_bicep(value: Any, symbols: frozenset[str], variables: dict[str, Any]) -> Any:
    """A value of a Bicep file.

    Args:
        value: as the parser gives it.
        symbols: names of the file's resources, which ARM writes as expressions.
        variables: that ARM has not, so that their values stand there.
    """
    if isinstance(value, str):
        if value in variables:
            return from_bicep(variables[value], symbols, variables)
        if "${" in value:
            return Computed(_words(" ".join(re.findall(r"\$\{(.+?)\}", value)), symbols))
        return Computed(frozenset()) if value in symbols else value
    if isinstance(value, list):
        return [from_bicep(each, symbols, variables) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    named = cast("dict[str, Any]", value)
    if named.keys() & {"operator", "function"}:
        return Computed(_words(" ".join(_leaves(named)), symbols))
    return {_key(name): from_bicep(each, symbols, variables) for name, each in named.items()}


def from_arm(value: Any) -> Any:
    """A value of an ARM template."""
    if isinstance(value, str):
        if found := _REFERENCE.fullmatch(value):
            return found[1]
        if value.startswith("["):
            return Computed(frozenset(_WORD.findall(value)))
        return value
    if isinstance(value, list):
        return [from_arm(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {
            "..." if name.startswith("[") else name: from_arm(each)
            for name, each in cast("dict[str, Any]", value).items()
        }
    return value


def differences(bicep: Any, arm: Any, path: str = "") -> list[str]:
    """Where two values are not the same."""
    if isinstance(bicep, Computed) and isinstance(arm, Computed):
        return [] if bicep.is_like(arm) else [f"{path}: {bicep.words - arm.words}"]
    if isinstance(bicep, dict) and isinstance(arm, dict):
        ours, theirs = cast("dict[str, Any]", bicep), cast("dict[str, Any]", arm)
        found = [f"{path}.{name} stands in one alone" for name in ours.keys() ^ theirs.keys()]
        for name in ours.keys() & theirs.keys():
            found += differences(ours[name], theirs[name], f"{path}.{name}")
        return found
    if isinstance(bicep, list) and isinstance(arm, list):
        one, other = cast("list[Any]", bicep), cast("list[Any]", arm)
        found = [] if len(one) == len(other) else [f"{path}: {len(one)} and {len(other)}"]
        for at, (left, right) in enumerate(zip(one, other, strict=False)):
            found += differences(left, right, f"{path}[{at}]")
        return found
    same = bicep == arm and isinstance(bicep, bool) == isinstance(arm, bool)
    return [] if same else [f"{path}: {bicep!r} and {arm!r}"]


def _key(name: str) -> str:
    return "..." if "${" in name else name.strip("'")


def _words(text: str, symbols: frozenset[str]) -> frozenset[str]:
    return frozenset(_WORD.findall(text)) - symbols - _SAME


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        names = [_camel(str(named["type"]))] if "parameters" in named else []
        kept = [each for name, each in named.items() if name != "type"]
        return names + [leaf for each in kept for leaf in _leaves(each)]
    return [] if value is None else [str(value)]


def _camel(name: str) -> str:
    """A function's name, which the parser writes with underscores."""
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)
