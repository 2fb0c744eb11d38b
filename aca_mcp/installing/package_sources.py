"""Where packages come from, as pip or uv is configured for it, told to whichever of them installs.

A company configures one of the two, mostly pip, and uv reads nothing of pip's. What names indexes
in the installer's own configuration wins; the other's counts where it names none.

The files and variables: https://pip.pypa.io/en/stable/topics/configuration/ and
https://docs.astral.sh/uv/concepts/configuration-files/.
"""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TRUE = frozenset({"1", "true", "yes", "on"})
_UV_KEYS = ("index", "index-url", "extra-index-url", "find-links", "no-index")


@dataclass(frozen=True, slots=True)
class PackageSources:
    """Where to look for packages, and what it takes to get there."""

    index: str = ""
    """The URL of the index; empty for the public one."""
    further: tuple[str, ...] = ()
    """URLs of indexes beside it."""
    find_links: tuple[str, ...] = ()
    """Directories and pages with links to wheels."""
    no_index: bool = False
    """Only those: no index is asked."""
    trusted_hosts: tuple[str, ...] = ()
    """Whose certificates are not checked."""
    constraints: tuple[str, ...] = ()
    """Files with versions to keep to."""
    certificates: str = ""
    """A file of authorities to trust."""
    client_certificate: str = ""
    proxy: str = ""

    @property
    def name_something(self) -> bool:
        """Whether they say where packages are."""
        return bool(self.index or self.further or self.find_links or self.no_index)


def environment_for(installer: Literal["uv", "pip"], environ: Mapping[str, str]) -> dict[str, str]:
    """Variables by which an installer heeds what the other one is configured for.

    Args:
        installer: which of the two.
        environ: of this process. What it sets is not set again.
    """
    from_pip, from_uv = read_pip(environ), read_uv(environ)
    own, other = (from_uv, from_pip) if installer == "uv" else (from_pip, from_uv)
    if own.name_something:
        return {}
    told = _for_uv(other) if installer == "uv" else _for_pip(other)
    return {name: value for name, value in told.items() if value and name not in environ}


def _for_uv(sources: PackageSources) -> dict[str, str]:
    return {
        "UV_DEFAULT_INDEX": sources.index,
        "UV_INDEX": " ".join(sources.further),
        # As pip does, which takes the best of all its indexes.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if sources.further else "",
        "UV_FIND_LINKS": ",".join(sources.find_links),
        "UV_NO_INDEX": "1" if sources.no_index else "",
        "UV_INSECURE_HOST": " ".join(sources.trusted_hosts),
        "UV_CONSTRAINT": " ".join(sources.constraints),
        "SSL_CERT_FILE": sources.certificates,
        "SSL_CLIENT_CERT": sources.client_certificate,
        "ALL_PROXY": sources.proxy,
    }


def _for_pip(sources: PackageSources) -> dict[str, str]:
    return {
        "PIP_INDEX_URL": sources.index,
        "PIP_EXTRA_INDEX_URL": " ".join(sources.further),
        "PIP_FIND_LINKS": " ".join(sources.find_links),
        "PIP_NO_INDEX": "1" if sources.no_index else "",
        "PIP_TRUSTED_HOST": " ".join(sources.trusted_hosts),
        "PIP_CONSTRAINT": " ".join(sources.constraints),
        "PIP_CERT": sources.certificates,
        "PIP_CLIENT_CERT": sources.client_certificate,
        "PIP_PROXY": sources.proxy,
    }


