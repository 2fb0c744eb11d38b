"""The calls of docs/transcript.md, and the file that they begin with."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LOAD = """\
import pandas as pd
raw = pd.read_csv("orders.csv", sep=";", decimal=",", encoding="cp1252", skiprows=2)
raw.columns = [name.strip().lower() for name in raw.columns]
orders = raw.dropna(how="all").drop_duplicates().rename(columns={"größe": "size"})
days, iso = (pd.to_datetime(orders["date"], format=f, errors="coerce") for f in ("%d.%m.%Y", "%Y-%m-%d"))
orders["date"] = days.fillna(iso)
orders["price"] = orders["price"].astype(str).str.replace(" €", "").str.replace(",", ".").astype(float)
orders["city"] = orders["city"].str.strip().str.title()
orders["month"] = orders["date"].dt.month"""


CRASH = "A crash"


def _run(why: str, code: str, **arguments: Any) -> tuple[str, str, dict[str, Any]]:
    return why, "execute_python", {**arguments, "code": code.strip("\n")}


CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("What the folder has", "list_work_dir", {}),
    ("A copy for the session", "upload_from_work_dir", {"paths": ["orders.csv"]}),
    _run("Reading it as if it were tidy", 'import pandas as pd\npd.read_csv("orders.csv")'),
    _run(
        "Looking at its first bytes",
        'with open("orders.csv", "rb") as file:\n'
        "    for line in file.readlines()[:6]:\n        print(line)",
    ),
    _run("Reading it as what it is", f"{LOAD}\norders.info()\norders.head(8)"),
    _run("Numbers, and what is odd", "print(orders.isna().sum().to_dict())\norders.describe()"),
    _run(
        "A column that is not there",
        'orders.groupby("town").price.sum()',
    ),
    _run(
        "Twelve figures",
        """
import matplotlib.pyplot as plt
for month, rows in orders.groupby("month"):
    fig, ax = plt.subplots(figsize=(4, 2.5))
    rows.groupby("city").price.sum().plot.bar(ax=ax, title=f"Month {month}")
    print(f"month {month}: {len(rows)} orders")
    plt.show()
""",
    ),
    _run(
        "A progress bar",
        """
from tqdm.auto import tqdm
means = []
for seed in tqdm(range(200), desc="bootstrap"):
    means.append(orders.price.sample(frac=1, replace=True, random_state=seed).mean())
print("done")
round(float(pd.Series(means).std()), 3)
""",
    ),
    _run(
        "A display that is updated",
        """
from IPython.display import clear_output
state = display("starting", display_id=True)
for step in range(5):
    state.update(f"step {step + 1} of 5")
for n in range(3):
    clear_output(wait=True)
    print("attempt", n + 1)
""",
    ),
    _run(
        "A wide table",
        'orders.pivot_table(index="city", columns="month", values="price", aggfunc="sum")',
    ),
    _run(
        "A styled table",
        """
totals = orders.groupby("city").agg(orders=("price", "size"), revenue=("price", "sum"))
totals.style.format({"revenue": "{:,.2f} €"}).background_gradient(subset="revenue").set_caption("By city")
""",
    ),
    _run(
        "An interactive plot",
        """
import plotly.express as px
px.line(orders.groupby("date", as_index=False).price.sum(), x="date", y="price", title="Revenue by day")
""",
    ),
    _run(
        "Its picture, by the package that was named",
        """
%pip install kaleido==0.2.1
fig = px.bar(totals.reset_index(), x="city", y="revenue", title="Revenue by city")
fig.write_image("revenue.png")
fig
""",
        timeout_seconds=120,
    ),
    _run("A question to nobody", 'limit = input("Which limit? ")'),
    _run("The network", 'pd.read_csv("https://example.com/rates.csv")'),
    _run(
        "A package that is not there, and warnings",
        "import warnings\nfor n in range(3):\n    warnings.warn('prices below 1 are ignored')\nimport prophet",
    ),
    _run(
        "Too much for the time",
        "import time\nkept = 'still here'\ntime.sleep(60)",
        timeout_seconds=2,
    ),
    _run("What is left of it", "kept"),
    _run(CRASH, 'import ctypes\nprint("before")\nctypes.string_at(0)'),
    _run("After it", f"{LOAD}\nlen(orders)"),
    _run(
        "Results as files",
        'orders.to_csv("clean.csv", index=False)\n'
        'orders.groupby("city").price.sum().to_json("totals.json")\n'
        "!wc -l clean.csv",
    ),
    (
        "Into the folder",
        "download_to_work_dir",
        {"paths": ["clean.csv", "totals.json", "session.ipynb"]},
    ),
)
"""Why, which tool, and its arguments."""


def furnish(folder: Path) -> None:
    """Write a file as people get them: of an old program, edited by hand, the same each time."""
    numbers = random.Random(7)
    cities = ("Berlin", "berlin ", "Köln", "MÜNCHEN", "Hamburg")
    rows = ["Export 2025;;;;", ";;;;", "Date;City ;Größe;Price;Comment"]
    for n in range(420):
        month, day = 1 + n % 12, 1 + numbers.randrange(28)
        date = f"{day:02}.{month:02}.2025" if n % 5 else f"2025-{month:02}-{day:02}"
        price = f"{numbers.randrange(100, 9000) / 100:.2f}".replace(".", ",")
        size = f"{numbers.randrange(1, 60) / 10:.1f}".replace(".", ",") if n % 9 else ""
        unit = " €" if n % 7 == 0 else ""
        rows.append(
            f"{date};{numbers.choice(cities)};{size};{price}{unit};{'as usual' if n % 3 else ''}"
        )
    rows[40:40] = [";;;;", rows[39], rows[39]]
    (folder / "orders.csv").write_bytes("\r\n".join([*rows, ""]).encode("cp1252"))
