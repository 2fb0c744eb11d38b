"""Settings of what the server tells of itself to monitoring."""

from typing import Annotated

from pydantic import Field, SecretStr

from aca_mcp.settings.section import SettingsSection


class ObservingSettings(SettingsSection):
    """What is measured, and where it goes."""

    metrics: Annotated[
        bool, Field(description="Serve `GET /metrics` in Prometheus' text format, on HTTP.")
    ] = False
    metrics_token: Annotated[
        SecretStr,
        Field(description="What scrapers must send; without it, the token of whoever may call."),
    ] = SecretStr("")
    otel: Annotated[
        bool,
        Field(description="Send traces and metrics by OTLP over HTTP, as `OTEL_*` variables say."),
    ] = False
