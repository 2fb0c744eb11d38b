"""Settings of who may call: what is read, and the sentence that a wrong one is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import SettingsError
from aca_mcp.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

ALICE, BOB = "alice-0123456789", "bob-0123456789ab"
ISSUER = {
    "auth_issuer": "https://login.example.com/v2.0",
    "public_url": "https://python.example.com/mcp",
}
TENANT = "11111111-1111-1111-1111-111111111111"


def refusal(**overrides: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(overrides)
    assert "0123456789" not in caught.value.message
    assert caught.value.message.count("\n") == 0
    return caught.value.message


def tokens(settings: Settings) -> dict[str, str]:
    return {name: token.get_secret_value() for name, token in settings.static_tokens.items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of tokens that is private."""
    path = tmp_path / "tokens"
    path.touch(mode=0o600)
    return path


def test_without_any_setting_nobody_has_a_token() -> None:
    settings = load_settings()
    assert settings.static_tokens == {}
    assert (settings.tenants, settings.required_scopes, settings.required_roles) == ((), (), ())


def test_tokens_come_from_the_variable_and_the_file_and_are_not_shown(file: Path) -> None:
    file.write_text(f"# our colleagues\n\n bob = {BOB} \n", encoding="utf-8")
    settings = load_settings({"auth_tokens": f"alice={ALICE}==, ", "auth_tokens_file": str(file)})
    assert tokens(settings) == {"alice": f"{ALICE}==", "bob": BOB}
    assert "0123456789" not in repr(settings) + repr(settings.static_tokens)
    file.unlink()
    assert "bob" in settings.static_tokens


def test_lists_have_commas_between_what_they_list() -> None:
    settings = load_settings(
        {
            **ISSUER,
            "auth_tenants": f"{TENANT}, AAAAAAAA-1111-1111-1111-111111111111,",
            "auth_required_scopes": "api://python/Python.Execute, read",
            "auth_required_roles": "Analyst",
        }
    )
    assert settings.tenants == (TENANT, "aaaaaaaa-1111-1111-1111-111111111111")
    assert settings.required_scopes == ("api://python/Python.Execute", "read")
    assert settings.required_roles == ("Analyst",)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (ALICE, "must have name=token in entry 1"),
        (f"alice={ALICE},=bob0123456789abc", "must have name=token in entry 2"),
        (f"al ice={ALICE}", "must have name=token in entry 1"),
        (f"alice={ALICE} x", "must have name=token in entry 1"),
        ("alice=short", "less than 16 characters in entry 1"),
        (f"alice={ALICE},alice={BOB}", "twice, in entry 2"),
        (f"alice={ALICE},bob={ALICE}", "twice, in entry 2"),
    ],
)
def test_tokens_that_cannot_be_used_are_refused_by_their_place(given: str, sentence: str) -> None:
    message = refusal(auth_tokens=given)
    assert message.startswith("ACA_MCP_AUTH_TOKENS ")
    assert sentence in message


def test_a_name_may_not_be_in_the_variable_and_the_file(file: Path) -> None:
    file.write_text(f"#\nalice={BOB}\n", encoding="utf-8")
    message = refusal(auth_tokens=f"alice={ALICE}", auth_tokens_file=str(file))
    assert message == "--auth-tokens-file has a name or a token twice, in line 2."


def test_a_file_that_everybody_can_read_is_refused(file: Path) -> None:
    file.chmod(0o644)
    assert "chmod 600" in refusal(auth_tokens_file=str(file))
    file.chmod(0o640)
    load_settings({"auth_tokens_file": str(file)})


def test_a_file_that_holds_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff")
    assert "UTF-8" in refusal(auth_tokens_file=str(file))
    file.write_bytes(b"#" * ((1 << 20) + 1))
    assert "1 MiB" in refusal(auth_tokens_file=str(file))
    assert "1 MiB" in refusal(auth_tokens_file=str(file.parent))
    assert "can be read" in refusal(auth_tokens_file=str(file.parent / "missing"))


@pytest.mark.parametrize("field", ["auth_issuer", "public_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://127.0.0.1",
        "example.com",
        "https://ann@example.com",
        "https://example.com/?q",
        "https://example.com/#f",
        'https://example.com/"x',
        "https://[",
    ],
)
def test_only_plain_https_urls_are_taken(field: str, url: str) -> None:
    message = refusal(**{**ISSUER, field: url})
    assert message.startswith(f"--{field.replace('_', '-')} ")


def test_http_is_taken_on_loopback() -> None:
    load_settings(
        {"auth_issuer": "http://127.0.0.1:1/x", "public_url": "http://localhost:8000/mcp"}
    )


def test_settings_that_need_each_other_are_named() -> None:
    assert "needs ACA_MCP_PUBLIC_URL" in refusal(auth_issuer="https://login.example.com")
    for field in ("auth_audience", "auth_required_scopes", "auth_required_roles"):
        message = refusal(**{field: "x"})
        assert message.startswith(f"--{field.replace('_', '-')} ")
        assert "ACA_MCP_AUTH_ISSUER must be set" in message
    template = "https://login.example.com/{tenantid}/v2.0"
    assert "ACA_MCP_AUTH_TENANTS" in refusal(**{**ISSUER, "auth_issuer": template})
    load_settings({**ISSUER, "auth_issuer": template, "auth_tenants": TENANT})


def test_tenants_and_scopes_have_the_form_that_they_have_in_tokens() -> None:
    assert "tenant ids" in refusal(**ISSUER, auth_tenants="contoso.com")
    assert "without spaces" in refusal(**ISSUER, auth_required_scopes="read write")
    assert "without spaces" in refusal(**ISSUER, auth_required_roles='a"b')
