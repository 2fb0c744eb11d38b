"""A package index on loopback, of wheels that tests make; real for uv and pip."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import http.server
import json
import re
import threading
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import pytest


def make_wheel(
    directory: Path,
    name: str,
    version: str = "1.0",
    files: Mapping[str, str | bytes] | None = None,
    *,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
) -> Path:
    """A wheel whose module says its version, or has these files."""
    module = name.replace("-", "_").lower()
    content: dict[str, bytes] = {
        path: text if isinstance(text, bytes) else text.encode()
        for path, text in (files or {f"{module}/__init__.py": f"version = {version!r}\n"}).items()
    }
    info = f"{module}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    lines += [f"Requires-Dist: {required}\n" for required in requires]
    content[f"{info}/METADATA"] = "".join(lines).encode()
    content[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    )
    return _write_wheel(directory / f"{module}-{version}-{tag}.whl", content, info)


def repack(directory: Path, name: str) -> Path:
    """A wheel of a distribution that this interpreter has installed."""
    found = metadata.distribution(name)
    content: dict[str, bytes] = {}
    info = ""
    for file in found.files or ():
        path = Path(str(file.locate()))
        if ".." in file.parts or path.suffix == ".pyc" or not path.is_file():
            continue
        if file.parts[0].endswith(".dist-info"):
            info = file.parts[0]
            if file.name in {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}:
                continue
        content[str(file)] = path.read_bytes()
    tags = re.findall(r"^Tag: (\S+)-(\S+)-(\S+)", content[f"{info}/WHEEL"].decode(), re.MULTILINE)
    tag = "-".join(".".join(sorted(set(part))) for part in zip(*tags, strict=True))
    stem = info.removesuffix(".dist-info")
    return _write_wheel(directory / f"{stem}-{tag}.whl", content, info)


def add_ipython(directory: Path) -> None:
    """Wheels of IPython and of what it needs, as they are here; without what only completes."""
    waiting, seen = ["ipython"], {"jedi"}
    make_wheel(directory, "jedi", "0.20", {"jedi/__init__.py": "raise ImportError\n"})
    while waiting:
        each = waiting.pop()
        key = re.sub(r"[-_.]+", "-", each).lower()
        if key in seen:
            continue
        seen.add(key)
        try:
            requires = metadata.requires(each) or []
        except metadata.PackageNotFoundError:
            continue  # needed on other systems only
        repack(directory, each)
        for requirement in requires:
            if "extra ==" not in requirement:
                match = re.match(r"[A-Za-z0-9._-]+", requirement)
                assert match is not None
                waiting.append(match.group())


def _write_wheel(path: Path, content: Mapping[str, bytes], info: str) -> Path:
    record: list[str] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}\n")
        archive.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))
    return path


@dataclass
class Index:
    """An index that is being served."""

    directory: Path
    """Wheels in it are in the index, also when they come later."""
    url: str = ""
    asked: list[str] = field(default_factory=list[str])
    """The paths of all requests."""
    tells_sizes: bool = False
    """By JSON, as PEP 691 and 700 have it."""
    spoiled: set[str] = field(default_factory=set[str])
    """Projects whose files have other hashes than it says."""
    stuck: set[str] = field(default_factory=set[str])
    """Projects whose files it begins to send, and goes on with when ``goes_on`` is set."""
    is_stuck: threading.Event = field(default_factory=threading.Event)
    """Set when the first half of such a file is sent."""
    goes_on: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve_index(directory: Path) -> Generator[Index]:
    """Serve the files of a directory by the simple repository API (PEP 503)."""
    index = Index(directory)
    handler = functools.partial(_Handler, index)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        index.url = f"http://127.0.0.1:{server.server_port}/simple/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield index
        finally:
            index.goes_on.set()
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, index: Index, *args: object) -> None:
        self._index = index
        super().__init__(*args)  # pyright: ignore[reportArgumentType] -- as socketserver calls it

    def do_GET(self) -> None:
        self._index.asked.append(self.path)
        kind, _, name = self.path.strip("/").partition("/")
        file = self._index.directory / Path(name).name
        if kind == "simple" and name and (files := self._files_of(name)):
            self._answer(*self._page(files))
        elif kind == "wheels" and file.is_file():
            self._answer(
                file.read_bytes(),
                "application/octet-stream",
                is_stuck=_project_of(file) in self._index.stuck,
            )
        else:
            self.send_error(404)

    def _files_of(self, project: str) -> list[Path]:
        found = (*self._index.directory.glob("*.whl"), *self._index.directory.glob("*.tar.gz"))
        return sorted(file for file in found if _project_of(file) == project)

    def _page(self, files: list[Path]) -> tuple[bytes, str]:
        told: list[dict[str, object]] = []
        links: list[str] = []
        for file in files:
            data = file.read_bytes()
            spoiled = _project_of(file) in self._index.spoiled
            digest = hashlib.sha256(data + b"other" * spoiled).hexdigest()
            address, hashes = f"/wheels/{file.name}", {"sha256": digest}
            told.append(
                {"filename": file.name, "url": address, "hashes": hashes, "size": len(data)}
            )
            name = html.escape(file.name)
            links.append(f'<a href="/wheels/{name}#sha256={digest}">{name}</a>')
        if self._index.tells_sizes:
            page = {"meta": {"api-version": "1.1"}, "name": _project_of(files[0]), "files": told}
            return json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json"
        text = "<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>"
        return text.encode(), "text/html"

    def _answer(self, body: bytes, content_type: str, *, is_stuck: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if content_type == "application/octet-stream":
            self.send_header("Cache-Control", "max-age=365000000, immutable, public")
        self.end_headers()
        if self.command != "GET":
            return
        with suppress(ConnectionError):  # whoever asked may be gone
            if is_stuck:
                half = len(body) // 2
                self.wfile.write(body[:half])
                self._index.is_stuck.set()
                self._index.goes_on.wait(60)
                body = body[half:]
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on stderr."""


def _project_of(file: Path) -> str:
    return re.sub(r"[-_.]+", "-", file.name.split("-")[0]).lower()


def only_this_index(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """Let uv and pip know nothing of how this machine is configured."""
    import os

    for name in tuple(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")  # what is broken in a test stays so
    monkeypatch.setenv("UV_CACHE_DIR", str(temporary / "uv-cache"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(temporary / "pip-cache"))
