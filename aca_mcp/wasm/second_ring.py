"""What holds a session's process should its code ever leave the instance. Depends on the system.

On Linux: no new privileges, Landlock where the kernel has it, limits of open files, of the size of
a file and of core dumps. Elsewhere there is nothing of the kind yet, and WebAssembly alone holds.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPEN_FILES = 1024
_NICENESS = 5
"""Sessions yield to the server, so that one that computes does not delay the others' calls."""


def hold_process(start: Mapping[str, object]) -> None:
    """Hold this process, which has loaded none of the session's code yet, for good.

    Raises:
        OSError: the system did not take it.
    """
    if sys.platform != "linux":
        return
    import resource

    from aca_mcp.sandbox import landlock, syscalls

    size = int(str(start["disk_bytes"]))
    for kind, wanted in (
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))
    os.nice(_NICENESS)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.abi_version() > 0:
        landlock.restrict(
            readable=(
                *filter(os.path.isabs, sys.path),
                sys.prefix,
                sys.base_prefix,
                "/lib",
                "/lib64",
                "/usr",
                "/etc/ld.so.cache",
                "/proc/self",
                "/sys/devices/system/cpu",
                str(start["module"]),
                str(start["image"]),
            ),
            writable=(str(start["storage"]), "/dev/null"),
            network=False,
        )
