"""Which package brings a module that cannot be imported, and what to do about it. Pure."""

from __future__ import annotations

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


def about_missing_module(module: str, *, installs_packages: bool = False) -> str:
    """A line for whoever tried to import a module that is not there.

    Args:
        module: its name.
        installs_packages: sessions may get further packages.
    """
    package = package_of(module)
    if not installs_packages:
        other = f" It is brought by the package {package}." if package != module else ""
        return (
            f"This session has no module {module!r}.{other} Packages cannot be installed in it; "
            "list_packages tells what there is. A module of your own can be uploaded as a file."
        )
    call = f'install_packages(packages=["{package}"])'
    if is_known(package):
        return f"{module} comes with the package {package}: {call} gets it."
    # A stranger may have taken the name of what is a file of the user's.
    return f"If {module} is a package of that name, and not a file that is missing: {call}"
