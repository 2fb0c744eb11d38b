"""What a user can set: one frozen class, read from the environment, a ``.env`` file and flags.

The command line's flags and the README's table are made from the fields of ``Settings``; nothing
else in the package reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from aca_mcp.errors import SettingsError

ENV_PREFIX = "ACA_MCP_"


class Settings(BaseSettings):
    """All settings. Each is also an environment variable, ``ACA_MCP_`` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    pool: Annotated[
        Literal["auto", "local", "azure"],
        Field(description="Where sessions come from; `auto` is Azure when an endpoint is set."),
    ] = "auto"
    pool_management_endpoint: Annotated[
        str, Field(description="The Azure session pool's management endpoint (https URL).")
    ] = ""
    work_dir: Annotated[
        Path | None,
        Field(description="A directory whose files a model may copy to and from its session."),
    ] = None
    execution_timeout_seconds: Annotated[
        float, Field(gt=0, le=86_400, description="Time for one execution unless the call says.")
    ] = 60
    max_result_tokens: Annotated[
        int,
        Field(ge=500, le=200_000, description="Text of one result, in tokens of about 4 bytes."),
    ] = 10_000
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="What goes to stderr.")
    ] = "warning"

    local_python: Annotated[
        Path | None,
        Field(description="The interpreter of local sessions; by default the server's own."),
    ] = None
    local_preimport: Annotated[
        str,
        Field(description="Modules imported ahead for every local session, where they exist."),
    ] = "numpy,numpy.random,pandas,matplotlib,matplotlib.pyplot"
    local_network: Annotated[
        Literal["none", "host"],
        Field(description="`host` lets local sessions use this machine's network. Unsafe."),
    ] = "none"
    local_isolation: Annotated[
        Literal["auto", "namespaces", "landlock", "unsafe-none"],
        Field(description="What separates local sessions; `auto` takes the strongest there is."),
    ] = "auto"
    local_ready_sessions: Annotated[
        int, Field(ge=0, le=64, description="Local sessions kept started ahead of use.")
    ] = 1
    local_max_concurrent_sessions: Annotated[
        int, Field(ge=1, le=1000, description="Local sessions in use at once.")
    ] = 20
    local_cooldown_seconds: Annotated[
        float, Field(gt=0, description="Idle time after which a local session ends.")
    ] = 3600
    local_max_timeout_seconds: Annotated[
        float, Field(gt=0, le=86_400, description="The longest one local execution may take.")
    ] = 600
    local_interrupt_grace_seconds: Annotated[
        float,
        Field(gt=0, le=60, description="Time code has to stop when interrupted, then it is killed."),
    ] = 3
    local_memory_mib: Annotated[
        int, Field(ge=128, description="Memory of one local session, all its processes together.")
    ] = 2048
    local_disk_mib: Annotated[
        int, Field(ge=16, description="Size of a local session's work directory.")
    ] = 512
    local_max_processes: Annotated[
        int, Field(ge=8, le=4096, description="Processes and threads of one local session.")
    ] = 128
    local_max_output_kib: Annotated[
        int, Field(ge=16, le=65_536, description="Output kept of each stream of one execution.")
    ] = 1024
    local_max_file_mib: Annotated[
        int, Field(ge=1, le=65_536, description="The largest file moved to or from a session.")
    ] = 128

    @field_validator("pool_management_endpoint")
    @classmethod
    def _https_only(cls, value: str) -> str:
        value = value.rstrip("/")
        loopback = ("http://127.0.0.1", "http://localhost", "http://[::1]")
        if value and not value.startswith(("https://", *loopback)):
            raise ValueError("must begin with https:// (or name this machine's own loopback)")
        return value

    @field_validator("work_dir")
    @classmethod
    def _existing_directory(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_dir():
            raise ValueError("must be a directory that exists")
        return value if value is None else value.expanduser().resolve()

    @field_validator("local_python")
    @classmethod
    def _existing_interpreter(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_file():
            raise ValueError("must be the path of a Python interpreter")
        return value if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _pool_has_what_it_needs(self) -> Self:
        if self.pool == "azure" and not self.pool_management_endpoint:
            raise ValueError(
                "`pool` is azure, so `pool_management_endpoint` must be set "
                "(or choose the local pool)"
            )
        return self

    @property
    def pool_kind(self) -> Literal["local", "azure"]:
        """The pool that these settings choose."""
        if self.pool == "auto":
            return "azure" if self.pool_management_endpoint else "local"
        return self.pool


def load_settings(overrides: dict[str, str] | None = None) -> Settings:
    """Read settings; ``overrides`` (field name to text, from flags) win over the environment.

    Raises:
        SettingsError: a value cannot be used. One sentence a wrong setting.
    """
    try:
        return Settings(**(overrides or {}))  # pyright: ignore[reportArgumentType] -- parsed by pydantic
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error))) from None


def _sentences(error: ValidationError) -> list[str]:
    found: list[str] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        fault = item["msg"].removeprefix("Value error, ")
        if not item["loc"]:
            found.append(f"Settings: {fault}.")
            continue
        name = str(item["loc"][0])
        flag = "--" + name.replace("_", "-")
        found.append(f"{ENV_PREFIX}{name.upper()} ({flag}): {fault[0].lower()}{fault[1:]}.")
    return found
