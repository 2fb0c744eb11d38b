"""Keys of an issuer: how often they are fetched, how old they may be, what is taken for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.server.auth.errors import IssuerUnavailableError
from aca_mcp.server.auth.keys import (
    FRESH_SECONDS,
    REFETCH_SECONDS,
    RETRY_SECONDS,
    USABLE_SECONDS,
    SigningKeys,
)
from tests.server.auth.issuer import Issuer, public_jwk, rsa_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clock import Clock


async def has(signing_keys: SigningKeys, key_id: str) -> bool:
    with anyio.fail_after(10):
        return await signing_keys.find(key_id) is not None


async def has_none(signing_keys: SigningKeys) -> None:
    with anyio.fail_after(10), pytest.raises(IssuerUnavailableError):
        await signing_keys.find("first")


async def test_a_flood_of_unknown_keys_is_one_question(issuer: Issuer, clock: Clock) -> None:
    signing_keys = SigningKeys(issuer.url, clock=clock)
    assert await has(signing_keys, "first")
    clock.now += REFETCH_SECONDS
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(has, signing_keys, f"unknown{number}")
    assert not await has(signing_keys, "unknown")
    assert issuer.fetches == 2


async def test_those_who_come_first_wait_for_one_fetch(issuer: Issuer, clock: Clock) -> None:
    signing_keys = SigningKeys(issuer.url, clock=clock)
    found: list[bool] = []

    async def find() -> None:
        found.append(await has(signing_keys, "first"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(find)
    assert found == [True] * 20
    assert issuer.fetches == 1


async def test_a_key_that_the_issuer_turned_to_is_found_and_the_old_one_is_gone(
    issuer: Issuer, clock: Clock
) -> None:
    signing_keys = SigningKeys(issuer.url, clock=clock)
    assert await has(signing_keys, "first")
    issuer.keys = [public_jwk(rsa_key("second"), kid="second")]
    assert not await has(signing_keys, "second")
    clock.now += REFETCH_SECONDS
    assert await has(signing_keys, "second")
    assert not await has(signing_keys, "first")


async def test_a_key_that_was_withdrawn_is_used_no_longer_than_keys_are_fresh(
    issuer: Issuer, clock: Clock
) -> None:
    signing_keys = SigningKeys(issuer.url, clock=clock)
    assert await has(signing_keys, "first")
    issuer.keys = [public_jwk(rsa_key("second"), kid="second")]
    clock.now += FRESH_SECONDS - 1
    assert await has(signing_keys, "first")
    clock.now += 1
    assert not await has(signing_keys, "first")


async def test_known_keys_outlive_a_short_outage_of_the_issuer_and_not_a_long_one(
    issuer: Issuer, clock: Clock
) -> None:
    signing_keys = SigningKeys(issuer.url, clock=clock)
    assert await has(signing_keys, "first")
    issuer.status = 500
    clock.now += FRESH_SECONDS
    assert await has(signing_keys, "first")
    clock.now += USABLE_SECONDS - FRESH_SECONDS
    await has_none(signing_keys)
    issuer.status = 200
    await has_none(signing_keys)
    clock.now += RETRY_SECONDS
    assert await has(signing_keys, "first")


async def test_nobody_waits_for_fresh_keys_while_old_ones_may_be_used(
    issuer: Issuer, clock: Clock
) -> None:
    signing_keys = SigningKeys(issuer.url, clock=clock)
    assert await has(signing_keys, "first")
    clock.now += FRESH_SECONDS
    issuer.may_answer, issuer.arrived = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(has, signing_keys, "first")
        with anyio.fail_after(10):
            await issuer.arrived.wait()
        with anyio.fail_after(3):  # a fetch gets 5
            assert await signing_keys.find("first") is not None
        issuer.may_answer.set()


async def test_a_client_that_leaves_does_not_end_the_fetch_for_the_others(
    issuer: Issuer, clock: Clock
) -> None:
    signing_keys = SigningKeys(issuer.url, clock=clock)
    issuer.may_answer = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(has, signing_keys, "first")
        with anyio.fail_after(10):
            await issuer.arrived.wait()
        tasks.cancel_scope.cancel()
        issuer.may_answer.set()
    assert await has(signing_keys, "first")
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"issuer": "https://else.example.com"}, "another issuer's"),
        ({"jwks_uri": "http://else.example.com/keys"}, "https"),
        ({"jwks_uri": "file:///etc/passwd"}, "https"),
        ({"jwks_uri": "http://127.0.0.1:9/keys"}, "cannot be reached"),
        ({"jwks_uri": "https://[/"}, "cannot be reached"),
    ],
)
async def test_metadata_that_cannot_be_trusted_gives_no_keys(
    issuer: Issuer,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    metadata: dict[str, str],
    reason: str,
) -> None:
    issuer.metadata = metadata
    await has_none(SigningKeys(issuer.url, clock=clock))
    assert issuer.fetches == 0
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b" " * 300_000, "more than"),
        (b"no JSON", "not what OpenID Connect says"),
        (b'{"keys": 5}', "not what OpenID Connect says"),
        (b'{"keys": []}', "no key of a kind"),
        (json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "first"}]}).encode(), "no key"),
    ],
)
async def test_an_answer_that_holds_no_keys_gives_none(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture, body: bytes, reason: str
) -> None:
    issuer.body = body
    await has_none(SigningKeys(issuer.url, clock=clock))
    assert reason in caplog.text


async def test_an_issuer_that_answers_drop_by_drop_is_not_waited_for(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.is_slow = True
    await has_none(SigningKeys(issuer.url, fetch_seconds=0.5, clock=clock))
    assert "did not answer within" in caplog.text


async def test_without_the_certificates_of_this_machine_there_are_no_keys(
    issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    await has_none(SigningKeys(issuer.url, clock=clock))


async def test_redirects_are_not_followed(issuer: Issuer, clock: Clock) -> None:
    issuer.status = 302
    await has_none(SigningKeys(issuer.url, clock=clock))
