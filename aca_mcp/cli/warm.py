"""``aca-mcp warm``: makes ahead what the wasm pool would make at its first start."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import anyio

from aca_mcp.cli.logs import configure_logging, note
from aca_mcp.pools import is_wasm_prepared, open_wasm_preparation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aca_mcp.settings import Settings
    from aca_mcp.wasm.first_start import Preparation

_LOOK_SECONDS = 0.5
_LONGEST_SECONDS = 3600.0


def warm(settings: Settings) -> int:
    """Compile what is not compiled yet, and say how far it is; returns 0.

    Raises:
        PoolUnavailableError: it cannot be done.
    """
    configure_logging(settings.log_level)
    anyio.run(_warm, settings)
    sys.stderr.write("The wasm pool is ready: its sessions start at once from now on.\n")
    return 0


def offer_to_warm(settings: Settings) -> None:
    """Where the wasm pool would first compile: do it now if a person wants it, or say how to."""
    if settings.pool_kind != "wasm" or is_wasm_prepared(settings):
        return
    note(
        "the interpreter is compiled once on a machine, which takes minutes; the first start waits "
        "for it."
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        note("do it ahead with: aca-mcp warm")
        return
    sys.stderr.write("Compile it now? [Y/n] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("", "y", "yes"):
        warm(settings)


async def _warm(settings: Settings) -> None:
    async with open_wasm_preparation(settings) as preparation:
        with _shown() as show:
            while not preparation.over.is_set():
                show(preparation)
                with anyio.move_on_after(_LOOK_SECONDS):
                    await preparation.over.wait()
        await preparation.wait(_LONGEST_SECONDS)


@contextlib.contextmanager
def _shown() -> Generator[Callable[[Preparation], None]]:
    """A bar on a terminal where rich is installed, else a line for each step."""
    if sys.stderr.isatty():
        with contextlib.suppress(ModuleNotFoundError), _bar() as show:
            yield show
            return
    told: set[str] = set()

    def tell(preparation: Preparation) -> None:
        if preparation.step and preparation.step not in told:
            told.add(preparation.step)
            sys.stderr.write(f"{preparation.step[:1].upper()}{preparation.step[1:]} ...\n")
            sys.stderr.flush()

    yield tell


@contextlib.contextmanager
def _bar() -> Generator[Callable[[Preparation], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=1.0)

        def show(preparation: Preparation) -> None:
            done = preparation.fraction(os.cpu_count() or 1)
            bars.update(task, completed=done, description=preparation.step)

        yield show
