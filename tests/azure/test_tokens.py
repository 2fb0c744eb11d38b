"""Tokens: fetched in a thread, kept, renewed once for all who wait."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import anyio
import pytest

from aca_mcp.azure.credentials import credential_factory, describe
from aca_mcp.azure.tokens import Token, TokenSource
from aca_mcp.errors import AuthenticationFailedError


@dataclass
class Given:
    token: str
    expires_on: int


class Credential:
    """Gives numbered tokens; says how often and from where it was asked."""

    def __init__(self, lifetime: int = 3600) -> None:
        self.lifetime = lifetime
        self.now = 1_000_000.0
        self.count = 0
        self.scopes: set[str] = set()
        self.threads: set[int] = set()
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def get_token(self, *scopes: str) -> Token:
        self.threads.add(threading.get_ident())
        self.scopes.update(scopes)
        self.gate.wait(10)
        self.count += 1
        if self.error is not None:
            raise self.error
        return Given(f"token-{self.count}", int(self.now) + self.lifetime)

    def source(self) -> TokenSource:
        return TokenSource(lambda: self, "scope", described="the test's", clock=lambda: self.now)


async def get_all(source: TokenSource, count: int) -> set[str]:
    tokens: set[str] = set()

    async def get() -> None:
        tokens.add(await source.get())

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(get)
    return tokens


async def test_one_flight_serves_all_who_wait_and_is_not_in_the_event_loop() -> None:
    credential = Credential()
    source = credential.source()
    assert await get_all(source, 20) == {"token-1"}
    assert credential.count == 1
    assert credential.scopes == {"scope"}
    assert threading.get_ident() not in credential.threads


async def test_a_token_is_renewed_ahead_of_its_expiry() -> None:
    credential = Credential()
    source = credential.source()
    assert await source.get() == "token-1"
    credential.now += 3600 - 301
    assert await source.get() == "token-1"
    credential.now += 2
    assert await get_all(source, 20) <= {"token-1", "token-2"}
    assert credential.count == 2
    assert await source.get() == "token-2"


async def test_nobody_waits_for_the_renewal_of_a_token_that_is_still_good() -> None:
    credential = Credential()
    source = credential.source()
    await source.get()
    credential.now += 3600 - 100
    credential.gate.clear()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.get)
            await anyio.wait_all_tasks_blocked()
            assert await source.get() == "token-1"
            credential.gate.set()
    assert await source.get() == "token-2"


async def test_a_rejected_token_is_replaced_once() -> None:
    credential = Credential()
    source = credential.source()
    rejected = await source.get()
    assert await source.replace(rejected) == "token-2"
    assert await source.replace(rejected) == "token-2"
    assert credential.count == 2


async def test_a_failing_renewal_leaves_a_good_token_in_use() -> None:
    credential = Credential()
    source = credential.source()
    await source.get()
    credential.error = RuntimeError("no network")
    credential.now += 3600 - 100
    assert await source.get() == "token-1"
    credential.now += 200
    with pytest.raises(AuthenticationFailedError, match=r"the test's.*no network"):
        await source.get()
    with pytest.raises(AuthenticationFailedError):
        await source.replace("token-1")


async def test_a_failure_without_words_is_named() -> None:
    credential = Credential()
    credential.error = KeyError()
    with pytest.raises(AuthenticationFailedError, match="KeyError"):
        await credential.source().get()
    credential.error = TimeoutError()
    with pytest.raises(AuthenticationFailedError, match="longer than"):
        await credential.source().get()


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ("default", "DefaultAzureCredential"),
        ("managed-identity", "ManagedIdentityCredential"),
        ("client-secret", "EnvironmentCredential"),
        ("azure-cli", "AzureCliCredential"),
        ("developer-cli", "AzureDeveloperCliCredential"),
        ("emulator", "FixedCredential"),
    ],
)
def test_every_choice_makes_its_credential(choice: str, kind: str) -> None:
    made = credential_factory(choice, client_id="")()  # pyright: ignore[reportArgumentType] -- parametrized
    assert type(made).__name__ == kind
    assert choice in describe(choice)  # pyright: ignore[reportArgumentType] -- parametrized


def test_a_client_id_reaches_the_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere")
    made = credential_factory("workload-identity", client_id="client")()
    assert type(made).__name__ == "WorkloadIdentityCredential"
    assert credential_factory("default", client_id="client")() is not None


async def test_a_missing_azure_cli_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    source = TokenSource(
        credential_factory("azure-cli"), "https://x/.default", described=describe("azure-cli")
    )
    with pytest.raises(AuthenticationFailedError, match="az login"):
        await source.get()
