"""The files of sessions, over the service's REST API, streamed both ways."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

from aca_mcp.azure.api_versions import Feature, file_path
from aca_mcp.azure.client import AnswerLostError, Call, Reply
from aca_mcp.azure.multipart import file_body
from aca_mcp.azure.responses import FileListResponse, FileResponse, NotUnderstoodError
from aca_mcp.azure.service_errors import Subject, describe_page
from aca_mcp.errors import (
    FileExistsInSessionError,
    FileTooLargeError,
    InvalidPathError,
    PoolUnavailableError,
)
from aca_mcp.paths import parse_file_path, parse_path
from aca_mcp.pool import WORK_DIRECTORY, FileDownload, FileEntry, FileListing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping

    from aca_mcp.azure.api_versions import Api
    from aca_mcp.azure.client import DataPlane, StreamedReply

MAX_ENTRIES = 1000
_MAX_DEPTH = 64
_MAX_PAGES = 100
_UPLOAD_SECONDS = 120


class Files:
    """The operations on files of one pool's sessions.

    Args:
        api: of the pool.
        plane: what carries requests.
        max_file_bytes: of one file, either way.
        whole_paths: whether directories are to be named from the root: Shell pools were seen to
            take others for directories of another place than the work directory.
    """

    def __init__(
        self,
        api: Api,
        plane: DataPlane,
        max_file_bytes: int,
        *,
        whole_paths: Callable[[], bool],
    ) -> None:
        self._api = api
        self._plane = plane
        self._max_file_bytes = max_file_bytes
        self._whole_paths = whole_paths

    async def list(self, identifier: str, directory: str, *, recursive: bool) -> FileListing:
        """List a directory, at most ``MAX_ENTRIES`` of it."""
        start = "/".join(parse_path(directory, WORK_DIRECTORY))
        # Older API versions list one directory at a time.
        deep = recursive and self._api.has(Feature.RECURSIVE_LISTING)
        entries: dict[str, FileEntry] = {}
        pending = [start]
        while pending and len(entries) <= MAX_ENTRIES:
            here = pending.pop()
            async for answer in self._pages(identifier, here, recursive=deep):
                entry = _entry(here, answer)
                if entry is None or entry.path in entries:
                    continue
                entries[entry.path] = entry
                depth = entry.path.count("/") - start.count("/")
                if recursive and not deep and entry.kind == "directory" and depth < _MAX_DEPTH:
                    pending.append(entry.path)
                if len(entries) > MAX_ENTRIES:
                    break
        kept = list(entries.values())[:MAX_ENTRIES]
        kept.sort(key=lambda entry: entry.path)
        return FileListing(tuple(kept), truncated=len(entries) > MAX_ENTRIES)

    async def _pages(
        self, identifier: str, directory: str, *, recursive: bool
    ) -> AsyncIterator[FileResponse]:
        url = self._api.url(
            "/files", identifier, path=self._named(directory), recursive="true" if recursive else ""
        )
        for _ in range(_MAX_PAGES):
            page = (await self._send("GET", url, identifier)).read(FileListResponse)
            for answer in page.value:
                yield answer
            if not page.next_link:
                return
            following = self._api.next_page(page.next_link, url)
            if following is None:
                raise PoolUnavailableError(
                    "The session pool's list of files goes on at another address, where our token "
                    "must not go."
                )
            url = following

    async def upload(
        self, identifier: str, path: str, content: AsyncIterable[bytes], *, overwrite: bool
    ) -> FileEntry:
        """Write a file. Without ``overwrite`` the service is asked first whether it is there."""
        directory, name = _split(path)
        if not overwrite and await self._exists(identifier, directory, name):
            raise FileExistsInSessionError(
                f"{path} is there already, and was left as it is. Overwrite it, or take another "
                "name."
            )
        body = await file_body(name, content, self._max_file_bytes)
        call = Call(
            "POST",
            self._api.url("/files", identifier, path=self._named(directory)),
            Subject.FILE,
            identifier,
            content=body.content(),
            headers={"Content-Type": body.content_type},
            answer_seconds=_UPLOAD_SECONDS,
        )
        try:
            reply = await self._plane.send(call)
        except AnswerLostError as error:
            raise _lost("an upload", str(error), "Upload it again.") from error
        try:
            answer = FileResponse.read(reply.body)
        except NotUnderstoodError as error:
            why = describe_page(reply.status, reply.body, identifier)
            raise _lost("an upload", why, "Upload it again.") from error
        # The service may have made the name fit; where the file is, it says.
        sent = FileResponse(
            name=answer.name if _is_plain(answer.name) else name,
            type="file",
            size_in_bytes=answer.size_in_bytes,
            last_modified_at=answer.last_modified_at,
        )
        entry = _entry(directory, sent)
        assert entry is not None  # noqa: S101 -- its name is plain
        return entry

    def _named(self, directory: str) -> str:
        whole = directory and self._whole_paths()
        return f"{WORK_DIRECTORY}/{directory}" if whole else directory

    async def _exists(self, identifier: str, directory: str, name: str) -> bool:
        url = self._api.url(file_path(name), identifier, path=self._named(directory))
        reply = await self._send("GET", url, identifier, expected=frozenset({404}))
        return reply.status != 404

    @asynccontextmanager
    async def download(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        """Open a file for reading. Costs one request where the answer tells the file's size."""
        directory, name = _split(path)
        call = Call(
            "GET",
            self._api.url(file_path(name, "/content"), identifier, path=self._named(directory)),
            Subject.FILE,
            identifier,
            # Else the length would be that of a compressed file.
            headers={"Accept-Encoding": "identity"},
            repeatable=True,
        )
        async with self._plane.stream(call) as reply:
            entry = _described("/".join(filter(None, (directory, name))), reply.headers)
            if entry is None:
                url = self._api.url(file_path(name), identifier, path=self._named(directory))
                found = (await self._send("GET", url, identifier)).read(FileResponse)
                entry = _entry(directory, found)
            if entry is None or entry.kind != "file":
                raise InvalidPathError(f"{path} is not a regular file.")
            if entry.size_bytes > self._max_file_bytes:
                raise _too_large(path, self._max_file_bytes)
            yield FileDownload(entry, _chunks(reply, path, self._max_file_bytes))

    async def delete(self, identifier: str, path: str) -> None:
        """Delete a file."""
        directory, name = _split(path)
        url = self._api.url(file_path(name), identifier, path=self._named(directory))
        try:
            await self._plane.send(Call("DELETE", url, Subject.FILE, identifier))
        except AnswerLostError as error:
            raise _lost("a deletion", str(error), "List the files.") from error

    async def _send(
        self, method: str, url: str, identifier: str, expected: frozenset[int] = frozenset()
    ) -> Reply:
        call = Call(method, url, Subject.FILE, identifier, repeatable=True, expected=expected)
        return await self._plane.send(call)


