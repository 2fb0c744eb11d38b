"""What commands about packages print and do in real sessions."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from tests.packages.sessions import printed, run
from tests.support.package_index import make_wheel

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool
    from tests.support.package_index import Index


async def test_pip_prints_what_came_of_it(pool: SessionPool) -> None:
    text = await printed(pool, "%pip install needs-tea")
    assert text == "Successfully installed needs-tea-2.0 tea-time-1.0\n"
    assert await printed(pool, "!pip install tea-time") == (
        "Requirement already satisfied: tea-time (1.0)\n"
    )
    told = await printed(pool, "!pip list; pip freeze; pip show needs.tea; pip check; pip remove x")
    assert "tea-time 1.0\n" in told
    assert "tea-time==1.0\n" in told
    assert "Name: needs-tea\nVersion: 2.0\n" in told
    assert "Requires: tea-time\n" in told
    assert "No broken requirements found.\n" in told
    assert "restart_session" in told
    commented = "%pip install has-program 'elsewhere; python_version < \"3\"'  # for tea"
    text = await printed(pool, commented)
    assert "Successfully installed has-program-1.0" in text
    assert 'Ignoring elsewhere; python_version < "3"' in text
    refused = await printed(pool, "%pip install --index-url http://evil.example x")
    assert "the option --index-url, which is not available" in refused
    failed = await run(
        pool, "import subprocess\nsubprocess.check_call(['pip', 'install', 'no-tea'])"
    )
    assert failed.error is not None
    assert failed.error.name == "CalledProcessError"
    assert "'no-tea'" in failed.stderr.text


async def test_what_is_there_already_is_not_asked_for(pool: SessionPool) -> None:
    code = "for _ in range(12): get_ipython().run_line_magic('pip', 'install -qU IPython pip')"
    assert set((await printed(pool, code)).splitlines()) == {
        f"Requirement already satisfied: IPython ({metadata.version('ipython')})",
        "Requirement already satisfied: pip",
    }


async def test_what_runs_already_finds_what_it_installs(pool: SessionPool) -> None:
    script = "pip install -q needs-tea has-program\npython3 -c 'import needs_tea'\nmake-tea"
    assert "tea is ready" in await printed(pool, f"%%bash\nset -e\n{script}")


async def test_a_package_comes_before_what_another_brings_along(
    pool: SessionPool, index: Index
) -> None:
    """As setuptools does, which then puts its copies at the end of ``sys.path``."""
    copies = {"own_copies/inner/tea_time.py": "version = 'a copy'\n", "own_copies/__init__.py": ""}
    make_wheel(index.directory, "own-copies", files=copies)
    code = """
%pip install own-copies
import own_copies, sys
sys.path.append(own_copies.__path__[0] + "/inner")
%pip install tea-time==1.0
import tea_time
print("version", tea_time.version)
"""
    assert "version 1.0" in await printed(pool, code)


async def test_programs_of_the_system_are_refused_in_a_sentence(pool: SessionPool) -> None:
    told = await printed(pool, "!apt-get update -qq && apt-get install -y ffmpeg")
    assert told.startswith("E: programs of the system cannot be installed")


async def test_programs_run_by_the_session_s_own_interpreter(pool: SessionPool) -> None:
    """So that they find what its environment has, wherever the set was made."""
    text = await printed(pool, "%pip install has-program\n!head -1 $(which make-tea); make-tea")
    assert text.splitlines()[1:] == ["#!/usr/bin/env python3", "tea is ready"]
