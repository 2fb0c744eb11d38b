"""Settings of who may call over HTTP, and as whom.

Knows how tokens are written down and which settings need each other; how a token is checked is
the server's.
"""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from aca_mcp.settings.section import SettingsSection
from aca_mcp.settings.urls import MUST_BE_SECURE, is_secure

MIN_TOKEN_CHARACTERS = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what a bearer token may be made of
_SCOPE = re.compile(r"[!#-\[\]-~]+")  # RFC 6749: what can stand in a quoted header parameter
_URL = re.compile(r"[!#-;=?-\[\]_a-z{}~]+")
_MAX_FILE_BYTES = 1 << 20
_READABLE_BY_OTHERS = 0o004
_TENANT = "{tenantid}"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OF_AN_ISSUER = ("auth_audience", "auth_tenants", "auth_required_scopes", "auth_required_roles")


class AuthSettings(SettingsSection):
    """Who may call over HTTP."""

    auth_tokens: Annotated[
        SecretStr,
        Field(description="Bearer tokens, `alice=TOKEN,bob=TOKEN`; each name is a principal."),
    ] = SecretStr("")
    auth_tokens_file: Annotated[
        Path | None,
        Field(description="A file of further ones, `name=token` a line, `#` before comments."),
    ] = None
    auth_issuer: Annotated[
        str,
        Field(
            description="The OIDC issuer whose tokens are taken, as its `iss` has it; "
            "`{tenantid}` in it stands for each of the tenants."
        ),
    ] = ""
    auth_audience: Annotated[
        str, Field(description="What `aud` of a token must have; unset, the public URL.")
    ] = ""
    auth_tenants: Annotated[
        str, Field(description="Entra tenants whose tokens are taken, with commas between.")
    ] = ""
    auth_required_scopes: Annotated[
        str, Field(description="Scopes that a token must all have, with commas between.")
    ] = ""
    auth_required_roles: Annotated[
        str, Field(description="App roles that a token must all have, with commas between.")
    ] = ""
    public_url: Annotated[
        str,
        Field(description="This server's URL as clients know it, path included; for an issuer."),
    ] = ""
    audit_log: Annotated[
        bool, Field(description="Write a line of JSON to stderr for each call of a tool.")
    ] = False

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants, one by one."""
        return _listed(self.auth_tenants)

    @property
    def required_scopes(self) -> tuple[str, ...]:
        """The scopes, one by one."""
        return _listed(self.auth_required_scopes)

    @property
    def required_roles(self) -> tuple[str, ...]:
        """The app roles, one by one."""
        return _listed(self.auth_required_roles)

    @cached_property
    def static_tokens(self) -> dict[str, SecretStr]:
        """Principal to token, from the variable and the file. Read when settings are."""
        entries = [
            ("ACA_MCP_AUTH_TOKENS", f"entry {number}", entry)
            for number, entry in enumerate(self.auth_tokens.get_secret_value().split(","), 1)
        ]
        if self.auth_tokens_file is not None:
            entries += [
                ("ACA_MCP_AUTH_TOKENS_FILE", f"line {number}", line)
                for number, line in enumerate(_lines(self.auth_tokens_file), 1)
                if not line.lstrip().startswith("#")
            ]
        found: dict[str, str] = {}
        for setting, place, entry in entries:
            if entry.strip():
                name, token = _token_entry(setting, place, entry)
                if name in found or token in found.values():
                    raise ValueError(f"{setting} has a name or a token twice, in {place}")
                found[name] = token
        return {name: SecretStr(token) for name, token in found.items()}

    @field_validator("auth_issuer", "public_url")
    @classmethod
    def _plain_https_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (
            _URL.fullmatch(value) and is_secure(parts) and not parts.query and not parts.fragment
        ):
            raise ValueError(MUST_BE_SECURE)
        return value

    @field_validator("auth_tenants")
    @classmethod
    def _guids(cls, value: str) -> str:
        value = value.lower()
        if not all(_GUID.fullmatch(tenant) for tenant in _listed(value)):
            raise ValueError("must list tenant ids, such as 00000000-0000-0000-0000-000000000000")
        return value

    @field_validator("auth_required_scopes", "auth_required_roles")
    @classmethod
    def _scope_tokens(cls, value: str) -> str:
        if not all(_SCOPE.fullmatch(part) for part in _listed(value)):
            raise ValueError("must be a list with commas between, without spaces in what it lists")
        return value

    @model_validator(mode="after")
    def _who_may_call_is_clear(self) -> Self:
        if self.auth_issuer:
            if not self.public_url:
                raise ValueError(
                    "ACA_MCP_AUTH_ISSUER needs ACA_MCP_PUBLIC_URL too: clients are told by it "
                    "what to ask the issuer for"
                )
            if (_TENANT in self.auth_issuer) and not self.tenants:
                raise ValueError(
                    f"ACA_MCP_AUTH_ISSUER has {_TENANT} in it, so ACA_MCP_AUTH_TENANTS must list "
                    "the tenants"
                )
        elif alone := [name for name in _OF_AN_ISSUER if getattr(self, name)]:
            raise ValueError(
                f"ACA_MCP_{alone[0].upper()} is for tokens of an issuer, so ACA_MCP_AUTH_ISSUER "
                "must be set too"
            )
        _ = self.static_tokens  # refuses what cannot be used
        return self


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _token_entry(setting: str, place: str, entry: str) -> tuple[str, str]:
    # What is wrong is said by its place: what is written there may be a secret.
    name, _, token = (part.strip() for part in entry.partition("="))
    if not _NAME.fullmatch(name) or not _TOKEN.fullmatch(token):
        raise ValueError(
            f"{setting} must have name=token in {place}: a name of letters, digits and ._@-, and "
            "a token of letters, digits and -._~+/"
        )
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise ValueError(
            f"{setting} has a token of less than {MIN_TOKEN_CHARACTERS} characters in {place}; "
            "make one with: openssl rand -hex 32"
        )
    return name, token


def _lines(file: Path) -> list[str]:
    try:
        status = file.stat()
        if not file.is_file() or status.st_size > _MAX_FILE_BYTES:
            raise ValueError("ACA_MCP_AUTH_TOKENS_FILE must be a file of at most 1 MiB")
        if os.name == "posix" and status.st_mode & _READABLE_BY_OTHERS:
            raise ValueError(
                "ACA_MCP_AUTH_TOKENS_FILE can be read by every user of this machine; make it "
                "private with: chmod 600"
            )
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ValueError(
            "ACA_MCP_AUTH_TOKENS_FILE must be a file that can be read, in UTF-8"
        ) from None
