"""Settings of what the server tells of itself to monitoring."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class ObservingSettings(BaseSettings):
    """What is measured, and where it goes."""

    metrics: Annotated[
        bool, Field(description="Serve `GET /metrics` in Prometheus' text format, on HTTP.")
    ] = False
    otel: Annotated[
        bool,
        Field(description="Send traces and metrics by OTLP over HTTP, as `OTEL_*` variables say."),
    ] = False
