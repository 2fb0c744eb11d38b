"""The filter of system calls, run as the kernel would run it, for both architectures."""

from __future__ import annotations

import errno
import signal
import socket
import struct
import subprocess
import sys

import pytest

from aca_mcp.sandbox import filtered_calls
from aca_mcp.sandbox.seccomp import SystemCallRules, assemble, rules_for
from tests.sandbox.kernel_calls import KERNEL_CALLS

KILL = "kill"
ALLOW = "allow"

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

IN_NAMESPACES = rules_for(namespaces=True, network=False)
ALONE = rules_for(namespaces=False, network=False)
AS_THE_USER = rules_for(namespaces=False, network=False, shares_identity=True)
WITH_NETWORK = rules_for(namespaces=True, network=True)
EVERY_RULES = [IN_NAMESPACES, ALONE, WITH_NETWORK]

# name: (x86_64, aarch64)
ORDINARY = {
    "read": (0, 63),
    "write": (1, 64),
    "mmap": (9, 222),
    "getpid": (39, 172),
    "execve": (59, 221),
    "kill": (62, 129),
    "futex": (202, 98),
    "openat": (257, 56),
    "pidfd_open": (434, 434),
    "openat2": (437, 437),
    "futex_wait": (455, 455),
}
REFUSED = {
    "ptrace": (101, 117),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "perf_event_open": (298, 241),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "personality": (135, 92),
    "quotactl": (179, 60),
    "syslog": (103, 116),
}
ABSENT = {
    name: KERNEL_CALLS[name]
    for name in (
        *("clone3", "io_uring_setup", "io_uring_enter", "userfaultfd", "memfd_create"),
        *("shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop"),
        *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend"),
        *("inotify_init", "inotify_init1", "inotify_add_watch", "io_setup", "io_submit"),
        *("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"),
    )
}
CLONE = {"x86_64": 56, "aarch64": 220}
SOCKET = {"x86_64": 41, "aarch64": 198}
SOCKETPAIR = {"x86_64": 53, "aarch64": 199}
SETSOCKOPT = {"x86_64": 54, "aarch64": 208}
FCNTL = {"x86_64": 72, "aarch64": 25}
IOCTL = {"x86_64": 16, "aarch64": 29}
PRCTL = {"x86_64": 157, "aarch64": 167}
SYNC = {"x86_64": (162, 306), "aarch64": (81, 267)}
SETSID = {"x86_64": 112, "aarch64": 157}
SETPGID = {"x86_64": 109, "aarch64": 154}
MKNODAT = {"x86_64": 259, "aarch64": 33}


def outcome(value: int) -> str | int:
    """What a filter's return value means (seccomp(2))."""
    kind = value & 0xFFFF0000
    if kind == 0x00050000:  # SECCOMP_RET_ERRNO
        return value & 0xFFFF
    return {0x80000000: KILL, 0x7FFF0000: ALLOW}[kind]


def answer(
    rules: SystemCallRules,
    machine: str,
    number: int,
    *arguments: int,
    architecture: int | None = None,
) -> str | int:
    """What the kernel answers to a system call: ``ALLOW``, ``KILL`` or an error number."""
    arch = ARCHITECTURES[machine] if architecture is None else architecture
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    call = struct.pack("<IIQ6Q", number, arch, 0, *padded)
    program = list(struct.iter_unpack("<HBBI", assemble(rules, machine)))
    assert len(program) <= 4096
    accumulator, place = 0, 0
    while True:
        code, if_true, if_false, value = program[place]
        place += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                (accumulator,) = struct.unpack_from("<I", call, value)
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                place += if_true if accumulator == value else if_false
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                place += if_true if accumulator >= value else if_false
            case 0x45:  # BPF_JMP | BPF_JSET | BPF_K
                place += if_true if accumulator & value else if_false
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                accumulator &= value
            case 0x06:  # BPF_RET | BPF_K
                return outcome(value)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def each(table: dict[str, tuple[int, int]]) -> list[object]:
    return [
        pytest.param(machine, numbers[column], id=f"{name}-{machine}")
        for column, machine in enumerate(ARCHITECTURES)
        for name, numbers in table.items()
        if numbers[column] >= 0
    ]


