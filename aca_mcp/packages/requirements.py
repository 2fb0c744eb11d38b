"""What may be asked for: names with versions and extras, and nothing that leads elsewhere. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from aca_mcp.errors import PackagesNotInstalledError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_REQUIREMENTS = 100
_MAX_CHARACTERS = 200
_NOTHING = "Nothing was installed."
NO_PACKAGES = (
    f"Packages cannot be installed here. {_NOTHING} Who runs the server can permit it with "
    "ACA_MCP_PACKAGES=index, or make an environment that has them: aca-mcp env create, or, for "
    "Azure, another pool."
)
"""What is said where there is no policy that permits any."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which packages sessions may have."""

    kind: Literal["off", "list", "index"] = "off"
    listed: frozenset[Requirement] = frozenset()
    """With ``list``: what is permitted, each name once, with the versions that are."""

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """Names with the versions that are permitted, which hold for what others need, too."""
        named = ((canonicalize_name(each.name), str(each.specifier)) for each in self.listed)
        return tuple(sorted(each for each in named if each[1]))

    def check(self, requirement: Requirement) -> Requirement:
        """Return the requirement as it may be asked for, held to the versions that are permitted.

        Raises:
            PackagesNotInstalledError: it is not permitted.
        """
        if self.kind == "off":
            raise PackagesNotInstalledError(NO_PACKAGES)
        if self.kind == "index":
            return requirement
        name = canonicalize_name(requirement.name)
        for listed in self.listed:
            if canonicalize_name(listed.name) == name:
                requirement.specifier &= listed.specifier
                return requirement
        raise PackagesNotInstalledError(
            f"{requirement.name} is not on the list of packages that may be installed here. "
            f"{_NOTHING} Who runs the server can put it into the file that ACA_MCP_PACKAGES_LIST "
            "names."
        )


def read_policy(kind: Literal["off", "list", "index"], file: Path | None) -> Policy:
    """The policy of the settings.

    Raises:
        SettingsError: the list cannot be read, or has something else than requirements.
    """
    if kind != "list":
        return Policy(kind)
    if file is None:
        raise SettingsError(
            "ACA_MCP_PACKAGES=list needs ACA_MCP_PACKAGES_LIST, the path of a file."
        )
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"ACA_MCP_PACKAGES_LIST: {file} cannot be read, in UTF-8.") from None
    listed: dict[str, Requirement] = {}
    for line in lines:
        if not (wanted := line.partition("#")[0].strip()):
            continue
        try:
            requirement = Requirement(wanted)
        except InvalidRequirement as error:
            raise SettingsError(
                f"ACA_MCP_PACKAGES_LIST: {file} has a line that is {error}."
            ) from None
        if requirement.url or requirement.marker:
            raise SettingsError(
                f"ACA_MCP_PACKAGES_LIST: {file} has {wanted!r}; a line may have a name and "
                "versions, and nothing else."
            )
        name = canonicalize_name(requirement.name)
        if name in listed:  # neither both nor one of them is surely what is meant
            raise SettingsError(
                f"ACA_MCP_PACKAGES_LIST: {file} names {name} twice. Say in one line which "
                "versions are permitted, as in 'pandas>=2,<3'."
            )
        listed[name] = requirement
    return Policy(kind, frozenset(listed.values()))


def check_requirements(texts: Sequence[str], policy: Policy) -> tuple[Requirement, ...]:
    """Read what somebody asks for.

    Args:
        texts: as PEP 508 writes requirements. They may come from hostile code.
        policy: what is permitted.

    Raises:
        PackagesNotInstalledError: one is none, leads elsewhere, or is not permitted.
    """
    if not texts:
        raise PackagesNotInstalledError(f"Name at least one package. {_NOTHING}")
    if len(texts) > MAX_REQUIREMENTS:
        raise PackagesNotInstalledError(
            f"At most {MAX_REQUIREMENTS} packages can be asked for at once. {_NOTHING}"
        )
    return tuple(policy.check(_read(text)) for text in texts)


def _read(text: str) -> Requirement:
    shown = repr(text[:60])
    if len(text) > _MAX_CHARACTERS or not text.isascii() or not text.isprintable():
        raise PackagesNotInstalledError(f"{shown} names no package. {_NOTHING}")
    if text.lstrip().startswith("-"):
        raise PackagesNotInstalledError(
            f"{shown} is an option, and only names of packages are taken: the index and all else "
            f"are the server's to choose. {_NOTHING}"
        )
    if "://" in text or "@" in text or "/" in text or "\\" in text or text.startswith("."):
        raise PackagesNotInstalledError(
            f"{shown} is a URL or a path, and only packages of the index are taken, by name. "
            f"Upload files of your own instead, and import them. {_NOTHING}"
        )
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise PackagesNotInstalledError(
            f"{shown} is no requirement. Write a name, and versions if need be, as in "
            f"'openpyxl' or 'pandas>=2,<3'. {_NOTHING}"
        ) from None
