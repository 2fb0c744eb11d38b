"""Opens the session pool that the settings choose: the only module that knows the kinds."""

from __future__ import annotations

import dataclasses
import functools
import logging
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aca_mcp.error_boundary import ErrorBoundary
from aca_mcp.errors import PoolUnavailableError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from aca_mcp.azure.configuration import AzurePoolConfiguration
    from aca_mcp.embedded.configuration import EmbeddedPoolConfiguration
    from aca_mcp.environments.store import Environment
    from aca_mcp.local.configuration import LocalPoolConfiguration
    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.missing_modules import PackageOffer
    from aca_mcp.packages.broker import PackageBroker
    from aca_mcp.pool import EnvironmentSummary, SessionPool
    from aca_mcp.settings import Settings
    from aca_mcp.wasm.configuration import WasmPoolConfiguration
    from aca_mcp.wasm.first_start import Preparation


_log = logging.getLogger(__name__)

_RETRY_SECONDS_OF_SEVERAL = 5


def open_session_pool(settings: Settings) -> AbstractAsyncContextManager[SessionPool]:
    """Open a pool for as long as the context lasts. Quick: nothing is waited for.

    Raises:
        PoolUnavailableError: this machine, or this version, does not have the pool.
    """
    openers = {"azure": _open_azure_pools, "local": _open_local_pools, "wasm": _open_wasm_pool}
    return openers[settings.pool_kind](settings)


@asynccontextmanager
async def _open_local_pools(settings: Settings) -> AsyncGenerator[SessionPool]:
    if sys.platform != "linux":
        raise PoolUnavailableError(
            "The local pool needs Linux. Use the wasm pool (ACA_MCP_POOL=wasm), or Linux in a "
            "virtual machine (WSL on Windows) or in a container."
        )
    from aca_mcp.local.pool import open_local_pool

    settings = with_place_for_packages(settings)
    _warn_of_openings(settings)
    if settings.local_python is not None:
        configuration = local_configuration(settings, str(settings.local_python))
        async with open_local_pool(configuration, package_broker(settings)) as pool:
            yield ErrorBoundary(pool)
        return
    async with _open_environments(settings) as pools:
        yield ErrorBoundary(pools)


@asynccontextmanager
async def _open_environments(settings: Settings) -> AsyncGenerator[SessionPool]:
    from aca_mcp.background_tasks import background_tasks
    from aca_mcp.environments.choice import FIRST, default_environment
    from aca_mcp.environments.store import EnvironmentStore
    from aca_mcp.local.environment_pools import EnvironmentPools
    from aca_mcp.local.pool import open_local_pool

    store = EnvironmentStore(environments_directory(settings))
    if settings.local_environment:
        store.get(settings.local_environment)  # raises, with what to do
    broker = package_broker(settings)

    def open_pool(environment: Environment) -> AbstractAsyncContextManager[LocalSessionPool]:
        return open_local_pool(local_configuration(settings, str(environment.python)), broker)

    async def make_first() -> Environment:
        from aca_mcp.environments.building import ensure

        _log.warning("There is no environment for local sessions yet: making %r.", FIRST)
        return await ensure(store, FIRST, say=_log.info, index=settings.package_index)

    async with background_tasks() as tasks:
        pools = EnvironmentPools(
            store,
            default_environment(store, settings.local_environment),
            make_first,
            open_pool,
            max_sessions=settings.local_max_concurrent_sessions,
            tasks=tasks,
        )
        await pools.serve_default()
        yield pools


def environments_of(settings: Settings) -> tuple[EnvironmentSummary, ...]:
    """What sessions can be started with, the default first; empty where there is no choice."""
    if settings.pool_kind != "local" or settings.local_python is not None:
        return ()
    from aca_mcp.environments.choice import default_environment, environment_summaries
    from aca_mcp.environments.store import EnvironmentStore

    store = EnvironmentStore(environments_directory(settings))
    return environment_summaries(store, default_environment(store, settings.local_environment))


def with_place_for_packages(settings: Settings) -> Settings:
    """The settings, without packages where ``auto`` finds no place to keep them, which is logged.

    A user without a home directory that can be written has sessions all the same.
    """
    if settings.packages != "auto" or settings.packages_policy == "off":
        return settings
    from aca_mcp.packages.store import PackageStore

    try:
        PackageStore(packages_directory(settings))
    except OSError as error:
        _log.warning(
            "Sessions can install no packages, for they cannot be kept in %s: %s. "
            "ACA_MCP_DATA_DIR names another directory.",
            packages_directory(settings),
            error.strerror,
        )
        return settings.model_copy(update={"packages": "off"})
    return settings


