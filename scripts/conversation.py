"""Draws docs/conversation.png: the README's question, asked of a real server, as a chat shows it.

    .venv/bin/python scripts/conversation.py

The words of the person and of the model are written here. The calls are made, by the official
client over stdio, and what is shown of their answers is what came back.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import matplotlib as mpl
from matplotlib import image as mpl_image
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

sys.path.insert(0, str(Path(__file__).parent))
from model_client import ask, model_client

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "conversation.png"
TIME_LIMIT_SECONDS = 180
WIDTH_INCHES, LINE_INCHES, DPI = 9.6, 0.19, 130
COLUMNS = 104

QUESTION = (
    "Which shop sells most in coffee.csv, and what happens in summer? Put a plot into my folder."
)
EXPLORE = """\
import pandas as pd
sales = pd.read_csv("coffee.csv", parse_dates=["week"])
sales.groupby("shop").agg(weeks=("week", "nunique"), cups=("cups", "sum"), best=("cups", "max"))"""
PLOT = """\
import matplotlib.pyplot as plt
fig, ax = plt.subplots(figsize=(9, 3.6))
for shop, rows in sales.groupby("shop"):
    ax.plot(rows.week, rows.cups.rolling(3, center=True).mean(), label=shop)
ax.set(title="Cups sold a week, mean of three weeks"); ax.legend(frameon=False)
fig.savefig("cups.png", dpi=150)"""
ANSWER = (
    "Station sells most. University loses half of its customers from late July to September; the "
    "others do not. The plot is in your folder as cups.png."
)
ASKS: list[tuple[str, dict[str, Any]]] = [
    ("list_work_dir", {}),
    ("upload_from_work_dir", {"paths": ["coffee.csv"]}),
    ("execute_python", {"code": EXPLORE}),
    ("execute_python", {"code": PLOT}),
    ("download_to_work_dir", {"paths": ["cups.png"]}),
]


@dataclass
class Part:
    """A piece of the conversation."""

    who: str
    """``user``, ``model``, ``call``, ``result`` or ``figure``."""
    lines: Sequence[str] = ()
    image: bytes = b""

    @property
    def height(self) -> float:
        """In lines of text."""
        return (len(self.lines) or 17) + 1.1


async def converse(folder: Path) -> list[Part]:
    """Ask, and let every call be made."""
    parts = [Part("user", textwrap.wrap(QUESTION, COLUMNS - 14))]
    with anyio.fail_after(TIME_LIMIT_SECONDS):
        async with model_client(folder) as client:
            for tool, arguments in ASKS:
                answer = await ask(client, tool, arguments)
                if answer.is_error:
                    sys.exit(f"{tool} failed: {answer.text}")
                shown = ", ".join(f"{k}={v!r}" for k, v in arguments.items() if k != "code")
                code = cast("str", arguments.get("code", ""))
                parts.append(
                    Part("call", [tool if code else f"{tool}({shown})", *code.splitlines()])
                )
                for part in answer.parts:
                    if isinstance(part, bytes):
                        parts.append(Part("figure", image=part))
                    elif part.strip():
                        text = part.replace("\t", "   ").strip("\n")
                        parts.append(Part("result", text.splitlines()[:9]))
    if not (folder / "cups.png").is_file():
        sys.exit("the plot is not in the folder")
    return [*parts, Part("model", textwrap.wrap(ANSWER, COLUMNS - 2))]


COLOURS = {"user": "#dbeafe", "model": "#ffffff", "call": "#f3f4f6", "result": "#ffffff"}


def draw(parts: Sequence[Part]) -> bytes:
    """The conversation as a PNG."""
    lines = sum(part.height for part in parts) + 1
    mpl.rcParams["font.family"] = ["DejaVu Sans Mono"]
    # As untyped as its own stubs leave most of it.
    figure: Any = Figure(figsize=(WIDTH_INCHES, lines * LINE_INCHES), dpi=DPI, facecolor="white")
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, COLUMNS), ylim=(lines, 0))
    axes.axis("off")
    top = 0.6
    for part in parts:
        if part.who == "figure":
            picture = mpl_image.imread(io.BytesIO(part.image))
            height, width = picture.shape[:2]
            tall = part.height - 1.1
            wide = tall * LINE_INCHES * width / height / WIDTH_INCHES * COLUMNS
            axes.imshow(picture, extent=(6, 6 + wide, top + tall, top), aspect="auto", zorder=2)
            axes.set(xlim=(0, COLUMNS), ylim=(lines, 0))
        else:
            left = 14 if part.who == "user" else 2 if part.who == "model" else 4
            axes.add_patch(
                FancyBboxPatch(
                    (left - 1, top),
                    COLUMNS - left - 1,
                    len(part.lines) + 0.4,
                    boxstyle="round,pad=0.1",
                    facecolor=COLOURS[part.who],
                    edgecolor="none",
                )
            )
            for number, line in enumerate(part.lines):
                is_words = part.who in {"user", "model"}
                axes.text(
                    left,
                    top + number + 0.8,
                    line[: COLUMNS - left],
                    fontsize=8.2,
                    family="DejaVu Sans" if is_words else "DejaVu Sans Mono",
                    color="#111827" if is_words or part.who == "call" else "#374151",
                    weight="bold" if part.who == "call" and not number else "normal",
                )
        top += part.height
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="aca-mcp-") as folder:
        shutil.copy(ROOT / "examples" / "coffee.csv", folder)
        parts = anyio.run(converse, Path(folder))
    PICTURE.write_bytes(draw(parts))
    print(f"{PICTURE}: {len(parts)} parts, {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