@pytest.mark.parametrize(
    "table",
    [
        *("REFUSED", "ABSENT", "DONE", "BY_ARGUMENT"),
        *("PROCESS_FIRST", "SIGNALS", "OWNER_CHANGES", "OWNER_ATTRIBUTES"),
    ],
)
def test_numbers_are_the_kernels_own(table: str) -> None:
    ours: filtered_calls.Numbers = getattr(filtered_calls, table)
    assert ours == {name: KERNEL_CALLS[name] for name in ours}


@pytest.mark.parametrize(("machine", "number"), each(ORDINARY))
def test_ordinary_calls_are_allowed(machine: str, number: int) -> None:
    for rules in EVERY_RULES:
        assert answer(rules, machine, number) == ALLOW


@pytest.mark.parametrize(("machine", "number"), each(REFUSED))
def test_calls_that_reach_past_the_session_are_refused(machine: str, number: int) -> None:
    for rules in EVERY_RULES:
        assert answer(rules, machine, number) == errno.EPERM


@pytest.mark.parametrize(("machine", "number"), each(ABSENT))
def test_calls_that_libraries_do_without_do_not_exist(machine: str, number: int) -> None:
    for rules in EVERY_RULES:
        assert answer(rules, machine, number) == errno.ENOSYS


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("number", [468, 500, 1000, 0x3FFFFFFF, 0xFFFFFFFF])
def test_calls_newer_than_the_filter_do_not_exist(machine: str, number: int) -> None:
    assert answer(IN_NAMESPACES, machine, number) == errno.ENOSYS


def test_calls_of_x32_do_not_exist() -> None:
    for number, _ in (*ORDINARY.values(), *REFUSED.values()):
        assert answer(IN_NAMESPACES, "x86_64", number | 0x40000000) == errno.ENOSYS


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("architecture", [0x40000003, 0x40000028, 0])  # i386, arm, none
def test_a_call_of_another_architecture_kills(machine: str, architecture: int) -> None:
    for number in (0, 20, 0x40000000):
        assert answer(IN_NAMESPACES, machine, number, architecture=architecture) == KILL


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    "flag", [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]
)
def test_no_namespace_is_made_by_clone(machine: str, flag: int) -> None:
    """CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, with SIGCHLD."""
    for rules in EVERY_RULES:
        assert answer(rules, machine, CLONE[machine], flag | 17) == errno.EPERM


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("flags", [17, 0x01200011, 0x003D0F00, 0x4111])
def test_processes_and_threads_are_made_by_clone(machine: str, flags: int) -> None:
    """What fork, a C library's fork, a thread and vfork pass."""
    for rules in EVERY_RULES:
        assert answer(rules, machine, CLONE[machine], flags) == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("kind", [0o020000, 0o060000])
def test_no_device_is_made(machine: str, kind: int) -> None:
    for rules in EVERY_RULES:
        assert answer(rules, machine, MKNODAT[machine], 0, 0, kind | 0o644) == errno.EPERM
    assert answer(IN_NAMESPACES, "x86_64", 133, 0, kind | 0o644) == errno.EPERM


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("kind", [0, 0o010000, 0o100000, 0o140000])
def test_fifos_files_and_sockets_are_made(machine: str, kind: int) -> None:
    assert answer(IN_NAMESPACES, machine, MKNODAT[machine], 0, 0, kind | 0o644) == ALLOW


