"""The system calls that code in a session may not make, as a seccomp filter.

``assemble`` is pure: a rule set in, the classic BPF program out (seccomp(2), and
``linux/filter.h`` for the encoding). ``install`` puts it in force for good.

It refuses what widens the kernel's attack surface or gets round a limit, not what the other walls
(namespaces, Landlock, resource limits) already decide. Calls newer than the newest known here do
not exist for a session, so that a new kernel adds nothing to what it can do.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import signal
import socket
import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from aca_mcp.sandbox.filtered_calls import (
    ABSENT,
    BY_ARGUMENT,
    DONE,
    NEWEST_KNOWN_CALL,
    OWNER_ATTRIBUTES,
    OWNER_CHANGES,
    PROCESS_FIRST,
    REFUSED,
    SIGNALS,
)
from aca_mcp.sandbox.syscalls import MACHINE, PR_SET_SECCOMP, prctl

if TYPE_CHECKING:
    from aca_mcp.sandbox.filtered_calls import Numbers

_SECCOMP_MODE_FILTER = 2
_RET_KILL_PROCESS = 0x80000000
_RET_ERRNO = 0x00050000
_RET_ALLOW = 0x7FFF0000

_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_AND = 0x54
_RETURN = 0x06

_OFFSET_NUMBER = 0
_OFFSET_ARCHITECTURE = 4
_OFFSET_FIRST_ARGUMENT = 16  # its lower word; the others follow at 8 bytes each

_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_SIGN_BIT = 0x80000000

_SOL_SOCKET = 1
_BUFFER_OPTIONS = (7, 8, 32, 33)
"""``SO_SNDBUF``, ``SO_RCVBUF`` and their ``FORCE`` kin: what lies in a socket is memory that no
limit of a process counts. They are hints, which the kernel cuts anyway, so nothing happens."""
_FILTER_OPTIONS = (26, 50, 51, 52)
"""``SO_ATTACH_FILTER``, ``SO_ATTACH_BPF`` and their ``REUSEPORT`` kin: there is room for so much
compiled code on a machine (``bpf_jit_limit``)."""

_FILE_COMMANDS = (1024, 1026, 1031)
"""``F_SETLEASE`` makes whoever opens a file wait, ``F_NOTIFY`` tells what happens in a directory,
and ``F_SETPIPE_SZ`` takes pages of which all of a user's pipes have so many (fcntl(2))."""

_SOCKET_TYPE_BITS = 0xF  # the others are SOCK_CLOEXEC and SOCK_NONBLOCK
_PAIR_TYPES = (int(socket.SOCK_STREAM), int(socket.SOCK_SEQPACKET))
_INTERNET_TYPES = (int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM))
_INTERNET_PROTOCOLS = (0, int(socket.IPPROTO_TCP), int(socket.IPPROTO_UDP))
"""Others (raw, SCTP, MPTCP …) make the kernel load what nobody needs."""

_NAMESPACE_FLAGS = 0x7E020080
"""Every ``CLONE_NEW*``: CLONE_NEWTIME is 0x80, the others lie in the upper bits."""

_CLONE_PARENT = 0x00008000
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_SETPRIORITY_WHO = 1

_IOCTL_GROUP = 0xFF00
_FILE_IOCTLS = (0x5800, 0x6600, 0x7600, 0x9400)
"""Groups of requests that change a file's attributes (immutable, verity, encryption, project …), or
make subvolumes, for whoever owns it and may only read it: ``chattr(1)``, ``linux/fs.h``."""


@dataclass(frozen=True, slots=True)
class SystemCallRules:
    """What differs between sandboxes."""

    sockets: Sockets
    among_strangers: bool
    """There is no PID namespace, so other processes of the machine are in reach.

    ``setsid`` and ``setpgid`` do nothing, so that a signal to the group reaches every process of
    the session, and none can get out of its first one's care, where the pool counts them. What a
    user's processes may do to one another (limits, priorities) a session may do to itself only.
    """
    shares_identity: bool = False
    """The user of the session has files on this machine, and a session could change their modes,
    times and attributes. It may not, not even those of its own: modes and times are left as they
    are without a word, for too much code takes a refusal to mean failure.
    """
    one_share: bool = False
    """The kernel divides processor time among terminal sessions (sched(7), "autogroup"), so code
    that makes many would have as many shares: ``setsid`` does nothing.
    """
    keeper: int | None = None
    """The number of a process that code may not signal, with which its session would end: among
    strangers there is no namespace whose first process it could be. Nor may code kill all that it
    can, or all of its group, at once, for it is among those.
    """


