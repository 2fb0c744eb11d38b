"""What comes out of a session is read with suspicion: a reply, or a ``FrameError``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.kernel.frames import Frame, FrameError
from aca_mcp.local.replies import (
    ExecutionReply,
    parse_execution,
    parse_package_rows,
    parse_packages,
)
from aca_mcp.pool import ExecutionError, Output, Package

any_text = st.text(st.characters(exclude_categories=()), max_size=8)
known_keys = st.sampled_from(
    [
        "outputs",
        "error",
        "files",
        "packages",
        "kind",
        "data",
        "blob",
        "name",
        "message",
        "traceback",
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(known_keys | any_text, inner),
    max_leaves=15,
)
headers = st.dictionaries(known_keys | any_text, json_values)
outputs = st.fixed_dictionaries(
    {"kind": st.sampled_from(["result", "display", 1]), "data": json_values | headers}
)


@given(
    headers | st.fixed_dictionaries({"outputs": st.lists(outputs), "error": headers | st.none()}),
    st.lists(st.binary(max_size=4), max_size=3),
)
def test_any_reply_is_an_execution_or_refused(
    header: dict[str, object], blobs: list[bytes]
) -> None:
    try:
        reply = parse_execution(Frame(header, blobs))
    except FrameError:
        return
    for output in reply.outputs:
        for mime, content in output.data.items():
            mime.encode()
            assert content in blobs if isinstance(content, bytes) else content.encode() is not None
    if reply.error is not None:
        "".join((reply.error.name, reply.error.message, reply.error.traceback)).encode()


@given(headers)
def test_any_reply_is_packages_or_refused(header: dict[str, object]) -> None:
    try:
        packages = parse_packages(Frame(header))
    except FrameError:
        return
    assert all(isinstance(package, Package) for package in packages)


def test_a_reply_is_read() -> None:
    data = {"text/plain": "3", "image/png": {"blob": 1}}
    error = {"name": "ValueError", "message": "bad", "traceback": "..."}
    header = {"outputs": [{"kind": "result", "data": data}], "error": error}
    assert parse_execution(Frame(header, [b"0", b"1"])) == ExecutionReply(
        (Output("result", {"text/plain": "3", "image/png": b"1"}),),
        ExecutionError("ValueError", "bad", "..."),
    )


def test_a_kind_that_nobody_knows_is_a_display() -> None:
    header = {"outputs": [{"kind": "stream", "data": dict[str, object]()}]}
    reply = parse_execution(Frame(header))
    assert reply.outputs == (Output("display", {}),)


@pytest.mark.parametrize("number", [-1, 1, "0", 0.5, None])
def test_an_attachment_that_is_not_there_is_refused(number: object) -> None:
    header = {"outputs": [{"kind": "result", "data": {"image/png": {"blob": number}}}]}
    with pytest.raises(FrameError, match="neither text nor an attachment"):
        parse_execution(Frame(header, [b"0"]))


@pytest.mark.parametrize("error", [{}, {"name": "A", "message": 1, "traceback": ""}])
def test_an_error_without_its_parts_is_refused(error: object) -> None:
    with pytest.raises(FrameError, match="no name, message and traceback"):
        parse_execution(Frame({"outputs": [], "error": error}))


@pytest.mark.parametrize("rows", [None, {}, [["name"]], [["name", 1]], ["ab"], [["a", "b", "c"]]])
def test_packages_without_name_and_version_are_refused(rows: object) -> None:
    with pytest.raises(FrameError):
        parse_package_rows(rows)


def test_half_of_a_character_is_shown_as_its_escape() -> None:
    assert parse_package_rows([["\ud800", "1"]]) == (Package("\\ud800", "1"),)


def test_outputs_without_end_are_cut() -> None:
    header = {"outputs": [{"kind": "display", "data": dict[str, object]()}] * 5000}
    assert len(parse_execution(Frame(header)).outputs) == 1000


def test_files_are_paths_and_only_so_many() -> None:
    header: dict[str, object] = {"outputs": [], "error": None, "files": ["a"] * 21}
    assert parse_execution(Frame(header)).files == ("a",) * 20
    for wrong in ("a", [1], ["x" * 5000], {"a": 1}):
        with pytest.raises(FrameError):
            parse_execution(Frame({**header, "files": wrong}))
