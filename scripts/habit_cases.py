"""The habits that ``scripts/habits.py`` tries: code as people write it, and what is right of it."""

from __future__ import annotations

import dataclasses
from typing import Any

MISSING = r"ModuleNotFoundError[\s\S]*(install|environment|env create)"
"""What is told of a package that sessions do not have."""


@dataclasses.dataclass(frozen=True)
class Habit:
    """Something that people do, and how it is judged."""

    name: str
    code: str
    works: str
    """Found in the text where it went as in a notebook."""
    told: str = r"(?!)"
    """Found where it did not, and the next call will: by what is said."""
    images: int = 0
    """How many figures come back at least."""
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


HABITS = [
    Habit(
        "A cp1252 CSV with decimal commas",
        "import pandas as pd\n"
        "d = pd.read_csv('umsätze.csv', sep=';', decimal=',', encoding='cp1252')\n"
        "print(d['Größe'].sum(), d['Straße'][0])",
        r"4\.0 Königsallee",
    ),
    Habit(
        "60 MB of CSV from the folder",
        "big = pd.read_csv('big.csv'); len(big), round(big.amount.mean())",
        r"\(\d{7}, \d+\)",
    ),
    Habit(
        "JSON",
        'import json; pd.json_normalize(json.loads(\'[{"a": {"b": 1}}]\')).columns.tolist()',
        r"\['a\.b'\]",
    ),
    Habit(
        "A zip, read and written",
        "import zipfile\n"
        "with zipfile.ZipFile('pack.zip', 'w') as z: z.writestr('x.csv', 'a,b\\n1,2\\n')\n"
        "pd.read_csv('pack.zip').to_dict()",
        r"\{'a': \{0: 1\}, 'b': \{0: 2\}\}",
    ),
    Habit(
        "SQLite",
        "import sqlite3\n"
        "base = sqlite3.connect('day.db'); d.to_sql('t', base, index=False)\n"
        "pd.read_sql('select count(*) n from t', base).n[0]",
        r"\b2\b",
    ),
    Habit(
        "A table out of HTML",
        "import io; pd.read_html(io.StringIO('<table><tr><th>a</th></tr><tr><td>7</td></tr></table>'))[0].a[0]",
        r"\b7\b",
        told=r"(ImportError|ModuleNotFoundError)[\s\S]*lxml",
    ),
    Habit(
        "Excel, out and in",
        "pd.DataFrame({'a': [1, 2]}).to_excel('out.xlsx', index=False); pd.read_excel('out.xlsx').a.sum()",
        r"\b3\b",
        told=MISSING,
    ),
    Habit(
        "Parquet",
        "pd.DataFrame({'a': [1, 2]}).to_parquet('out.parquet'); pd.read_parquet('out.parquet').a.sum()",
        r"\b3\b",
        told=r"(ImportError|ModuleNotFoundError)[\s\S]*pyarrow",
    ),
    Habit(
        "seaborn",
        "import seaborn as sns; _ = sns.histplot([1, 2, 2, 3])",
        "",
        told=MISSING,
        images=1,
    ),
    Habit(
        "scipy and statsmodels",
        "import scipy.stats, statsmodels.api as sm\n"
        "round(float(sm.OLS([1., 2, 3], sm.add_constant([1., 2, 4])).fit().params[1]), 2)",
        r"0\.64",
        told=MISSING,
    ),
    Habit(
        "scikit-learn with n_jobs=-1",
        "from sklearn.ensemble import RandomForestClassifier\n"
        "import numpy as np\n"
        "X = np.random.default_rng(0).normal(size=(400, 4))\n"
        "RandomForestClassifier(n_jobs=-1, n_estimators=40).fit(X, X[:, 0] > 0).score(X, X[:, 0] > 0)",
        r"1\.0|0\.99",
        told=MISSING,
    ),
    Habit(
        "polars and duckdb on 60 MB, one after the other",
        "import polars, duckdb\n"
        "n = polars.read_csv('big.csv').height\n"
        "n == duckdb.execute(\"select count(*) from 'big.csv'\").fetchone()[0]",
        r"True",
        told=MISSING,
    ),
    Habit(
        "... and 480 MB of numpy after that",
        "import numpy as np; a = np.ones(60_000_000); a.sum()",
        r"60000000",
    ),
    Habit("letting go of that", "del a, big", ""),
    Habit(
        "plotly",
        "import plotly.express as px, plotly.io as pio, plotly.offline as po\n"
        "figure = px.bar(x=['a'], y=[1]); figure.show('notebook'); pio.renderers.default = 'browser'\n"
        "po.init_notebook_mode(); po.iplot(figure); figure",
        r"(?:\.html[\s\S]*){3}",
        told=MISSING,
    ),
    Habit(
        "A styled table",
        "pd.DataFrame({'a': [0.5]}).style.format('{:.0%}')",
        r"50%",
        told=r"(ImportError|ModuleNotFoundError|AttributeError)[\s\S]*[Jj]inja2",
    ),
    Habit(
        "altair",
        "import altair as alt; alt.renderers.enable('mimetype')\n"
        "alt.Chart(pd.DataFrame({'a': ['x'], 'b': [1]})).mark_bar().encode(x='a', y='b')",
        r"altair chart|figure",
        told=MISSING,
        images=1,
    ),
    Habit(
        "An SVG drawing",
        "from IPython.display import SVG\n"
        'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle cx="20" cy="20" r="9"/></svg>\')',
        r"figure[\s\S]*\.svg",
        told=r"SVG drawing: .*\.svg",
        images=1,
    ),
    Habit(
        "tqdm.notebook and ipywidgets",
        "from tqdm.notebook import tqdm\n"
        "for _ in tqdm(range(20)): pass\n"
        "import ipywidgets; ipywidgets.IntSlider(value=3)",
        r"20/20[\s\S]*IntSlider\(value=3",
        told=MISSING,
    ),
    Habit(
        "joblib's workers",
        "from joblib import Parallel, delayed\n"
        "def work(n): print('worked on', n); return n\n"
        "sum(Parallel(n_jobs=2)(delayed(work)(n) for n in range(4)))",
        r"worked on 3[\s\S]*\b6\b",
        told=MISSING,
    ),
    Habit(
        "Reading a PDF",
        "import matplotlib.pyplot as plt\n"
        "f = plt.figure(); f.text(.1, .5, 'Invoice 4711'); f.savefig('in.pdf'); plt.close(f)\n"
        "import pypdf; 'Invoice' in pypdf.PdfReader('in.pdf').pages[0].extract_text()",
        r"True",
        told=MISSING,
    ),
    Habit(
        "%matplotlib inline, notebook, and plt.show()",
        "%matplotlib inline\n%matplotlib notebook\n_ = plt.plot([1, 2]); plt.show()",
        r"^(?!.*Traceback)",
        images=1,
    ),
    Habit(
        "Figures as SVG",
        "%config InlineBackend.figure_formats = ['svg']\n_ = plt.plot([3, 1])",
        r"^(?!.*Traceback)",
        images=1,
    ),
    Habit(
        "Saving a figure that is then shown",
        "%config InlineBackend.figure_formats = ['png']\n_ = plt.plot([1, 3]); plt.savefig('plot.png')",
        r"plot\.png|figure|^$",
        images=1,
    ),
    Habit(
        "Twelve large figures",
        "for n in range(12):\n    plt.figure(figsize=(16, 9)); plt.plot(range(n + 2))\nplt.show()",
        r"^(?!.*Traceback)",
        images=1,
    ),
    Habit(
        "A wide frame",
        "pd.DataFrame([[1] * 60], columns=[f'column_{n}' for n in range(60)])",
        r"column_0[\s\S]*column_59",
    ),
    Habit(
        "100,000 lines", "for n in range(100_000): print('line', n)", r"line 0\n[\s\S]*line 99999"
    ),
    Habit(
        "!ls, %timeit, %%bash, %who",
        "!ls plot.png\n%timeit -n 1 -r 1 1\n%who",
        r"plot\.png[\s\S]*loop[\s\S]*\bd\b",
    ),
    Habit("... %%bash", "%%bash\necho $((6 * 7))", r"\b42\b"),
    Habit(
        "... %run",
        "open('part.py', 'w').write('print(\"ran\"); y = 5')\n%run part.py\ny",
        r"ran[\s\S]*5",
    ),
    Habit(
        "A progress bar of tqdm",
        "from tqdm import tqdm\nfor _ in tqdm(range(30)): pass",
        r"30/30",
        told=MISSING,
    ),
    Habit(
        "pip",
        "%pip install humanize",
        r"[Ii]nstalled|already|humanize",
        told=r"no network|not permitted|cannot|index",
    ),
    Habit(
        "An URL",
        "pd.read_csv('https://example.com/x.csv')",
        r"(?!)",
        told=r"network",
    ),
    Habit("input()", "name = input('Who? ')", r"(?!)", told=r"input\(\)|stdin|raw_input"),
    Habit(
        "Time that is up",
        "import time; time.sleep(30)",
        r"(?!)",
        r"1 second|time",
        arguments={"timeout_seconds": 1},
    ),
    Habit(
        "A mistyped file name",
        "pd.read_csv('umsatze.csv')",
        r"(?!)",
        told=r"FileNotFoundError[\s\S]*(upload_from_work_dir|list_files)|umsätze",
    ),
    Habit(
        "A figure, a PDF and a zip for the folder",
        "plt.plot([1]); plt.savefig('report.pdf'); plt.savefig('report.png'); plt.close()\n"
        "import shutil; shutil.make_archive('all', 'zip', '.', 'report.pdf')",
        r"all\.zip",
    ),
    Habit(
        "An HTML report",
        "open('report.html', 'w').write(d.to_html()); 'ok'",
        r"ok",
    ),
    Habit("await", "import asyncio; await asyncio.sleep(0.01, 'slept')", r"slept"),
    Habit(
        "A process pool",
        "from concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(2) as p: print(sum(p.map(abs, [-1, -2])))",
        r"\b3\b",
    ),
    Habit(
        "An animated GIF",
        "from matplotlib.animation import FuncAnimation\n"
        "f, x = plt.subplots(); FuncAnimation(f, lambda n: x.plot([n, 1]), frames=3).save('move.gif', writer='pillow')\n"
        "plt.close(); from IPython.display import Image; Image('move.gif')",
        r"^(?!.*Traceback)",
        images=1,
    ),
    Habit(
        "Titles in Chinese and Japanese",
        "plt.title('销售 売上 매출'); _ = plt.plot([1])",
        r"^(?!.*Traceback)",
        images=1,
    ),
    Habit("Code within fences", "```python\nprint(6 * 7)\n```", r"\b42\b"),
    Habit(
        "Memory that is not there",
        "x = np.ones(10**11)",
        r"(?!)",
        told=r"MemoryError|memory",
    ),
    Habit(
        "A disk that is full",
        "with open('fill', 'wb') as f:\n    for _ in range(4000): _ = f.write(bytes(1 << 20))",
        r"(?!)",
        told=r"No space left|disk|large|space",
    ),
    Habit(
        "... and room again",
        "import os\nif os.path.exists('fill'): os.remove('fill')\nopen('small', 'w').write('x')",
        r"\b1\b",
    ),
    Habit(
        "A segmentation fault", "import ctypes; ctypes.string_at(0)", r"(?!)", told=r"SIGSEGV|crash"
    ),
    Habit("... and the session after it", "6 * 7", r"\b42\b"),
    Habit("exit()", "exit()", r"^(?!.*Traceback)", told=r"restart_session|ended|exit"),
]
