"""A real MCP server over real HTTP: who comes in, who does not, and what each of those is told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import TextContent
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from aca_mcp.server.auth.authentication import AuthenticationOptions, authentication
from aca_mcp.server.auth.principal import principal
from tests.server.auth.issuer import AUDIENCE, Issuer, IssuerHost, public_jwk, rsa_key
from tests.server.http.serving import served_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALICE, BOB = "alice-0123456789", "bob-0123456789ab"
TOKENS = {"alice": ALICE, "bob": BOB}
PUBLIC_URL = "https://python.example.com/mcp"
METADATA = "https://python.example.com/.well-known/oauth-protected-resource/mcp"
SCOPE = "api://python/Python.Execute"
Mode = Literal["legacy", "2026-07-28"]


@asynccontextmanager
async def server(options: AuthenticationOptions) -> AsyncGenerator[str]:
    """An MCP server behind its authentication, by both HTTP transports."""
    mcp, sse_mcp = MCPServer("test"), MCPServer("test")

    async def who() -> str:
        await anyio.lowlevel.checkpoint()
        return principal()

    for each in (mcp, sse_mcp):
        each.add_tool(who)
    http_app, sse_app = mcp.streamable_http_app(), sse_mcp.sse_app()

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/open"):
            await PlainTextResponse(f"<{principal()}>")(scope, receive, send)
            return
        app: ASGIApp = http_app if scope["path"] == "/mcp" else sse_app
        await app(scope, receive, send)

    def app_at(url: str) -> Starlette:
        found = authentication(replace(options, public_url=options.public_url or f"{url}/mcp"))
        assert found is not None
        return Starlette(
            routes=[*found.routes, Mount("/", either)],
            middleware=[found.middleware(open_paths=frozenset({"/open"}))],
        )

    async with mcp.session_manager.run(), served_at(app_at) as url:
        yield url


def of_issuer(issuer: Issuer, **options: tuple[str, ...]) -> AuthenticationOptions:
    return AuthenticationOptions(
        tokens=TOKENS, issuer=issuer.url, audience=AUDIENCE, public_url=PUBLIC_URL, **options
    )


async def who(url: str, token: str, mode: Mode = "legacy") -> str:
    """What the server thinks who calls."""
    with anyio.fail_after(15):
        async with (
            create_mcp_http_client({"Authorization": f"Bearer {token}"}) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
        ):
            return await _who(client)


async def _who(client: Client) -> str:
    (content,) = (await client.call_tool("who", {})).content
    assert isinstance(content, TextContent)
    return content.text


async def asked(url: str, *authorization: str | bytes, path: str = "/mcp") -> httpx.Response:
    """The answer to a request with such headers."""
    headers = [
        (b"Authorization", value if isinstance(value, bytes) else value.encode())
        for value in authorization
    ]
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        return await http.post(path, json={}, headers=headers)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_each_token_is_a_principal_of_its_own(issuer: Issuer, mode: Mode) -> None:
    async with server(of_issuer(issuer)) as url:
        found = [
            await who(url, token, mode)
            for token in (ALICE, BOB, issuer.token(), issuer.token(sub="token:alice"))
        ]
    assert found == [
        "token:alice",
        "token:bob",
        f"oidc:{issuer.url}#ann",
        f"oidc:{issuer.url}#token:alice",
    ]


async def test_a_newer_token_of_the_same_caller_is_the_same_principal(issuer: Issuer) -> None:
    async with server(of_issuer(issuer)) as url:
        first = await who(url, issuer.token(azp="one"))
        issuer.keys = [public_jwk(rsa_key("first"), kid="first")]
        assert await who(url, issuer.token(azp="other", jti="2")) == first


async def test_the_deprecated_transport_knows_the_principal_too() -> None:
    async with server(AuthenticationOptions(tokens=TOKENS)) as url:
        transport = sse_client(f"{url}/sse", headers={"Authorization": f"Bearer {BOB}"})
        with anyio.fail_after(15):
            async with Client(transport, mode="legacy") as client:
                assert await _who(client) == "token:bob"
        assert (await asked(url, path="/messages/?session_id=" + "0" * 32)).status_code == 401


async def test_without_a_token_a_client_learns_where_to_get_one(issuer: Issuer) -> None:
    async with server(of_issuer(issuer, required_scopes=(SCOPE,))) as url:
        for headers in ((), ("Basic YTpi",), ("Bearer",), ("Bearer,",)):
            refused = await asked(url, *headers)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == (
                f'Bearer realm="aca-mcp", scope="{SCOPE}", resource_metadata="{METADATA}"'
            )
        async with httpx.AsyncClient(base_url=url) as http:
            metadata = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert metadata["resource"] == PUBLIC_URL
    assert metadata["authorization_servers"] == [issuer.url]
    assert metadata["scopes_supported"] == [SCOPE]


class Nowhere:
    """Where a client keeps its tokens."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        pass

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        pass


async def test_a_client_that_knows_the_url_alone_finds_the_issuer_and_comes_in(
    issuer: Issuer,
) -> None:
    options = AuthenticationOptions(issuer=issuer.url, required_scopes=(SCOPE,))
    async with server(options) as url:
        provider = ClientCredentialsOAuthProvider(
            f"{url}/mcp", Nowhere(), client_id="program", client_secret="s", issuer=issuer.url
        )
        with anyio.fail_after(15):
            async with (
                create_mcp_http_client(auth=provider) as http,
                Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
            ):
                assert await _who(client) == f"oidc:{issuer.url}#program"


