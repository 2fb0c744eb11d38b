"""System calls by number, each refused with the error that the filter has for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.hostile.arena import ended_by

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

ON_X86 = os.uname().machine == "x86_64"

CALLS = {
    # name: (x86_64, aarch64, refusal)
    "mount": (165, 40, "EPERM"),
    "umount2": (166, 39, "EPERM"),
    "pivot_root": (155, 41, "EPERM"),
    "chroot": (161, 51, "EPERM"),
    "unshare": (272, 97, "EPERM"),
    "setns": (308, 268, "EPERM"),
    "open_tree": (428, 428, "EPERM"),
    "move_mount": (429, 429, "EPERM"),
    "fsopen": (430, 430, "EPERM"),
    "fsconfig": (431, 431, "EPERM"),
    "fsmount": (432, 432, "EPERM"),
    "mount_setattr": (442, 442, "EPERM"),
    "keyctl": (250, 219, "EPERM"),
    "add_key": (248, 217, "EPERM"),
    "request_key": (249, 218, "EPERM"),
    "bpf": (321, 280, "EPERM"),
    "perf_event_open": (298, 241, "EPERM"),
    "ptrace": (101, 117, "EPERM"),
    "process_vm_readv": (310, 270, "EPERM"),
    "process_vm_writev": (311, 271, "EPERM"),
    "pidfd_getfd": (438, 438, "EPERM"),
    "kcmp": (312, 272, "EPERM"),
    "open_by_handle_at": (304, 265, "EPERM"),
    "name_to_handle_at": (303, 264, "EPERM"),
    "kexec_load": (246, 104, "EPERM"),
    "init_module": (175, 105, "EPERM"),
    "finit_module": (313, 273, "EPERM"),
    "reboot": (169, 142, "EPERM"),
    "swapon": (167, 224, "EPERM"),
    "settimeofday": (164, 170, "EPERM"),
    "sethostname": (170, 161, "EPERM"),
    "syslog": (103, 116, "EPERM"),
    "acct": (163, 89, "EPERM"),
    "quotactl": (179, 60, "EPERM"),
    "personality": (135, 92, "EPERM"),
    "fanotify_init": (300, 262, "EPERM"),
    "vhangup": (153, 58, "EPERM"),
    "clone3": (435, 435, "ENOSYS"),
    "memfd_create": (319, 279, "ENOSYS"),
    "memfd_secret": (447, 447, "ENOSYS"),
    "userfaultfd": (323, 282, "ENOSYS"),
    "io_uring_setup": (425, 425, "ENOSYS"),
    "io_uring_enter": (426, 426, "ENOSYS"),
    "shmget": (29, 194, "ENOSYS"),
    "shmat": (30, 196, "ENOSYS"),
    "shmctl": (31, 195, "ENOSYS"),
    "semop": (65, 193, "ENOSYS"),
    "semctl": (66, 191, "ENOSYS"),
    "semtimedop": (220, 192, "ENOSYS"),
    "msgsnd": (69, 189, "ENOSYS"),
    "msgrcv": (70, 188, "ENOSYS"),
    "msgctl": (71, 187, "ENOSYS"),
    "mq_unlink": (241, 181, "ENOSYS"),
    "inotify_init1": (294, 26, "ENOSYS"),
    "inotify_add_watch": (254, 27, "ENOSYS"),
    "io_setup": (206, 0, "ENOSYS"),
    "landlock_create_ruleset": (444, 444, "ENOSYS"),
    "seccomp": (317, 277, "ENOSYS"),
    "statmount": (457, 457, "ENOSYS"),
    "listmount": (458, 458, "ENOSYS"),
    "sync": (162, 81, "allowed"),
    "syncfs": (306, 267, "allowed"),
    "msgget": (68, 186, "ENOSYS"),
    "semget": (64, 190, "ENOSYS"),
    "mq_open": (240, 180, "ENOSYS"),
    "a call of a later kernel": (470, 470, "ENOSYS"),
    "a call of no kernel": (100_000, 100_000, "ENOSYS"),
}
CLONE = 56 if ON_X86 else 220
NEW_NAMESPACES = {"user": 0x10000000, "mount": 0x20000, "time": 0x80, "cgroup": 0x2000000}

GETPID_OF_32_BITS = """
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')  # mov eax, 20; int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
print(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
"""


async def test_calls_that_widen_the_attack_surface_are_refused(arena: Arena) -> None:
    numbers = {name: x86 if ON_X86 else arm for name, (x86, arm, _) in CALLS.items()}
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"say({{name: refusal(syscall, number, 0, 0, 0, 0, 0, 0)\n"
            f"     for name, number in {numbers!r}.items()}})"
        )
        assert answer == {name: refusal for name, (_, _, refusal) in CALLS.items()}


async def test_no_clone_makes_a_namespace_or_leaves_its_parents_care(arena: Arena) -> None:
    """Of CLONE_PARENT, what a PID namespace does not hold anyway."""
    flags = dict(NEW_NAMESPACES)
    if not arena.in_namespaces:
        flags["parent"] = 0x8000
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"say([refusal(syscall, {CLONE}, flag, 0, 0, 0, 0) for flag in {list(flags.values())}])"
        )
        assert answer == ["EPERM"] * len(flags)


@pytest.mark.skipif(not ON_X86, reason="of x86-64 alone")
async def test_calls_of_other_architectures_are_refused(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask("say(refusal(syscall, 0x40000000 | 39))")
        assert answer == "ENOSYS"
        execution = await attacker.run(GETPID_OF_32_BITS)
        assert ended_by(execution) in (
            "it made a system call of another architecture (SIGSYS)",
            # A kernel that was built without them.
            "it crashed (SIGSEGV, a fault in compiled code)",
        )
        assert execution.stdout.text == ""


async def test_devices_can_be_neither_made_nor_opened(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import stat\nsay([refusal(os.mknod, 'disk', stat.S_IFBLK | 0o600, os.makedev(254, 0)),"
            " refusal(os.mknod, 'mem', stat.S_IFCHR | 0o600, os.makedev(1, 1))])"
        )
        assert answer == ["EPERM", "EPERM"]
        devices = ["mem", "kmsg", "tty", "vda", "sda", "kvm", "fuse", "ptmx", "port", "uinput"]
        answer = await attacker.ask_list(
            f"say(sorted({{refusal(os.open, '/dev/' + name, os.O_RDWR) for name in {devices!r}}}))"
        )
        if arena.in_namespaces:
            assert answer == ["ENOENT"]
        else:
            assert set(answer) <= {"EACCES", "ENOENT"}


async def test_a_filter_of_ones_own_does_not_open_what_is_closed(arena: Arena) -> None:
    """PR_SET_NO_NEW_PRIVS and dumpable cannot be taken back, nor can a subreaper stop being one."""
    async with arena.attacker() as attacker:
        prctl = 157 if ON_X86 else 167
        answer = await attacker.ask(
            f"say([refusal(syscall, {prctl}, 38, 0, 0, 0, 0), refusal(syscall, {prctl}, 36, 0)])"
        )
        assert answer == ["EINVAL", "allowed" if arena.in_namespaces else "EPERM"]


async def test_sockets_take_no_more_of_the_systems_memory_than_is_usual(arena: Arena) -> None:
    """What lies in them is counted by no limit of a process."""
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import socket\na, b = socket.socketpair()\n"
            "say([refusal(a.setsockopt, socket.SOL_SOCKET, option, 1 << 24)"
            " for option in (socket.SO_SNDBUF, socket.SO_RCVBUF, 32, 33)])"
        )
        assert answer == ["allowed"] * 4  # a hint, of which the kernel takes what it likes
        size = await attacker.ask(
            "say(max(a.getsockopt(socket.SOL_SOCKET, option) for option in"
            " (socket.SO_SNDBUF, socket.SO_RCVBUF)))"
        )
        assert isinstance(size, int)
        assert size < 2**20
        assert await attacker.ask("a.send(b'1')\nsay(len(b.recv(2)))") == 1


async def test_the_streams_are_the_sessions_own(arena: Arena) -> None:
    """Programs open them by name."""
    async with arena.attacker() as attacker:
        answer = await attacker.ask("say(refusal(lambda: open('/dev/stdout', 'w').close()))")
        assert answer == "allowed"
