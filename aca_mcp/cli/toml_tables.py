"""TOML as people keep it, with comments, edited where it must change. Knows no client and no file.

tomlkit keeps what it does not change; it is imported when a client with such a file is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from aca_mcp.cli.json_comments import Json

    _Table = MutableMapping[str, object]


class TomlError(ValueError):
    """The text is not TOML, or has something else where a table belongs; says where or why."""


def read(text: str) -> dict[str, Json]:
    """What a document says.

    Raises:
        TomlError: it is not TOML.
    """
    return cast("dict[str, Json]", _parsed(text).unwrap())  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue] -- its tables are mappings with more


def set_member(text: str, path: tuple[str, ...], value: dict[str, Json]) -> str:
    """The text with ``value`` as the table that ``path`` names.

    A table in the place keeps what ``value`` does not name.

    Raises:
        TomlError: it is not TOML, or something on the way is no table.
    """
    import tomlkit

    document = _parsed(text)
    here: _Table = document
    for depth, name in enumerate(path):
        if name not in here:
            here[name] = tomlkit.table(is_super_table=depth < len(path) - 1)
        inner = here[name]
        if not hasattr(inner, "keys"):
            raise TomlError(f"{'.'.join(path[: depth + 1])} is not a table")
        here = cast("_Table", inner)
    _merge(here, value)
    return tomlkit.dumps(document)


def remove_member(text: str, path: tuple[str, ...]) -> str:
    """The text without what ``path`` names, if it is there.

    Raises:
        TomlError: it is not TOML.
    """
    import tomlkit

    document = _parsed(text)
    here: _Table = document
    for name in path[:-1]:
        inner = here.get(name)
        if not hasattr(inner, "keys"):
            return text
        here = cast("_Table", inner)
    if path[-1] not in here:
        return text
    del here[path[-1]]
    return tomlkit.dumps(document)


def _merge(table: _Table, value: dict[str, Json]) -> None:
    for name, member in value.items():
        inner = table.get(name)
        if isinstance(member, dict) and hasattr(inner, "keys"):
            _merge(cast("_Table", inner), member)
        elif inner != member:
            table[name] = member


def _parsed(text: str) -> _Table:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return cast("_Table", tomlkit.parse(text))
    except TOMLKitError as error:
        raise TomlError(f"it is not TOML: {error}") from None