def _split(path: str) -> tuple[str, str]:
    """The directory of a file, empty at the top, and its name."""
    *directories, name = parse_file_path(path, WORK_DIRECTORY)
    return "/".join(directories), name


def _lost(what: str, why: str, then: str) -> PoolUnavailableError:
    return PoolUnavailableError(
        f"The answer to {what} was lost ({why}): the file may be there or not. {then}"
    )


def _entry(listed: str, answer: FileResponse) -> FileEntry | None:
    """A file as the port has it, or None if no file could have that name."""
    between = [part for part in answer.directory.split("/") if part not in ("", ".")]
    if not all(map(_is_plain, [*between, answer.name])):
        return None
    kinds: dict[str, Literal["file", "directory"]] = {"file": "file", "directory": "directory"}
    return FileEntry(
        path="/".join([*filter(None, [listed]), *between, answer.name]),
        kind=kinds.get(answer.type.lower(), "other"),
        size_bytes=max(0, int(answer.size_in_bytes)),
        # It is not older than this.
        modified_at=answer.last_modified_at if answer.tells_time else datetime.now(UTC),
    )


def _is_plain(name: str) -> bool:
    """Whether a name that the service reports can be a part of a path."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def _described(path: str, headers: Mapping[str, str]) -> FileEntry | None:
    """The file by the headers of its content, or None if they do not tell its size."""
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return None
    try:
        modified = parsedate_to_datetime(headers["last-modified"])
    except (KeyError, ValueError):
        modified = datetime.now(UTC)  # it is not older than this
    return FileEntry(path, "file", int(length[:18]), modified.astimezone(UTC))


async def _chunks(reply: StreamedReply, path: str, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in reply.chunks():
        size += len(chunk)
        if size > most:
            raise _too_large(path, most)
        yield chunk


def _too_large(path: str, most: int) -> FileTooLargeError:
    return FileTooLargeError(
        f"{path} has more than {most:,} bytes, which is the most that can be downloaded. "
        "Let code compress it or split it."
    )
