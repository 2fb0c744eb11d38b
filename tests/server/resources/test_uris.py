"""Every name survives its URI, and no other text is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.server.resources.uris import ResourceUri, parse, uri_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)


@given(name=NAMES, kind=st.sampled_from(["files", "outputs", "package"]))
def test_every_name_survives(name: str, kind: str) -> None:
    resource = ResourceUri("", kind, name)  # pyright: ignore[reportArgumentType] -- one of them
    uri = uri_of(resource).replace("/package/", "/packages/")
    assert uri.isascii()
    assert parse(uri) == resource


@pytest.mark.parametrize("kind", ["session", "packages", "notebook"])
def test_what_has_no_name_survives_too(kind: str) -> None:
    for handle in ("", "ses_abc"):
        resource = ResourceUri(handle, kind)  # pyright: ignore[reportArgumentType] -- one of them
        assert parse(uri_of(resource)) == resource


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "aca://",
        "aca://sessions/",
        "aca://sessions//files/a",
        "aca://sessions/current/files",
        "aca://sessions/current/files/",
        "aca://sessions/current/outputs",
        "aca://sessions/current/notebook/x",
        "aca://sessions/current/else",
        "file:///etc/passwd",
        "aca://sessions/current/files/" + "a" * 9000,
    ],
)
def test_anything_else_is_nothing(uri: str) -> None:
    assert parse(uri) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    parse(text)
    parse(f"aca://sessions/{text}")


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert parse("aca://sessions/current/files/%ff") == ResourceUri("", "files", "\ufffd")
