"""Settings of the packages that local sessions have."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from aca_mcp.settings.section import SettingsSection


class EnvironmentSettings(SettingsSection):
    """Where environments are kept, and where packages come from."""

    data_dir: Annotated[
        Path | None,
        Field(description="Where environments are kept; unset, where a user's programs keep data."),
    ] = None
    packages: Annotated[
        Literal["auto", "off", "list", "index"],
        Field(
            description="What sessions may install: all of the `index`, what a `list` permits, or "
            "nothing; `auto` is `index` over stdio and `off` over HTTP."
        ),
    ] = "auto"
    packages_list: Annotated[
        Path | None,
        Field(description="The file of that list, a requirement a line."),
    ] = None
    package_index: Annotated[
        str,
        Field(description="Where packages come from; unset, what uv or pip is configured for."),
    ] = ""

    @property
    def data_directory(self) -> Path:
        """Where environments are kept. Root's sessions have other identities: not its home."""
        if self.data_dir is not None:
            return self.data_dir.expanduser().absolute()
        if sys.platform != "win32" and os.geteuid() == 0:
            return Path("/var/lib/aca-mcp")
        return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share", "aca-mcp").expanduser()
