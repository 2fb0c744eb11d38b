"""What ``aca-mcp doctor`` concludes from what it found: pure functions from facts to checks.

Nothing here looks at the machine, so every conclusion can be tested on every machine.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aca_mcp.cli.commands import CLIENT_NAMES
from aca_mcp.sandbox.policy import Isolation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aca_mcp.pool import Execution, PoolMetadata, SessionLimits
    from aca_mcp.sandbox.probe import IsolationReport
    from aca_mcp.settings import Settings

_FIRST = ("numpy", "pandas", "matplotlib")
"""What models reach for first."""
_OF_A_DAY = (
    "scipy",
    "scikit-learn",
    "statsmodels",
    "seaborn",
    "openpyxl",
    "pyarrow",
    "polars",
    "duckdb",
    "plotly",
)
"""What a day of an analyst needs besides."""
_LINUX_FIX = (
    "Use sessions in WebAssembly (ACA_MCP_POOL=wasm), or run aca-mcp in a Linux container or "
    "virtual machine, or on Windows under WSL."
)
_ISOLATION_FIX = (
    "Allow one of them: Landlock needs Linux 6.12 or newer; namespaces need a system that lets "
    "this user create them (in a container: --security-opt seccomp=unconfined "
    "--security-opt systempaths=unconfined). ACA_MCP_POOL=wasm needs neither. Last resort, with no "
    "isolation at all: ACA_MCP_LOCAL_ISOLATION=unsafe-none."
)


class State(enum.StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    """It works, and there is something to know or to improve."""
    BROKEN = "broken"
    """What the settings ask for will not work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report."""

    name: str
    state: State
    finding: str
    fix: str = ""


def render(checks: list[Check]) -> str:
    """The report as text, one check a paragraph."""
    width = max(len(check.name) for check in checks)
    lines: list[str] = []
    for check in checks:
        lines.append(f"{check.state:<6}  {check.name:<{width}}  {check.finding}")
        if check.fix:
            lines.append(f"{'':<6}  {'':<{width}}  Fix: {check.fix}")
    broken = sum(check.state is State.BROKEN for check in checks)
    lines.append("")
    lines.append(f"{broken} of {len(checks)} checks failed." if broken else "Ready.")
    return "\n".join(lines) + "\n"


def as_json(checks: list[Check]) -> str:
    """The report for programs."""
    ready = all(check.state is not State.BROKEN for check in checks)
    found = [dataclasses.asdict(check) for check in checks]
    return json.dumps({"ready": ready, "checks": found}, indent=2) + "\n"


def check_pool(settings: Settings) -> Check:
    """Which pool the settings choose, and why."""
    if settings.pool != "auto":
        finding = f"{settings.pool_kind}, because the settings name it"
    elif settings.pool_management_endpoint:
        finding = "azure, because a pool management endpoint is set"
    elif settings.pool_kind == "local":
        finding = "local, because no pool management endpoint is set"
    else:
        finding = f"wasm, because no pool management endpoint is set and this is {sys.platform}"
    return Check("Session pool", State.OK, finding)


def check_platform(platform: str) -> Check:
    """Whether the local pool can run on this kind of system."""
    if platform.startswith("linux"):
        return Check("Platform", State.OK, "Linux")
    return Check(
        "Platform", State.BROKEN, f"the local pool needs Linux, and this is {platform}", _LINUX_FIX
    )


def check_wasm(platform: str, *, is_prepared: bool, second_ring: bool) -> Check:
    """Whether the wasm pool starts at once, what holds it, and how far it was tried here.

    Args:
        platform: as ``sys.platform`` has it.
        is_prepared: nothing has to be compiled any more.
        second_ring: processes of sessions are held by what the system has, too.
    """
    tried = "" if platform == "linux" else "; this version was not tried on this system"
    ring = "its process is held, too" if second_ring else "nothing else holds its process"
    if is_prepared:
        state = State.OK if platform == "linux" else State.NOTE
        finding = f"CPython in WebAssembly, compiled; {ring}{tried}"
        return Check("Interpreter", state, finding)
    return Check(
        "Interpreter",
        State.NOTE,
        f"CPython in WebAssembly, not compiled yet, which takes minutes once; {ring}{tried}",
        "Run aca-mcp warm; otherwise the first call does it.",
    )


def check_isolation(settings: Settings, report: IsolationReport, note: str) -> Check:
    """Which isolation sessions get, and what is missing for a stronger one.

    Args:
        settings: what isolation is asked for.
        report: what this host gives.
        note: the usual reason on this kind of host, or an empty string.
    """
    wanted = settings.local_isolation
    missing = "; ".join(f"no {tier}: {reason}" for tier, reason in report.reasons.items())
    if wanted == Isolation.UNSAFE_NONE:
        return Check(
            "Isolation",
            State.NOTE,
            "none: code runs with all your rights",
            f"Unset ACA_MCP_LOCAL_ISOLATION; this host gives {report.best or 'no isolation'}.",
        )
    given = Isolation(wanted) if wanted != "auto" else report.best
    # A host that gives the stronger isolation gives the weaker one too.
    if given is None or report.best is None or given in report.reasons:
        return Check("Isolation", State.BROKEN, _joined(missing, note), _ISOLATION_FIX)
    if wanted == "auto" and missing:
        return Check("Isolation", State.NOTE, _joined(f"{given} ({missing})", note))
    return Check("Isolation", State.OK, str(given))


def check_session(metadata: PoolMetadata, execution: Execution, seconds: float) -> Check:
    """Whether a session of the real pool computes."""
    if execution.error is not None or value_in(metadata, execution) != "2":
        lost = execution.session_lost or "it gave no result"
        fault = execution.error.message if execution.error else lost
        return Check("Session", State.BROKEN, f"1+1 did not give 2: {fault}")
    finding = f"{metadata.runtime}, {metadata.isolation}; 1+1 = 2 after {seconds:.2f} s"
    return Check("Session", State.OK, finding)


def value_in(metadata: PoolMetadata, execution: Execution) -> str:
    """The text of the one value that code gave; a shell's session prints it."""
    if metadata.runs == "shell":
        return execution.stdout.text.strip()
    values = [str(output.data.get("text/plain")) for output in execution.outputs]
    return values[0] if len(values) == 1 else ""


