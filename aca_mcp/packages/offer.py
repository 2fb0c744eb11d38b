"""What the policy of the settings lets sessions have, for who tells a model. Quick to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aca_mcp.missing_modules import PackageOffer

if TYPE_CHECKING:
    from pathlib import Path


def package_offer(kind: Literal["off", "list", "index"], file: Path | None) -> PackageOffer:
    """Which further packages sessions may get.

    Args:
        kind: of the policy.
        file: the list of what is permitted, if that is the policy.

    Raises:
        SettingsError: the list cannot be read.
    """
    if kind != "list":
        return PackageOffer(kind)
    from aca_mcp.packages.requirements import read_policy

    policy = read_policy(kind, file)
    return PackageOffer(kind, tuple(sorted(map(str, policy.listed))))