FAMILIES = {family.name: int(family) for family in socket.AddressFamily} | {"AF_INET": 2}
INSIDE = {int(socket.AF_UNIX), int(socket.AF_INET), int(socket.AF_INET6)}
STREAM, DATAGRAM, RAW, SEQUENTIAL = 1, 2, 3, 5
CLOSE_ON_EXEC = 0x80000


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_only_sockets_that_stay_inside_are_made(machine: str, family: int) -> None:
    """In a network namespace loopback is inside."""
    call = (machine, SOCKET[machine], family, STREAM | CLOSE_ON_EXEC)
    inside = ALLOW if family in INSIDE else errno.EAFNOSUPPORT
    assert answer(IN_NAMESPACES, *call) == inside
    assert answer(ALONE, *call) == errno.ENETUNREACH
    assert answer(WITH_NETWORK, *call) == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("family", [2, 10])
def test_on_loopback_there_are_tcp_and_udp_and_nothing_else(machine: str, family: int) -> None:
    def made(kind: int, protocol: int) -> str | int:
        return answer(IN_NAMESPACES, machine, SOCKET[machine], family, kind, protocol)

    for protocol in (0, 6, 17):
        assert made(STREAM, protocol) == made(DATAGRAM | CLOSE_ON_EXEC, protocol) == ALLOW
    for protocol in (1, 2, 33, 132, 136, 255, 262):
        assert made(STREAM, protocol) == made(DATAGRAM, protocol) == errno.EPROTONOSUPPORT
    for kind in (RAW, SEQUENTIAL, RAW | CLOSE_ON_EXEC, 4, 6, 10):
        assert made(kind, 0) == errno.EPROTONOSUPPORT


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_without_namespaces_no_pair_of_sockets_can_send_to_a_path(machine: str) -> None:
    number = SOCKETPAIR[machine]
    for kind in (STREAM, SEQUENTIAL, STREAM | CLOSE_ON_EXEC):
        assert answer(ALONE, machine, number, 1, kind) == ALLOW
    for kind in (DATAGRAM, RAW, DATAGRAM | CLOSE_ON_EXEC):
        assert answer(ALONE, machine, number, 1, kind) == errno.EOPNOTSUPP
        assert answer(IN_NAMESPACES, machine, number, 1, kind) == ALLOW
    for rules in (ALONE, IN_NAMESPACES):
        assert answer(rules, machine, number, 30, STREAM) == errno.EAFNOSUPPORT


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_buffers_of_sockets_stay_as_they_are_without_a_word(machine: str) -> None:
    number = SETSOCKOPT[machine]
    for rules in (ALONE, IN_NAMESPACES):
        for option in (7, 8, 32, 33):
            assert answer(rules, machine, number, 3, 1, option) == 0
            assert answer(rules, machine, number, 3, 6, option) == ALLOW
        assert answer(rules, machine, number, 3, 1, 2) == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_code_that_the_kernel_compiles_is_refused(machine: str) -> None:
    for rules in (*EVERY_RULES, AS_THE_USER):
        for option in (26, 50, 51, 52):  # SO_ATTACH_FILTER, _BPF and of SO_REUSEPORT
            assert answer(rules, machine, SETSOCKOPT[machine], 3, 1, option) == errno.EPERM
            assert answer(rules, machine, SETSOCKOPT[machine], 3, 6, option) == ALLOW
        assert answer(rules, machine, PRCTL[machine], 22, 2) == errno.EPERM
        for option in (1, 15, 38, 53):  # PDEATHSIG, NAME, NO_NEW_PRIVS, SPECULATION_CTRL
            assert answer(rules, machine, PRCTL[machine], option, 0) == ALLOW


