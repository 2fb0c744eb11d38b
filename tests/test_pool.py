"""The value types of the port that have behaviour."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.errors import InvalidRequestError
from aca_mcp.pool import ExecutionStatus, StreamText, check_identifier

ALLOWED = string.ascii_letters + string.digits + "|-&^%$#(){}[];<>_"


@given(st.text(ALLOWED, min_size=4, max_size=128))
def test_an_identifier_that_azure_takes_is_taken(identifier: str) -> None:
    assert check_identifier(identifier) == identifier


@given(
    st.text(ALLOWED, max_size=3)
    | st.text(ALLOWED, min_size=129, max_size=140)
    | st.text(ALLOWED + "/é \n.", min_size=4, max_size=20).filter(lambda s: set(s) - set(ALLOWED))
)
def test_any_other_identifier_is_refused(identifier: str) -> None:
    with pytest.raises(InvalidRequestError, match="A session identifier has 4 to 128 characters"):
        check_identifier(identifier)


def test_the_refusal_of_an_identifier_does_not_repeat_it() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_identifier("secret/identifier")
    assert "secret" not in refused.value.message


def test_a_stream_kept_whole_is_its_text() -> None:
    assert StreamText(head="all of it", total_bytes=9).text == "all of it"


def test_a_stream_cut_in_the_middle_says_how_much_is_missing() -> None:
    cut = StreamText(head="begin", tail="end", total_bytes=12_008, omitted_bytes=12_000)
    assert cut.text == "begin\n[... 12,000 bytes not kept ...]\nend"


def test_statuses_are_named_as_the_service_names_them() -> None:
    assert {str(status) for status in ExecutionStatus} == {
        "Succeeded",
        "Failed",
        "Canceled",
        "TimedOut",
    }
