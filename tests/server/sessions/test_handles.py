"""Handles and identifiers: forged, mistyped and foreign ones are refused without a store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.errors import InvalidRequestError
from aca_mcp.pool import check_identifier, environment_of
from aca_mcp.server.sessions.handles import check_handle, derive_identifier, new_handle

SECRET = b"s" * 32


def test_a_handle_is_good_for_the_principal_it_was_made_for() -> None:
    handle = new_handle(SECRET, "ann")
    assert handle.startswith("ses_")
    assert check_handle(SECRET, "ann", handle) == handle
    for secret, principal in ((SECRET, "bob"), (b"t" * 32, "ann"), (SECRET, "")):
        with pytest.raises(InvalidRequestError, match="start_session"):
            check_handle(secret, principal, handle)


def test_handles_differ() -> None:
    assert len({new_handle(SECRET, "") for _ in range(100)}) == 100


@given(st.data())
def test_a_handle_with_one_character_changed_is_refused(data: st.DataObject) -> None:
    handle = new_handle(SECRET, "ann")
    position = data.draw(st.integers(0, len(handle) - 1))
    character = data.draw(st.characters().filter(lambda other: other != handle[position]))
    with pytest.raises(InvalidRequestError):
        check_handle(SECRET, "ann", handle[:position] + character + handle[position + 1 :])


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    for handle in (text, f"ses_{text}"):
        with pytest.raises(InvalidRequestError):
            check_handle(SECRET, "ann", handle)


def test_a_handle_without_its_prefix_or_with_padding_is_refused() -> None:
    handle = new_handle(SECRET, "ann")
    for other in (handle.removeprefix("ses_"), f"{handle}=", f" {handle}", handle + "AAAA"):
        with pytest.raises(InvalidRequestError):
            check_handle(SECRET, "ann", other)


def test_an_identifier_is_stable_and_tells_its_parts_apart() -> None:
    identifier = derive_identifier(SECRET, "ann", "key")
    assert identifier == derive_identifier(SECRET, "ann", "key")
    assert check_identifier(identifier) == identifier
    others = {
        derive_identifier(SECRET, "an", "nkey"),
        derive_identifier(SECRET, "", "annkey"),
        derive_identifier(SECRET, "bob", "key"),
        derive_identifier(b"t" * 32, "ann", "key"),
    }
    assert len(others | {identifier}) == 5


def test_a_handle_says_of_which_environment_its_session_is_and_no_other_can_be_put() -> None:
    handle = new_handle(SECRET, "ann", "geo")
    assert check_handle(SECRET, "ann", handle) == handle
    assert environment_of(derive_identifier(SECRET, "ann", handle)) == "geo"
    plain = new_handle(SECRET, "ann")
    assert environment_of(derive_identifier(SECRET, "ann", plain)) == ""
    forged = [handle.replace("geo.", "data."), handle.replace("geo.", "")]
    for other in (*forged, plain.replace("ses_", "ses_geo."), plain.replace("ses_", "ses_.")):
        with pytest.raises(InvalidRequestError):
            check_handle(SECRET, "ann", other)
