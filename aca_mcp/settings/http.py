"""Settings of the HTTP transports."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from aca_mcp.settings.section import SettingsSection

_MIN_SECRET_CHARACTERS = 32
_TRANSPORTS = ("stdio", "http", "sse")


class HttpSettings(SettingsSection):
    """How clients reach the server, and how much they may ask of it."""

    transport: Annotated[
        str, Field(description="`stdio`, `http` (streamable), `sse` (deprecated), or `http,sse`.")
    ] = "stdio"
    host: Annotated[str, Field(description="Where HTTP is served; beyond loopback needs auth.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65_535, description="0 takes one that is free.")] = 8000
    http_path: Annotated[str, Field(description="Of streamable HTTP.")] = "/mcp"
    sse_path: Annotated[str, Field(description="Of the SSE transport.")] = "/sse"
    allowed_hosts: Annotated[
        str,
        Field(description="Names that clients call this server by, with commas between."),
    ] = ""
    allowed_origins: Annotated[
        str,
        Field(description="Origins whose web pages may call, such as `https://app.example.com`."),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Field(description="Addresses of proxies whose X-Forwarded headers hold; `*` for all."),
    ] = ""
    secret: Annotated[
        SecretStr,
        Field(
            description="Makes handles and links; share it among replicas, at least 32 characters."
        ),
    ] = SecretStr("")
    session_idle_seconds: Annotated[
        float,
        Field(gt=0, le=86_400, description="A session nobody uses for so long is ended, on HTTP."),
    ] = 3600
    max_connections: Annotated[
        int, Field(ge=1, le=100_000, description="Connections served at once, on HTTP.")
    ] = 1000
    max_connections_per_principal: Annotated[
        int | None,
        Field(ge=1, description="On HTTP; unset for half of the connections."),
    ] = None
    max_sessions_per_principal: Annotated[
        int | None,
        Field(
            ge=1,
            description="On HTTP; unset for half of the local pool, or 100 of an Azure pool.",
        ),
    ] = None
    request_seconds: Annotated[
        float,
        Field(gt=0, le=600, description="For a request to arrive, on HTTP; large ones get longer."),
    ] = 15
    max_request_mib: Annotated[
        int, Field(ge=1, le=64, description="The largest request of an HTTP client.")
    ] = 6
    max_concurrent_calls: Annotated[
        int, Field(ge=1, le=10_000, description="Requests of one principal at once, on HTTP.")
    ] = 100
    max_calls_per_minute: Annotated[
        int, Field(ge=1, le=1_000_000, description="Requests of one principal, on HTTP.")
    ] = 6000
    transfer_link_seconds: Annotated[
        float,
        Field(ge=1, le=86_400, description="How long a link for one file is good, on HTTP."),
    ] = 900
    shutdown_seconds: Annotated[
        float,
        Field(ge=0, le=600, description="Time that running code gets when the server is stopped."),
    ] = 30
    allow_unauthenticated: Annotated[
        bool,
        Field(description="Serve beyond loopback to whoever connects. Unsafe."),
    ] = False

    @property
    def transports(self) -> frozenset[str]:
        """The transports that are chosen."""
        return frozenset(self.transport.replace(" ", "").split(","))

    @field_validator("transport")
    @classmethod
    def _known_transports(cls, value: str) -> str:
        chosen = value.replace(" ", "").split(",")
        if not set(chosen) <= set(_TRANSPORTS) or ("stdio" in chosen and len(chosen) > 1):
            raise ValueError("must be stdio, http, sse, or http,sse")
        return value

    @field_validator("http_path", "sse_path")
    @classmethod
    def _plain_path(cls, value: str) -> str:
        if not value.startswith("/") or value == "/" or any(mark in value for mark in "?#{} \\"):
            raise ValueError("must be a path such as /mcp")
        return value.rstrip("/")

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value and len(value.get_secret_value()) < _MIN_SECRET_CHARACTERS:
            raise ValueError(f"must have at least {_MIN_SECRET_CHARACTERS} characters")
        return value
