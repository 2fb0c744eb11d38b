"""All settings in one class, and what they must agree on."""

import sys
from typing import Literal, Self

from pydantic import model_validator
from pydantic_settings import SettingsConfigDict

from aca_mcp.settings.azure import AzureSettings
from aca_mcp.settings.common import CommonSettings
from aca_mcp.settings.environments import EnvironmentSettings
from aca_mcp.settings.http import HttpSettings
from aca_mcp.settings.http_auth import AuthSettings
from aca_mcp.settings.local import LocalSettings
from aca_mcp.settings.observing import ObservingSettings

ENV_PREFIX = "ACA_MCP_"

AZURE_MAX_TIMEOUT_SECONDS = 220


class Settings(
    LocalSettings,
    EnvironmentSettings,
    AzureSettings,
    HttpSettings,
    AuthSettings,
    ObservingSettings,
    CommonSettings,
):
    """All settings. Each is also an environment variable, ``ACA_MCP_`` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        if self.pool == "azure" and not self.pool_management_endpoint:
            raise ValueError(
                f"{ENV_PREFIX}POOL is azure, so {ENV_PREFIX}POOL_MANAGEMENT_ENDPOINT must be set "
                "too (or set the pool to local)"
            )
        if (
            self.pool_kind != "azure"
            and self.execution_timeout_seconds > self.local_max_timeout_seconds
        ):
            raise ValueError(
                f"{ENV_PREFIX}EXECUTION_TIMEOUT_SECONDS must be at most "
                f"{ENV_PREFIX}LOCAL_MAX_TIMEOUT_SECONDS ({self.local_max_timeout_seconds:g}); "
                "change one of them"
            )
        if self.pool_kind == "azure" and self.execution_timeout_seconds > AZURE_MAX_TIMEOUT_SECONDS:
            raise ValueError(
                f"{ENV_PREFIX}EXECUTION_TIMEOUT_SECONDS must be at most "
                f"{AZURE_MAX_TIMEOUT_SECONDS} with an Azure pool"
            )
        if sys.platform == "win32" and self.work_dir is not None:
            raise ValueError(
                f"{ENV_PREFIX}WORK_DIR needs what Windows does not have (directories held open); "
                "unset it, and let the model move files through its tools"
            )
        if self.transport != "stdio" and self.work_dir is not None:
            raise ValueError(
                f"{ENV_PREFIX}WORK_DIR gives clients files of this machine, which only a client "
                "that was started here may have; unset it for HTTP"
            )
        return self

    @property
    def packages_policy(self) -> Literal["off", "list", "index"]:
        """What sessions may install; over HTTP nothing unless that was chosen."""
        if self.packages == "auto":
            return "index" if self.transport == "stdio" else "off"
        return self.packages

    @property
    def max_timeout_seconds(self) -> float:
        """The longest that one execution may take, in the pool that these settings choose."""
        if self.pool_kind == "azure":
            return AZURE_MAX_TIMEOUT_SECONDS
        return self.local_max_timeout_seconds

    @property
    def pool_kind(self) -> Literal["local", "wasm", "azure"]:
        """The pool that these settings choose."""
        if self.pool != "auto":
            return self.pool
        if self.pool_management_endpoint:
            return "azure"
        return "local" if sys.platform == "linux" else "wasm"
