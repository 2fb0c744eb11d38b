"""Settings of the Azure session pool, and of the emulator of its service."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from aca_mcp.settings.section import SettingsSection
from aca_mcp.settings.urls import MUST_BE_SECURE, is_secure

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


class AzureSettings(SettingsSection):
    """Where the Azure pool is, and how it is called."""

    pool_management_endpoint: Annotated[
        str,
        Field(
            description="The Azure session pool's management endpoint (https URL); of several "
            "pools, with commas between."
        ),
    ] = ""
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

    @field_validator("pool_management_endpoint")
    @classmethod
    def _https_only(cls, value: str) -> str:
        endpoints = _split(value)
        if not all(is_secure(urlsplit(each)) for each in endpoints):
            raise ValueError(MUST_BE_SECURE)
        if len(set(endpoints)) < len(endpoints):
            raise ValueError("must not name a pool twice")
        return ",".join(endpoints)

    @property
    def pool_management_endpoints(self) -> tuple[str, ...]:
        """The endpoint of each Azure pool; none if none is set."""
        return _split(self.pool_management_endpoint)


def _split(text: str) -> tuple[str, ...]:
    # A comma may stand in a URL's path, but not in an endpoint of Azure's.
    return tuple(each.rstrip("/") for each in re.split(r"[,\s]+", text) if each)
