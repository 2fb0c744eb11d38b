"""Code that looks for the server's secrets, and for what belongs to other sessions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.hostile.arena import SECRET, Arena
from tests.hostile.stage import ROOT

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING_OF_PROC = """
found, refused = [], set()
keeper = os.getppid()
with open(f'/proc/{keeper}/task/{keeper}/children') as file:
    own = {keeper, *map(int, file.read().split())}  # this process, and its copies
for pid in filter(str.isdecimal, os.listdir('/proc')):
    mine = int(pid) in own
    for name in 'environ mem maps auxv stack cwd root exe fd/0 map_files'.split():
        path = f'/proc/{pid}/{name}'
        try:
            if name == 'map_files':
                text = repr(os.listdir(path)).encode()
            elif name in ('cwd', 'root', 'exe', 'fd/0'):
                text = os.readlink(path).encode()
            else:
                with open(path, 'rb') as file:
                    text = b'' if name == 'mem' else file.read()
        except OSError as error:
            if not mine:
                refused.add(errno.errorcode[error.errno])
        else:
            # Threads of the kernel have files without content.
            if SECRET in text or text and not mine:
                found.append(path)
say([found, sorted(refused - {'ENOENT', 'ESRCH'})])
"""


async def test_the_environment_has_nothing_of_the_servers(arena: Arena) -> None:
    assert os.environ["HOSTILE_TEST_SECRET"] == SECRET
    async with arena.attacker() as attacker:
        environment = await attacker.ask_table("say(dict(os.environ))")
        assert SECRET not in str(environment)
        assert set(environment) <= {
            "HOME",
            "IPYTHONDIR",
            "LANG",
            "LC_CTYPE",
            "MPLBACKEND",
            "MPLCONFIGDIR",
            # Threads of the libraries, of which a checkpoint could not be a copy.
            "JE_ARROW_MALLOC_CONF",
            "OPENBLAS_NUM_THREADS",
            "_RJEM_MALLOC_CONF",
            "PATH",
            "PIP_DISABLE_PIP_VERSION_CHECK",
            "PIP_RETRIES",
            "PIP_TARGET",
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONIOENCODING",
            "PYTHONPATH",
            "PYTHONUNBUFFERED",
            "TERM",
            "TMPDIR",
            "XDG_CACHE_HOME",
            # What IPython and readline set for programs that a session starts.
            "COLUMNS",
            "GIT_PAGER",
            "LINES",
            "PAGER",
        }


async def test_proc_tells_nothing_of_other_processes(arena: Arena) -> None:
    """In namespaces there are no others; without, they can be counted and no more."""
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"SECRET = {SECRET[::-1]!r}[::-1].encode()" + EVERYTHING_OF_PROC
        )
        assert answer == [[], [] if arena.in_namespaces else ["EACCES"]]
        for pid in (os.getpid(), os.getppid()):
            answer = await attacker.ask(
                f"say([refusal(open, f'/proc/{pid}/{{name}}', 'rb') "
                "for name in ('environ', 'mem', 'fd/0', 'root/etc/shadow')])"
            )
            # In namespaces the number may be another process's, or nobody's.
            assert answer == ["ENOENT" if arena.in_namespaces else "EACCES"] * 4


async def test_no_file_of_the_host_can_be_read(arena: Arena, canary: Path) -> None:
    """Without a mount namespace names are still resolved, but nothing can be opened."""
    paths = [str(canary), str(canary.parent), "/etc/shadow", "/etc/hostname", "/var/log", "/boot"]
    paths += [f"{ROOT}/pyproject.toml", f"{ROOT}/tests", "/proc/1/environ"]
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"found = {{}}\nfor path in {paths!r}:\n"
            "    found[path] = refusal(os.open, path, os.O_RDONLY)\nsay(found)"
        )
        refusal = "ENOENT" if arena.in_namespaces else "EACCES"
        expected = dict.fromkeys(paths, refusal)
        if arena.in_namespaces:
            expected["/proc/1/environ"] = "allowed"  # its own
        assert answer == expected


async def test_no_home_directory_is_there(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask_list(
            "import glob\nsay([refusal(os.listdir, p) for p in ('/home', '/root/.ssh', '/root')])"
        )
        if arena.in_namespaces:
            # The way to an interpreter below a home is there, with nothing else on it.
            assert set(answer[:2]) == {"ENOENT"}
            names = await attacker.ask(
                "say(os.listdir('/root') if os.path.exists('/root') else [])"
            )
            assert names in ([], [".pyenv"])
        else:
            assert set(answer) <= {"EACCES", "ENOENT"}


async def test_other_sessions_files_are_out_of_reach(arena: Arena) -> None:
    neighbour = await arena.pool.execute("neighbour", "os.getcwd()", timeout_seconds=9)
    directory = neighbour.outputs[0].data["text/plain"]
    async with arena.attacker() as attacker:
        answer = await attacker.ask_list(
            f"directory = {directory}\n"
            "say([refusal(os.open, directory + '/treasure.txt', flags)\n"
            "     for flags in (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY | os.O_CREAT)]\n"
            "    + [refusal(os.listdir, directory), refusal(os.rename, directory, 'mine'),\n"
            "       refusal(os.link, directory + '/treasure.txt', 'mine'),\n"
            "       refusal(os.unlink, directory + '/treasure.txt')])"
        )
        if arena.in_namespaces:
            # The same name is its own directory, in which there is no such file until it makes one.
            assert answer == [
                "ENOENT",
                "ENOENT",
                "allowed",
                "allowed",
                "EINVAL",
                "allowed",
                "allowed",
            ]
        else:
            # Of a move or a link to where it would gain rights, Landlock says that it is far.
            assert set(answer) <= {"EACCES", "EXDEV"}


WRITES = {
    "/usr/evil": "open(path, 'w')",
    "/etc/evil": "open(path, 'w')",
    "/etc/passwd": "open(path, 'a')",
    "/bin/sh": "open(path, 'r+b')",
    "/proc/sys/kernel/core_pattern": "open(path, 'w')",
    "/proc/sys/kernel/hostname": "open(path, 'w')",
    "/proc/sysrq-trigger": "open(path, 'w')",
    "/proc/self/oom_score_adj": "open(path, 'w')",
    "/proc/self/mem": "open(path, 'r+b')",
    "/evil": "os.mkdir(path)",
    "/dev/evil": "open(path, 'w')",
    "/usr/bin": "os.rename(path, '/usr/bin2')",
    "/usr/lib/evil": "os.symlink('/', path)",
}

NOT_EVERYWHERE = {"/proc/sysrq-trigger": ["ENOENT"]}
"""What a kernel may have been built without."""


async def test_nothing_outside_its_own_directories_can_be_written(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        for path, how in WRITES.items():
            answer = await attacker.ask(f"path = {path!r}\nsay(refusal(lambda: {how}))")
            assert answer in ("EACCES", "EROFS", *NOT_EVERYWHERE.get(path, ())), (path, answer)
        answer = await attacker.ask_list(
            "import numpy, sys\n"
            "site = os.path.dirname(os.path.dirname(numpy.__file__))\n"
            "say([refusal(open, site + '/evil.pth', 'w'), refusal(open, numpy.__file__, 'a'),\n"
            "     refusal(open, sys.executable, 'r+b'), refusal(os.unlink, numpy.__file__)])"
        )
        assert set(answer) <= {"EACCES", "EROFS"}


async def test_a_file_of_the_servers_user_keeps_its_mode_and_times(
    arena: Arena, canary: Path
) -> None:
    """Landlock alone would let its owner's sessions change them."""
    before = canary.lstat()  # noqa: ASYNC240 -- nothing waits for this
    async with arena.attacker() as attacker:
        answer = await attacker.ask_list(
            f"path = {str(canary)!r}\nsay([refusal(os.chmod, path, 0o777), "
            "refusal(os.utime, path, (0, 0)), refusal(os.chown, path, 1, 1), "
            "refusal(os.setxattr, path, 'user.evil', b'1')])"
        )
        if arena.in_namespaces:
            assert answer == ["ENOENT"] * 4
        elif arena.shares_identity:
            assert answer == ["allowed", "allowed", "EPERM", "EPERM"]  # as if, see the filter
        else:
            assert set(answer) <= {"EPERM", "EACCES"}
    after = canary.lstat()  # noqa: ASYNC240 -- likewise
    assert (after.st_mode, after.st_mtime_ns, after.st_uid) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_uid,
    )
    assert os.listxattr(canary) == []


async def test_no_program_gives_rights_back(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        status = await attacker.ask_table(
            "say(dict(line.strip().split(':\\t') for line in open('/proc/self/status')\n"
            "         if line.startswith(('Cap', 'NoNewPrivs', 'Seccomp:', 'Uid'))))"
        )
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert "0" not in status["Uid"].split()
        answer = await attacker.ask(
            "import subprocess\n"
            "done = subprocess.run(['su', '-c', 'id -u'], capture_output=True, text=True)\n"
            "say([done.returncode == 0, done.stdout])"
        )
        assert answer == [False, ""]
