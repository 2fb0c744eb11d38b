"""Code that goes for the connection to its supervisor, for signals, and for other processes."""

from __future__ import annotations

import os
import uuid

import pytest

from aca_mcp.pool import ExecutionStatus
from tests.hostile.arena import INTERFERED, MEMORY_MIB, WOULD_NOT_STOP, Arena, ended_by
from tests.hostile.test_exhaustion import MEBIBYTE, begin_measuring, status_of_server
from tests.local.pools import open_descriptors

ENDED_ITSELF = "its process ended itself (exit code 0)"

FORGERY = """
import struct
def frame(header, blobs=b'', lengths=None):
    if isinstance(header, dict):
        if header.get('id') == 'own': header['id'] = NUMBER
        text = json.dumps(header).encode()
    else:
        text = header
    return struct.pack('>II', len(text), len(blobs)) + text + blobs

def write_everywhere(data, paths=()):
    import stat
    for descriptor in range(3, 21):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):  # not what only prints
                os.write(descriptor, data)
        except OSError:
            pass
    for path in paths:
        try:
            with open(path, 'wb', buffering=0) as file:
                file.write(data)
        except OSError:
            pass
"""

ANOTHER_REPLY: dict[str, object] = {
    "id": 999,
    "event": "done",
    "error": None,
    "files": [],
    "blobs": [],
}

FORGED = {
    "another request's reply": f"write_everywhere(frame({ANOTHER_REPLY!r}))",
    "not a frame": "write_everywhere(b'\\xff' * 1000)",
    "zeros": "write_everywhere(bytes(64))",
    "no object": "write_everywhere(frame(b'[]'))",
    "nested without end": "write_everywhere(frame(b'[' * 2**20))",
    "a number without end": "write_everywhere(frame(b'{\"id\":' + b'9' * 2**20 + b'}'))",
    "a length that is none": "write_everywhere(frame({'id': 'own', 'blobs': ['x']}))",
    "lengths that do not add up": "write_everywhere(frame({'id': 'own', 'blobs': [5]}, b'abc'))",
    "two replies": f"write_everywhere(frame({ANOTHER_REPLY!r}) * 2)",
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_message_ends_only_the_session_that_forged_it(
    arena: Arena, what: str
) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            f"{FORGERY}\nprint('before', flush=True)\n{FORGED[what]}\nimport time; time.sleep(15)"
        )
        assert ended_by(execution) == INTERFERED
        assert execution.status is ExecutionStatus.FAILED
        assert execution.stdout.text == "before\n"


@pytest.mark.parametrize(
    "reply",
    [
        {"id": "own", "event": "result", "data": {"text/plain": 1}},
        {"id": "own", "event": "display", "data": {"image/png": {"blob": 5}}},
        {"id": "own", "event": "done", "files": "none"},
        {"id": "own", "event": "done", "error": {"name": 1}},
        {"id": "own", "event": "nothing of the kind"},
        {"id": "own"},
    ],
    ids=["number-as-text", "missing-blob", "no-list", "nameless-error", "no-event", "empty"],
)
async def test_a_forged_reply_that_makes_no_sense_ends_the_session(
    arena: Arena, reply: dict[str, object]
) -> None:
    """The attacker knows the number of its own request."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            f"{FORGERY}\nimport time\n"
            f"os.write(3, frame({ {**reply, 'blobs': []}!r}))\ntime.sleep(15)"
        )
        assert ended_by(execution) == INTERFERED


async def test_a_well_forged_reply_deceives_its_own_session_alone(arena: Arena) -> None:
    """It is believed, as a lie of the code's own output would be; the true one comes too late."""
    async with arena.attacker() as attacker:
        reply = {
            **ANOTHER_REPLY,
            "id": "own",
            "error": {"name": "Lie", "message": "", "traceback": ""},
        }
        execution = await attacker.run(
            f"{FORGERY}\nimport time\nos.write(3, frame({reply!r}))\ntime.sleep(0.3)"
        )
        assert execution.error is not None
        assert execution.error.name == "Lie"
        execution = await attacker.run("import time; time.sleep(9)")
        assert ended_by(execution) == INTERFERED