class Sockets(enum.Enum):
    """What ``socket()`` may make."""

    ALL = enum.auto()
    LOOPBACK = enum.auto()
    """In a network of the session's own: Unix sockets, TCP and UDP."""
    NONE = enum.auto()
    """Landlock does not govern connecting to a Unix socket by its path (a container daemon's, a
    desktop bus's), so without a network namespace there are none. Pairs there are, of the types
    that cannot send to a path."""


def rules_for(
    *,
    namespaces: bool,
    network: bool,
    shares_identity: bool = False,
    one_share: bool = False,
    keeper: int | None = None,
) -> SystemCallRules:
    """The rules of a session."""
    sockets = Sockets.LOOPBACK if namespaces else Sockets.NONE
    return SystemCallRules(
        sockets=Sockets.ALL if network else sockets,
        among_strangers=not namespaces,
        shares_identity=shares_identity and not namespaces,
        one_share=one_share,
        keeper=None if namespaces else keeper,
    )


@cache
def assemble(rules: SystemCallRules, machine: str = MACHINE) -> bytes:
    """Return the filter program for an architecture.

    Raises:
        KeyError: the architecture is not supported.
    """
    column = {"x86_64": 0, "aarch64": 1}[machine]
    program = [
        _statement(_LOAD_WORD, _OFFSET_ARCHITECTURE),
        _jump(_JUMP_EQUAL, _AUDIT_ARCHITECTURE[machine], 1, 0),
        _statement(_RETURN, _RET_KILL_PROCESS),
        _statement(_LOAD_WORD, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":
        program += [_jump(_JUMP_ANY_BIT, _X32_BIT, 0, 1), _fail(errno.ENOSYS)]
    program += [_jump(_JUMP_GREATER_EQUAL, NEWEST_KNOWN_CALL + 1, 0, 1), _fail(errno.ENOSYS)]
    program += _answer_all(REFUSED, column, errno.EPERM)
    program += _answer_all(ABSENT, column, errno.ENOSYS)
    program += _answer_all(DONE, column, 0)

    number = {name: numbers[column] for name, numbers in BY_ARGUMENT.items()}
    forbidden_flags = _NAMESPACE_FLAGS | (_CLONE_PARENT if rules.among_strangers else 0)
    program += _refuse_if(number["clone"], 0, _JUMP_ANY_BIT, forbidden_flags)
    # Of a device; of a FIFO, a socket or a file it is not refused.
    device_bit = 0x2000  # in S_IFCHR and S_IFBLK, and in no other type that mknod makes
    program += _refuse_if(number["mknod"], 1, _JUMP_ANY_BIT, device_bit)
    program += _refuse_if(number["mknodat"], 2, _JUMP_ANY_BIT, device_bit)
    for command in _FILE_COMMANDS:
        program += _refuse_if(number["fcntl"], 1, _JUMP_EQUAL, command, decides=False)
    program += _refuse_if(number["prctl"], 0, _JUMP_EQUAL, _PR_SET_SECCOMP, decides=False)
    program += _answer_options(number["setsockopt"], _FILTER_OPTIONS, errno.EPERM)
    if rules.one_share:
        program += _answer(number["setsid"], 0)
    if rules.among_strangers:
        program += _rules_among_strangers(number, column)
        if rules.keeper is not None:
            program += _rules_of_signals(number["kill"], column, rules.keeper)
    if rules.shares_identity:
        program += _answer_all(OWNER_CHANGES, column, 0)
        program += _answer_all(OWNER_ATTRIBUTES, column, errno.EPERM)
        program += _of(number["ioctl"], _rules_of_requests())
    if rules.sockets is not Sockets.ALL:
        program += _rules_of_sockets(number, loopback=rules.sockets is Sockets.LOOPBACK)
    program.append(_statement(_RETURN, _RET_ALLOW))
    return b"".join(program)


def _rules_among_strangers(number: dict[str, int], column: int) -> list[bytes]:
    program: list[bytes] = []
    for name in ("setsid", "setpgid"):
        program += _answer(number[name], 0)
    # A process that is not dumpable hides what it has from a server of the same user.
    for option in (_PR_SET_CHILD_SUBREAPER, _PR_SET_DUMPABLE):
        program += _refuse_if(number["prctl"], 0, _JUMP_EQUAL, option, decides=False)
    who = PROCESS_FIRST["setpriority"][column]
    program += _refuse_if(who, _SETPRIORITY_WHO, _JUMP_GREATER_EQUAL, 1, decides=False)
    for numbers in PROCESS_FIRST.values():
        program += _refuse_if(numbers[column], 0, _JUMP_GREATER_EQUAL, 1)
    program += _answer(number["ioprio_set"], errno.EPERM)
    return program


def _rules_of_signals(kill: int, column: int, keeper: int) -> list[bytes]:
    program: list[bytes] = []
    for numbers in SIGNALS.values():
        program += _refuse_if(numbers[column], 0, _JUMP_EQUAL, keeper, decides=False)
    several = [
        _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT + 8),
        _jump(_JUMP_EQUAL, int(signal.SIGKILL), 0, 4),
        _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT),
        _jump(_JUMP_EQUAL, 0, 1, 0),
        _jump(_JUMP_ANY_BIT, _SIGN_BIT, 0, 1),
        _fail(errno.EPERM),
        _statement(_LOAD_WORD, _OFFSET_NUMBER),
    ]
    return program + _of(kill, several)