async def test_a_token_that_is_not_good_is_said_to_be_so_and_not_repeated(issuer: Issuer) -> None:
    token = issuer.token(exp=1)
    async with server(of_issuer(issuer)) as url:
        refused = await asked(url, f"Bearer {token}")
    assert refused.status_code == 401
    assert (
        'error="invalid_token", error_description="The token has expired."'
        in (refused.headers["WWW-Authenticate"])
    )
    assert refused.json()["error"] == "invalid_token"
    assert token not in refused.text + str(refused.headers)


async def test_a_good_token_without_the_scope_is_forbidden_and_told_what_to_ask_for(
    issuer: Issuer,
) -> None:
    options = of_issuer(issuer, required_scopes=(SCOPE,), required_roles=("Analyst",))
    async with server(options) as url:
        for claims in ({"scp": "Else", "roles": ["Analyst"]}, {"scp": "Python.Execute"}):
            refused = await asked(url, f"Bearer {issuer.token(claims)}")
            assert refused.status_code == 403
            assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
            assert f'scope="{SCOPE}"' in refused.headers["WWW-Authenticate"]
        good = issuer.token(scp="Python.Execute", roles=["Analyst"])
        assert await who(url, good) == f"oidc:{issuer.url}#ann"
        assert await who(url, ALICE) == "token:alice"


async def test_nobody_comes_in_while_the_issuer_cannot_be_asked(issuer: Issuer) -> None:
    issuer.status = 500
    async with server(of_issuer(issuer)) as url:
        refused = await asked(url, f"Bearer {issuer.token()}")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "5"
        assert "WWW-Authenticate" not in refused.headers
        assert await who(url, ALICE) == "token:alice"


async def test_with_static_tokens_alone_there_is_no_issuer_to_be_told_of() -> None:
    async with server(AuthenticationOptions(tokens=TOKENS)) as url:
        refused = await asked(url)
        assert refused.headers["WWW-Authenticate"] == 'Bearer realm="aca-mcp"'
        for wrong in (ALICE[:-1], ALICE + "0", ALICE.upper(), "a.b.c", "é" * 20):
            refused = await asked(url, f"Bearer {wrong}".encode("latin-1"))
            assert refused.status_code == 401
            assert "not known here" in refused.json()["error_description"]
        async with httpx.AsyncClient(base_url=url) as http:
            answer = await http.get("/.well-known/oauth-protected-resource/mcp")
        assert answer.status_code == 401


async def test_a_header_that_is_too_long_or_there_twice_is_refused() -> None:
    async with server(AuthenticationOptions(tokens=TOKENS)) as url:
        assert (await asked(url, f"Bearer {ALICE}", f"Bearer {BOB}")).status_code == 400
        too_long = await asked(url, "Bearer " + "a" * (16 * 1024 + 1))
        assert too_long.status_code == 401
        assert "16384" in too_long.json()["error_description"]
        # The scheme is the same in any case; what came in is then no message of MCP.
        assert "jsonrpc" in (await asked(url, f"bearer   {ALICE}")).json()


async def test_open_paths_are_for_everybody_and_whoever_comes_by_them_is_nobody() -> None:
    async with server(AuthenticationOptions(tokens=TOKENS)) as url:
        for headers in ((), (f"Bearer {ALICE}",), ("Bearer wrong",)):
            assert (await asked(url, *headers, path="/open")).text == "<>"
        for path in ("/open/", "/openly", "/open%2f..", "//open"):
            assert (await asked(url, path=path)).status_code == 401


async def test_an_application_that_is_protected_has_its_lifespan() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(scope["type"])

    async def receive() -> Message:
        return {}

    async def send(_: Message) -> None:
        pass

    found = authentication(AuthenticationOptions(tokens=TOKENS))
    assert found is not None
    middleware = found.middleware()
    protected = middleware.cls(app, *middleware.args, **middleware.kwargs)
    for kind in ("lifespan", "websocket"):
        scope: Scope = {"type": kind, "path": "/", "headers": []}
        await protected(scope, receive, send)
    assert seen == ["lifespan"]


async def test_the_keys_of_every_issuer_can_be_fetched_when_the_server_starts(
    issuers: IssuerHost, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = issuers.issuer("first"), issuers.issuer("second")
    second.status = 500
    template = AuthenticationOptions(
        issuer=f"{issuers.url}/{{tenantid}}", tenants=("first", "second"), public_url=PUBLIC_URL
    )
    for options in (template, AuthenticationOptions(tokens=TOKENS)):
        found = authentication(options)
        assert found is not None
        with anyio.fail_after(10):
            await found.verifier.warm_up()
    assert first.fetches == 1
    assert f"The keys of {second.url} cannot be fetched" in caplog.text


def test_without_tokens_and_issuer_nothing_is_asked_of_clients() -> None:
    assert authentication(AuthenticationOptions()) is None


def test_options_do_not_show_tokens() -> None:
    assert ALICE not in repr(AuthenticationOptions(tokens=TOKENS))


def test_urls_without_a_path_are_told_as_they_are() -> None:
    found = authentication(
        AuthenticationOptions(issuer="https://i.example.com", public_url="https://p.example.com")
    )
    assert found is not None
    assert found.metadata_url == "https://p.example.com/.well-known/oauth-protected-resource"


def test_outside_of_a_request_there_is_no_principal() -> None:
    assert principal() == ""