async def test_frames_written_through_proc_reach_nobody_else(arena: Arena) -> None:
    """The paths are this process's own, its keeper's, those of the first process, the server's."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            f"{FORGERY}\n"
            f"paths = [f'/proc/{{p}}/fd/{{n}}' for p in ('self', 1, {os.getpid()}, os.getppid())\n"
            "         for n in range(3, 40)]\n"
            "keeper = f'/proc/{os.getppid()}/fd'\n"
            "own = {os.stat(f'{keeper}/{name}').st_ino for name in os.listdir(keeper)}\n"
            "own |= {os.fstat(number).st_ino for number in (0, 1, 2)}\n"
            "for path in paths:\n"
            "    try:\n"
            "        if os.stat(path).st_ino in own: continue\n"
            "        with open(path, 'wb', buffering=0) as file: file.write(b'\\xff' * 64)\n"
            "    except OSError as error:\n"
            "        assert error.errno in (errno.ENOENT, errno.ENXIO, errno.EACCES), error\n"
            "    else:\n"
            "        print('opened', path)"
        )
        assert execution.status is ExecutionStatus.SUCCEEDED, execution.error
        assert execution.stdout.text == ""


async def test_a_message_that_is_dear_to_parse_costs_the_server_a_bounded_amount(
    arena: Arena,
) -> None:
    async with arena.attacker() as attacker:
        before = begin_measuring()
        execution = await attacker.run(
            f"{FORGERY}\n"
            "data = b'{\"id\":%d,\"x\":[' % NUMBER + b'{},' * (5 * 2**20) + b'{}]}'\n"
            "control = __import__('socket').socket(fileno=3)\n"
            "control.sendall(frame(data))\nimport time; time.sleep(15)"
        )
        assert ended_by(execution) == INTERFERED
        assert status_of_server("VmHWM") - before < 2 * MEMORY_MIB * MEBIBYTE


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("os.closerange(0, 21)", ENDED_ITSELF),
        ("os.close(3)", ENDED_ITSELF),
        ("import socket; socket.socket(fileno=3).shutdown(socket.SHUT_RDWR)", ENDED_ITSELF),
        ("os.close(1); os.close(2)", ""),
        ("os.close(0)", ""),
    ],
    ids=["all", "control", "shutdown", "output", "input"],
)
async def test_closed_descriptors_end_at_most_their_own_session(
    arena: Arena, code: str, why: str
) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(code)
        assert ended_by(execution) == why
        if not why:
            assert execution.status is ExecutionStatus.SUCCEEDED


async def test_garbage_in_every_descriptor_ends_the_session(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "for descriptor in range(21):\n"
            "    refusal(os.write, descriptor, b'\\xff\\x00garbage' * 100)\n"
            "import time; time.sleep(15)"
        )
        assert ended_by(execution) == INTERFERED
        assert execution.stdout.text.startswith("\ufffd\0garbage")


async def test_descriptors_and_urgent_bytes_sent_to_the_supervisor_are_not_taken(
    arena: Arena,
) -> None:
    gift = f"gift-{uuid.uuid4().hex}"
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            f"{FORGERY}\nimport socket, time\ncontrol = socket.socket(fileno=os.dup(3))\n"
            f"gift = os.open({gift!r}, os.O_CREAT | os.O_RDWR)\n"
            f"socket.send_fds(control, [frame({ANOTHER_REPLY!r})], [gift, gift])\ntime.sleep(15)"
        )
        assert ended_by(execution) == INTERFERED
        execution = await attacker.run(
            "import socket, time\ncontrol = socket.socket(fileno=os.dup(3))\n"
            "control.send(b'!', socket.MSG_OOB)\ntime.sleep(0.3)"
        )
        # How many there are says nothing: the pool may be starting a session that will be ready.
        assert not [name for name in open_descriptors().values() if gift in name]


async def test_a_thief_of_its_own_output_is_no_danger(arena: Arena) -> None:
    """Root's sessions in namespaces cannot open the pipe again, since it is not theirs."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "thief = refusal(os.open, '/proc/self/fd/1', os.O_RDONLY | os.O_NONBLOCK)\n"
            "if thief == 'allowed' and os.fork() == 0:\n"
            "    pipe = os.open('/proc/self/fd/1', os.O_RDONLY)\n"
            "    while True: os.read(pipe, 2**16)"
        )
        assert execution.status is ExecutionStatus.SUCCEEDED
        for _ in range(20):
            execution = await attacker.run("os.write(1, bytes(60_000)) and None")
            assert execution.status is ExecutionStatus.SUCCEEDED


