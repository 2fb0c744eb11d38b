"""What the policy of the settings lets sessions have, for who tells a model. Quick to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aca_mcp.missing_modules import PackageOffer

if TYPE_CHECKING:
    from pathlib import Path


def package_offer(
    kind: Literal["off", "list", "index"], file: Path | None, *, pool_chooses: bool = False
) -> PackageOffer:
    """Which further packages sessions may get.

    Args:
        kind: of the policy.
        file: the list of what is permitted, if that is the policy.
        pool_chooses: as ``PackageOffer`` has it.

    Raises:
        SettingsError: the list cannot be read.
    """
    if kind != "list":
        return PackageOffer(kind, pool_chooses=pool_chooses)
    from aca_mcp.packages.requirements import read_policy

    policy = read_policy(kind, file)
    listed = tuple(sorted(map(str, policy.listed)))
    return PackageOffer(kind, listed, pool_chooses=pool_chooses)
