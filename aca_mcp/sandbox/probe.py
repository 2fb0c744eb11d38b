"""Which isolation this host gives: found by trying it in a child process, never by reading flags.

Distributions answer ``unshare`` with success and take the rights away afterwards, containers mask
``/proc``, filters refuse one call of many: only doing all of it tells.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.sandbox import landlock, namespaces, syscalls
from aca_mcp.sandbox.contain import contain_session, prepare_storage
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy, readable_paths

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_REPORT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """What a host can do."""

    best: Isolation | None
    """The strongest isolation that works, or None if there is none."""
    reasons: dict[Isolation, str]
    """Why each that does not work does not, in the kernel's words."""


def probe_isolation(policy: SandboxPolicy | None = None) -> IsolationReport:
    """Try each isolation, strongest first, and stop at the first that holds.

    Must be called where forking is safe: in a process with one thread, or one whose child does
    nothing but system calls, as here. Takes some milliseconds.
    """
    reasons: dict[Isolation, str] = {}
    if not sys.platform.startswith("linux"):
        return IsolationReport(None, dict.fromkeys(Isolation, "only Linux has what it needs"))
    for isolation in (Isolation.NAMESPACES, Isolation.LANDLOCK):
        reason = _try(isolation, policy)
        if reason is None:
            return IsolationReport(isolation, reasons)
        reasons[isolation] = reason
    return IsolationReport(None, reasons)


def _try(isolation: Isolation, policy: SandboxPolicy | None) -> str | None:
    if isolation is Isolation.LANDLOCK and (reason := _landlock_alone_falls_short()):
        return reason
    trial = _trial_policy(isolation, policy)
    with tempfile.TemporaryDirectory(prefix="aca-mcp-probe-") as storage:
        if os.geteuid() == 0:
            os.chown(storage, namespaces.UNPRIVILEGED_ID, namespaces.UNPRIVILEGED_ID)
        return _reason_of_child(lambda: _contain_for_trial(trial, storage))


def _landlock_alone_falls_short() -> str | None:
    version = landlock.abi_version()
    if version >= landlock.MINIMUM_ABI_ALONE:
        return None
    found = f"Landlock version {version}" if version else "no Landlock"
    return f"needs Landlock version {landlock.MINIMUM_ABI_ALONE} (Linux 6.12); here: {found}"


def _trial_policy(isolation: Isolation, policy: SandboxPolicy | None) -> SandboxPolicy:
    return SandboxPolicy(
        isolation=isolation,
        network=policy.network if policy else False,
        memory_bytes=2**30,
        disk_bytes=2**20,
        scratch_bytes=2**20,
        max_tasks=64,
        readable=policy.readable if policy else readable_paths((), network=False),
    )


def _contain_for_trial(policy: SandboxPolicy, storage: str) -> None:
    if policy.isolation is Isolation.NAMESPACES:
        namespaces.enter_template_namespaces(policy)
        # The PID namespace begins with the next child, and only there can /proc be mounted.
        reason = _reason_of_child(lambda: _contain_in_template(policy))
        if reason:
            raise OSError(reason)
        return
    contain_session(policy, storage, namespaces.UNPRIVILEGED_ID if os.geteuid() == 0 else None)
    prepare_storage(policy, storage)


def _contain_in_template(policy: SandboxPolicy) -> None:
    namespaces.mount_proc()
    syscalls.unshare(syscalls.CLONE_NEWPID)
    reason = _reason_of_child(lambda: _contain_as_session(policy))
    if reason:
        raise OSError(reason)


def _contain_as_session(policy: SandboxPolicy) -> None:
    contain_session(policy, "", None)
    prepare_storage(policy, "")


def _reason_of_child(action: Callable[[], None]) -> str | None:
    """Run an action in a forked child: None if it went well, else what went wrong."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        report = b""
        try:
            action()
        except BaseException as error:
            report = (
                syscalls.words_of(error).encode(errors="replace")[:_MAX_REPORT_BYTES] or b"failed"
            )
        finally:
            os.write(writer, report)
            os._exit(0 if not report else 1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read(_MAX_REPORT_BYTES)
    _, status = os.waitpid(child, 0)
    if report:
        return report.decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    return None if code == 0 else f"the trial process ended with status {code}"


def host_note() -> str:
    """A hint for the usual reason why namespaces do not work here, or an empty string."""
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if restricted.exists() and restricted.read_text(encoding="ascii").strip() == "1":
        return (
            "This system's AppArmor restricts user namespaces "
            "(kernel.apparmor_restrict_unprivileged_userns = 1)."
        )
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return "This is a container; its system call filter usually forbids namespaces."
    return ""
