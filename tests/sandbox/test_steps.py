"""The steps that hold a session, taken in this process's children, and what is left after them."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp import kernel
from aca_mcp.sandbox import namespaces, syscalls
from aca_mcp.sandbox.contain import base_directory, contain_session, prepare_storage
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy, readable_paths
from tests.support.forked import in_child
from tests.support.policies import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Generator


def policy_for(isolation: Isolation, *, network: bool = False) -> SandboxPolicy:
    directories = (sys.prefix, sys.base_prefix, *kernel.__path__)
    return UNSAFE._replace(
        isolation=isolation,
        network=network,
        readable=readable_paths(directories, network=network),
    )


def passed(failure: str | None) -> None:
    assert failure is None, failure


@pytest.mark.parametrize("network", [False, True])
def test_in_namespaces_a_session_sees_its_own_directories_and_nothing_of_the_host(
    network: bool, tmp_path: Path
) -> None:
    policy = policy_for(Isolation.NAMESPACES, network=network)
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="ascii")

    def session() -> None:
        contain_session(policy, "", None)
        assert base_directory(policy, "") == "/mnt"
        prepare_storage(policy, "")
        Path("/mnt/data/file").write_text("x", encoding="ascii")
        assert not secret.exists()
        assert not Path("/home").exists()
        assert [path.name for path in Path("/proc").glob("[0-9]*")] == ["1"]
        assert os.getuid() == namespaces.SESSION_ID
        with pytest.raises(OSError, match=r"Read-only file system|Permission denied"):
            Path("/usr/file").write_text("x", encoding="ascii")
        with pytest.raises(OSError, match="not permitted"):
            syscalls.unshare(syscalls.CLONE_NEWNS)

    def template() -> None:
        namespaces.mount_proc()
        namespaces.mount_template_scratch(policy)
        syscalls.unshare(syscalls.CLONE_NEWPID)
        passed(in_child(session))

    def outside() -> None:
        namespaces.enter_template_namespaces(policy)
        passed(in_child(template))

    passed(in_child(outside))


@pytest.fixture
def storage() -> Generator[Path]:
    """A directory of one session, as the pool makes it."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, namespaces.UNPRIVILEGED_ID, namespaces.UNPRIVILEGED_ID)
        yield Path(name)


def identity() -> int | None:
    return namespaces.UNPRIVILEGED_ID if os.geteuid() == 0 else None


def test_with_landlock_a_session_writes_to_its_storage_and_reads_nothing_of_the_host(
    storage: Path, tmp_path: Path
) -> None:
    # Not the interpreter: it may live where only the user who runs the tests may look.
    policy = policy_for(Isolation.LANDLOCK)._replace(readable=readable_paths((), network=False))
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="ascii")
    tmp_path.chmod(0o755)

    def session() -> None:
        contain_session(policy, str(storage), identity())
        prepare_storage(policy, str(storage))
        (storage / "data" / "file").write_text("x", encoding="ascii")
        with pytest.raises(PermissionError):
            secret.read_text(encoding="ascii")
        with pytest.raises(PermissionError):
            Path("/tmp/aca-mcp-escape").touch()
        with pytest.raises(PermissionError):
            list(Path("/home").iterdir())

    passed(in_child(session))
    assert (storage / "data" / "file").exists()


def test_without_isolation_there_are_limits_and_nothing_else(storage: Path) -> None:
    policy = policy_for(Isolation.UNSAFE_NONE)

    def session() -> None:
        contain_session(policy, str(storage), identity())
        prepare_storage(policy, str(storage))
        assert list(Path("/usr").iterdir())
        with pytest.raises(MemoryError):
            bytearray(2**45)

    passed(in_child(session))