def _rules_of_sockets(number: dict[str, int], *, loopback: bool) -> list[bytes]:
    pair = _only(0, (int(socket.AF_UNIX),), errno.EAFNOSUPPORT)
    if not loopback:
        pair += _only(1, _PAIR_TYPES, errno.EOPNOTSUPP, bits=_SOCKET_TYPE_BITS)
    pair.append(_statement(_RETURN, _RET_ALLOW))
    internet = [
        *_only(1, _INTERNET_TYPES, errno.EPROTONOSUPPORT, bits=_SOCKET_TYPE_BITS),
        *_only(2, _INTERNET_PROTOCOLS, errno.EPROTONOSUPPORT),
        _statement(_RETURN, _RET_ALLOW),
    ]
    families = (int(socket.AF_INET), int(socket.AF_INET6))
    made = [
        _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT),
        _jump(_JUMP_EQUAL, int(socket.AF_UNIX), 0, 1),
        _statement(_RETURN, _RET_ALLOW),
        *_only(0, families, errno.EAFNOSUPPORT),
        *internet,
    ]
    program = _of(number["socket"], made if loopback else [_fail(errno.ENETUNREACH)])
    program += _of(number["socketpair"], pair)
    program += _answer_options(number["setsockopt"], _BUFFER_OPTIONS, 0)
    return program


def _rules_of_requests() -> list[bytes]:
    """Answer, of ``ioctl``, what changes attributes of files as a file system that has none."""
    program = [
        _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT + 8),
        _statement(_AND, _IOCTL_GROUP),
    ]
    for group in _FILE_IOCTLS:
        program += _answer(group, errno.ENOTTY)
    program.append(_statement(_LOAD_WORD, _OFFSET_NUMBER))
    return program


def _answer_options(number: int, options: tuple[int, ...], error: int) -> list[bytes]:
    """Answer ``setsockopt`` for some options of every socket."""
    program: list[bytes] = []
    for option in options:
        body = [
            _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT + 8),
            _jump(_JUMP_EQUAL, _SOL_SOCKET, 0, 3),
            _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT + 16),
            _jump(_JUMP_EQUAL, option, 0, 1),
            _fail(error),
            _statement(_LOAD_WORD, _OFFSET_NUMBER),
        ]
        program += _of(number, body)
    return program


def _of(number: int, body: list[bytes]) -> list[bytes]:
    """Instructions for one call alone."""
    return [_jump(_JUMP_EQUAL, number, 0, len(body)), *body]


def _only(
    argument: int, values: tuple[int, ...], error: int, bits: int | None = None
) -> list[bytes]:
    """Refuse a call unless an argument, or some bits of it, is one of some values; else go on."""
    program = [_statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT + 8 * argument)]
    if bits is not None:
        program.append(_statement(_AND, bits))
    program += [
        _jump(_JUMP_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)
    ]
    program.append(_fail(error))
    return program


def _answer_all(calls: Numbers, column: int, error: int) -> list[bytes]:
    program: list[bytes] = []
    for numbers in calls.values():
        program += _answer(numbers[column], error)
    return program


def _answer(number: int, error: int) -> list[bytes]:
    """Answer a call with an error, or with 0 as if it were done."""
    return [] if number < 0 else [_jump(_JUMP_EQUAL, number, 0, 1), _fail(error)]


def _refuse_if(
    number: int, argument: int, test: int, value: int, *, decides: bool = True
) -> list[bytes]:
    """Refuse a call if its argument passes a test; else allow it, or go on to the next rule."""
    if number < 0:
        return []
    last = _statement(_RETURN, _RET_ALLOW) if decides else _statement(_LOAD_WORD, _OFFSET_NUMBER)
    return [
        _jump(_JUMP_EQUAL, number, 0, 4),
        _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT + 8 * argument),
        _jump(test, value, 0, 1),
        _fail(errno.EPERM),
        last,
    ]


def install(rules: SystemCallRules) -> None:
    """Put the filter in force for this process and all that it starts, for good.

    ``no_new_privs`` must have been set.

    Raises:
        OSError: the kernel did not take it.
    """
    code = assemble(rules)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    holder = ctypes.create_string_buffer(filter_program, len(filter_program))
    prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(holder))


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _fail(number: int) -> bytes:
    return _statement(_RETURN, _RET_ERRNO | number)
