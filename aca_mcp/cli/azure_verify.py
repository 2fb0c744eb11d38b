"""``aca-mcp azure verify``: asks the configured pools what they answer, and writes a report."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import anyio

from aca_mcp import __version__
from aca_mcp.cli.logs import configure_logging
from aca_mcp.cli.transfers import write_out
from aca_mcp.errors import SettingsError
from aca_mcp.pools import azure_configurations

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from aca_mcp.settings import Settings


def verify_pools(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print a table for each pool; returns 1 if something is different, else 0.

    Raises:
        SettingsError: no Azure pool is set, or the report cannot be written.
        SessionPoolError: a pool cannot be reached, or gives no token.
    """
    from aca_mcp.azure.verification import render, verify

    configure_logging(settings.log_level)
    if settings.pool_kind != "azure":
        raise SettingsError("ACA_MCP_POOL_MANAGEMENT_ENDPOINT must be set: it is what is verified.")
    found = [anyio.run(verify, configuration) for configuration in azure_configurations(settings)]
    tables = "\n".join(render(each) for each in found)
    write_out(tables)
    report: Path | None = arguments.report
    if report is not None:
        about = f"aca-mcp {__version__}, Python {platform.python_version()}, api-version "
        text = f"{about}{settings.azure_api_version}\n\n{tables}"
        try:
            report.write_text(text, "utf-8")
        except OSError as error:
            raise SettingsError(f"--report cannot be written there: {error.strerror}.") from error
    return 1 if any(finding.is_different for each in found for finding in each) else 0
