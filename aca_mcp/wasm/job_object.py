"""A job object and a weak token for a process of Windows, which it puts upon itself. Not tried.

In the job it starts no other process, has so much memory, reaches no clipboard and no desktop, and
ends with its last handle. Its token loses every privilege and goes to the integrity level "low":
what others own can be read as before, and not be written. Names, numbers and layouts are those of
``winnt.h``.
"""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

_EXTENDED_LIMITS, _UI_RESTRICTIONS = 9, 4
_LIMIT_ACTIVE_PROCESS, _LIMIT_PROCESS_MEMORY = 0x8, 0x100
_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, _LIMIT_KILL_ON_JOB_CLOSE = 0x400, 0x2000
_ALL_UI_RESTRICTIONS = 0xFF
_BESIDE_THE_INSTANCE_BYTES = 2 * 2**30
"""What the process has besides its instance's memory: code, checkpoints, Python."""

_TOKEN_ADJUST_DEFAULT, _TOKEN_ADJUST_PRIVILEGES, _TOKEN_QUERY = 0x80, 0x20, 0x8
_TOKEN_PRIVILEGES, _TOKEN_INTEGRITY_LEVEL = 3, 25
_PRIVILEGE_REMOVED = 0x4
_GROUP_INTEGRITY = 0x20
_LOW_INTEGRITY = "S-1-16-4096"


class ExtendedLimits(ctypes.Structure):
    """``JOBOBJECT_EXTENDED_LIMIT_INFORMATION``."""

    _fields_: ClassVar = [
        ("per_process_user_time", ctypes.c_int64),
        ("per_job_user_time", ctypes.c_int64),
        ("limit_flags", ctypes.c_uint32),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_process_limit", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory_limit", ctypes.c_size_t),
        ("job_memory_limit", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    ]


class _SidAndAttributes(ctypes.Structure):
    _fields_: ClassVar = [("sid", ctypes.c_void_p), ("attributes", ctypes.c_uint32)]


def limits_of(memory_bytes: int) -> ExtendedLimits:
    """What the job allows. Pure."""
    return ExtendedLimits(
        limit_flags=_LIMIT_ACTIVE_PROCESS
        | _LIMIT_PROCESS_MEMORY
        | _LIMIT_DIE_ON_UNHANDLED_EXCEPTION
        | _LIMIT_KILL_ON_JOB_CLOSE,
        active_process_limit=1,
        process_memory_limit=memory_bytes + _BESIDE_THE_INSTANCE_BYTES,
    )


def labelling_command(directory: Path) -> list[str]:
    """The command that lets a process whose token is weak write below a directory. Pure."""
    return ["icacls", str(directory), "/setintegritylevel", "(OI)(CI)L"]


def hold_process(memory_bytes: int) -> None:
    """Put this process into a job of its own, and weaken its token, for good.

    Raises:
        OSError: the system did not do it.
    """
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        security = ctypes.WinDLL("advapi32", use_last_error=True)
        for function in (kernel.CreateJobObjectW, kernel.GetCurrentProcess, kernel.LocalFree):
            function.restype = ctypes.c_void_p
        process = ctypes.c_void_p(kernel.GetCurrentProcess())
        job = ctypes.c_void_p(kernel.CreateJobObjectW(None, None))
        _check(bool(job.value))
        limits = limits_of(memory_bytes)
        restrictions = ctypes.c_uint32(_ALL_UI_RESTRICTIONS)
        for kind, value in ((_EXTENDED_LIMITS, limits), (_UI_RESTRICTIONS, restrictions)):
            size = ctypes.sizeof(value)
            _check(kernel.SetInformationJobObject(job, kind, ctypes.byref(value), size))
        # The handle stays open: with it, when this process ends, the job ends.
        _check(kernel.AssignProcessToJobObject(job, process))

        token = ctypes.c_void_p()
        access = _TOKEN_ADJUST_DEFAULT | _TOKEN_ADJUST_PRIVILEGES | _TOKEN_QUERY
        _check(security.OpenProcessToken(process, access, ctypes.byref(token)))
        _remove_privileges(security, token)
        sid = ctypes.c_void_p()
        _check(security.ConvertStringSidToSidW(_LOW_INTEGRITY, ctypes.byref(sid)))
        label = _SidAndAttributes(sid, _GROUP_INTEGRITY)
        size = ctypes.sizeof(label) + security.GetLengthSid(sid)
        _check(
            security.SetTokenInformation(token, _TOKEN_INTEGRITY_LEVEL, ctypes.byref(label), size)
        )
        kernel.LocalFree(sid)
        _check(kernel.CloseHandle(token))


def _remove_privileges(security: ctypes.CDLL, token: ctypes.c_void_p) -> None:
    """Take all of them: a count, and for each its number (8 bytes) and what is to become of it."""
    size = ctypes.c_uint32()
    security.GetTokenInformation(token, _TOKEN_PRIVILEGES, None, 0, ctypes.byref(size))
    held = (ctypes.c_uint32 * (size.value // 4))()
    _check(
        security.GetTokenInformation(
            token, _TOKEN_PRIVILEGES, held, ctypes.sizeof(held), ctypes.byref(size)
        )
    )
    for number in range(held[0]):
        held[1 + 3 * number + 2] = _PRIVILEGE_REMOVED
    _check(security.AdjustTokenPrivileges(token, False, held, 0, None, None))


def _check(worked: object) -> None:
    if not worked:
        raise OSError("Windows did not take what is to hold a session")
