"""What holds a session's process should its code ever leave the instance. Depends on the system.

Linux: namespaces for users, network and IPC where this user may make them, limits, no capabilities,
Landlock where the kernel has it, and the system call filter of local sessions. macOS: a Seatbelt
profile. Windows: a job object, and a token with next to no rights. Those two have not been tried.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.wasm import seatbelt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aca_mcp.wasm.cache import Prepared

_MAX_TASKS = 4096
"""Of the user, for the kernel counts threads by user; a session's process has a few."""
_KEPT_VARIABLES = frozenset(
    {"LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH"}
    | {"SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "WINDIR"}
)
"""Of the server's environment, which has credentials."""


def environment() -> dict[str, str]:
    """What a session's process sees of the server's environment."""
    return {name: value for name, value in os.environ.items() if name.upper() in _KEPT_VARIABLES}


def command_of(
    worker: Sequence[str], prepared: Prepared, storage: Path, *, system: str = sys.platform
) -> list[str]:
    """The command that starts a session's process within what holds it.

    Args:
        worker: the command without that.
        prepared: what it reads.
        storage: the directory of its session.
        system: as ``sys.platform`` has it.
    """
    if system != "darwin":
        return list(worker)  # it holds itself, before it loads what is not trusted
    return seatbelt.command_of(
        worker, _readable(prepared.module, prepared.image), _writable(storage)
    )


def hold_process(start: Mapping[str, object]) -> None:
    """Hold this process, which has loaded none of the session's code yet, for good.

    Raises:
        OSError: the system did not take it.
    """
    if sys.platform == "linux":
        storage = Path(str(start["storage"]))
        readable = _readable(Path(str(start["module"])), Path(str(start["image"])))
        _hold_on_linux(
            (*readable, str(storage / "packages")),
            _writable(storage),
            memory_bytes=int(str(start["memory_bytes"])),
            disk_bytes=int(str(start["disk_bytes"])),
        )
    elif sys.platform == "win32":
        from aca_mcp.wasm import job_object

        job_object.hold_process(int(str(start["memory_bytes"])))


def _readable(module: Path, image: Path) -> tuple[str, ...]:
    """The interpreter that runs this, and what the instance is made of."""
    interpreter = filter(os.path.isabs, (*sys.path, sys.prefix, sys.base_prefix))
    return (*interpreter, str(module), str(image))


def _writable(storage: Path) -> tuple[str, ...]:
    return str(storage / "data"), str(storage / "tmp")


def _hold_on_linux(
    readable: Sequence[str], writable: Sequence[str], *, memory_bytes: int, disk_bytes: int
) -> None:
    from aca_mcp.sandbox import landlock, limits, namespaces, seccomp, syscalls
    from aca_mcp.sandbox.policy import Isolation, SandboxPolicy

    policy = SandboxPolicy(
        isolation=Isolation.LANDLOCK,
        network=False,
        memory_bytes=memory_bytes,
        disk_bytes=disk_bytes,
        scratch_bytes=disk_bytes,
        max_tasks=_MAX_TASKS,
        readable=(),
    )
    apart = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
    if _works_in_a_child(lambda: namespaces.enter_user_namespace(apart)):
        namespaces.enter_user_namespace(apart)
    limits.restrict_descriptors()
    limits.apply(policy)
    syscalls.drop_all_capabilities()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.abi_version() > 0:
        system = (
            "/lib",
            "/lib64",
            "/usr",
            "/etc/ld.so.cache",
            "/proc/self",
            "/sys/devices/system/cpu",
        )
        landlock.restrict(
            readable=(*readable, *system), writable=(*writable, "/dev/null"), network=False
        )
    # Last, because it refuses what the steps before it do.
    rules = seccomp.rules_for(namespaces=False, network=False, shares_identity=True)
    seccomp.install(rules)


def _works_in_a_child(step: Callable[[], None]) -> bool:
    """Whether a step would work: half of one cannot be undone."""
    if sys.platform == "win32":
        return False
    child = os.fork()
    if child == 0:
        try:
            step()
        except OSError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0
