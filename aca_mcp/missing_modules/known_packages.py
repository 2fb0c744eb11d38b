"""Which package has a module: where names differ, and where packages share a namespace. Pure.

A table of our own: those that there are come with tools that do much else (``docs/environments.md``
weighs them), and a wrong entry would lead to a stranger's package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def normal(name: str) -> str:
    """A package's name as indexes compare names (PEP 503).

    Elsewhere ``packaging`` does it, which takes too long to import for the start of a server.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


_PACKAGES = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "IPython": "ipython",
    "Levenshtein": "levenshtein",
    "MeCab": "mecab-python3",
    "MySQLdb": "mysqlclient",
    "OpenGL": "pyopengl",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "Xlib": "python-xlib",
    "absl": "absl-py",
    "airflow": "apache-airflow",
    "attr": "attrs",
    "azure.core": "azure-core",
    "azure.cosmos": "azure-cosmos",
    "azure.eventhub": "azure-eventhub",
    "azure.functions": "azure-functions",
    "azure.identity": "azure-identity",
    "azure.servicebus": "azure-servicebus",
    "barcode": "python-barcode",
    "bs4": "beautifulsoup4",
    "bson": "pymongo",
    "cairo": "pycairo",
    "can": "python-can",
    "community": "python-louvain",
    "corsheaders": "django-cors-headers",
    "cpuinfo": "py-cpuinfo",
    "cv2": "opencv-python-headless",
    "cx_Oracle": "cx-oracle",
    "dateutil": "python-dateutil",
    "decouple": "python-decouple",
    "discord": "discord-py",
    "dns": "dnspython",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "engineio": "python-engineio",
    "faiss": "faiss-cpu",
    "ffmpeg": "ffmpeg-python",
    "fitz": "pymupdf",
    "fpdf": "fpdf2",
    "gi": "pygobject",
    "git": "gitpython",
    "gitlab": "python-gitlab",
    "google.api_core": "google-api-core",
    "google.auth": "google-auth",
    "google.cloud.aiplatform": "google-cloud-aiplatform",
    "google.genai": "google-genai",
    "google.generativeai": "google-generativeai",
    "google.oauth2": "google-auth",
    "google.protobuf": "protobuf",
    "googleapiclient": "google-api-python-client",
    "graphviz": "graphviz",
    "hydra": "hydra-core",
    "igraph": "igraph",
    "imblearn": "imbalanced-learn",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "kafka": "kafka-python",
    "kaleido": "kaleido",
    "ldap": "python-ldap",
    "lightgbm": "lightgbm",
    "lxml.html.clean": "lxml-html-clean",
    "magic": "python-magic",
    "markdown": "markdown",
    "memcache": "python-memcached",
    "mpl_finance": "mplfinance",
    "mpl_toolkits": "matplotlib",
    "mpl_toolkits.basemap": "basemap",
    "multipart": "python-multipart",
    "nacl": "pynacl",
    "netCDF4": "netcdf4",
    "nmap": "python-nmap",
    "odf": "odfpy",
    "opentelemetry": "opentelemetry-api",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "osgeo": "gdal",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pylab": "matplotlib",
    "pythoncom": "pywin32",
    "pywt": "pywavelets",
    "rapidjson": "python-rapidjson",
    "rest_framework": "djangorestframework",
    "rtree": "rtree",
    "serial": "pyserial",
    "skbio": "scikit-bio",
    "skfuzzy": "scikit-fuzzy",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "skopt": "scikit-optimize",
    "sksparse": "scikit-sparse",
    "slugify": "python-slugify",
    "snappy": "python-snappy",
    "snowflake.connector": "snowflake-connector-python",
    "socketio": "python-socketio",
    "speech_recognition": "speechrecognition",
    "stl": "numpy-stl",
    "tabula": "tabula-py",
    "talib": "ta-lib",
    "telegram": "python-telegram-bot",
    "umap": "umap-learn",
    "usb": "pyusb",
    "vl_convert": "vl-convert-python",
    "whois": "python-whois",
    "win32api": "pywin32",
    "win32com": "pywin32",
    "wx": "wxpython",
    "xlwt": "xlwt",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""By the names of modules, also of those below a namespace that several packages share."""

_VERSIONS = {"pkg_resources": "<81", "kaleido": "==0.2.1"}
"""Of packages that later have the module no longer, or not the browser that draws."""

_OTHER_NAMES = {
    "opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
}
"""Of packages, as conda and what libraries say of themselves have them."""

_NAMESPACES = {
    "azure": 3,
    "backports": 2,
    "google.cloud": 3,
    "jaraco": 2,
    "ruamel": 2,
    "sphinxcontrib": 2,
    "zope": 2,
}
"""Whose packages are named as the module is, to so many parts of its name."""

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
        "tables",
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
        "anthropic",
        "arrow",
        "arviz",
        "boto3",
        "cartopy",
        "click",
        "cryptography",
        "cvxpy",
        "datasets",
        "datashader",
        "emoji",
        "fastapi",
        "feedparser",
        "fiona",
        "flask",
        "flax",
        "great-tables",
        "h5py",
        "holoviews",
        "huggingface-hub",
        "humanize",
        "hvplot",
        "ipywidgets",
        "itables",
        "jax",
        "keras",
        "lifelines",
        "loguru",
        "mapclassify",
        "missingno",
        "nbformat",
        "openai",
        "optuna",
        "ortools",
        "panel",
        "pendulum",
        "plotnine",
        "prophet",
        "psutil",
        "pulp",
        "pydeck",
        "pymc",
        "pyproj",
        "pyspark",
        "pytest",
        "pytz",
        "qrcode",
        "rasterio",
        "redis",
        "scrapy",
        "selenium",
        "simpy",
        "sktime",
        "squarify",
        "statsforecast",
        "streamlit",
        "tenacity",
        "tiktoken",
        "transformers",
        "typer",
        "tzdata",
        "weasyprint",
        "xarray",
        "xmltodict",
        "yfinance",
    ]
)
"""What people ask for: to find what a mistyped name may have meant, and to suggest no others."""

_NORMAL = {normal(module): package for module, package in _PACKAGES.items() if module.isalnum()}
_MODULES = {package: module for module, package in reversed(_PACKAGES.items())}


@dataclass(frozen=True, slots=True)
class MissingModule:
    """A module that is not there, and what has it."""

    name: str
    """As much of its dotted name as tells its package."""
    package: str
    """Normalized, as package indexes do."""
    is_known: bool
    """Whether people mean this package when they import it, not perhaps a stranger's."""

    @property
    def requirement(self) -> str:
        """The package, in versions that have the module."""
        return self.package + _VERSIONS.get(self.name, "")


def find_module(module: str) -> MissingModule:
    """What is known of a module, by its dotted name or by a package's; else its own name."""
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if package := _PACKAGES.get(name):
            return MissingModule(name, package, is_known=True)
        if count < len(parts) and (most := _NAMESPACES.get(name)):
            name = ".".join(parts[:most])
            return MissingModule(name, normal(name), is_known=True)
    package = normal(parts[0])
    if other := _OTHER_NAMES.get(package) or _NORMAL.get(package):
        return MissingModule(parts[0], other, is_known=True)
    return MissingModule(parts[0], package, is_known=is_known(package))


def is_known(package: str) -> bool:
    """Whether a name is one that people mean when they import it, not perhaps a stranger's."""
    return package in COMMON_PACKAGES or package in _MODULES


def module_of(package: str) -> str:
    """The module of a package, by its normalized name, where it has another name; else empty."""
    module = _MODULES.get(package, "")
    return "" if module == package else module
