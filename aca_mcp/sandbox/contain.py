"""The steps that hold a forked session, in order. Each fails closed, by raising ``OSError``."""

from __future__ import annotations

import os
from contextlib import suppress

from aca_mcp.sandbox import landlock, limits, namespaces, seccomp, syscalls
from aca_mcp.sandbox.policy import DEVICES, Isolation, SandboxPolicy

_WRITABLE_IN_NAMESPACES = ("/mnt", "/tmp", "/dev/shm")
_READABLE_EVERYWHERE = ("/proc", "/dev/fd")


def prepare(policy: SandboxPolicy, *, one_share: bool) -> None:
    """Work out, in the process that forks sessions, what is the same for each of them.

    A session then need not, and has no memory of its own for it.

    Args:
        policy: what is allowed.
        one_share: as for ``contain_session``.
    """
    if policy.isolation is Isolation.NAMESPACES:
        namespaces.what_tells_of_the_machine()
        landlock.abi_version()
        seccomp.assemble(_rules(policy, shares_identity=False, one_share=one_share, keeper=None))


def contain_session(
    policy: SandboxPolicy,
    storage: str,
    identity: int | None,
    *,
    one_share: bool = False,
    has_keeper: bool = False,
) -> None:
    """Hold this process, and all that it will start, to the policy. There is no way back.

    Args:
        policy: what is allowed.
        storage: the session's own directory, where there are no namespaces; ``data``, ``tmp``
            and ``incoming`` are in it.
        identity: the user and group to become, as the template's user namespace counts, where
            root started the server.
        one_share: make no terminal session but this one (``SystemCallRules``).
        has_keeper: this process is to run no code, and outlives those that do.
    """
    # One signal reaches the whole group; without a PID namespace nothing else holds it together.
    os.setsid()
    if policy.isolation is Isolation.NAMESPACES:
        namespaces.enter_session_namespaces(policy, identity)
        writable = _WRITABLE_IN_NAMESPACES
    else:
        if identity is not None:
            namespaces.become_unprivileged(identity)
        # Orphans stay below the session, where the pool looks for what it uses.
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        writable = (storage,)
    limits.apply(policy)
    if policy.isolation is Isolation.UNSAFE_NONE:
        return
    # Capabilities go before anything that could be undone with one; no_new_privs before the two
    # that need it; the filter last, because it refuses what the steps before it do.
    syscalls.drop_all_capabilities()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    in_namespaces = policy.isolation is Isolation.NAMESPACES
    if not in_namespaces or landlock.abi_version() > 0:
        landlock.restrict(
            readable=("/",) if in_namespaces else (*policy.readable, *_READABLE_EVERYWHERE),
            writable=(*writable, *DEVICES),
            # Its own network has loopback, and nothing else to reach.
            network=policy.network or in_namespaces,
        )
    keeper = os.getpid() if has_keeper else None
    shares_identity = identity is None
    seccomp.install(
        _rules(policy, shares_identity=shares_identity, one_share=one_share, keeper=keeper)
    )


def _rules(
    policy: SandboxPolicy, *, shares_identity: bool, one_share: bool, keeper: int | None
) -> seccomp.SystemCallRules:
    return seccomp.rules_for(
        namespaces=policy.isolation is Isolation.NAMESPACES,
        network=policy.network,
        shares_identity=shares_identity,
        one_share=one_share,
        keeper=keeper,
    )


def base_directory(policy: SandboxPolicy, storage: str) -> str:
    """Where a session has its directories, of which ``data`` is the one that it works in."""
    return "/mnt" if policy.isolation is Isolation.NAMESPACES else storage


def prepare_storage(policy: SandboxPolicy, storage: str) -> None:
    """Make the directories of a session that are not there.

    Where it begins anew they are, or are what its code has made of them.
    """
    base = base_directory(policy, storage)
    names = ("data", "incoming", "packages")
    for name in names if policy.isolation is Isolation.NAMESPACES else (*names, "tmp"):
        with suppress(FileExistsError):
            os.mkdir(f"{base}/{name}", mode=0o700)  # noqa: PTH102 -- as quick as can be
