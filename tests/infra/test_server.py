"""The server with exactly the template's environment, in a process: it serves, from its pool."""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.infra.arm import Deployment, of_group
from tests.infra.test_templates import deployment, server_of
from tests.server.auth.issuer import open_issuers
from tests.server.http.serving import served_at
from tests.support.calling import Caller
from tests.support.emulators import POOL_PATH, emulator_process
from tests.support.listening_process import listening_process

if TYPE_CHECKING:
    from starlette.requests import Request

POOL_TOKEN = secrets.token_hex(16)
HEADER = secrets.token_hex(16)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class ManagedIdentity:
    """What a container app is given its tokens by: the protocol of App Service, 2019-08-01."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    async def token(self, request: Request) -> JSONResponse:
        assert request.headers["x-identity-header"] == HEADER
        self.asked.append(dict(request.query_params))
        expires = str(int(time.time()) + 3600)
        told = {"access_token": POOL_TOKEN, "expires_on": expires, "token_type": "Bearer"}
        return JSONResponse(told)


def environment_of(container: dict[str, Any], chosen: Deployment) -> dict[str, str]:
    """As the platform makes it of the template's list, secrets filled in."""
    secret = chosen.parameters["secret"]
    return {each["name"]: each.get("value", secret) for each in container["env"]}


@pytest.mark.timeout(180)
async def test_the_server_of_the_template_serves_with_its_environment_and_no_other() -> None:
    identity = ManagedIdentity()
    chosen = deployment()
    chosen.variables = {**chosen.variables, "port": free_port()}
    host = "demo.happy.westeurope.test"

    def identity_app(_: str) -> Starlette:
        return Starlette(routes=[Route("/token", identity.token)])

    with emulator_process(ACA_MCP_EMULATOR_TOKEN=POOL_TOKEN) as emulator:
        async with open_issuers() as issuers, served_at(identity_app) as identity_url:
            issuer = issuers.issuer("tenant/v2.0")
            chosen.known = {
                "environment": {"authentication": {"loginEndpoint": f"{issuers.url}/"}},
                "subscription": {"tenantId": "tenant"},
            }
            made = chosen.made["Microsoft.App/sessionPools"]
            made["poolManagementEndpoint"] = emulator + POOL_PATH
            found = {each["type"]: each for each in chosen.value(of_group()["resources"])}
            (container,) = server_of(found)["template"]["containers"]
            environment = environment_of(container, chosen)
            platform = {"IDENTITY_ENDPOINT": f"{identity_url}/token", "IDENTITY_HEADER": HEADER}
            started = await anyio.to_thread.run_sync(
                lambda: listening_process([], "aca_mcp", "serve", **environment, **platform)
            )
            with started as (address, _):
                local = address.replace("0.0.0.0", "127.0.0.1")
                async with httpx.AsyncClient(timeout=60) as http:
                    for probe in container["probes"]:
                        asked = f"{local}{probe['httpGet']['path']}"
                        assert (await http.get(asked)).is_success, probe
                    url = environment["ACA_MCP_PUBLIC_URL"].replace(f"https://{host}", local)
                    refused = await http.post(url, headers={"Host": host})
                    assert refused.status_code == 401
                    assert f"https://{host}/" in refused.headers["www-authenticate"]
                    assert (await http.post(url, headers={"Host": "other"})).status_code == 421
                token = issuer.token(
                    aud=environment["ACA_MCP_AUTH_AUDIENCE"], scp="Python.Execute", sub="ann"
                )
                headers = {
                    "Authorization": f"Bearer {token}",
                    "Host": host,
                    "X-Forwarded-Proto": "https",
                    "X-Forwarded-For": "203.0.113.7",
                }
                async with (
                    httpx2.AsyncClient(headers=headers, timeout=60) as http2,
                    Client(streamable_http_client(url, http_client=http2)) as client,
                ):
                    assert (await Caller(client)("execute_python", code="6 * 7")).endswith("42")
    # With the identity of the template, for the audience of pools. Where the first answer takes
    # longer than a start waits for it, it is asked for once more.
    assert {(each["client_id"], each["resource"]) for each in identity.asked} == {
        (environment["ACA_MCP_AZURE_CLIENT_ID"], "https://dynamicsessions.io")
    }