def package_broker(settings: Settings) -> Callable[[], PackageBroker] | None:
    """What brings packages for sessions, made when first asked for; None where none may be had.

    Raises:
        SettingsError: the list of what is permitted cannot be read, or there is no place for them.
    """
    kind = settings.packages_policy
    if kind == "off":
        return None
    from aca_mcp.packages.store import PackageStore

    try:
        # Sandboxes show it from their start.
        store = PackageStore(packages_directory(settings))
    except OSError as error:
        raise SettingsError(
            f"Packages cannot be kept in {packages_directory(settings)}: {error.strerror}. "
            "ACA_MCP_DATA_DIR names another directory; ACA_MCP_PACKAGES=off does without."
        ) from error

    @functools.cache
    def make() -> PackageBroker:
        from aca_mcp.packages.broker import PackageBroker  # a client waits for the server to start
        from aca_mcp.packages.requirements import read_policy

        return PackageBroker(
            store,
            read_policy(kind, settings.packages_list),
            index=settings.package_index,
        )

    if kind == "list":
        make()  # what is wrong with the list is said at once
    return make


def package_offer(settings: Settings) -> PackageOffer:
    """Which further packages sessions may get, for who tells a model.

    Raises:
        SettingsError: the list of what is permitted cannot be read.
    """
    from aca_mcp.missing_modules import PackageOffer

    listed: tuple[str, ...] = ()
    if settings.packages_policy == "list":
        from aca_mcp.packages.requirements import read_policy

        listed = tuple(sorted(map(str, read_policy("list", settings.packages_list).listed)))
    of_azure = settings.pool_kind == "azure"
    return PackageOffer(settings.packages_policy, listed, pool_chooses=of_azure)


def packages_directory(settings: Settings) -> Path:
    """Where what the broker brings is kept."""
    return settings.data_directory / "packages"


def environments_directory(settings: Settings) -> Path:
    """Where named environments are."""
    return settings.data_directory / "environments"


_NO_WASM = "The wasm pool needs the extra wasm. Install it with: pip install 'aca-mcp[wasm]'"


@asynccontextmanager
async def _open_wasm_pool(settings: Settings) -> AsyncGenerator[SessionPool]:
    try:
        from aca_mcp.wasm.pool import open_wasm_pool

        configuration = wasm_configuration(settings)
    except ImportError as error:
        raise PoolUnavailableError(_NO_WASM) from error
    async with open_wasm_pool(configuration, package_broker(settings)) as pool:
        yield ErrorBoundary(pool)


def is_wasm_prepared(settings: Settings) -> bool:
    """Whether what a wasm pool makes once on a machine is there."""
    try:
        from aca_mcp.wasm.prepare import is_prepared

        configuration = wasm_configuration(settings)
        return is_prepared(configuration.cache_directory, configuration.preimport)
    except (ImportError, PoolUnavailableError):
        return False  # whoever opens the pool is told why


def open_wasm_preparation(settings: Settings) -> AbstractAsyncContextManager[Preparation]:
    """Make what a wasm pool makes once on a machine, without the pool.

    Raises:
        PoolUnavailableError: this version does not have the pool.
    """
    try:
        from aca_mcp.wasm.first_start import open_preparation

        configuration = wasm_configuration(settings)
    except ImportError as error:
        raise PoolUnavailableError(_NO_WASM) from error
    return open_preparation(configuration)


@asynccontextmanager
async def _open_azure_pools(settings: Settings) -> AsyncGenerator[SessionPool]:
    from aca_mcp.azure.pool import open_azure_pool

    configurations = azure_configurations(settings)
    async with AsyncExitStack() as opened:
        pools = [
            ErrorBoundary(
                await opened.enter_async_context(
                    open_azure_pool(configuration, broker=package_broker(settings))
                )
            )
            for configuration in configurations
        ]
        if len(pools) == 1:
            yield pools[0]
            return
        from aca_mcp.azure.several_pools import NamedPool, SeveralPools
        from aca_mcp.observed_pool import observed_member

        several = [
            NamedPool(name, configuration.endpoint, observed_member(pool, name))
            for name, configuration, pool in zip(
                pool_names(settings), configurations, pools, strict=True
            )
        ]
        yield ErrorBoundary(SeveralPools(several))


def pool_names(settings: Settings) -> tuple[str, ...]:
    """What each of several Azure pools is called in messages and metrics."""
    named: list[str] = []
    for number, endpoint in enumerate(settings.pool_management_endpoints, 1):
        parts = urlsplit(endpoint)
        host = (parts.hostname or "").partition(".")[0]
        pool = parts.path.rpartition("/")[2]
        named.append(f"pool {number} ({' '.join(filter(None, (pool, host)))})")
    return tuple(named)


