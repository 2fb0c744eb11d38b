"""Which isolation a host gives, found by trying."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aca_mcp.sandbox import landlock
from aca_mcp.sandbox.policy import Isolation
from aca_mcp.sandbox.probe import host_note, probe_isolation
from tests.sandbox.programs import run

if TYPE_CHECKING:
    import pytest


def test_this_machine_gives_an_isolation_that_holds() -> None:
    report = probe_isolation()
    assert report.best in (Isolation.NAMESPACES, Isolation.LANDLOCK), report.reasons
    if os.environ.get("CI"):
        assert report.best is Isolation.NAMESPACES, report.reasons
    if report.best is Isolation.NAMESPACES:
        assert report.reasons == {}


def test_trying_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    probe_isolation()
    assert list(tmp_path.iterdir()) == []
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == descriptors


def test_where_namespaces_are_forbidden_landlock_takes_their_place() -> None:
    """As in a container, whose filter refuses ``unshare``, and neither Landlock nor filters."""
    program = """
    from aca_mcp.sandbox.probe import probe_isolation
    seccomp.ABSENT.clear()
    seccomp._PR_SET_SECCOMP = -1 & 0xFFFFFFFF
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(seccomp.rules_for(namespaces=True, network=True))
    report = probe_isolation()
    print(json.dumps({"best": report.best, **report.reasons}))
    """
    report = cast("dict[str, str]", run(program))
    assert report["namespaces"].endswith("unshare: Operation not permitted")
    if landlock.abi_version() >= landlock.MINIMUM_ABI_ALONE:
        assert report["best"] == "landlock"
    else:
        assert report["best"] is None
        assert report["landlock"].startswith("needs Landlock version 6 (Linux 6.12); here: ")


def test_where_there_is_neither_there_is_none() -> None:
    program = """
    from aca_mcp.sandbox.probe import probe_isolation
    seccomp.NEWEST_KNOWN_CALL = 443
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(seccomp.rules_for(namespaces=True, network=True))
    report = probe_isolation()
    print(json.dumps([report.best, report.reasons["landlock"]]))
    """
    assert run(program) == [None, "needs Landlock version 6 (Linux 6.12); here: no Landlock"]


def test_elsewhere_than_on_linux_there_is_none() -> None:
    program = """
    from aca_mcp.sandbox.probe import probe_isolation
    sys.platform = "darwin"
    report = probe_isolation()
    sys.platform = "linux"
    print(json.dumps([report.best, report.reasons["namespaces"]]))
    """
    assert run(program) == [None, "only Linux has what it needs"]


def test_a_note_about_the_host_is_a_sentence_or_nothing() -> None:
    assert host_note() == "" or host_note().endswith((".", ")."))
