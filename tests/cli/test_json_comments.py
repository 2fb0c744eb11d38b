"""Edits of JSON with comments: one value changes, and every other character stays."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aca_mcp.cli.json_comments import JsonError, parse, remove_member, set_member

if TYPE_CHECKING:
    from aca_mcp.cli.json_comments import Json

ENTRY: Json = {"command": "/opt/aca-mcp", "args": ["--work-dir", "/data"]}
VSCODE = """\
{
    // Shared by the whole team: "python" comes from the platform people.
    "inputs": [
        {"type": "promptString", "id": "token", "password": true,}, /* , } */
    ],
    "servers": {
        "github": {
            "type": "http",
            "url": "https://example.com/mcp/", // not a comment before: //
            "headers": {"Authorization": "Bearer ${input:token}"}
        }, // the last one so far
        // "old": {"command": "x"},
    }
}
"""
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=4)
blanks = st.sampled_from(["", " ", "\n", "\r\n", "\t", '// } , "\n', '/* { " */', "/**/ "])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, Json]]:
    """A text with comments anywhere, and what it says."""

    def written(value: Json) -> str:
        if isinstance(value, dict):
            members = [
                f"{gap()}{json.dumps(name)}{gap()}:{gap()}{written(member)}{gap()}"
                for name, member in value.items()
            ]
            return "{" + joined(members) + gap() + "}"
        if isinstance(value, list):
            return "[" + joined([gap() + written(item) + gap() for item in value]) + gap() + "]"
        return json.dumps(value)

    def joined(parts: list[str]) -> str:
        return ",".join(parts) + ("," if parts and draw(st.booleans()) else "")

    def gap() -> str:
        return draw(blanks)

    value: dict[str, Json] = {**draw(objects)}
    return gap() + written(value) + gap(), value


def comments_of(text: str) -> list[str]:
    """Every comment outside of strings."""
    found = re.findall(r'"(?:[^"\\]|\\.)*"|(//[^\r\n]*|/\*.*?\*/)', text, re.DOTALL)
    return [comment for comment in found if comment]


def any_of(found: dict[str, Json]) -> st.SearchStrategy[str]:
    """A name that is there, or any."""
    return st.sampled_from(sorted(found)) | names if found else names


@given(documents())
def test_what_has_comments_is_read_as_what_it_says(document: tuple[str, dict[str, Json]]) -> None:
    text, value = document
    assert parse(text).value == value


@settings(max_examples=150)
@given(documents(), st.data())
def test_one_member_is_added_or_set_and_all_else_is_kept(
    document: tuple[str, dict[str, Json]], data: st.DataObject
) -> None:
    text, before = document
    section = data.draw(any_of(before))
    inner = before.get(section, {})
    if not isinstance(inner, dict):
        with pytest.raises(JsonError, match="is not an object"):
            set_member(text, (section, "name"), True)
        return
    name = data.draw(any_of(inner))
    assume(not isinstance(inner.get(name), dict | list))
    after = set_member(text, (section, name), True)
    assert parse(after).value == before | {section: inner | {name: True}}
    assert comments_of(after) == comments_of(text)
    assert set_member(after, (section, name), True) == after


def test_an_entry_is_added_as_a_person_would() -> None:
    after = set_member(VSCODE, ("servers", "python"), ENTRY)
    last = '        // "old": {"command": "x"},\n'
    added = """\
        "python": {
            "command": "/opt/aca-mcp",
            "args": [
                "--work-dir",
                "/data"
            ]
        },
