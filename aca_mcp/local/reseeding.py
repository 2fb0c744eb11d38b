"""What sessions that are forked from one template would share, made anew in each of them."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from typing import TYPE_CHECKING

from aca_mcp.sandbox.policy import Isolation

if TYPE_CHECKING:
    from aca_mcp.sandbox.policy import SandboxPolicy


def reseed(policy: SandboxPolicy, work_directory: str) -> None:
    """Give this process an environment, paths of modules and random numbers of its own."""
    base, scratch = os.path.dirname(work_directory), "/tmp"  # noqa: PTH120 -- a page of memory less
    if policy.isolation is not Isolation.NAMESPACES:
        scratch = f"{base}/tmp"
    for name in tuple(os.environ):
        # NumPy's own threads stay one, and allocators without any, as where the template has
        # imported them: a session that had to import them itself would have threads from then on,
        # and so no copy to go back to.
        is_for_imports = name.endswith("_NUM_THREADS") and name != "OPENBLAS_NUM_THREADS"
        if is_for_imports or name == "GLIBC_TUNABLES":
            del os.environ[name]
    # Beside the work directory: what pip installs is nothing that listings should show.
    packages = f"{base}/packages"
    os.environ.update(
        HOME=work_directory,
        TMPDIR=scratch,
        MPLCONFIGDIR=f"{scratch}/matplotlib",
        IPYTHONDIR=f"{scratch}/ipython",
        XDG_CACHE_HOME=f"{scratch}/cache",
        PIP_TARGET=packages,
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONUNBUFFERED="1",  # what child processes print comes when they print it
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        TERM="xterm-color",  # as Jupyter has it: what clears the screen is understood, and obeyed
    )
    if not policy.network:
        os.environ["PIP_RETRIES"] = "0"  # say so at once, rather than after five tries
    sys.path.append(packages)
    # As Jupyter has it: the code's own modules come before what is installed, and after the
    # standard library, which the interpreter itself needs.
    sys.path.insert(_before_installed(sys.path), "")
    # Files of a second that are written anew within it would be taken for the same.
    sys.dont_write_bytecode = True
    tempfile.tempdir = None
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    os.chdir(work_directory)


def _before_installed(path: list[str]) -> int:
    names = [entry.rpartition("/")[2] for entry in path]
    found = [names.index(name) for name in ("site-packages", "dist-packages") if name in names]
    return min(found, default=len(path))
