"""Modules that no package brings: of Python 2, of other systems, of other notebooks. Pure."""

from __future__ import annotations

_ELSEWHERE = {
    "google.colab": "is Colab's own. Files are uploaded to the session, and nothing is mounted",
    "kaggle_datasets": "is Kaggle's own. Files are uploaded to the session",
    "kaggle_secrets": "is Kaggle's own. Secrets have no place in a session",
    "dbutils": "is Databricks' own. Files are uploaded to the session",
    "winreg": "is there on Windows alone",
    "winsound": "is there on Windows alone",
    "msvcrt": "is there on Windows alone",
}
"""Modules that no package has, and why."""
_OF_PYTHON_2 = {
    "BaseHTTPServer": "http.server",
    "ConfigParser": "configparser",
    "Cookie": "http.cookies",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "SimpleHTTPServer": "http.server",
    "SocketServer": "socketserver",
    "StringIO": "io",
    "Tkinter": "tkinter",
    "__builtin__": "builtins",
    "cPickle": "pickle",
    "cStringIO": "io",
    "commands": "subprocess",
    "cookielib": "http.cookiejar",
    "httplib": "http.client",
    "thread": "threading",
    "tkFileDialog": "tkinter.filedialog",
    "tkMessageBox": "tkinter.messagebox",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "xmlrpclib": "xmlrpc.client",
}
"""Modules of Python 2, and what they are called now."""
_REMOVED = {
    "asynchat": "asyncio",
    "asyncore": "asyncio",
    "cgi": "urllib.parse and email.message",
    "crypt": "hashlib",
    "imp": "importlib",
    "pipes": "shlex and subprocess",
    "telnetlib": "socket",
}
"""Modules that newer Pythons have no more, and what does the same."""


def why_no_package(module: str) -> str:
    """Why no package brings a module, and what to do instead; empty for others."""
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if (why := _ELSEWHERE.get(name)) is not None:
            return f"{name} {why}."
    if (now := _OF_PYTHON_2.get(parts[0])) is not None:
        return f"{parts[0]} is of Python 2; it is called {now} now."
    if (instead := _REMOVED.get(parts[0])) is not None:
        return f"This Python has no {parts[0]} any more; {instead} does the same."
    return ""
