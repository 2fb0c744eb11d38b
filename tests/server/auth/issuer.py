"""A real OIDC issuer on loopback: metadata, keys, and tokens that it signs."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import anyio
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.server.http.serving import served_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.requests import Request

AUDIENCE = "api://python"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A private key, the same for the same name."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A private key, the same for the same name."""
    del name
    return ec.generate_private_key(ec.SECP256R1())


Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def public_jwk(key: Key, **members: str) -> dict[str, str]:
    """A key as its issuer publishes it."""
    jwk = (
        RSAAlgorithm.to_jwk(key.public_key())
        if isinstance(key, rsa.RSAPrivateKey)
        else ECAlgorithm.to_jwk(key.public_key())
    )
    return {**json.loads(jwk), "use": "sig", **members}


@dataclass
class Issuer:
    """One issuer. What it publishes can be changed at any time."""

    url: str
    keys: list[dict[str, str]] = field(
        default_factory=lambda: [public_jwk(rsa_key("first"), kid="first")]
    )
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    """Instead of what is true."""
    status: int = 200
    body: bytes = b""
    """Instead of the keys."""
    is_slow: bool = False
    fetches: int = 0
    """Of the keys."""
    may_answer: anyio.Event | None = None
    """Waited for before keys are given."""
    arrived: anyio.Event = field(default_factory=anyio.Event)
    """Somebody asks for the keys."""

    def token(
        self,
        claims: Mapping[str, object] | None = None,
        *,
        key: Key | None = None,
        algorithm: str = "RS256",
        kid: str | None = "first",
        **more: object,
    ) -> str:
        """A token, good unless told otherwise. A claim that is None is left out."""
        payload: dict[str, object] = {
            "iss": self.url,
            "sub": "ann",
            "aud": AUDIENCE,
            "exp": int(time.time()) + 300,
            **(claims or {}),
            **more,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        headers = {} if kid is None else {"kid": kid}
        # Not jwt.encode(), which would not sign what no issuer should.
        text = json.dumps(payload).encode()
        return jwt.PyJWS().encode(text, key or rsa_key("first"), algorithm, headers)


class IssuerHost:
    """Serves issuers, each at a path of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._issuers: dict[str, Issuer] = {}

    def issuer(self, name: str = "") -> Issuer:
        """A further one."""
        name = name or f"issuer{len(self._issuers)}"
        self._issuers[name] = Issuer(f"{self.url}/{name}")
        return self._issuers[name]

    async def metadata(self, request: Request) -> Response:
        issuer = self._issuers[request.path_params["name"]]
        true = {
            "issuer": issuer.url,
            "jwks_uri": f"{issuer.url}/keys",
            "token_endpoint": f"{issuer.url}/token",
            "authorization_endpoint": f"{issuer.url}/authorize",
        }
        return JSONResponse({**true, **issuer.metadata}, issuer.status)

    async def keys(self, request: Request) -> Response:
        issuer = self._issuers[request.path_params["name"]]
        issuer.fetches += 1
        issuer.arrived.set()
        if issuer.may_answer is not None:
            await issuer.may_answer.wait()
        if issuer.is_slow:
            return StreamingResponse(_drip())
        return Response(issuer.body or json.dumps({"keys": issuer.keys}))

    async def token(self, request: Request) -> Response:
        """For a program with credentials of its own, with what it asks for."""
        issuer = self._issuers[request.path_params["name"]]
        async with request.form() as form:
            token = issuer.token(sub="program", aud=form["resource"], scp=form["scope"])
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 300})


async def _drip() -> AsyncGenerator[bytes]:
    while True:
        yield b" "
        await anyio.sleep(0.05)


@asynccontextmanager
async def open_issuers() -> AsyncGenerator[IssuerHost]:
    """Serve issuers while the block runs."""
    hosts: list[IssuerHost] = []

    def app_at(url: str) -> Starlette:
        host = IssuerHost(url)
        hosts.append(host)
        return Starlette(
            routes=[
                Route("/{name:path}/.well-known/openid-configuration", host.metadata),
                Route("/{name:path}/keys", host.keys),
                Route("/{name:path}/token", host.token, methods=["POST"]),
            ]
        )

    async with served_at(app_at):
        yield hosts[0]
