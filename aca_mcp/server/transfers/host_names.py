"""Which names of the host's work directory a model may use. Pure.

The model chooses the paths, and code in the session what will stand there, so both are hostile.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING, NoReturn

from aca_mcp.errors import HostPathRefusedError
from aca_mcp.paths import below, without_scheme
from aca_mcp.pool import WORK_DIRECTORY
from aca_mcp.server.results.text import show_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_SHORT_NAME = re.compile(r"~\d")
"""How Windows abbreviates names: ``GIT~1`` is ``.git`` on its file systems."""
_MAX_NAME_BYTES = 200
_RENAME = "Let code give it another one"
_TRUSTED = frozenset(
    name.casefold()
    for name in (
        # What agents take for their user's words.
        "AGENT.md",
        "AGENTS.md",
        "AGENTS.override.md",
        "CLAUDE.md",
        "CLAUDE.local.md",
        "CODEX.md",
        "CONVENTIONS.md",
        "CRUSH.md",
        "GEMINI.md",
        "QWEN.md",
        "WARP.md",
        "SKILL.md",
        "copilot-instructions.md",
        "replit.md",
        # What other programs run, or take their orders from, because it has this name.
        "autorun.inf",
        "desktop.ini",
        "conftest.py",
        "sitecustomize.py",
        "usercustomize.py",
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "tox.ini",
        "pytest.ini",
        "Pipfile",
        "noxfile.py",
        "tasks.py",
        "package.json",
        "deno.json",
        "gulpfile.js",
        "Gruntfile.js",
        "Makefile",
        "GNUmakefile",
        "justfile",
        "Taskfile.yml",
        "Taskfile.yaml",
        "mise.toml",
        "lefthook.yml",
        "flake.nix",
        "default.nix",
        "shell.nix",
        "Procfile",
        "Tiltfile",
        "Containerfile",
        "Dockerfile",
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "docker-compose.yml",
        "Jenkinsfile",
        "Vagrantfile",
        "Rakefile",
        "Gemfile",
        "CMakeLists.txt",
        "meson.build",
        "pom.xml",
        "build.xml",
        "build.gradle",
        "build.gradle.kts",
        "build.rs",
    )
)


def host_parts(
    path: str, root: str = "", why: Callable[[str], str | None] | None = None
) -> tuple[str, ...]:
    """The names that a path consists of, if it may be one of the work directory.

    Args:
        path: relative to the work directory, or absolute below it, or below a session's own
            ``/mnt/data``, which has the same files by the same names.
        root: the work directory's own path; empty where absolute ones are refused.
        why: why a name is refused: ``why_unreadable``, or else ``why_unwritable``.

    Raises:
        HostPathRefusedError: it may not, or names the directory itself.
    """
    parts = directory_parts(path, root, why)
    if not parts:
        refuse(path, "it names no file")
    return parts


def directory_parts(
    path: str, root: str = "", why: Callable[[str], str | None] | None = None
) -> tuple[str, ...]:
    """The same for a directory, which may be the work directory itself: no parts.

    Raises:
        HostPathRefusedError: it may not be reached.
    """
    why = why or why_unwritable
    relative = below(path, root, WORK_DIRECTORY)
    if relative is None:
        refuse(path, "it is not below the work directory")
    parts = tuple(part for part in relative.split("/") if part not in ("", "."))
    for part in parts:
        if (reason := why(part)) is not None:
            refuse(path, reason)
    return parts


def relative_path(path: str, root: str = "") -> str:
    """A path as people write it, also of Windows or in a URL, relative to the work directory."""
    path = without_scheme(path).replace("\\", "/")  # which no name may have
    relative = below(path, root, WORK_DIRECTORY)
    return path if relative is None else relative


def is_hidden(name: str) -> bool:
    """Whether a name may be that of what tools on the host keep for themselves."""
    return name.startswith(".") or _SHORT_NAME.search(name) is not None


def why_unreadable(name: str) -> str | None:
    """Why what has this name may not be read, or None if it may."""
    if name == "..":
        return "it may not leave the work directory"
    if is_hidden(name):
        return "names that begin with a dot may hold what tools on the host trust"
    if "\\" in name or not all(map(_is_written, name)):
        return "it has characters that cannot be written in a call. The user can rename it"
    return None


def _is_written(character: str) -> bool:
    # Spaces of every width are in names that systems make; what has no width or shape is not.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def why_unwritable(name: str) -> str | None:
    """Why nothing may be written under this name, or None if it may."""
    if (reason := why_unreadable(name)) is not None:
        return reason
    if not name.isprintable() or name != name.strip() or set(name) & set(':*?"<>|'):
        return f"it has characters that not every system allows in names. {_RENAME}"
    if name.endswith(".") or len(os.fsencode(name)) > _MAX_NAME_BYTES:
        return f"it has a name that not every system allows. {_RENAME}"
    return None


def check_untrusted(path: str, parts: tuple[str, ...], allowed: Collection[str]) -> None:
    """See that a file to be written is none that tools on the host trust by its name.

    Args:
        path: as it was given, for the refusal.
        parts: its names.
        allowed: names, or paths, that the user asked for.

    Raises:
        HostPathRefusedError: it is, and is not allowed.
    """
    name = parts[-1]
    if name.casefold() in _TRUSTED and not {name, "/".join(parts)} & set(allowed):
        refuse(
            path,
            f"tools on the host trust a file of that name. If the user asked for it, pass "
            f'trusted_names=["{name}"]',
        )


def refuse(path: str, reason: str) -> NoReturn:
    """Say why a path is not used.

    Raises:
        HostPathRefusedError: always.
    """
    raise HostPathRefusedError(f"{show_name(path)}: {reason}.")