def read_pip(environ: Mapping[str, str]) -> PackageSources:
    """What pip is configured for, by its files and variables."""
    found: dict[str, str] = {}
    for file in _pip_files(environ):
        parser = configparser.RawConfigParser()
        with suppress(OSError, UnicodeDecodeError, configparser.Error):
            parser.read(file, encoding="utf-8")
            for section in ("global", "install"):
                if parser.has_section(section):
                    found |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return PackageSources(
        index=found.get("index-url", ""),
        further=tuple(found.get("extra-index-url", "").split()),
        find_links=tuple(found.get("find-links", "").split()),
        no_index=found.get("no-index", "").lower() in _TRUE,
        trusted_hosts=tuple(found.get("trusted-host", "").split()),
        constraints=tuple(found.get("constraint", "").split()),
        certificates=found.get("cert", ""),
        client_certificate=found.get("client-cert", ""),
        proxy=found.get("proxy", ""),
    )


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    """Pip's files, those that count least first."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []  # which is how pip is told to read none
    home = Path(environ.get("HOME") or "~").expanduser()
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    if sys.platform == "win32":
        machine = [Path(environ.get("ProgramData", "C:/ProgramData"), "pip")]
        user = [home / "pip", Path(environ.get("APPDATA", str(home)), "pip")]
    else:
        shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        machine = [*(Path(each, "pip") for each in reversed(shared.split(":"))), Path("/etc")]
        user = [home / ".pip", Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "pip")]
        if sys.platform == "darwin":
            machine.insert(0, Path("/Library/Application Support/pip"))
            user.append(home / "Library/Application Support/pip")
    directories = (*machine, *user, Path(sys.prefix))
    return [*(each / name for each in directories), *([Path(named)] if named else [])]


def read_uv(environ: Mapping[str, str]) -> PackageSources:
    """What uv is configured for, by its variables, or else by its files."""
    further = (environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL") or "").split()
    sources = PackageSources(
        index=environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or "",
        further=_urls(further),
        find_links=tuple(filter(None, environ.get("UV_FIND_LINKS", "").split(","))),
        no_index=environ.get("UV_NO_INDEX", "").lower() in _TRUE,
        trusted_hosts=tuple(environ.get("UV_INSECURE_HOST", "").split()),
        constraints=tuple(environ.get("UV_CONSTRAINT", "").split()),
        certificates=environ.get("SSL_CERT_FILE", ""),
    )
    if sources.name_something or environ.get("UV_NO_CONFIG", "").lower() in _TRUE:
        return sources
    for file in _uv_files(environ):
        with suppress(OSError, ValueError, TypeError, AttributeError):  # whatever its author wrote
            tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
            pip = cast("dict[str, Any]", tables.get("pip", {}))
            found = _of_tables({**tables, **{key: pip[key] for key in _UV_KEYS if key in pip}})
            if found.name_something:
                return found
    return sources


def _uv_files(environ: Mapping[str, str]) -> list[Path]:
    """Uv's files of the user and the machine, those that count most first."""
    if named := environ.get("UV_CONFIG_FILE"):
        return [Path(named)]
    home = Path(environ.get("HOME") or "~").expanduser()
    if sys.platform == "win32":
        user = Path(environ.get("APPDATA", str(home)))
        machine = [Path(environ.get("ProgramData", "C:/ProgramData"))]
    else:
        user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        machine = [*map(Path, shared.split(":")), Path("/etc")]
    return [each / "uv" / "uv.toml" for each in (user, *machine)]


def _of_tables(tables: Mapping[str, Any]) -> PackageSources:
    indexes = cast("list[dict[str, Any]]", tables.get("index", []))
    default = [str(each.get("url", "")) for each in indexes if each.get("default")]
    return PackageSources(
        index=str(tables.get("index-url") or next(iter(default), "")),
        further=(
            *(str(each.get("url", "")) for each in indexes if not each.get("default")),
            *map(str, tables.get("extra-index-url", ())),
        ),
        find_links=tuple(map(str, tables.get("find-links", ()))),
        no_index=bool(tables.get("no-index")),
        trusted_hosts=tuple(map(str, tables.get("allow-insecure-host", ()))),
    )


def _urls(words: Iterable[str]) -> tuple[str, ...]:
    """Of indexes that may have names: ``name=https://...``."""
    return tuple(
        word.partition("=")[2] if "=" in word.partition("://")[0] else word for word in words
    )