STUBBORN = {
    "ignores the signal": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "while True: pass",
    "takes the signal": "import signal; signal.signal(signal.SIGINT, lambda *a: print('no'))\n"
    "while True: pass",
    "blocks the signal": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.Signals)\n"
    "while True: pass",
    "catches everything": "import time\nwhile True:\n    try:\n        time.sleep(1)\n"
    "    except BaseException: pass",
    "never looks": "sum(range(10**12))",
    "will not be printed": "class Rude(Exception):\n"
    "    def __str__(self):\n        while True: pass\nraise Rude",
}


@pytest.mark.parametrize("how", STUBBORN)
async def test_code_that_will_not_stop_is_killed_after_the_grace(arena: Arena, how: str) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(f"print('begins')\n{STUBBORN[how]}", timeout_seconds=0.3)
        assert execution.status is ExecutionStatus.TIMED_OUT
        assert ended_by(execution) == WOULD_NOT_STOP
        assert execution.stdout.text.startswith("begins\n")
        assert execution.duration_seconds < 5


async def test_a_stopped_process_is_killed_after_the_grace(arena: Arena) -> None:
    """And its copies and their keeper with it, where code may stop those."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import signal, time\nos.kill(0, signal.SIGSTOP)\ntime.sleep(0.1)", timeout_seconds=0.5
        )
        assert ended_by(execution) == WOULD_NOT_STOP


async def test_nobody_else_can_be_signalled_or_traced(arena: Arena) -> None:
    """Without namespaces others can be seen, and Landlock keeps signals from them.

    With them the first process is the session's own keeper, which takes no signal from inside.
    """
    neighbour = await arena.pool.execute("neighbour", "os.getpid()", timeout_seconds=9)
    targets = [os.getpid(), os.getppid(), 1]
    if not arena.in_namespaces:  # where the number would be one of the attacker's own
        targets.append(int(str(neighbour.outputs[0].data["text/plain"])))
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import signal\nsay([[refusal(os.kill, pid, number) for number in "
            f"(0, signal.SIGSTOP, signal.SIGKILL)] for pid in {targets}])"
        )
        strangers = [["ESRCH" if arena.in_namespaces else "EPERM"] * 3]
        first = [["allowed"] * 3] if arena.in_namespaces else strangers
        assert answer == strangers * 2 + first + strangers * (len(targets) - 3)
        ptrace, vm_readv = (101, 310) if os.uname().machine == "x86_64" else (117, 270)
        answer = await attacker.ask(
            f"found = set()\nfor pid in {targets}:\n"
            f"    found.add(refusal(syscall, {ptrace}, 16, pid, 0, 0))\n"
            f"    found.add(refusal(syscall, {vm_readv}, pid, 0, 0, 0, 0, 0))\n"
            "say(sorted(found))"
        )
        assert answer == ["EPERM"]
        # Its own copies may end by it, and where there is no PID namespace its keeper and so all
        # of it; whom else it reached is seen when the arena is left.
        await attacker.run(
            "import signal, time; refusal(os.kill, -1, signal.SIGKILL); time.sleep(2)"
        )


async def test_no_descriptor_signals_anybody_else(arena: Arena) -> None:
    """The kernel signals whom a process names, when something comes by its descriptor."""
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import fcntl, signal\nreader, writer = os.pipe()\n"
            f"for pid in ({os.getpid()}, {os.getppid()}):\n"
            "    refusal(fcntl.fcntl, reader, fcntl.F_SETOWN, pid)\n"
            "    fcntl.fcntl(reader, 10, signal.SIGKILL)  # F_SETSIG\n"
            "    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)\n"
            "    os.write(writer, b'x'); os.read(reader, 1)\n"
            "say('sent')"
        )
        assert answer == "sent"  # and this process goes on, which is what is named there


async def test_nobody_elses_limits_and_priorities_can_be_changed(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"import resource\npid = {os.getpid()}\nsay([\n"
            "    refusal(resource.prlimit, pid, resource.RLIMIT_CPU, (1, 1)),\n"
            "    refusal(os.setpriority, os.PRIO_PROCESS, pid, 19),\n"
            "    refusal(os.sched_setaffinity, pid, {0}),\n"
            "    refusal(os.sched_setscheduler, pid, os.SCHED_IDLE, os.sched_param(0)),\n"
            "])"
        )
        assert answer == ["ESRCH" if arena.in_namespaces else "EPERM"] * 4
        answer = await attacker.ask(
            "say([refusal(os.setpriority, os.PRIO_USER, 0, 19), refusal(os.nice, 1)])"
        )
        assert answer == ["allowed" if arena.in_namespaces else "EPERM", "allowed"]


async def test_killing_oneself_is_told_with_its_cause(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        for signal, cause in (
            (
                "SIGKILL",
                "it was killed (SIGKILL), by its own code or the system, as when memory runs out",
            ),
            ("SIGTERM", "it received SIGTERM"),
            ("SIGRTMIN + 3", "it received signal 37"),
        ):
            execution = await attacker.run(
                f"import signal, time\nos.kill(os.getpid(), signal.{signal})\ntime.sleep(0.1)"
            )
            assert ended_by(execution) == cause


CRASHES = {
    "a fault": ("ctypes.string_at(0)", "it crashed (SIGSEGV, a fault in compiled code)"),
    "an exit": ("os._exit(7)", "its process ended itself (exit code 7)"),
    "an exit from a thread": (
        "import time, threading as t; t.Thread(target=os._exit, args=(3,)).start(); time.sleep(9)",
        "its process ended itself (exit code 3)",
    ),
}


@pytest.mark.parametrize("how", CRASHES)
async def test_a_crash_is_told_with_its_cause_and_what_was_printed(arena: Arena, how: str) -> None:
    code, cause = CRASHES[how]
    async with arena.attacker() as attacker:
        execution = await attacker.run(f"print('last words')\n{code}")
        assert execution.status is ExecutionStatus.FAILED
        assert ended_by(execution) == cause
        assert execution.stdout.text == "last words\n"


async def test_an_abort_is_told_with_its_cause(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        assert ended_by(await attacker.run("os.abort()")) == "it received SIGABRT"


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.modules.update({n: None for n in sys.modules if 'aca_mcp.kernel' in n})",
        "import aca_mcp.kernel.interpreter as i\ni.Interpreter.run = lambda self, code: 1 / 0",
        "import aca_mcp.kernel.serve as s\ns._answer = s.encode = None",
        "get_ipython().run_cell = get_ipython().run_cell_async = None",
        "import builtins\nbuiltins.str = builtins.len = builtins.type = None",
        "import gc, sys\nsys.setrecursionlimit(50)\nsys.settrace(lambda *a: 1 / 0)",
    ],
    ids=["modules", "run", "serve", "shell", "builtins", "limits"],
)
async def test_a_session_that_broke_its_own_interpreter_can_be_replaced(
    arena: Arena, code: str
) -> None:
    async with arena.attacker() as attacker:
        await attacker.run(code, timeout_seconds=3)
        await arena.pool.execute(attacker.identifier, "'after'", timeout_seconds=1)
        await arena.pool.stop_session(attacker.identifier)
        attacker.lost, attacker.has_witness = None, True
        execution = await arena.pool.execute(
            attacker.identifier, "witness = 'again'", timeout_seconds=9
        )
        assert execution.status is ExecutionStatus.SUCCEEDED
        assert execution.started_session
