"""The part of ``aca-mcp doctor`` that tries an Azure pool, step by step.

Each step needs the one before it, so the first that fails ends the trial: with what was tried, what
was answered, and the fix.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import anyio

from aca_mcp.azure.pool_description import CREATE_PYTHON_POOL
from aca_mcp.azure.service_errors import ROLE
from aca_mcp.cli import doctor_checks as checks
from aca_mcp.cli.doctor_checks import Check, State
from aca_mcp.error_boundary import ErrorBoundary
from aca_mcp.errors import (
    AcaMcpError,
    AuthenticationFailedError,
    InvalidRequestError,
    PoolFullError,
)
from aca_mcp.pools import azure_configuration, package_offer, pool_names
from aca_mcp.session import PythonSession

if TYPE_CHECKING:
    from aca_mcp.pool import PoolMetadata, SessionPool
    from aca_mcp.settings import Settings

_SESSION_SECONDS = 60
_REACHES_OUT = """
import socket
try:
    socket.create_connection(("www.microsoft.com", 443), 3).close()
    _answer = True
except OSError:
    _answer = False
_answer
"""


async def try_azure(settings: Settings, within_seconds: float = 120) -> list[Check]:
    """Get a token, ask for each pool's metadata, and run ``1+1`` in a session of it."""
    endpoints = settings.pool_management_endpoints
    if len(endpoints) == 1:
        return await _try_one(settings, within_seconds)
    found: list[Check] = []
    for name, endpoint in zip(pool_names(settings), endpoints, strict=True):
        one = settings.model_copy(update={"pool_management_endpoint": endpoint})
        found += [
            dataclasses.replace(check, name=f"{check.name} of {name}")
            for check in await _try_one(one, within_seconds)
        ]
    return found


async def _try_one(settings: Settings, within_seconds: float) -> list[Check]:
    found: list[Check] = []
    try:
        with anyio.fail_after(within_seconds):
            await _try(settings, found)
    except TimeoutError:
        finding = f"no answer within {within_seconds:g} seconds"
        found.append(Check("Session", State.BROKEN, finding, "Check the network and the endpoint."))
    except AcaMcpError as error:
        found.append(explain(error, _STEPS[len(found)], settings))
    return found


_STEPS = ("Endpoint", "Token", "Metadata", "Session", "Network")


async def _try(settings: Settings, found: list[Check]) -> None:
    from aca_mcp.azure.pool import open_azure_pool, token_source

    configuration = azure_configuration(settings, settings.pool_management_endpoint)
    found.append(check_endpoint(settings))
    await token_source(configuration).get()
    finding = f"from the credential '{settings.azure_credential}', for {settings.azure_scope}"
    found.append(Check("Token", State.OK, finding))
    async with open_azure_pool(configuration) as opened:
        pool = ErrorBoundary(opened)
        metadata = await pool.metadata()
        found.append(check_metadata(metadata))
        if found[-1].state is not State.BROKEN:
            await _try_session(pool, metadata, settings, found)


async def _try_session(
    pool: SessionPool, metadata: PoolMetadata, settings: Settings, found: list[Check]
) -> None:
    started = time.perf_counter()
    async with PythonSession(pool) as session:
        execution = await session.execute("1+1", timeout_seconds=_SESSION_SECONDS)
        check = checks.check_session(metadata, execution, time.perf_counter() - started)
        if check.state is State.BROKEN:
            found.append(explain_execution(check))
            return
        found.append(check)
        tried = await session.execute(_REACHES_OUT, timeout_seconds=20)
        installs = metadata.runs != "shell" and package_offer(settings).is_open
        answer = checks.value_in(metadata, tried)
        found.append(check_network(answer, settings, installs=installs))


def check_endpoint(settings: Settings) -> Check:
    """What kind of pool the endpoint is, by its shape."""
    endpoint = settings.pool_management_endpoint
    if ".dynamicsessions.io/" in endpoint:
        kind = "a built-in pool"
    elif endpoint.endswith(".azurecontainerapps.io"):
        kind = "a custom-container pool: its sessions cannot be listed or asked for"
    else:
        kind = "not Azure's own: an emulator or a gateway"
    return Check("Endpoint", State.OK, f"{kind}; API version {settings.azure_api_version}")


def check_metadata(metadata: PoolMetadata) -> Check:
    """Whether the pool says that it runs Python."""
    if not metadata.packages and metadata.runtime == "Python":
        return Check("Metadata", State.NOTE, "the pool does not tell what its sessions have")
    if metadata.runs == "shell":
        return Check(
            "Metadata",
            State.NOTE,
            "a Shell pool: models get run_shell, and a Python that keeps no variables",
            "If variables are to stay: create a pool with --container-type PythonLTS.",
        )
    if not metadata.runtime.startswith("Python"):
        return Check(
            "Metadata",
            State.BROKEN,
            f"the pool runs {metadata.runtime}, and not Python",
            CREATE_PYTHON_POOL,
        )
    count = len(metadata.packages)
    return Check("Metadata", State.OK, f"{metadata.runtime}, {count} packages installed")


def check_network(answer: str, settings: Settings, *, installs: bool) -> Check:
    """Whether code in a session reaches a network, by what it said of that.

    Args:
        answer: "True" if it does.
        settings: which pool it is.
        installs: this server brings packages, whatever code reaches.
    """
    if answer == "True":
        return Check("Network", State.OK, "code reaches the internet, so %pip install works")
    if installs:
        return Check("Network", State.OK, "code reaches none; this server brings it packages")
    wanted = (
        "create the pool with --network-status EgressEnabled"
        if ".dynamicsessions.io/" in settings.pool_management_endpoint
        else "of an emulator, start it with ACA_MCP_LOCAL_NETWORK=host"
    )
    return Check(
        "Network",
        State.NOTE,
        "code reaches no network, so %pip install does not work",
        f"If it is wanted: {wanted}.",
    )


def explain(error: AcaMcpError, step: str, settings: Settings) -> Check:
    """A step that failed, with what to do beyond what the error says."""
    fix = ""
    if isinstance(error, InvalidRequestError) and step == "Session":
        fix = (
            "A NodeLTS pool, or a Shell pool that does not say so, runs no Python: create one with "
            "--container-type PythonLTS."
        )
    elif isinstance(error, AuthenticationFailedError) and step != "Token":
        fix = _fix_token(error, settings)
    elif isinstance(error, PoolFullError):
        fix = "Wait for the cooldown of idle sessions, or raise --max-sessions of the pool."
    return Check(step, State.BROKEN, error.message, fix)


def _fix_token(error: AuthenticationFailedError, settings: Settings) -> str:
    if ROLE in error.message:
        return (
            f"az role assignment create --role '{ROLE}' --assignee YOU --scope POOL_RESOURCE_ID; "
            "then wait some minutes."
        )
    if settings.azure_credential == "emulator":
        return "Set ACA_MCP_EMULATOR_TOKEN to the token that the emulator was started with."
    return (
        "`az account show --query tenantId` says which tenant tokens are of; sign in to the pool's "
        "with `az login --tenant TENANT`."
    )


def explain_execution(check: Check) -> Check:
    """Code that ran and did not give what Python would."""
    return Check(
        check.name,
        check.state,
        check.finding,
        "A pool of the type Shell or NodeLTS does not run Python: create one with --container-type "
        "PythonLTS. If the pool's interpreter is Python without IPython, set "
        "ACA_MCP_AZURE_RESULTS=plain.",
    )
