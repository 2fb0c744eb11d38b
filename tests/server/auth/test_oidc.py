"""Tokens of an issuer: which are taken, and the sentence each of the others is refused with."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import TYPE_CHECKING

import anyio
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.server.auth.errors import NotAllowedError, RefusedError
from aca_mcp.server.auth.oidc import IssuedTokens, IssuerPolicy, has_scope
from aca_mcp.server.auth.principal import principal_of
from tests.server.auth.issuer import AUDIENCE, Issuer, IssuerHost, ec_key, public_jwk, rsa_key

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken

TENANT = "11111111-1111-1111-1111-111111111111"
OTHER_TENANT = "22222222-2222-2222-2222-222222222222"


def tokens_of(
    issuer: Issuer,
    *,
    tenants: tuple[str, ...] = (),
    required_scopes: tuple[str, ...] = (),
    required_roles: tuple[str, ...] = (),
) -> IssuedTokens:
    return IssuedTokens(
        IssuerPolicy(issuer.url, AUDIENCE, tenants, required_scopes, required_roles)
    )


async def caller(tokens: IssuedTokens, token: str) -> AccessToken:
    with anyio.fail_after(10):
        return await tokens.check(token)


async def refusal(tokens: IssuedTokens, token: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught, anyio.fail_after(10):
        await tokens.check(token)
    assert token not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


async def test_a_good_token_says_who_calls_and_is_not_kept(issuer: Issuer) -> None:
    token = issuer.token(azp="client", scp="Python.Execute", scope="more")
    found = await caller(tokens_of(issuer), token)
    assert principal_of(found) == f"oidc:{issuer.url}#ann"
    assert (found.client_id, found.scopes) == ("client", ["Python.Execute", "more"])
    assert found.token == ""
    assert token not in repr(found)


async def test_the_audience_may_be_one_of_a_list(issuer: Issuer) -> None:
    await caller(tokens_of(issuer), issuer.token(aud=["https://else.example.com", AUDIENCE]))


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256"])
async def test_each_family_of_algorithms_is_taken(issuer: Issuer, algorithm: str) -> None:
    key = ec_key("curve") if algorithm.startswith("ES") else rsa_key("first")
    issuer.keys = [public_jwk(key, kid="k", alg=algorithm)]
    await caller(tokens_of(issuer), issuer.token(key=key, algorithm=algorithm, kid="k"))


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"nbf": int(time.time()) + 86_400}, "not valid yet"),
        ({"aud": "https://else.example.com"}, "another audience"),
        ({"aud": []}, "not valid"),
        ({"iss": "https://else.example.com"}, "issuer that is not accepted"),
        ({"iss": 7}, "issuer that is not accepted"),
        ({"sub": ""}, "not valid"),
        ({"sub": "s" * 256}, "not valid"),
        ({"sub": "\ud800"}, "not valid"),
        ({"exp": float("inf")}, "not valid"),
        ({"scp": 5}, "not valid"),
        ({"exp": None}, "not valid"),
        ({"sub": None}, "not valid"),
        ({"aud": None}, "not valid"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    issuer: Issuer, claims: dict[str, object], sentence: str
) -> None:
    refused = await refusal(tokens_of(issuer), issuer.token(claims))
    assert refused.status == 401
    assert sentence in refused.sentence


async def test_clocks_may_disagree_a_little(issuer: Issuer) -> None:
    now = int(time.time())
    await caller(tokens_of(issuer), issuer.token(exp=now - 10, nbf=now + 10))


async def test_a_token_without_a_signature_is_refused_and_nothing_is_fetched(
    issuer: Issuer,
) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "first"}).encode())
    payload = issuer.token().split(".")[1]
    for unsigned in (f"{header.decode().rstrip('=')}.{payload}.", f"e30.{payload}."):
        assert "algorithm" in (await refusal(tokens_of(issuer), unsigned)).sentence
    assert issuer.fetches == 0


async def test_a_public_key_is_not_a_shared_secret(issuer: Issuer) -> None:
    public = rsa_key("first").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = {"alg": "HS256", "kid": "first"}
    forged = _signed_with_hmac(head, issuer.token().split(".")[1], pem)
    assert "algorithm" in (await refusal(tokens_of(issuer), forged)).sentence


def _signed_with_hmac(header: dict[str, str], payload: str, secret: bytes) -> str:
    text = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    digest = hmac.digest(secret, f"{text}.{payload}".encode(), "sha256")
    return f"{text}.{payload}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


async def test_a_key_is_used_with_its_own_algorithm_alone(issuer: Issuer) -> None:
    issuer.keys = [public_jwk(rsa_key("first"), kid="first", alg="RS256")]
    token = issuer.token(algorithm="PS256")
    assert "algorithm" in (await refusal(tokens_of(issuer), token)).sentence


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # of signing
async def test_keys_that_cannot_be_used_are_passed_over(issuer: Issuer) -> None:
    good = public_jwk(rsa_key("first"), kid="first")
    weak = rsa_key("weak", 1024)
    issuer.keys = [
        {**good, "kid": "for-encryption", "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "use": "sig"},
        {"kty": "new", "kid": "unknown"},
        {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "broken"},
        {"kty": "RSA"},
        public_jwk(weak, kid="weak"),
        good,
    ]
    tokens = tokens_of(issuer)
    await caller(tokens, issuer.token())
    for kid in ("for-encryption", "shared", "unknown", "broken"):
        assert "does not have" in (await refusal(tokens, issuer.token(kid=kid))).sentence
    await refusal(tokens, issuer.token(key=weak, kid="weak"))
    assert "does not name the key" in (await refusal(tokens, issuer.token(kid=None))).sentence


async def test_a_token_that_somebody_else_signed_is_refused(issuer: Issuer) -> None:
    await refusal(tokens_of(issuer), issuer.token(key=rsa_key("thief")))


async def test_a_token_is_taken_of_the_tenants_that_are_listed(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, tenants=(TENANT,))
    await caller(tokens, issuer.token(tid=TENANT))
    for token in (issuer.token(tid=OTHER_TENANT), issuer.token()):
        refused = await refusal(tokens, token)
        assert (refused.status, "tenant" in refused.sentence) == (401, True)


async def test_an_issuer_of_many_tenants_speaks_for_each_with_its_own_keys(
    issuers: IssuerHost,
) -> None:
    first, second = issuers.issuer(TENANT), issuers.issuer(OTHER_TENANT)
    second.keys = [public_jwk(rsa_key("second"), kid="second")]
    policy = IssuerPolicy(f"{issuers.url}/{{tenantid}}", AUDIENCE, (TENANT, OTHER_TENANT))
    tokens = IssuedTokens(policy)
    one = await caller(tokens, first.token(tid=TENANT))
    other = await caller(
        tokens, second.token(tid=OTHER_TENANT, key=rsa_key("second"), kid="second")
    )
    assert principal_of(one) != principal_of(other)
    # The keys of one do not make tokens of the other, nor may one speak for the other's tenant.
    await refusal(tokens, second.token(tid=OTHER_TENANT))
    await refusal(tokens, first.token(tid=OTHER_TENANT))
    third = issuers.issuer("33333333-3333-3333-3333-333333333333")
    await refusal(tokens, third.token(tid="33333333-3333-3333-3333-333333333333"))


async def test_every_scope_and_every_role_that_is_required_must_be_there(issuer: Issuer) -> None:
    tokens = tokens_of(
        issuer, required_scopes=("api://python/Python.Execute", "read"), required_roles=("Analyst",)
    )
    await caller(tokens, issuer.token(scp="Python.Execute read", roles=["Analyst", "Else"]))
    await caller(
        tokens, issuer.token(scope=["api://python/Python.Execute", "read"], roles=["Analyst"])
    )
    for lacking in (
        {"scp": "read", "roles": ["Analyst"]},
        {"scp": "Python.Execute", "roles": ["Analyst"]},
        {"scp": "Python.Execute read"},
        {"roles": ["Analyst", "Python.Execute", "read"]},
    ):
        refused = await refusal(tokens, issuer.token(lacking))
        assert isinstance(refused, NotAllowedError)
        assert refused.status == 403


@pytest.mark.parametrize(
    ("required", "granted", "is_enough"),
    [
        ("api://app/Run", "Run", True),
        ("api://app/Run", "api://app/Run", True),
        ("api://app/Run", "Else", False),
        ("https://python.example.com/mcp/Run", "Run", True),
        ("https://else.example.com/mcp/Run", "Run", False),
        ("https://else.example.com/mcp/Run", "https://else.example.com/mcp/Run", True),
        ("read", "read", True),
        ("api://app/", "", False),
    ],
)
def test_a_scope_of_an_app_or_of_this_server_has_a_short_name(
    required: str, granted: str, is_enough: bool
) -> None:
    resource = "https://python.example.com/mcp"
    assert has_scope(set(granted.split()), required, resource) == is_enough
    assert has_scope(set(granted.split()), required, "") == (is_enough and resource not in required)


@given(
    st.text(alphabet=st.characters(max_codepoint=255))
    | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(
        lambda parts: ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts
        )
    )
    | st.dictionaries(
        st.sampled_from(["alg", "kid", "crit", "b64"]), st.none() | st.integers()
    ).map(lambda head: base64.urlsafe_b64encode(json.dumps(head).encode()).decode() + ".e30.AA")
    | st.just(base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.AA")
)
def test_whatever_else_is_sent_is_refused_without_a_question_to_the_issuer(text: str) -> None:
    tokens = IssuedTokens(IssuerPolicy("http://127.0.0.1:9/nobody", AUDIENCE))

    async def check() -> None:
        with pytest.raises(RefusedError):
            await tokens.check(text)

    anyio.run(check)
