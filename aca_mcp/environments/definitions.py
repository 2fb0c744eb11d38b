"""The environments that come with the product: what they have, and why.

``docs/environments.md`` has the weight of each package, and of those that were left out.
"""

from __future__ import annotations

from typing import NamedTuple

EVERY = ("ipython>=9.0",)
"""What sessions cannot be without: the kernel is made of it."""


class Definition(NamedTuple):
    """An environment that can be made by its name alone."""

    summary: str
    """Its contents in one line."""
    requirements: tuple[str, ...]


_BASIC = ("matplotlib>=3.9", "numpy>=2.0", "pandas>=2.2")

DEFINITIONS = {
    "minimal": Definition("numpy, pandas and matplotlib", _BASIC),
    "data": Definition(
        "what data work uses: scipy, scikit-learn, statsmodels, seaborn, plotly, openpyxl, "
        "pyarrow, polars, duckdb, office and PDF files, and more",
        (
            *_BASIC,
            "altair>=5.4",
            "beautifulsoup4>=4.12",
            "charset-normalizer>=3.3",
            "duckdb>=1.1",
            "httpx>=0.27",
            "jinja2>=3.1",
            "lxml>=5.3",
            "networkx>=3.3",
            "nltk>=3.9",
            "openpyxl>=3.1",
            "pdfplumber>=0.11",
            "pillow>=10.4",
            "plotly>=5.24",
            "polars>=1.9",
            "pyarrow>=17",
            "pypdf>=5.0",
            "python-dateutil>=2.9",
            "python-docx>=1.1",
            "python-pptx>=1.0",
            "pyyaml>=6.0",
            "reportlab>=4.2",
            "requests>=2.32",
            "rich>=13",
            "scikit-learn>=1.5",
            "scipy>=1.14",
            "seaborn>=0.13",
            "statsmodels>=0.14",
            "sympy>=1.13",
            "tabulate>=0.9",
            "tqdm>=4.66",
            "vl-convert-python>=1.6",
            "xlsxwriter>=3.2",
        ),
    ),
}

_SHOWN = 12


def summary_of(name: str, requirements: tuple[str, ...]) -> str:
    """What an environment has, in one line.

    Args:
        name: the environment's.
        requirements: what it was made of.
    """
    known = DEFINITIONS.get(name)
    if known is not None and known.requirements == requirements:
        return known.summary
    return _listed(requirements)


def otherwise_now(name: str, requirements: tuple[str, ...]) -> str:
    """How this version makes an environment otherwise: a clause; empty if it does not.

    Args:
        name: the environment's.
        requirements: what it was made of.
    """
    if (known := DEFINITIONS.get(name)) is None:
        return ""
    added = tuple(each for each in known.requirements if each not in requirements)
    gone = tuple(each for each in requirements if each not in known.requirements)
    parts = (f"with {_listed(added)}" if added else "", f"without {_listed(gone)}" if gone else "")
    return " and ".join(filter(None, parts))


def _listed(requirements: tuple[str, ...]) -> str:
    shown = ", ".join(requirements[:_SHOWN])
    more = len(requirements) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