def azure_configurations(settings: Settings) -> tuple[AzurePoolConfiguration, ...]:
    """What each Azure pool is told of the settings.

    Raises:
        SettingsError: an endpoint cannot be one.
    """
    endpoints = settings.pool_management_endpoints
    found = tuple(azure_configuration(settings, endpoint) for endpoint in endpoints)
    if len(found) == 1:
        return found
    # Where there are others, long trying of one would only keep a session waiting.
    bound = min(settings.azure_retry_seconds, _RETRY_SECONDS_OF_SEVERAL)
    return tuple(dataclasses.replace(each, retry_seconds=bound) for each in found)


def azure_configuration(settings: Settings, endpoint: str) -> AzurePoolConfiguration:
    """What the Azure pool at an endpoint is told of the settings.

    Raises:
        SettingsError: the endpoint cannot be one.
    """
    from aca_mcp.azure.api_versions import complaint_about
    from aca_mcp.azure.configuration import AzurePoolConfiguration
    from aca_mcp.azure.credentials import credential_factory, describe

    if (complaint := complaint_about(endpoint)) is not None:
        raise SettingsError(f"ACA_MCP_POOL_MANAGEMENT_ENDPOINT {complaint}.")
    return AzurePoolConfiguration(
        endpoint=endpoint,
        make_credential=credential_factory(
            settings.azure_credential,
            client_id=settings.azure_client_id,
            emulator_token=settings.emulator_token.get_secret_value(),
        ),
        credential_description=describe(settings.azure_credential),
        api_version=settings.azure_api_version,
        scope=settings.azure_scope,
        rich_results=settings.azure_results == "rich",
        max_image_side=settings.max_image_side_pixels,
        connect_seconds=settings.azure_connect_timeout_seconds,
        retry_seconds=settings.azure_retry_seconds,
    )


def local_configuration(settings: Settings, python: str) -> LocalPoolConfiguration:
    """What the local pool of an interpreter is told of the settings."""
    from aca_mcp.local.configuration import LocalPoolConfiguration

    return LocalPoolConfiguration(
        python=python,
        package_sets=(
            str(packages_directory(settings) / "sets") if settings.packages_policy != "off" else ""
        ),
        isolation=settings.local_isolation,
        network=settings.local_network == "host",
        max_processes=settings.local_max_processes,
        max_threads=settings.local_max_threads,
        **dataclasses.asdict(_of_this_machine(settings)),
    )


def wasm_configuration(settings: Settings) -> WasmPoolConfiguration:
    """What a wasm pool is told of the settings: those of local sessions, as far as they apply."""
    from platformdirs import user_cache_path

    from aca_mcp.wasm.configuration import MAX_MEMORY_BYTES, WasmPoolConfiguration

    cache = settings.wasm_cache_dir or user_cache_path("aca-mcp", appauthor=False) / "wasm"
    made = WasmPoolConfiguration(
        cache_directory=cache,
        second_ring=has_second_ring(settings),
        **dataclasses.asdict(_of_this_machine(settings)),
    )
    made = dataclasses.replace(made, memory_bytes=min(made.memory_bytes, MAX_MEMORY_BYTES))
    if "local_preimport" in settings.model_fields_set:
        return made
    # Here each session has a copy of all that is imported, not only of what it writes to.
    return dataclasses.replace(made, preimport=("numpy", "pandas", "matplotlib.pyplot"))


def has_second_ring(settings: Settings) -> bool:
    """Whether processes of the wasm pool are held by what the system has: where that was tried."""
    return settings.wasm_second_ring == "on" or sys.platform == "linux"


def _of_this_machine(settings: Settings) -> EmbeddedPoolConfiguration:
    from aca_mcp.embedded.configuration import EmbeddedPoolConfiguration
    from aca_mcp.embedded.machine_memory import default_memory_mib

    mebibyte = 2**20
    return EmbeddedPoolConfiguration(
        preimport=tuple(filter(None, settings.local_preimport.replace(" ", "").split(","))),
        ready_sessions=settings.local_ready_sessions,
        max_concurrent_sessions=settings.local_max_concurrent_sessions,
        cooldown_seconds=settings.local_cooldown_seconds,
        max_timeout_seconds=settings.local_max_timeout_seconds,
        interrupt_grace_seconds=settings.local_interrupt_grace_seconds,
        memory_bytes=(settings.local_memory_mib or default_memory_mib()) * mebibyte,
        disk_bytes=settings.local_disk_mib * mebibyte,
        checkpoints=settings.local_checkpoints,
        max_output_bytes=settings.local_max_output_kib * 1024,
        max_file_bytes=settings.local_max_file_mib * mebibyte,
        max_image_side=settings.max_image_side_pixels,
    )


def _warn_of_openings(settings: Settings) -> None:
    if settings.local_isolation == "unsafe-none":
        _log.warning(
            "Local sessions are NOT isolated (local_isolation is unsafe-none): code that a model "
            "writes has all rights of this user."
        )
    if settings.local_network == "host":
        _log.warning(
            "Local sessions use this machine's network (local_network is host): code reaches all "
            "that this machine reaches, services on loopback included."
        )
