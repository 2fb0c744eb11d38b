"""What a user can set: one frozen class, read from flags, the environment and a named file.

The command line's flags and the README's table are made from the fields of ``Settings``. Nothing
else in the package reads the environment, and nothing here knows what a setting is used for.

A ``.env`` file is read only where a flag names it, never because it lies in the current directory:
editors start MCP servers inside repositories that nobody has reviewed, and a file there could
switch the isolation off, or name the interpreter to run.
"""

from aca_mcp.settings.azure import ApiVersion, AzureSettings, CredentialChoice
from aca_mcp.settings.environments import EnvironmentSettings
from aca_mcp.settings.http import HttpSettings
from aca_mcp.settings.http_auth import AuthSettings
from aca_mcp.settings.loading import (
    SECRET_FIELDS,
    describe_default,
    flag_name,
    flag_names,
    load_settings,
    variable_name,
)
from aca_mcp.settings.model import ENV_PREFIX, Settings
from aca_mcp.settings.observing import ObservingSettings

__all__ = [
    "ENV_PREFIX",
    "SECRET_FIELDS",
    "ApiVersion",
    "AuthSettings",
    "AzureSettings",
    "CredentialChoice",
    "EnvironmentSettings",
    "HttpSettings",
    "ObservingSettings",
    "Settings",
    "describe_default",
    "flag_name",
    "flag_names",
    "load_settings",
    "variable_name",
]
