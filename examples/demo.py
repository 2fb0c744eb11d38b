"""The main job, seen from a client: a model analyses a CSV and draws a plot.

Starts the real server as a subprocess and speaks MCP to it over stdio, as Claude Desktop or an
editor would. What is printed under each call is what a model would get.
"""

from __future__ import annotations

import base64
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import ImageContent, TextContent

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "demo-output"
SERVER = StdioServerParameters(command=sys.executable, args=["-m", "aca_mcp"])
TIME_LIMIT_SECONDS = 180

EXPLORE = """\
import pandas as pd
sales = pd.read_csv("coffee.csv", parse_dates=["week"])
print(sales.isna().sum().to_string())
sales.groupby("shop").agg(weeks=("week", "nunique"), cups=("cups", "sum"), best=("cups", "max"))
"""

PLOT = """\
import matplotlib.pyplot as plt
figure, axis = plt.subplots(figsize=(9, 4.5))
for shop, rows in sales.groupby("shop"):
    axis.plot(rows["week"], rows["cups"].rolling(3, center=True).mean(), label=shop)
axis.set(title="Cups sold a week, mean of three weeks", ylabel="cups")
axis.legend(frameon=False)
axis.grid(alpha=0.3)
"""

REMEMBER = """\
dip = sales[(sales.shop == "University") & sales.week.dt.month.isin([7, 8, 9])].cups.mean()
term = sales[(sales.shop == "University") & sales.week.dt.month.isin([3, 4, 5])].cups.mean()
print(f"University sells {1 - dip / term:.0%} fewer cups in summer than in spring.")
"""


class UnexpectedResult(Exception):
    """A call failed that should not, or the other way about."""


async def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    started = time.perf_counter()
    with anyio.fail_after(TIME_LIMIT_SECONDS):
        async with Client(stdio_client(SERVER)) as alice:
            heading("A client connects")
            note(f"protocol {alice.protocol_version}")
            listing = await alice.list_tools()
            note("tools: " + ", ".join(tool.name for tool in listing.tools))

            heading("It uploads a CSV and has it analysed")
            text = (HERE / "coffee.csv").read_text(encoding="utf-8")
            await call(alice, "upload_file", path="coffee.csv", content=text)
            await call(alice, "execute_python", code=EXPLORE)
            note(f"first results after {time.perf_counter() - started:.1f} s, start-up included")

            heading("The plot comes back as an image")
            await call(alice, "execute_python", code=PLOT)

            heading("Variables are still there in the next call")
            await call(alice, "execute_python", code=REMEMBER)

            heading("A second client has a session of its own")
            async with Client(stdio_client(SERVER)) as bob:
                await call(bob, "list_files")
                await call(bob, "execute_python", code='"sales" in globals()')

            heading("A restart forgets")
            await call(alice, "restart_session")
            await call(alice, "execute_python", fails=True, code="sales.head()")
    heading("Done")


async def call(client: Client, tool: str, *, fails: bool = False, **arguments: Any) -> None:
    """Call a tool and print both sides of it; end the demo if it does not go as it should."""
    print(f"\n> {tool}")
    for name, value in arguments.items():
        shown = str(value) if len(str(value)) < 1000 else f"({len(str(value)):,} characters)"
        print(textwrap.indent(shown if "\n" in shown else f"{name}={shown}", "    "))
    result = await client.call_tool(tool, arguments)
    for block in result.content:
        match block:
            case TextContent():
                print(textwrap.indent(block.text.rstrip(), "  | ", lambda line: True))
            case ImageContent():
                data = base64.b64decode(block.data)
                path = OUTPUT / "cups.png"
                path.write_bytes(data)
                print(f"  | [{block.mime_type}, {len(data):,} bytes]")
                note(f"saved as {path}")
            case _:
                print(f"  | [{block.type}]")
    if result.is_error is not fails:
        raise UnexpectedResult


def heading(text: str) -> None:
    print(f"\n=== {text}")


def note(text: str) -> None:
    print(f"  ({text})")


if __name__ == "__main__":
    went_wrong = False
    try:
        anyio.run(main)
    except* UnexpectedResult:
        went_wrong = True
    if went_wrong:
        sys.exit("\nThis should not have happened. `.venv/bin/aca-mcp doctor` may know why.")
