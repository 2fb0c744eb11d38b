"""Lives a data analyst's day against the server, and prints what became of each habit.

    ./scripts/habits [--pool POOL] [--background SECONDS] [--write] [NAME]

An official client starts the server as desktop clients do, over stdio and with a work directory.
A habit ``works``, or it is ``told``: the answer says what to do so that the next call works.
Anything else fails, and the exit code is 1. ``--write`` puts the table into docs/habits.md, and
that of ``--pool wasm`` into docs/wasm.md; a NAME runs only the habits that have it in theirs. What
runs in the background takes three minutes, or as long as is said: more than the 60 seconds after
which other code is interrupted.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from mcp.types import PromptReference

sys.path.insert(0, str(Path(__file__).parent))
from habit_cases import HABITS, Habit
from model_client import Answer, ask, model_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp import Client

ROOT = Path(__file__).parent.parent
TABLES = {"local": ROOT / "docs" / "habits.md", "wasm": ROOT / "docs" / "wasm.md"}
TOLD = {"local": r"(?!)", "wasm": r"WebAssembly, which has no|unavailable on wasm32"}
"""What is told of what a pool's sessions exclude, whatever the habit."""
_LATE = re.compile(r"Exception ignored.*\n(Traceback.*\n( .*\n)*\w+.*\n?)?")
"""What Python prints of objects that earlier code has left broken."""
LARGE_BYTES = 60_000_000
TIME_LIMIT_SECONDS = 900
THREE_MINUTES = 180


class Day:
    """One connection, from morning to evening."""

    def __init__(self, client: Client, folder: Path, pool: str) -> None:
        self.client = client
        self.pool = pool
        self.folder = folder
        self.rows: list[tuple[str, str, str]] = []

    async def call(self, tool: str, **arguments: Any) -> Answer:
        return await ask(self.client, tool, arguments)

    async def run(self, habit: Habit) -> None:
        answer = await self.call("execute_python", code=habit.code, **habit.arguments)
        works = re.search(habit.works, answer.text) and "Traceback" not in _LATE.sub(
            "", answer.text
        )
        if works and answer.images >= habit.images:
            self.note(habit.name, "works", answer.text)
        elif re.search(f"{habit.told}|{TOLD[self.pool]}", answer.text):
            self.note(habit.name, "told", answer.text)
        else:
            self.note(habit.name, "FAILS", answer.text)

    def note(self, name: str, verdict: str, text: str) -> None:
        said = [line.strip() for line in text.splitlines() if line.strip()]
        shown = said[-1] if said else ""
        self.rows.append((name, verdict, shown[:110]))
        print(f"{verdict:<6} {name}", flush=True)
        if verdict == "FAILS":
            print("       " + "\n       ".join(text[-1500:].splitlines()), flush=True)

    def check(self, name: str, is_right: bool, text: str) -> None:
        self.note(name, "works" if is_right else "FAILS", text)


async def copy_in(day: Day) -> None:
    listed = await day.call("list_work_dir")
    day.check("Seeing what the folder has", "umsätze.csv" in listed.text, listed.text)
    copied = await day.call("upload_from_work_dir", paths=["umsätze.csv", "big.csv", "more"])
    right = "more/inner.csv" in copied.text and not copied.is_error
    day.check("Copying files and a directory from the folder", right, copied.text)
    guess = await day.call("upload_from_work_dir", paths=["Umsatze.CSV"])
    day.check("A wrong guess at a name in the folder", "umsätze.csv" in guess.text, guess.text)


async def copy_out(day: Day) -> None:
    names = ["report.pdf", "report.png", "/mnt/data/all.zip", "report.html", "session.ipynb"]
    copied = await day.call("download_to_work_dir", paths=names)
    there = all((day.folder / Path(name).name).is_file() for name in names)
    day.check("PDF, PNG, zip, HTML and the notebook in the folder", there, copied.text)


async def complete(day: Day) -> None:
    prompts = await day.client.list_prompts()
    found = await day.client.complete(
        PromptReference(name="analyse_file"), {"name": "path", "value": "big"}
    )
    right = len(prompts.prompts) >= 4 and "big.csv" in found.completion.values
    day.check("Prompts, and completion from the folder", right, str(found.completion.values))


async def cancel(day: Day) -> None:
    await day.call("execute_python", code="kept = 1")
    with anyio.move_on_after(1):
        await day.call("execute_python", code="import time; time.sleep(60)")
    answer = await day.call("execute_python", code="kept")
    day.check("Cancelling what takes too long", answer.text.strip().endswith("1"), answer.text)


