"""What a user can set: one frozen class, read from flags, the environment and a named file.

The command line's flags and the README's table are made from the fields of ``Settings``. Nothing
else in the package reads the environment, and nothing here knows what a setting is used for.

A ``.env`` file is read only where a flag names it, never because it lies in the current directory:
editors start MCP servers inside repositories that nobody has reviewed, and a file there could
switch the isolation off, or name the interpreter to run.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

ENV_PREFIX = "ACA_MCP_"

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_AZURE_MAX_TIMEOUT_SECONDS = 220

ApiVersion = Literal["2024-10-02-preview", "2025-02-02-preview", "2025-10-02-preview"]
CredentialChoice = Literal[
    "default",
    "managed-identity",
    "workload-identity",
    "client-secret",
    "azure-cli",
    "developer-cli",
    "emulator",
]


class Settings(BaseSettings):
    """All settings. Each is also an environment variable, ``ACA_MCP_`` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
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

    azure_api_version: Annotated[
        ApiVersion,
        Field(description="The data plane's API; older ones lack features, which are then said."),
    ] = "2025-10-02-preview"
    azure_credential: Annotated[
        CredentialChoice,
        Field(description="Whose token is used; `default` tries them all, `az login` included."),
    ] = "default"
    azure_client_id: Annotated[
        str, Field(description="Client id of a user-assigned managed or workload identity.")
    ] = ""
    azure_scope: Annotated[
        str, Field(description="What the token is for; sovereign clouds have others.")
    ] = "https://dynamicsessions.io/.default"
    azure_results: Annotated[
        Literal["rich", "plain"],
        Field(description="`plain` sends code as it is; one figure of an execution comes back."),
    ] = "rich"
    azure_connect_timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="Time for a connection to the pool.")
    ] = 10
    azure_retry_seconds: Annotated[
        float, Field(ge=0, le=600, description="How long a request turned away is tried again.")
    ] = 30
    emulator_token: Annotated[
        SecretStr,
        Field(description="The only token an emulator takes; unset, it takes any on loopback."),
    ] = SecretStr("")

    local_python: Annotated[
        Path | None,
        Field(description="The interpreter of local sessions; by default the server's own."),
    ] = None
    local_preimport: Annotated[
        str,
        Field(description="Modules imported ahead for every local session, where they exist."),
    ] = "numpy,pandas,matplotlib.pyplot"
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
        Field(
            gt=0, le=60, description="Time that interrupted code has to stop; then it is killed."
        ),
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
        parts = urlsplit(value)
        if value and not (
            parts.hostname
            and parts.username is None
            and (
                parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
            )
        ):
            raise ValueError("must be an https:// URL (or http:// to this machine's own loopback)")
        return value

    @field_validator("work_dir")
    @classmethod
    def _existing_directory(cls, value: Path | None) -> Path | None:
        value = value and value.expanduser().resolve()
        if value and not (value.is_dir() and os.access(value, os.R_OK | os.X_OK)):
            raise ValueError("must be a directory that exists and can be read")
        return value

    @field_validator("local_python")
    @classmethod
    def _existing_interpreter(cls, value: Path | None) -> Path | None:
        # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
        value = value and value.expanduser().absolute()
        if value and not (value.is_file() and os.access(value, os.X_OK)):
            raise ValueError("must be the path of a Python interpreter")
        return value

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        if self.pool == "azure" and not self.pool_management_endpoint:
            raise ValueError(
                f"{ENV_PREFIX}POOL is azure, so {ENV_PREFIX}POOL_MANAGEMENT_ENDPOINT must be set "
                "too (or set the pool to local)"
            )
        if (
            self.pool_kind == "local"
            and self.execution_timeout_seconds > self.local_max_timeout_seconds
        ):
            raise ValueError(
                f"{ENV_PREFIX}EXECUTION_TIMEOUT_SECONDS must be at most "
                f"{ENV_PREFIX}LOCAL_MAX_TIMEOUT_SECONDS ({self.local_max_timeout_seconds:g}); "
                "change one of them"
            )
        if (
            self.pool_kind == "azure"
            and self.execution_timeout_seconds > _AZURE_MAX_TIMEOUT_SECONDS
        ):
            raise ValueError(
                f"{ENV_PREFIX}EXECUTION_TIMEOUT_SECONDS must be at most "
                f"{_AZURE_MAX_TIMEOUT_SECONDS} with an Azure pool"
            )
        return self

    @property
    def pool_kind(self) -> Literal["local", "azure"]:
        """The pool that these settings choose."""
        if self.pool == "auto":
            return "azure" if self.pool_management_endpoint else "local"
        return self.pool


def flag_name(field: str) -> str:
    """The command line's name of a setting, such as ``--work-dir``."""
    return "--" + field.replace("_", "-")


def variable_name(field: str) -> str:
    """The environment's name of a setting, such as ``ACA_MCP_WORK_DIR``."""
    return ENV_PREFIX + field.upper()


def load_settings(
    overrides: Mapping[str, str] | None = None, *, env_file: Path | None = None
) -> Settings:
    """Read settings: flags win over the environment, and the environment over the file.

    Args:
        overrides: field name to text, from flags.
        env_file: a file of ``NAME=value`` lines. None reads none.

    Raises:
        SettingsError: a value cannot be used. One sentence for each wrong setting, on its own line.
    """
    overrides = overrides or {}
    if env_file is not None and not env_file.is_file():
        raise SettingsError("--env-file must name a file that exists.")
    try:
        named_in_file = dotenv_values(env_file, encoding="utf-8") if env_file is not None else {}
        if unknown := _unknown_variables({*os.environ, *named_in_file}):
            raise SettingsError("\n".join(unknown))
        # The synthesised signature knows the fields alone, and their types after parsing.
        return Settings(_env_file=env_file, **overrides)  # pyright: ignore[reportArgumentType, reportCallIssue] -- as said above
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise SettingsError("\n".join(_sentence(item, overrides) for item in details)) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError("--env-file must name a file that can be read, in UTF-8.") from None


def _unknown_variables(names: Iterable[str]) -> list[str]:
    known = [variable_name(field) for field in Settings.model_fields]
    found: list[str] = []
    for name in sorted(names):
        if not name.startswith(ENV_PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {near[0]}?" if near else "unset it."
        found.append(f"{name} is not a setting; {fix}")
    return found


def _sentence(item: ErrorDetails, overrides: Mapping[str, str]) -> str:
    # Values are not repeated: one that was put under the wrong name may be a secret.
    fault = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if not item["loc"]:
        return f"{fault}."
    field = str(item["loc"][0])
    name = flag_name(field) if field in overrides else variable_name(field)
    return f"{name} {fault}; without it the value is {describe_default(field)}."


def describe_default(field: str) -> str:
    """The default of a setting, for a person."""
    default: object = Settings.model_fields[field].default
    if default is None or default == "" or isinstance(default, SecretStr):
        return "unset"
    return str(default)
