"""JSON as editors keep it, with comments and trailing commas, edited where it must change.

Reads a document into its values and where each stands, and sets or removes one member of an object
by changing the text there, so that everything else stays as a person wrote it. Knows no client, no
file and no setting.

No library did: json-five keeps comments and takes half a minute for the half megabyte that
``~/.claude.json`` grows to, the grammar of tree-sitter-json knows no trailing commas, which editors
leave, and json5 and json-with-comments read comments without keeping them.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

_TRIVIA = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")
_COMMENT = re.compile(r"//|/\*")
_DEEPEST = 100
_DEFAULT_INDENT = "  "


class JsonError(ValueError):
    """The text is not JSON with comments, or cannot be edited without a loss; says where or why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A member of an object."""

    start: int
    """Where its name stands."""
    value: Node
    end: int
    """Where it ends, with its comma."""
    has_comma: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A value, and where in the text it stands."""

    value: Json
    start: int
    end: int
    members: Mapping[str, Member] | None = None
    """Of an object; where a name stands twice, the last, as every reader takes it."""
    order: tuple[Member, ...] = ()
    """All of them, as they stand, those that another hides too."""

    @property
    def last_end(self) -> int:
        """Where the last member ends, with its comma; 0 if there are none."""
        return self.order[-1].end if self.order else 0

    @property
    def has_trailing_comma(self) -> bool:
        """Whether a comma stands behind the last member."""
        return bool(self.order) and self.order[-1].has_comma


def parse(text: str) -> Node:
    """Read a document.

    Raises:
        JsonError: it is not JSON with comments.
    """
    reader = _Reader(text)
    node = reader.value(reader.skip(0), depth=0)
    if (end := reader.skip(node.end)) != len(text):
        raise reader.fault(end)
    return node


def set_member(text: str, path: tuple[str, ...], value: Json) -> str:
    """The text with ``value`` at the place in its objects that ``path`` names.

    Objects on the way are made. An object in the place keeps what ``value`` does not name.

    Raises:
        JsonError: it is not JSON with comments, something on the way is no object, or a comment
            stands within what would be replaced.
    """
    if not text.strip():
        text = "{}\n"
    here = parse(text)
    for depth, name in enumerate(path):
        if here.members is None:
            raise JsonError(f"{_where(path[:depth])} is not an object")
        if name not in here.members:
            for outer in reversed(path[depth + 1 :]):
                value = {outer: value}
            return _insert(text, here, here.members, name, value)
        here = here.members[name].value
    if here.value == value and type(here.value) is type(value):
        return text
    if isinstance(value, dict) and here.members is not None:
        for name, member in value.items():
            text = set_member(text, (*path, name), member)
        return text
    return _replace(text, here, path, value)


def remove_member(text: str, path: tuple[str, ...]) -> str:
    """The text without what ``path`` names, if it is there, and its comma.

    Comments beside it stay, and those within it go with it.

    Raises:
        JsonError: it is not JSON with comments.
    """
    while True:
        parent = parse(text) if text.strip() else None
        for name in path[:-1]:
            if parent is None or parent.members is None or name not in parent.members:
                return text
            parent = parent.members[name].value
        if parent is None or parent.members is None or path[-1] not in parent.members:
            return text
        text = _cut(text, parent, parent.members[path[-1]])


def _cut(text: str, parent: Node, member: Member) -> str:
    index = parent.order.index(member)
    start, end = member.start, member.end
    line_end = text.find("\n", end)
    if line_end != -1 and _starts_line(text, start) and not text[end:line_end].strip():
        start, end = text.rfind("\n", 0, start) + 1, line_end + 1
    if index and index == len(parent.order) - 1 and not member.has_comma:
        comma = parent.order[index - 1].end - 1
        return text[:comma] + text[comma + 1 : start].rstrip(" \t") + text[end:]
    return text[:start] + text[end:]


def _replace(text: str, old: Node, path: tuple[str, ...], value: Json) -> str:
    inside = text[old.start : old.end]
    if _COMMENT.search(_STRING.sub("", inside)):
        raise JsonError(f"{_where(path)} has comments in it, which would be lost")
    return text[: old.start] + _written(text, value, _indent_at(text, old.start)) + text[old.end :]


