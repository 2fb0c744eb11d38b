"""Settings that hold whichever pool and transport there are."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from aca_mcp.execution import MAX_IMAGE_SIDE
from aca_mcp.settings.section import SettingsSection


class CommonSettings(SettingsSection):
    """What is executed, and what is shown of it."""

    pool: Annotated[
        Literal["auto", "local", "wasm", "azure"],
        Field(
            description="Where sessions come from; `auto` is Azure when an endpoint is set, and "
            "else `local` on Linux and `wasm` elsewhere."
        ),
    ] = "auto"
    work_dir: Annotated[
        Path | None,
        Field(description="A directory whose files a model may copy to and from its session."),
    ] = None
    work_dir_max_mib: Annotated[
        int,
        Field(ge=1, description="How much a model may copy there while the server runs."),
    ] = 1024
    execution_timeout_seconds: Annotated[
        float, Field(gt=0, le=86_400, description="Time for one execution unless the call says.")
    ] = 60
    max_result_tokens: Annotated[
        int,
        Field(ge=500, le=200_000, description="Text of one result, in tokens of about 4 bytes."),
    ] = 10_000
    max_image_side_pixels: Annotated[
        int,
        Field(
            ge=64,
            le=8000,
            description="The longer side of an image in a result; the whole image is kept as a "
            "file of the session.",
        ),
    ] = MAX_IMAGE_SIDE
    result_links: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description=(
                "Links to the files that code wrote, in results: some hosts drop a result that has "
                "one. Auto sends them to clients that are known to show them."
            )
        ),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="What goes to stderr.")
    ] = "warning"

    @field_validator("work_dir")
    @classmethod
    def _existing_directory(cls, value: Path | None) -> Path | None:
        value = value and value.expanduser().resolve()
        if value and not (value.is_dir() and os.access(value, os.R_OK | os.X_OK)):
            raise ValueError("must be a directory that exists and can be read")
        return value