ATTRIBUTES = {
    "FS_IOC_SETFLAGS": 0x40086602,
    "FS_IOC32_SETFLAGS": 0x40046602,
    "FS_IOC_FSSETXATTR": 0x401C5820,
    "FS_IOC_ENABLE_VERITY": 0x40806685,
    "FS_IOC_SET_ENCRYPTION_POLICY": 0x800C6613,
    "FS_IOC_SETVERSION": 0x40087602,
    "BTRFS_IOC_SUBVOL_CREATE": 0x5000940E,
    "FICLONE": 0x40049409,
}
USUAL_REQUESTS = {"TCGETS": 0x5401, "TIOCGWINSZ": 0x5413, "FIONREAD": 0x541B, "FIONBIO": 0x5421}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_no_descriptor_that_may_be_read_changes_the_file_of_its_owner(machine: str) -> None:
    for request in ATTRIBUTES.values():
        assert answer(AS_THE_USER, machine, IOCTL[machine], 3, request) == errno.ENOTTY
        for rules in EVERY_RULES:
            assert answer(rules, machine, IOCTL[machine], 3, request) == ALLOW
    for request in USUAL_REQUESTS.values():
        assert answer(AS_THE_USER, machine, IOCTL[machine], 3, request) == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_files_are_neither_leased_nor_watched_nor_pipes_made_larger(machine: str) -> None:
    for rules in EVERY_RULES:
        for command in (1024, 1026, 1031):
            assert answer(rules, machine, FCNTL[machine], 3, command, 1) == errno.EPERM
        for command in (0, 1, 2, 3, 4, 6, 1030, 1032):
            assert answer(rules, machine, FCNTL[machine], 3, command, 1) == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_writing_out_everybodys_files_is_only_said_to_be_done(machine: str) -> None:
    for rules in EVERY_RULES:
        for number in SYNC[machine]:
            assert answer(rules, machine, number) == 0


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_where_shares_go_by_terminal_session_nobody_makes_another(machine: str) -> None:
    one_share = rules_for(namespaces=True, network=False, one_share=True)
    assert answer(one_share, machine, SETSID[machine]) == 0
    assert answer(one_share, machine, SETPGID[machine]) == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_without_a_pid_namespace_nobody_leaves_the_group(machine: str) -> None:
    for number in (SETSID[machine], SETPGID[machine]):
        assert answer(ALONE, machine, number) == 0
        assert answer(IN_NAMESPACES, machine, number) == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_without_a_pid_namespace_nobody_signals_the_keeper(machine: str) -> None:
    """By its number, or with all that can be killed at once."""
    keeper, kill, killed = 4321, KERNEL_CALLS["kill"], int(signal.SIGKILL)
    column = list(ARCHITECTURES).index(machine)
    alone = rules_for(namespaces=False, network=False, keeper=keeper)
    for numbers in filtered_calls.SIGNALS.values():
        assert answer(alone, machine, numbers[column], keeper, 0) == errno.EPERM
        assert answer(alone, machine, numbers[column], keeper + 1, killed) == ALLOW
    for several in (0, 2**32 - 1, 2**32 - keeper, 2**64 - 1):
        assert answer(alone, machine, kill[column], several, killed) == errno.EPERM
        assert answer(alone, machine, kill[column], several, signal.SIGTERM) == ALLOW
        for rules in (ALONE, IN_NAMESPACES):
            assert answer(rules, machine, kill[column], several, killed) == ALLOW


def test_an_architecture_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        assemble(IN_NAMESPACES, "riscv64")


def test_the_kernel_does_as_the_filter_says() -> None:
    """The same in earnest, in a process of its own, which it holds for good."""
    program = """
import errno, os, socket
from aca_mcp.sandbox import seccomp, syscalls

def error_of(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]

syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
seccomp.install(seccomp.rules_for(namespaces=True, network=False))
print(error_of(lambda: syscalls.unshare(syscalls.CLONE_NEWUSER)))
print(error_of(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW)))
print(error_of(lambda: socket.socket(socket.AF_UNIX).close()))
print(error_of(lambda: os.memfd_create("x")))
print(error_of(lambda: syscalls.syscall(10_000, what="newer")))
print(error_of(lambda: os.waitpid(os.fork() or os._exit(0), 0)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        *("EPERM", "EPROTONOSUPPORT", "None", "ENOSYS", "ENOSYS", "None")
    ]
