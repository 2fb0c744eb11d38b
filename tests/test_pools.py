"""The pool that the settings choose."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aca_mcp.errors import PoolUnavailableError, SettingsError
from aca_mcp.kernel.image_scaling import MAX_SIDE
from aca_mcp.pools import (
    azure_configuration,
    local_configuration,
    open_session_pool,
    pool_names,
    wasm_configuration,
)
from aca_mcp.settings import Settings, load_settings


async def test_the_local_pool_is_as_the_settings_say() -> None:
    settings = Settings(
        pool="local",
        local_preimport="json, no_such_module,",
        local_ready_sessions=0,
        local_max_timeout_seconds=90,
        local_max_file_mib=3,
    )
    async with open_session_pool(settings) as pool:
        metadata = await pool.metadata()
        assert metadata.kind == "local"
        assert metadata.runtime == f"Python {sys.version.split()[0]}"
        assert metadata.max_timeout_seconds == 90
        assert metadata.max_file_bytes == 3 * 2**20
        assert metadata.network is False
        execution = await pool.execute("identifier", "6 * 7", timeout_seconds=12)
        assert execution.outputs[0].data["text/plain"] == "42"


def test_every_kind_of_pool_is_told_how_large_images_may_be() -> None:
    settings = load_settings({"max_image_side_pixels": "300"})
    told = (
        azure_configuration(settings, "http://127.0.0.1:1/pools/one"),
        local_configuration(settings, sys.executable),
        wasm_configuration(settings),
    )
    assert [each.max_image_side for each in told] == [300, 300, 300]
    # The kernel imports nothing else of the package, so that it has a default of its own.
    assert Settings().max_image_side_pixels == MAX_SIDE


async def test_an_interpreter_that_the_settings_name_is_used() -> None:
    async with open_session_pool(Settings(local_python=Path("/bin/false"))) as pool:
        with pytest.raises(PoolUnavailableError, match="/bin/false"):
            await pool.execute("identifier", "1", timeout_seconds=12)


async def test_elsewhere_than_on_linux_it_says_so_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(PoolUnavailableError, match=r"The local pool needs Linux\. .*WSL"):
        async with open_session_pool(Settings(pool="local")):
            raise AssertionError("it was opened")


async def test_what_opens_the_sandbox_is_warned_of_at_every_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Settings(local_isolation="unsafe-none", local_network="host", local_ready_sessions=0)
    async with open_session_pool(settings):
        warnings = [record.getMessage() for record in caplog.records]
    assert ["NOT isolated" in warnings[0], "network" in warnings[1]] == [True, True]


async def test_an_ordinary_start_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with open_session_pool(Settings(local_ready_sessions=0)):
        assert caplog.records == []


async def test_a_user_with_no_place_for_packages_has_sessions_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = load_settings({"data_dir": "/proc/nowhere", "local_preimport": ""})
    async with open_session_pool(settings) as pool:
        execution = await pool.execute("session", "1", timeout_seconds=30)
        assert execution.error is None
    assert "Sessions can install no packages" in caplog.text
    assert "ACA_MCP_DATA_DIR" in caplog.text
    chosen = load_settings({"data_dir": "/proc/nowhere", "packages": "index"})
    with pytest.raises(SettingsError, match="cannot be kept in"):
        async with open_session_pool(chosen):
            pass


async def test_several_azure_pools_are_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACA_MCP_AZURE_CREDENTIAL", "emulator")
    endpoints = "http://127.0.0.1:1/pools/one,http://localhost:1/pools/two"
    settings = load_settings({"pool_management_endpoint": endpoints, "azure_retry_seconds": "0"})
    assert pool_names(settings) == ("pool 1 (one 127)", "pool 2 (two localhost)")
    async with open_session_pool(settings) as pool:
        with pytest.raises(PoolUnavailableError, match="cannot be reached"):
            await pool.execute("session-1234", "1", timeout_seconds=5)
        assert not await pool.keep_alive("session-1234")
