"""The two formats of clients' configuration files behind one set of names: JSON and TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.cli import json_comments, toml_tables
from aca_mcp.cli.json_comments import JsonError
from aca_mcp.cli.toml_tables import TomlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aca_mcp.cli.json_comments import Json
    from aca_mcp.cli.known_clients import Client

_BYTE_ORDER_MARK = "\ufeff"
DocumentError = (JsonError, TomlError)
"""What a document that cannot be read or edited without a loss raises."""


def servers_in(client: Client, text: str) -> Mapping[str, Json]:
    """The entries of a client's file, by name.

    Raises:
        DocumentError: it cannot be read.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if client.is_toml:
        whole: Json = toml_tables.read(text)
    else:
        whole = json_comments.parse(text).value if text.strip() else {}
    section = whole.get(client.section) if isinstance(whole, dict) else None
    return section if isinstance(section, dict) else {}


def with_server(client: Client, text: str, name: str, value: dict[str, Json]) -> str:
    """The file with this entry; one of that name keeps what ``value`` does not name.

    Raises:
        DocumentError: it cannot be read, or not be edited without a loss.
    """
    module = toml_tables if client.is_toml else json_comments
    mark, text = _split_mark(text)
    return mark + module.set_member(text, (client.section, name), value)


def without_server(client: Client, text: str, name: str, *within: str) -> str:
    """The file without this entry, or without what ``within`` names in it.

    Raises:
        DocumentError: it cannot be read.
    """
    module = toml_tables if client.is_toml else json_comments
    mark, text = _split_mark(text)
    return mark + module.remove_member(text, (client.section, name, *within))


def shown(client: Client, name: str, value: dict[str, Json]) -> str:
    """An entry alone, as it would stand in a file of its own."""
    return with_server(client, "", name, value).rstrip("\n")


def _split_mark(text: str) -> tuple[str, str]:
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    return mark, text.removeprefix(mark)
