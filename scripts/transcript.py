"""Keeps docs/transcript.md: an hour of a model's work, and each answer as the model gets it.

    ./scripts/transcript            # lives the hour again, and fails where it went differently
    ./scripts/transcript --write    # writes down what it came to

The calls are those of an analyst with a messy file. They are made by an official client over stdio,
with an environment of pinned packages, so that the same comes back until this package changes it.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

sys.path.insert(0, str(Path(__file__).parent))
from model_client import COMMAND, Answer, ask, model_client
from transcript_calls import CALLS, CRASH, furnish

if TYPE_CHECKING:
    from mcp import Client

ROOT = Path(__file__).parent.parent
TRANSCRIPT = ROOT / "docs" / "transcript.md"
TIME_LIMIT_SECONDS = 240
PACKAGES = (
    "ipython==9.18.1",
    "jinja2==3.1.6",
    "matplotlib==3.11.2",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "plotly==7.1.0",
    "tqdm==4.70.1",
)
ENVIRONMENT = f"transcript-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:8]}"
OPENING = """\
# An hour of a model's work

What a model asks of the server, and what it is answered, word for word; pictures are named where
they come. `./scripts/transcript` lives this hour again with every run of the checks, and fails
where an answer differs. Times, rates and sizes that vary are `…`.
"""

_TRIES = 30
_THINKING_SECONDS = 5
"""Before what ends the session's process: a copy to go back to is made while nobody calls, and a
machine that has much else to do takes its time for it."""
_COUNT_THREADS = "import os, numpy, pandas, matplotlib.pyplot\nlen(os.listdir('/proc/self/task'))"
_VARYING = (
    (re.compile(r"\d+(?:\.\d+)? (?:s|seconds|ms|μs)\b"), "… s"),
    (re.compile(r"\[\d\d:\d\d<[^\]]*\]"), "[…]"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "…"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0x…"),
    (re.compile(r'File "/[^"]*/(lib/python3\.)\d+/'), r'File "…/\1x/'),
    (re.compile(r'", line \d+, in (?!<module>)'), '", line …, in '),
    (
        re.compile(r"Variables are as they were before .*?; files"),
        "Variables are as they were before …; files",
    ),
    (re.compile(r"([\w.-]+\.(?:ipynb|html|png)): copied, [\d,]+ bytes"), r"\1: copied, … bytes"),
)


def settled(text: str) -> str:
    """The text without what is different each time."""
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return "\n".join(line.rstrip() for line in text.replace("\t", "    ").splitlines())


def fenced(text: str, language: str = "") -> str:
    """A block of Markdown that no text can leave."""
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def asked(tool: str, arguments: dict[str, Any]) -> str:
    others = ", ".join(f"{key}={value!r}" for key, value in arguments.items() if key != "code")
    head = f"**`{tool}({others})`**"
    return f"{head}\n\n{fenced(arguments['code'], 'python')}" if "code" in arguments else head


def answered(answer: Answer) -> str:
    pieces: list[str] = []
    pictures = 0
    for part in answer.parts:
        if isinstance(part, str):
            pieces.append(fenced(settled(part), "text"))
        else:
            pictures += 1
    if pictures:
        pieces.append(f"*and {pictures} picture{'s' if pictures > 1 else ''}*")
    return "\n\n".join(pieces)


async def begin(client: Client) -> None:
    """Have a session that was made with the libraries, as all but one of the first moment are.

    One that imports numpy itself has its threads, and no copy to go back to from a crash.
    """
    for _ in range(_TRIES):
        await ask(client, "restart_session", {})
        if (await ask(client, "execute_python", {"code": _COUNT_THREADS})).text.strip() == "1":
            break
        await anyio.sleep(1)
    await ask(client, "restart_session", {})


async def live(folder: Path) -> str:
    """All calls, and all answers, as Markdown."""
    parts = [OPENING.rstrip()]
    make = [str(COMMAND), "env", "create", ENVIRONMENT, *PACKAGES, "--if-missing"]
    with anyio.fail_after(TIME_LIMIT_SECONDS):
        await anyio.run_process(make, stdout=None, stderr=None)
        async with model_client(folder, "--local-environment", ENVIRONMENT) as client:
            await begin(client)
            for why, tool, arguments in CALLS:
                if why == CRASH:
                    await anyio.sleep(_THINKING_SECONDS)
                answer = await ask(client, tool, arguments)
                parts += [f"## {why}", asked(tool, arguments), answered(answer)]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aca-mcp-transcript-") as folder:
        furnish(Path(folder))
        text = anyio.run(live, Path(folder))
    if given.write:
        TRANSCRIPT.write_text(text, encoding="utf-8")
        return 0
    kept = TRANSCRIPT.read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        kept.splitlines(), text.splitlines(), str(TRANSCRIPT.relative_to(ROOT)), "now", lineterm=""
    )
    difference = "\n".join(lines)
    print(difference or f"{len(CALLS)} answers are as they are written down.")
    return int(bool(difference))


if __name__ == "__main__":
    sys.exit(main())
