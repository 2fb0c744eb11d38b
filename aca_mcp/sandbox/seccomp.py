"""The system calls that code in a session may not make, as a seccomp filter.

``assemble`` is pure: a rule set in, the classic BPF program out (seccomp(2), and
``linux/filter.h`` for the encoding). ``install`` puts it in force for good.

It refuses what widens the kernel's attack surface or gets round a limit, not what the other walls
(namespaces, Landlock, resource limits) already decide. Calls newer than the newest known here do
not exist for a session, so that a new kernel adds nothing to what it can do.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from dataclasses import dataclass

from aca_mcp.sandbox.syscalls import MACHINE, PR_SET_SECCOMP, prctl

_SECCOMP_MODE_FILTER = 2
_RET_KILL_PROCESS = 0x80000000
_RET_ERRNO = 0x00050000
_RET_ALLOW = 0x7FFF0000

_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_OFFSET_NUMBER = 0
_OFFSET_ARCHITECTURE = 4
_OFFSET_FIRST_ARGUMENT = 16  # its lower word; the others follow at 8 bytes each

_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_NEWEST_KNOWN_CALL = 467

_BUFFER_OPTIONS = (7, 8, 32, 33)
"""``SO_SNDBUF``, ``SO_RCVBUF`` and their ``FORCE`` kin: what lies in a socket is memory that no
limit of a process counts."""

_NAMESPACE_FLAGS = 0x7E020080
"""Every ``CLONE_NEW*``: CLONE_NEWTIME is 0x80, the others lie in the upper bits."""

_CLONE_PARENT = 0x00008000
_PR_SET_CHILD_SUBREAPER = 36

_NUMBERS: dict[str, tuple[int, int]] = {
    # name: (x86_64, aarch64); -1 where there is none
    "socket": (41, 198),
    "socketpair": (53, 199),
    "setsockopt": (54, 208),
    "clone": (56, 220),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "prctl": (157, 167),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, -1),
    "iopl": (172, -1),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mknod": (133, -1),
    "mknodat": (259, 33),
    "modify_ldt": (154, -1),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, -1),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}

_HANDLED_APART = frozenset(
    {
        "socket",
        "socketpair",
        "setsockopt",
        "clone",
        "setpgid",
        "setsid",
        "mknod",
        "mknodat",
        "prctl",
    }
)
_AS_IF_ABSENT = frozenset(
    # Answered "no such call", so that libraries take the other way that they have.
    {"clone3", "memfd_create", "memfd_secret", "shmget", "msgget", "semget", "mq_open"}
    | {"io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd"}
)

_PROCESS_FIRST: dict[str, tuple[int, int]] = {
    # Calls whose first argument names a process, which a user's processes may do to one another.
    "migrate_pages": (256, 238),
    "prlimit64": (302, 261),
    "process_mrelease": (448, 448),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "setpriority": (141, 140),  # the kind of what the second names; 0 is a process
}
_SETPRIORITY_WHO = 1
_IOPRIO_SET = (251, 30)

_OWNER_CHANGES: dict[str, tuple[int, int]] = {
    # What the owner of a file may do by its path alone, which Landlock does not govern.
    "chmod": (90, -1),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "futimesat": (261, -1),
    "utime": (132, -1),
    "utimensat": (280, 88),
    "utimes": (235, -1),
}
_OWNER_ATTRIBUTES: dict[str, tuple[int, int]] = {
    "chown": (92, -1),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "lchown": (94, -1),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
}


@dataclass(frozen=True, slots=True)
class SystemCallRules:
    """What differs between sandboxes."""

    allowed_socket_families: tuple[int, ...] | None
    """Families that ``socket()`` may make; None for all. Others get ``ENETUNREACH``."""
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


def rules_for(*, namespaces: bool, network: bool, shares_identity: bool = False) -> SystemCallRules:
    """The rules of a session.

    Without a network namespace even a Unix socket reaches out: Landlock does not govern
    connecting to one by its path (a container daemon's, a desktop bus's), so there are none.
    """
    if network:
        families = None
    elif namespaces:
        families = (int(socket.AF_UNIX),)
    else:
        families = ()
    return SystemCallRules(
        allowed_socket_families=families,
        among_strangers=not namespaces,
        shares_identity=shares_identity and not namespaces,
    )


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
    program += [_jump(_JUMP_GREATER_EQUAL, _NEWEST_KNOWN_CALL + 1, 0, 1), _fail(errno.ENOSYS)]

    for name, numbers in sorted(_NUMBERS.items()):
        number = numbers[column]
        if number < 0 or name in _HANDLED_APART:
            continue
        number_of = errno.ENOSYS if name in _AS_IF_ABSENT else errno.EPERM
        program += [_jump(_JUMP_EQUAL, number, 0, 1), _fail(number_of)]

    forbidden_flags = _NAMESPACE_FLAGS | (_CLONE_PARENT if rules.among_strangers else 0)
    program += _refuse_if(_NUMBERS["clone"][column], 0, _JUMP_ANY_BIT, forbidden_flags)
    # Of a device; of a FIFO, a socket or a file it is not refused.
    device_bit = 0x2000  # in S_IFCHR and S_IFBLK, and in no other type that mknod makes
    program += _refuse_if(_NUMBERS["mknod"][column], 1, _JUMP_ANY_BIT, device_bit)
    program += _refuse_if(_NUMBERS["mknodat"][column], 2, _JUMP_ANY_BIT, device_bit)
    if rules.among_strangers:
        program += _rules_among_strangers(column)
    if rules.shares_identity:
        for numbers in _OWNER_CHANGES.values():
            program += _answer(numbers[column], 0)
        for numbers in _OWNER_ATTRIBUTES.values():
            program += _answer(numbers[column], errno.EPERM)
    if rules.allowed_socket_families is not None:
        program += _only_families(
            _NUMBERS["socket"][column], rules.allowed_socket_families, errno.ENETUNREACH
        )
        program += _only_families(
            _NUMBERS["socketpair"][column], (int(socket.AF_UNIX),), errno.EAFNOSUPPORT
        )
        for option in _BUFFER_OPTIONS:
            number = _NUMBERS["setsockopt"][column]
            program += _refuse_if(number, 2, _JUMP_EQUAL, option, decides=False)
    program.append(_statement(_RETURN, _RET_ALLOW))
    return b"".join(program)


def _rules_among_strangers(column: int) -> list[bytes]:
    program: list[bytes] = []
    for name in ("setsid", "setpgid"):
        program += _answer(_NUMBERS[name][column], 0)
    program += _refuse_if(_NUMBERS["prctl"][column], 0, _JUMP_EQUAL, _PR_SET_CHILD_SUBREAPER)
    who = _PROCESS_FIRST["setpriority"][column]
    program += _refuse_if(who, _SETPRIORITY_WHO, _JUMP_GREATER_EQUAL, 1, decides=False)
    for numbers in _PROCESS_FIRST.values():
        program += _refuse_if(numbers[column], 0, _JUMP_GREATER_EQUAL, 1)
    program += _answer(_IOPRIO_SET[column], errno.EPERM)
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


def _only_families(number: int, families: tuple[int, ...], error: int) -> list[bytes]:
    body = [
        _statement(_LOAD_WORD, _OFFSET_FIRST_ARGUMENT),
        *(
            _jump(_JUMP_EQUAL, family, len(families) - place, 0)
            for place, family in enumerate(families)
        ),
        _fail(error),
        _statement(_RETURN, _RET_ALLOW),
    ]
    return [_jump(_JUMP_EQUAL, number, 0, len(body)), *body]


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