def check_checkpoints(metadata: PoolMetadata) -> Check:
    """Whether a crash costs more than one execution."""
    if metadata.checkpoints:
        undone = f"{metadata.checkpoints} can be undone"
        finding = f"a crash costs one execution, unless threads go on; {undone}"
        return Check("Checkpoints", State.OK, finding)
    return Check(
        "Checkpoints",
        State.NOTE,
        "none: a crash costs all variables of its session",
        "Where the pool is local, set ACA_MCP_LOCAL_CHECKPOINTS to 1.",
    )


def check_packages(metadata: PoolMetadata, interpreter: str) -> Check:
    """Whether sessions have what models reach for first, and what a day of analysis needs.

    Args:
        metadata: what they have.
        interpreter: theirs, if the settings name one in the place of an environment.
    """
    found = {package.name.lower(): package.version for package in metadata.packages}
    present = ", ".join(f"{name} {found[name]}" for name in _FIRST if name in found)
    absent = [name for name in (*_FIRST, *_OF_A_DAY) if name not in found]
    if not absent:
        return Check("Packages", State.OK, f"{present} and {len(found) - len(_FIRST)} more")
    if metadata.kind == "wasm":
        fix = "Code gets what is pure Python: %pip install. Compiled packages cannot be added."
        return Check("Packages", State.NOTE, f"sessions have no {', '.join(absent)}", fix)
    return Check(
        "Packages",
        State.NOTE,
        f"sessions have no {', '.join(absent)}",
        f"{shlex.quote(interpreter)} -m pip install {' '.join(absent)}"
        if interpreter
        else "Make an environment that has them: aca-mcp env create data.",
    )


def check_environments(settings: Settings, names: Sequence[str]) -> Check:
    """Which environments local sessions can have.

    Args:
        settings: which is chosen.
        names: those that are there, the default first.
    """
    if settings.local_python is not None:
        return Check("Environments", State.OK, f"none; the interpreter {settings.local_python}")
    if not names:
        return Check(
            "Environments", State.NOTE, "none yet: the first call waits", "aca-mcp env create data"
        )
    shown = ", ".join((f"{names[0]} (the default)", *names[1:]))
    return Check("Environments", State.OK, shown)


def check_limits(settings: Settings, limits: SessionLimits, *, machine_bytes: int) -> Check:
    """What one embedded session may use: the figures, and what they are of.

    Args:
        settings: the limits of an execution, and of the pool.
        limits: of a session, as the pool tells them.
        machine_bytes: the machine's memory; 0 where the system does not tell.
    """
    of = f" of this machine's {machine_bytes >> 20:,} MiB" if machine_bytes else " of"
    parts = [
        f"{limits.memory_bytes >> 20:,} MiB{of} memory",
        f"{limits.disk_bytes >> 20:,} MiB of disk",
    ]
    if limits.processes is not None:
        parts.append(f"{limits.processes} processes")
    return Check(
        "Limits",
        State.OK,
        f"{', '.join(parts[:-1])} and {parts[-1]} a session; "
        f"{settings.execution_timeout_seconds:g} s an execution, at most "
        f"{settings.local_max_timeout_seconds:g} s; "
        f"{settings.local_max_concurrent_sessions} sessions at once",
    )


def check_network(settings: Settings) -> Check:
    """Whether code in an embedded session reaches a network."""
    if settings.local_network == "none" or settings.pool_kind == "wasm":
        return Check("Network", State.OK, "code reaches none")
    return Check("Network", State.NOTE, "code reaches all that this machine reaches")


def check_clients(found: Mapping[str, Sequence[str]]) -> Check:
    """Which clients of this user start this server.

    Args:
        found: the names of its entries, by the client's title.
    """
    if not found:
        return Check(
            "Clients",
            State.NOTE,
            "no client of this user has an entry for this server",
            f"aca-mcp install CLIENT, where CLIENT is {', '.join(CLIENT_NAMES)}.",
        )
    shown = [f"{title} ({', '.join(names)})" for title, names in found.items()]
    return Check("Clients", State.OK, ", ".join(shown))


def check_work_dir(settings: Settings, *, writable: bool) -> Check:
    """Whether files can be moved without passing through the model."""
    if settings.work_dir is None:
        return Check("Work directory", State.OK, "not set: models cannot reach files of this host")
    if writable:
        return Check("Work directory", State.OK, str(settings.work_dir))
    return Check(
        "Work directory",
        State.NOTE,
        f"models can read {settings.work_dir}, but this user may not write there",
        "Change its permissions, or name another: ACA_MCP_WORK_DIR. In a container: --user, "
        "with the numbers of the directory's owner.",
    )


def _joined(finding: str, note: str) -> str:
    return f"{finding}. {note}" if note else finding
