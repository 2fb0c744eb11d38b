"""What a model is told, and the tools that are there only where a setting or a choice is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp import __version__
from aca_mcp.missing_modules import PackageOffer
from aca_mcp.pool import EnvironmentSummary
from aca_mcp.server.app import ServerOptions, create_server
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.support.connecting import connected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.connecting import Connect
    from tests.support.toy_pool import ToyPool


async def test_packages_are_installed_where_that_is_permitted(connect: Connect) -> None:
    async with connect(options=ServerOptions(packages=PackageOffer("index"))) as call:
        said = await call("install_packages", packages=["openpyxl", "docx-of-tests"])
        assert said.splitlines()[-1].startswith("Installed openpyxl 1.0, docx-of-tests 1.0 (")
        said = await call("install_packages", packages="openpyxl, docx-of-tests")
        assert said.splitlines()[-1].startswith("Installed openpyxl 1.0, docx-of-tests 1.0 (")
        refused = await call.refusal("install_packages", packages=["no-such-package"])
        assert refused == "The index has no package. Nothing was installed."


async def test_environments_are_told_only_where_there_is_a_choice(connect: Connect) -> None:
    two = (EnvironmentSummary("data", "scipy and more"), EnvironmentSummary("geo", "geopandas"))
    async with connect(options=ServerOptions(environments=two)) as call, connect() as without:
        listed = {tool.name: tool for tool in (await call.client.list_tools()).tools}
        assert "data: scipy and more; geo: geopandas" in str(listed["start_session"].description)
        alone = {tool.name: tool for tool in (await without.client.list_tools()).tools}
        assert "environment" not in str(alone["start_session"].description)
        assert "no environment" in await call.refusal("start_session", environment="mars")


async def test_the_instructions_tell_a_model_what_it_needs(
    toy_pool: ToyPool, tmp_path: Path
) -> None:
    options = ServerOptions(execution_timeout_seconds=90, work_dir=tmp_path)
    async with connected(toy_pool, options) as call:
        client = call.client
        instructions = client.instructions
        assert instructions is not None
        assert len(instructions) < 2048
        assert "after 90 s" in instructions
        assert "upload_from_work_dir" in instructions
        assert str(tmp_path) in instructions
        assert client.server_info is not None
        assert client.server_info.version == __version__
    async with open_sessions(toy_pool) as sessions:
        alone = create_server(Callers(sessions), ServerOptions()).instructions or ""
        assert "work_dir" not in alone
        assert "install_packages" not in alone
        permitted = create_server(Callers(sessions), ServerOptions(packages=PackageOffer("index")))
        assert "install_packages" in (permitted.instructions or "")
        assert len(permitted.instructions or "") < 2048
        assert "the user starts this server with --work-dir FOLDER" in alone
        of_azure = ServerOptions(packages=PackageOffer("index", pool_chooses=True))
        told = create_server(Callers(sessions), of_azure).instructions or ""
        assert "what can be imported (the Azure pool chose it); install_packages" in told
        assert "Azure" not in alone
