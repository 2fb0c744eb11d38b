"""Which package brings a module that cannot be imported, and what to do about it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_PACKAGES = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "Levenshtein": "levenshtein",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "absl": "absl-py",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cairo": "pycairo",
    "community": "python-louvain",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google.protobuf": "protobuf",
    "graphviz": "graphviz",
    "igraph": "igraph",
    "imblearn": "imbalanced-learn",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "kaleido": "kaleido",
    "lightgbm": "lightgbm",
    "magic": "python-magic",
    "markdown": "markdown",
    "mpl_toolkits": "matplotlib",
    "mpl_finance": "mplfinance",
    "multipart": "python-multipart",
    "nacl": "pynacl",
    "osgeo": "gdal",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pylab": "matplotlib",
    "pythoncom": "pywin32",
    "rapidjson": "python-rapidjson",
    "rtree": "rtree",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "skopt": "scikit-optimize",
    "slugify": "python-slugify",
    "snappy": "python-snappy",
    "telegram": "python-telegram-bot",
    "umap": "umap-learn",
    "usb": "pyusb",
    "wx": "wxpython",
    "xlwt": "xlwt",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
COMMON_PACKAGES = frozenset(
    [
        "openpyxl",
        "seaborn",
        "scikit-learn",
        "scipy",
        "statsmodels",
        "sympy",
        "networkx",
        "requests",
        "httpx",
        "pillow",
        "plotly",
        "altair",
        "polars",
        "pyarrow",
        "duckdb",
        "xlsxwriter",
        "xlrd",
        "beautifulsoup4",
        "lxml",
        "jinja2",
        "tabulate",
        "pypdf",
        "pdfplumber",
        "reportlab",
        "python-docx",
        "python-pptx",
        "nltk",
        "spacy",
        "gensim",
        "opencv-python-headless",
        "scikit-image",
        "xgboost",
        "lightgbm",
        "catboost",
        "shap",
        "geopandas",
        "shapely",
        "folium",
        "sqlalchemy",
        "pydantic",
        "tqdm",
        "rich",
        "pyyaml",
        "python-dateutil",
        "faker",
        "textblob",
        "wordcloud",
        "numba",
        "dask",
        "bokeh",
    ]
)
"""What people ask for: to find what a mistyped name may have meant, and to suggest no others."""

_MODULES = {package: module for module, package in reversed(_PACKAGES.items())}


def package_of(module: str) -> str:
    """The package that has a module, by the names that are known; else the module's own."""
    known = _PACKAGES.get(module)
    top = module.partition(".")[0]
    return known or _PACKAGES.get(top) or top.replace("_", "-").lower()


def is_known(package: str) -> bool:
    """Whether a name is one that people mean when they import it, not perhaps a stranger's."""
    return package in COMMON_PACKAGES or package in _MODULES


def module_of(package: str) -> str:
    """The module of a package, by its normalized name, where it has another name; else empty."""
    return _MODULES.get(package, "")


@dataclass(frozen=True, slots=True)
class PackageOffer:
    """Which further packages sessions may get."""

    kind: Literal["never", "off", "list", "index"] = "never"
    """``off`` is a choice of who runs the server; ``never`` is the pool's nature."""
    listed: tuple[str, ...] = ()
    """With ``list``: what is permitted, as requirements are written."""
    pool_chooses: bool = False
    """Whoever made the pool chose what sessions have from their start: the pool is their one
    environment."""

    @property
    def is_open(self) -> bool:
        """Whether there are any."""
        return self.kind in {"list", "index"}

    def has(self, package: str) -> bool:
        """Whether a package may be had, by its normalized name."""
        names = (re.match(r"[A-Za-z0-9._-]+", each) for each in self.listed)
        return self.kind == "index" or (
            self.kind == "list" and package in {_normal(name.group()) for name in names if name}
        )

    def refusal(self) -> str:
        """Why what cannot be had cannot, and who could permit it."""
        match self.kind:
            case "list":
                return (
                    "It is not on the list of packages that may be installed here "
                    "(ACA_MCP_PACKAGES_LIST), which who runs the server can change."
                )
            case "off":
                return (
                    "Packages cannot be installed here, unless who runs the server permits it "
                    "with ACA_MCP_PACKAGES=index."
                )
            case _:
                return "Packages cannot be installed in it."


NOTHING = PackageOffer()


def about_missing_module(
    module: str, offer: PackageOffer = NOTHING, *, by_code: bool = False
) -> str:
    """A line for whoever tried to import a module that is not there.

    Args:
        module: its name.
        offer: what sessions may get.
        by_code: say what code gets it, for whoever has no tools to call.
    """
    package = package_of(module)
    if not offer.has(package):
        other = f" It is brought by the package {package}." if package != module else ""
        return (
            f"This session has no module {module!r}.{other} {offer.refusal()} list_packages tells "
            "what there is. A module of your own can be uploaded as a file."
        )
    call = f"%pip install {package}" if by_code else _call(package)
    if is_known(package):
        return f"{module} comes with the package {package}: {call} gets it."
    # A stranger may have taken the name of what is a file of the user's.
    return f"If {module} is a package of that name, and not a file that is missing: {call}"


def about_absent_package(name: str, offer: PackageOffer) -> str:
    """What to do about a package that is not installed, by either of its names: a clause."""
    package = package_of(name)
    if not offer.has(package):
        refusal = offer.refusal()
        return refusal[0].lower() + refusal[1:]
    if is_known(package):
        return f"{_call(package)} gets it"
    return f"if there is such a package, {_call(package)} gets it"


def _call(package: str) -> str:
    return f'install_packages(packages=["{package}"])'


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