def _insert(text: str, parent: Node, members: Mapping[str, Member], name: str, value: Json) -> str:
    close = parent.end - 1
    outer = _indent_at(text, parent.start)
    inner = outer + _unit_of(text)
    if members:
        first = min(member.start for member in members.values())
        if _starts_line(text, first):
            inner = _indent_at(text, first)
    newline = _newline_of(text)
    member = f"{json.dumps(name, ensure_ascii=False)}: {_written(text, value, inner)}"
    # What stands behind the last member, a comment perhaps, stays behind it.
    rest = text[parent.last_end or parent.start + 1 : close]
    kept = rest.rstrip()
    comma = "," if members and not parent.has_trailing_comma else ""
    last_comma = "," if parent.has_trailing_comma else ""
    ending = rest[len(kept) :]
    if "\n" not in ending:
        ending = newline + outer
    head = text[: parent.last_end or parent.start + 1]
    return f"{head}{comma}{kept}{newline}{inner}{member}{last_comma}{ending}{text[close:]}"


def _written(text: str, value: Json, indent: str) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=_unit_of(text)).split("\n")
    return (_newline_of(text) + indent).join(lines)


def _newline_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit_of(text: str) -> str:
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return found[1] if found else _DEFAULT_INDENT


def _starts_line(text: str, position: int) -> bool:
    return not text[text.rfind("\n", 0, position) + 1 : position].strip()


def _indent_at(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip())]


def _where(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the whole"


class _Reader:
    """One pass over a text; every method takes a position and gives what begins there."""

    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, position: int) -> int:
        """The position behind blanks and comments."""
        found = _TRIVIA.match(self._text, position)
        return found.end() if found else position

    def fault(self, position: int) -> JsonError:
        """An error that says the line."""
        line = self._text.count("\n", 0, position) + 1
        return JsonError(f"line {line} is not JSON")

    def value(self, position: int, *, depth: int) -> Node:
        """The value at a position that is neither blank nor comment."""
        if depth > _DEEPEST:
            raise JsonError("it is nested too deeply")
        if self._text.startswith("{", position):
            return self._object(position, depth)
        if self._text.startswith("[", position):
            return self._list(position, depth)
        found = _STRING.match(self._text, position) or _SCALAR.match(self._text, position)
        if found is None:
            raise self.fault(position)
        return Node(self._decoded(found), position, found.end())

    def _decoded(self, found: re.Match[str]) -> Json:
        try:
            value: Json = json.loads(found[0])
        except ValueError:
            raise self.fault(found.start()) from None
        return value

    def _object(self, start: int, depth: int) -> Node:
        values: dict[str, Json] = {}
        members: dict[str, Member] = {}
        order: list[Member] = []
        comma = False
        position = self.skip(start + 1)
        while not self._text.startswith("}", position):
            self._check_separated(first=not members, comma=comma, position=position)
            found = _STRING.match(self._text, position)
            if found is None:
                raise self.fault(position)
            name = str(self._decoded(found))
            colon = self.skip(found.end())
            if not self._text.startswith(":", colon):
                raise self.fault(colon)
            node = self.value(self.skip(colon + 1), depth=depth + 1)
            begun = position
            position, end, comma = self._behind(node.end)
            values[name] = node.value
            members[name] = Member(begun, node, end, comma)
            order.append(members[name])
        return Node(values, start, position + 1, members, tuple(order))

    def _list(self, start: int, depth: int) -> Node:
        values: list[Json] = []
        comma = False
        position = self.skip(start + 1)
        while not self._text.startswith("]", position):
            self._check_separated(first=not values, comma=comma, position=position)
            node = self.value(position, depth=depth + 1)
            values.append(node.value)
            position, _, comma = self._behind(node.end)
        return Node(values, start, position + 1)

    def _check_separated(self, *, first: bool, comma: bool, position: int) -> None:
        if not (first or comma):
            raise self.fault(position)

    def _behind(self, end: int) -> tuple[int, int, bool]:
        """What comes after a value, where the value with its comma ends, and if it has one."""
        position = self.skip(end)
        if self._text.startswith(",", position):
            return self.skip(position + 1), position + 1, True
        return position, end, False
