"""The credentials that a setting can choose. ``azure.identity`` is imported when one is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.azure.tokens import Token, TokenCredential
    from aca_mcp.settings import CredentialChoice

EMULATOR_TOKEN = "emulator"  # noqa: S105 -- accepted by an emulator that checks nothing


@dataclass(frozen=True, slots=True)
class _FixedToken:
    token: str
    expires_on: int = 2**62


@dataclass(frozen=True, slots=True)
class FixedCredential:
    """A credential that always gives the same token."""

    token: str

    def get_token(self, *scopes: str) -> Token:
        """The token, for any scope."""
        return _FixedToken(self.token)


def describe(choice: CredentialChoice) -> str:
    """A credential for an error message, with what it needs."""
    return f"the credential '{choice}' ({_NEEDS[choice]})"


def credential_factory(
    choice: CredentialChoice, *, client_id: str = "", emulator_token: str = ""
) -> Callable[[], TokenCredential]:
    """What makes a credential, slowly, in a worker thread.

    Args:
        choice: the kind.
        client_id: of a user-assigned managed identity or a workload identity.
        emulator_token: for ``emulator``.
    """
    if choice == "emulator":
        return partial(FixedCredential, emulator_token or EMULATOR_TOKEN)
    return partial(_make, choice, client_id)


def _make(choice: CredentialChoice, client_id: str) -> TokenCredential:
    from azure import identity

    # Without a client id, each finds its own in the environment.
    chosen = {"client_id": client_id} if client_id else {}
    match choice:
        case "managed-identity":
            return identity.ManagedIdentityCredential(client_id=client_id or None)
        case "workload-identity":
            return identity.WorkloadIdentityCredential(**chosen)
        case "client-secret":
            return identity.EnvironmentCredential()
        case "azure-cli":
            return identity.AzureCliCredential()
        case "developer-cli":
            return identity.AzureDeveloperCliCredential()
        case _:
            chosen = {"managed_identity_client_id": client_id} if client_id else {}
            return identity.DefaultAzureCredential(**chosen)


_NEEDS: dict[CredentialChoice, str] = {
    "default": "sign in with `az login`, or run where a managed identity is",
    "managed-identity": "needs a machine of Azure's with a managed identity; "
    "ACA_MCP_AZURE_CLIENT_ID names a user-assigned one",
    "workload-identity": "needs AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE",
    "client-secret": "needs AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    "azure-cli": "sign in with `az login`",
    "developer-cli": "sign in with `azd auth login`",
    "emulator": "for an emulator on this machine",
}