async def progress(day: Day) -> None:
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    code = "import time\nfor n in range(4): print('step', n, flush=True); time.sleep(0.7)"
    await day.client.call_tool("execute_python", {"code": code}, progress_callback=hear)
    day.check("Progress while it runs", any("step" in text for text in heard), f"{heard}")


async def second_session(day: Day) -> None:
    started = await day.call("start_session")
    handle = started.text.strip()
    answer = await day.call("execute_python", code="'kept' in globals()", session=handle)
    day.check("A second session", "False" in answer.text, answer.text)


class Background:
    """Code of minutes, in a session of its own, while the day goes on."""

    def __init__(self, day: Day, seconds: int) -> None:
        self._day = day
        self._seconds = seconds
        self._session = self._execution = ""
        self._begun = time.monotonic()

    async def begin(self) -> None:
        started = await self._day.call("start_session")
        self._session = started.text.strip()
        begun = await self._day.call(
            "execute_python",
            code=f"import time; time.sleep({self._seconds}); 'it is done'",
            run_in_background=True,
            session=self._session,
        )
        self._execution = (re.search(r"execution-\d+", begun.text) or [""])[0]

    async def end(self) -> None:
        text = ""
        most = self._seconds + 60
        while time.monotonic() - self._begun < most and "'it is done'" not in text:
            answer = await self._day.call(
                "get_execution",
                execution=self._execution,
                wait_seconds=40,
                session=self._session,
            )
            text = answer.text
            if "under way" not in text:
                break
        minutes = "Three minutes" if self._seconds == THREE_MINUTES else f"{self._seconds} s"
        self._day.check(f"{minutes} in the background", "'it is done'" in text, text)


def furnish(folder: Path) -> None:
    """What a person has in such a folder."""
    (folder / "umsätze.csv").write_bytes(
        "Straße;Größe\r\nKönigsallee;1,5\r\nHauptstraße;2,5\r\n".encode("cp1252")
    )
    (folder / "more").mkdir()
    (folder / "more" / "inner.csv").write_text("a\n1\n", encoding="utf-8")
    numbers = random.Random(1)
    with (folder / "big.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "shop", "amount", "comment"])
        count = 0
        while file.tell() < LARGE_BYTES:
            rows.writerows(
                (count + n, "Harbour", numbers.randint(1, 999), "as usual, and so on and on")
                for n in range(10_000)
            )
            count += 10_000


async def live(
    folder: Path, only: str, pool: str, background_seconds: int
) -> list[tuple[str, str, str]]:
    steps: list[Callable[[Day], Awaitable[None]]] = [complete, cancel, progress, second_session]
    with anyio.fail_after(TIME_LIMIT_SECONDS):
        async with model_client(folder, "--pool", pool) as client:
            day = Day(client, folder, pool)
            background = Background(day, background_seconds)
            if not only:
                await background.begin()
            await copy_in(day)
            for habit in HABITS:
                if only.lower() in habit.name.lower():
                    await day.run(habit)
                if habit.name == "An HTML report" and not only:
                    await copy_out(day)
            for step in steps:
                if not only:
                    await step(day)
            if not only:
                await background.end()
            return day.rows


def table(rows: list[tuple[str, str, str]]) -> str:
    lines = ["| Habit | Verdict |", "| --- | --- |"]
    lines += [f"| {name} | {verdict} |" for name, verdict, _ in rows]
    works = sum(verdict == "works" for _, verdict, _ in rows)
    told = sum(verdict == "told" for _, verdict, _ in rows)
    return "\n".join(lines) + f"\n\n{works} work, {told} are told, of {len(rows)}.\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--background", type=int, default=THREE_MINUTES, metavar="SECONDS")
    parser.add_argument("only", nargs="?", default="")
    parser.add_argument("--pool", choices=TABLES, default="local")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aca-mcp-habits-") as folder:
        furnish(Path(folder))
        rows = anyio.run(live, Path(folder), given.only, given.pool, given.background)
    text = table(rows)
    print(text)
    if given.write:
        page = TABLES[given.pool]
        before, _, rest = page.read_text(encoding="utf-8").partition("| Habit |")
        after = rest.partition("\n## ")
        page.write_text("".join((before, text, *after[1:])), encoding="utf-8")
    return int(any(verdict == "FAILS" for _, verdict, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