"""
    assert after == VSCODE.replace(last, last + added)


def test_a_comma_goes_behind_the_value_and_not_into_a_comment() -> None:
    before = '{\r\n\t"servers": {\r\n\t\t"a": 1 // one\r\n\t}\r\n}\r\n'
    after = set_member(before, ("servers", "b"), 2)
    assert after == before.replace("1 // one", '1, // one\r\n\t\t"b": 2')


@pytest.mark.parametrize("text", ["", " \n", "{}", "{\n}\n", "{ /* none yet */ }"])
def test_where_there_is_nothing_yet_a_section_is_made(text: str) -> None:
    after = set_member(text, ("mcpServers", "python"), ENTRY)
    assert parse(after).value == {"mcpServers": {"python": ENTRY}}
    assert comments_of(after) == comments_of(text)


def test_what_a_person_added_to_an_entry_is_kept() -> None:
    before = (
        '{"servers": {"python": {"command": "old", "disabled": true, /* why */ "env": {"A": "1"}}}}'
    )
    after = set_member(before, ("servers", "python"), {"command": "new", "env": {"A": "1"}})
    assert after == before.replace('"old"', '"new"')


def test_a_comment_within_what_would_be_replaced_stops_the_edit() -> None:
    text = '{"servers": {"python": {"args": ["--pool", /* for now */ "azure"]}}}'
    with pytest.raises(JsonError, match=r"servers\.python\.args has comments in it"):
        set_member(text, ("servers", "python"), {"args": []})
    assert set_member(text, ("servers", "python"), {"args": ["--pool", "azure"]}) == text


def test_of_a_name_that_stands_twice_the_last_is_set() -> None:
    """As every reader takes it."""
    assert set_member('{"a": 1, "a": 2}', ("a",), 3) == '{"a": 1, "a": 3}'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "the whole is not an object"),
        ('{"servers": []}', "servers is not an object"),
        ("{\n  'a': 1}", "line 2 is not JSON"),
        ('{"a" 1}', "line 1 is not JSON"),
        ('{"a": 1\n\n"b": 2}', "line 3 is not JSON"),
        ('{"a": [1 2]}', "line 1 is not JSON"),
        ('{"a": 01}', "line 1 is not JSON"),
        ('{"a": "\\q"}', "line 1 is not JSON"),
        ('{"a": }', "line 1 is not JSON"),
        ('{"a": 1} {', "line 1 is not JSON"),
        ("{,}", "line 1 is not JSON"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_not_understood_is_not_edited(text: str, fault: str) -> None:
    with pytest.raises(JsonError, match=fault):
        set_member(text, ("servers", "python"), ENTRY)


@pytest.mark.parametrize("cut", range(1, len(VSCODE) - 2, 7))
def test_a_file_that_was_cut_off_is_not_edited(cut: int) -> None:
    with pytest.raises(JsonError):
        set_member(VSCODE[:cut], ("servers", "python"), ENTRY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "b": 2}', '{"a": 1}'),
        ('{"b": 2}', "{}"),
        ('{"b": 2, "a": 1}', '{ "a": 1}'),
        ('{\n  "a": 1, // one\n  "b": 2 // two\n}\n', '{\n  "a": 1 // one\n // two\n}\n'),
        ('{\n  "a": 1,\n  "b": {"c": 2 /* x */},\n}', '{\n  "a": 1,\n}'),
        ('{"b": 1, "b": 2, "a": 3}', '{  "a": 3}'),
        ('{"a": 1}', '{"a": 1}'),
        ("", ""),
    ],
)
def test_what_is_removed_goes_with_its_comma_and_nothing_else(text: str, expected: str) -> None:
    assert remove_member(text, ("b",)) == expected


@given(documents(), st.data())
@settings(max_examples=150)
def test_after_a_removal_the_rest_says_what_it_said(
    document: tuple[str, dict[str, Json]], data: st.DataObject
) -> None:
    text, value = document
    assume(value)
    name = data.draw(st.sampled_from(sorted(value)))
    after = remove_member(text, (name,))
    assert parse(after).value == {key: member for key, member in value.items() if key != name}
    if ",}" not in re.sub(r"//[^\n\r]*|/\*.*?\*/|\s", "", text):
        assert remove_member(set_member(after, (name,), 1), (name,)).count('"') == after.count('"')
