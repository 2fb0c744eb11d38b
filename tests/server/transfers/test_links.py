"""Tokens of transfer links, and names that downloads get: decided without a socket."""

from __future__ import annotations

import base64
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.server.sessions.handles import derive_key, name_in_links
from aca_mcp.server.transfers.download_names import content_disposition, local_name
from aca_mcp.server.transfers.links import Link, Links
from tests.support.clock import Clock

KEY = derive_key(b"s" * 32, "transfer links")
LINK = Link("ann", "ses_handle", "data/sales.csv", "download")
LINKS = Links(KEY, lifetime_seconds=3600)
TOKEN = LINKS.make(LINK)


@given(st.builds(Link, st.text(), st.text(), st.text(), st.sampled_from(["upload", "download"])))
def test_a_link_is_read_by_whoever_shares_the_key(link: Link) -> None:
    token = Links(KEY, lifetime_seconds=60).make(link)
    assert Links(KEY, lifetime_seconds=1).read(token) == link
    assert Links(derive_key(b"t" * 32, "transfer links"), lifetime_seconds=60).read(token) is None


def test_a_link_is_good_for_its_time() -> None:
    clock = Clock(1e9)
    links = Links(KEY, lifetime_seconds=60, clock=clock)
    token = links.make(LINK)
    clock.now += 59.9
    assert links.read(token) == LINK
    clock.now += 0.1
    assert links.read(token) is None


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(TOKEN) - 1))
    character = data.draw(st.characters().filter(lambda other: other != TOKEN[position]))
    assert LINKS.read(TOKEN[:position] + character + TOKEN[position + 1 :]) is None


@given(st.text(), st.integers(0, 300))
def test_what_is_added_or_missing_is_noticed(text: str, length: int) -> None:
    assert LINKS.read(text) is None
    assert LINKS.read(TOKEN[: min(length, len(TOKEN) - 1)]) is None
    assert LINKS.read(f"{TOKEN}{text or '='}") is None


def test_a_token_tells_nothing_and_no_two_are_the_same() -> None:
    tokens = {LINKS.make(LINK) for _ in range(20)}
    assert len({token[2:22] for token in tokens}) == 20
    for token in tokens:
        assert token.isascii()
        assert token.replace("-", "").replace("_", "").isalnum()
        sealed = base64.urlsafe_b64decode(token + "==")
        for secret in (b"ann", b"ses_handle", b"sales", b"download"):
            assert secret not in sealed


def test_another_version_is_not_read_as_this_one() -> None:
    sealed = base64.urlsafe_b64decode(TOKEN + "==")
    other = base64.urlsafe_b64encode(b"\x02" + sealed[1:]).rstrip(b"=").decode()
    assert LINKS.read(other) is None


def test_keys_and_names_tell_apart_what_they_are_for() -> None:
    secret = b"s" * 32
    assert len({KEY, derive_key(secret, "other"), derive_key(b"t" * 32, "transfer links")}) == 3
    assert name_in_links(secret, "one") != name_in_links(secret, "two")
    assert "one" not in name_in_links(secret, "one")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/sales.csv", "sales.csv"),
        ("x/../../etc/passwd", "passwd"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("...", "file"),
        ("", "file"),
        ('a"; rm -rf ~ #', "a_; rm -rf ~ #"),
        ("C:\\autoexec.bat", "C__autoexec.bat"),
        ("a\r\nSet-Cookie: x=1", "a__Set-Cookie_ x=1"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ("\ud800.txt", "_.txt"),
        ("übung 1.csv", "übung 1.csv"),
        ("n" * 300 + ".csv", "n" * 96 + ".csv"),
    ],
)
def test_a_hostile_name_becomes_a_harmless_one(path: str, name: str) -> None:
    assert local_name(path) == name


@given(st.text())
def test_a_browser_is_told_the_harmless_name_and_nothing_else(path: str) -> None:
    header = content_disposition(path)
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["content-disposition"] = header
    assert message.get_content_disposition() == "attachment"
    parsed = message.get_params(header="content-disposition", unquote=True)
    assert parsed is not None
    assert [key for key, _ in parsed] == ["attachment", "filename", "filename"]
    assert header.count('"') == 2
    name = local_name(path)
    assert name.isprintable()
    assert name[0] not in ".- "
    assert not set('/\\:"|<>?*') & set(name)
