"""What to say of a module that cannot be imported: one line, by its name. Pure."""

from __future__ import annotations

_PACKAGES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "Crypto": "pycryptodome",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "pptx": "python-pptx",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Of modules that have another name than the package that brings them."""


def package_of(module: str) -> str:
    """The name of the package that brings a module, as far as that is known to differ."""
    return _PACKAGES.get(module, module)


def about_missing_module(module: str) -> str:
    """A line for whoever tried to import a module that is not there.

    Args:
        module: its top-level name.
    """
    package = package_of(module)
    other = f" It is brought by the package {package}." if package != module else ""
    return (
        f"This session has no module {module!r}.{other} list_packages tells what there is; a "
        "module of your own can be uploaded as a file."
    )
