"""The operations on files."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse

from aca_mcp.emulator import response_bodies as bodies
from aca_mcp.emulator import service_errors
from aca_mcp.emulator.faults import ConnectionDroppedError
from aca_mcp.emulator.file_names import named_directory, named_file, uploaded_name
from aca_mcp.emulator.uploaded_file import read_uploaded_file
from aca_mcp.errors import InvalidPathError
from aca_mcp.pool import FileEntry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from aca_mcp.emulator.operation_request import OperationRequest
    from aca_mcp.pool import FileDownload, SessionPool

_FORM_BYTES = 64 * 1024
"""What a form may have around its file."""


class FileOperations:
    """Listing, moving and deleting the files of a session."""

    def __init__(self, pool: SessionPool, max_file_bytes: int) -> None:
        self._pool = pool
        self._max_file_bytes = max_file_bytes

    async def list(self, request: OperationRequest) -> Response:
        """A directory; with ``recursive``, all below it."""
        directory = _directory(request)
        recursive = request.query.get("recursive", "").lower() == "true"
        is_flat = request.dialect == "flat"
        listing = await self._pool.list_files(
            request.session.pool_identifier, directory, recursive=recursive and is_flat
        )
        if is_flat:
            return JSONResponse(bodies.file_list_body(listing.entries, directory))
        return JSONResponse(bodies.legacy_file_list_body(listing.entries))

    async def upload(self, request: OperationRequest) -> Response:
        """Take a file in, under the base name that the client gives it."""
        content_type = request.http.headers.get("content-type", "")
        body = _bounded(request.http.stream(), self._max_file_bytes + _FORM_BYTES)
        async with read_uploaded_file(content_type, body) as uploaded:
            if uploaded.size_bytes > self._max_file_bytes:
                raise service_errors.too_large()
            path = _join(_directory(request), uploaded_name(uploaded.file_name))
            entry = await self._pool.upload_file(
                request.session.pool_identifier, path, uploaded.content
            )
        if request.dialect == "flat":
            return JSONResponse(bodies.file_body(entry))
        return JSONResponse({"$id": "1", "value": [bodies.legacy_file_body(entry, 2)]})

    async def get(self, request: OperationRequest) -> Response:
        """What is known of a file."""
        entry = await self._find(request.session.pool_identifier, _path(request))
        if request.dialect == "flat":
            return JSONResponse(bodies.file_body(entry))
        return JSONResponse(bodies.legacy_file_body(entry))

    async def read(self, request: OperationRequest) -> Response:
        """A file's content."""
        opened = AsyncExitStack()
        download = await opened.enter_async_context(
            self._pool.download_file(request.session.pool_identifier, _path(request))
        )
        return _FileResponse(opened, download)

    async def delete(self, request: OperationRequest) -> Response:
        """Delete a file."""
        await self._pool.delete_file(request.session.pool_identifier, _path(request))
        return Response(status_code=204)

    async def _find(self, pool_identifier: str, path: str) -> FileEntry:
        try:
            async with self._pool.download_file(pool_identifier, path) as download:
                return download.entry
        except InvalidPathError:
            await self._pool.list_files(pool_identifier, path)  # it is a directory, or refused
            return FileEntry(path, "directory", 4096, datetime.now(UTC))


def _directory(request: OperationRequest) -> str:
    return named_directory(request.query.get("path", "")) if request.dialect == "flat" else ""


def _path(request: OperationRequest) -> str:
    return _join(_directory(request), named_file(request.route.name))


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


async def _bounded(body: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > most:
            raise service_errors.too_large()
        yield chunk


class _FileResponse(StreamingResponse):
    """A file, open until it is sent or nobody reads it any more."""

    def __init__(self, opened: AsyncExitStack, download: FileDownload) -> None:
        headers = {
            "content-length": str(download.entry.size_bytes),
            "last-modified": format_datetime(download.entry.modified_at, usegmt=True),
        }
        super().__init__(download.chunks, headers=headers, media_type="application/octet-stream")
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._opened:
                await super().__call__(scope, receive, send)
        except Exception as error:
            service_errors.internal_error(error)
            raise ConnectionDroppedError from error  # the answer has begun: there is no other
