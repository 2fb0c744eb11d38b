"""Errors of any kind out of the inner layers of the local pool: one caller hears of it, or nobody.

Thrown where the pool meets the system: in a call, in what it does when nobody waits, at its end.
Whatever it is, the other sessions go on, and nothing is left behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from aca_mcp.embedded.live_sessions import LiveSessions
from aca_mcp.error_boundary import ErrorBoundary
from aca_mcp.local import cgroups, directory_trees, kernel_process, spawn, usage, watching
from aca_mcp.local.cgroups import find_groups
from aca_mcp.local.files import LocalFiles
from aca_mcp.local.kernel_exchange import Exchange
from aca_mcp.local.kernel_process import KernelProcess
from aca_mcp.local.pool import open_local_pool
from aca_mcp.local.session_packages import LocalPackages
from aca_mcp.local.template_process import TemplateProcess
from tests.local.pools import configuration, control_groups, open_descriptors, result_of, run
from tests.support.foreign_errors import (
    IDENTIFIER,
    OPERATIONS,
    SECRET,
    broken,
    foreign_errors,
    told,
)
from tests.support.processes import descendants
from tests.support.waiting import until

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool

ERRORS = foreign_errors()
SOME: list[Exception] = [ERRORS[0], ERRORS[-1]]
"""Where each needs a pool of its own."""
some_errors = pytest.mark.parametrize("error", SOME, ids=lambda error: type(error).__name__)
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


async def others_go_on(pool: LocalSessionPool) -> None:
    assert result_of(await run(pool, "neighbour", "kept")) == "41"
    assert result_of(await run(pool, "newcomer", "1")) == "1"
    await pool.stop_session("newcomer")


@pytest.fixture(autouse=True)
async def neighbour(pool: LocalSessionPool) -> None:
    await run(pool, "neighbour", "kept = 41")


IN_A_CALL = {
    "while a session is started": (spawn, "_pipe", "execute"),
    "while it is asked for": (TemplateProcess, "fork", "execute"),
    "while code is sent": (Exchange, "send_and_wait", "execute"),
    "while its answer is read": (Exchange, "_take_events", "execute"),
    "while packages are asked for": (Exchange, "send_and_wait", "list_packages"),
    "while files are listed": (LocalFiles, "list", "list_files"),
    "while a file begins": (LocalFiles, "begin_upload", "upload_file"),
    "while a file is opened": (LocalFiles, "open_download", "download_file"),
    "while a file is deleted": (LocalFiles, "delete", "delete_file"),
    "while packages are installed": (LocalPackages, "install", "install_packages"),
    "while a session is looked for": (LiveSessions, "get", "get_session"),
    "while it is to go back": (LiveSessions, "get", "undo"),
    "while the template is asked": (TemplateProcess, "wait_ready", "metadata"),
}


@each_error
@pytest.mark.parametrize("when", IN_A_CALL)
async def test_in_a_call_its_caller_is_told_in_a_sentence(
    pool: LocalSessionPool, when: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    place, name, operation = IN_A_CALL[when]
    guarded = ErrorBoundary(pool)
    with broken(place, name, error) as met:
        said = await told(guarded, operation)
    assert met
    assert said.endswith((".", ".]"))
    assert SECRET not in said
    assert SECRET not in caplog.text
    await pool.stop_session("session-1234")
    await others_go_on(pool)


IN_THE_BACKGROUND = {
    "sessions are measured": (watching.Watcher, "_measure_quickly"),
    "a process is measured": (usage, "_tree"),
    "idle sessions are ended": (LiveSessions, "kernels"),
    "ready sessions are started": (spawn, "_pipe"),
    "a control group is made": (cgroups.Groups, "create"),
}


@some_errors
@pytest.mark.parametrize("when", IN_THE_BACKGROUND)
async def test_in_the_background_it_ends_nothing(
    when: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    place, name = IN_THE_BACKGROUND[when]
    has_groups = await anyio.to_thread.run_sync(find_groups) is not None  # as few machines have
    async with open_local_pool(configuration(ready_sessions=1)) as pool:
        await run(pool, "neighbour", "kept = 41")
        with broken(place, name, error) as met:
            with anyio.fail_after(50):
                await told(ErrorBoundary(pool), "execute")
                while not met and ("group" not in when or has_groups):
                    # It may have been a session that was ready, and another may be, too.
                    await pool.stop_session(IDENTIFIER)
                    await told(ErrorBoundary(pool), "execute")
        await others_go_on(pool)
    assert SECRET not in caplog.text


AT_THE_END = {
    "a session is killed": (KernelProcess, "kill"),
    "its end is waited for": (kernel_process, "wait_ended"),
    "its files are removed": (directory_trees, "remove_tree"),
    "the template is closed": (TemplateProcess, "close"),
}


@some_errors
@pytest.mark.parametrize("when", AT_THE_END)
async def test_at_the_end_of_a_pool_it_is_not_the_callers(when: str, error: Exception) -> None:
    """And the processes end all the same, because the template does, and their groups with them."""
    place, name = AT_THE_END[when]
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await run(pool, "first", "1")
        groups = control_groups(descendants(without=strangers))
        template: TemplateProcess = await pool._templates.ready()  # pyright: ignore[reportPrivateUsage] -- to close what could not be
        patched = broken(place, name, error)
        patched.__enter__()
    patched.__exit__(None, None, None)
    await template.close()
    await until(lambda: not descendants(without=strangers))
    # Of a template that could not be closed, the sessions outlive the pool.
    assert when == "the template is closed" or not [each for each in groups if each.exists()]


async def test_every_operation_has_its_layers_broken() -> None:
    without_layers = {"interrupt", "keep_alive", "stop_session"}  # they only look in a table
    assert {operation for _, _, operation in IN_A_CALL.values()} == set(OPERATIONS) - without_layers


async def test_what_is_broken_often_leaves_no_descriptor(pool: LocalSessionPool) -> None:
    await told(ErrorBoundary(pool), "execute")
    await pool.stop_session("session-1234")
    before = len(open_descriptors())
    for place, name, operation in IN_A_CALL.values():
        for _ in range(3):
            with broken(place, name, OSError(9, "broken")):
                await told(ErrorBoundary(pool), operation)
            await pool.stop_session("session-1234")
    await until(lambda: len(open_descriptors()) <= before + 1)


async def test_a_template_that_is_silent_for_long_is_not_gone_for_good(
    pool: LocalSessionPool,
) -> None:
    """As when a machine was asleep: the answer that comes too late is dropped."""
    template: TemplateProcess = await pool._templates.ready()  # pyright: ignore[reportPrivateUsage] -- nobody else waits less
    usual, template.answer_seconds = template.answer_seconds, 0
    said = await told(ErrorBoundary(pool), "execute")
    assert "did not answer within 0 seconds" in said
    template.answer_seconds = usual
    assert await told(ErrorBoundary(pool), "execute") == ""
    await pool.stop_session("session-1234")
    await others_go_on(pool)
