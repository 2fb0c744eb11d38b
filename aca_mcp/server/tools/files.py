"""The tools over a session's files."""

import base64
import binascii
from typing import Annotated, Literal

import anyio.to_thread
from mcp_types import CallToolResult, ImageContent, TextContent
from pydantic import AfterValidator, Field

from aca_mcp.errors import FileMissingError, FileTooLargeError, InvalidRequestError
from aca_mcp.paths import without_scheme
from aca_mcp.server.callers import Callers
from aca_mcp.server.results.files import (
    MAX_DOWNLOAD_BYTES,
    as_text,
    caption,
    content_block,
    mime_type_of,
    read_at_most,
    show_listing,
)
from aca_mcp.server.results.fitting import shown_smaller, text_result
from aca_mcp.server.results.image_structure import examine
from aca_mcp.server.results.report import join
from aca_mcp.server.results.text import cut, show_name
from aca_mcp.server.tools.nearest_file import existing
from aca_mcp.server.types import Ctx, ServerOptions, SessionHandle
from aca_mcp.session import PythonSession

_SMALLER = "shown smaller than it is"

SessionPath = Annotated[str, Field(max_length=4096), AfterValidator(without_scheme)]


class FileTools:
    """The tools of one server that move files. Their docstrings are written for a model.

    Args:
        callers: tell whose sessions a call may use.
        options: what the user chose.
        way_out: the tool by which the user gets a file that is too large for a result, or
            empty.
    """

    def __init__(self, callers: Callers, options: ServerOptions, *, way_out: str) -> None:
        self._callers = callers
        self._max_text_bytes = options.max_text_bytes
        self._max_image_side = options.max_image_side
        self._too_large = "Read what you need of it with execute_python" + (
            f", or hand it to the user with {way_out}." if way_out else "."
        )

    async def upload_file(
        self,
        ctx: Ctx,
        path: SessionPath,
        content: Annotated[str, Field(max_length=4_000_000)],
        encoding: Literal["text", "base64"] = "text",
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Write a file into the session's work directory, replacing one that is there."""
        data = _decoded(content, encoding)
        caller = self._callers.of(ctx.request_context)
        async with caller.session_or_new(session) as (target, remark):
            entry = await target.python.upload(path, data)
        wrote = f"Wrote {show_name(entry.path)}, {entry.size_bytes:,} bytes."
        return text_result(join(remark, wrote))

    async def download_file(
        self, ctx: Ctx, path: SessionPath, session: SessionHandle = ""
    ) -> CallToolResult:
        """Read a file of the session: text, an image, or other bytes as a blob.

        Long text is cut in its middle; at most 700 kB of binary are returned.
        """
        target = await self._session(ctx, session)
        try:
            try:
                content = await read_at_most(target, path, MAX_DOWNLOAD_BYTES)
            except FileMissingError:
                path = await existing(target, path)
                content = await read_at_most(target, path, MAX_DOWNLOAD_BYTES)
        except FileTooLargeError as error:
            side = self._max_image_side
            if (made := await _shown_image(target, path, side, _SMALLER)) is not None:
                return made
            raise FileTooLargeError(f"{error} {self._too_large}") from None
        if (found := await anyio.to_thread.run_sync(as_text, content)) is not None:
            text, encoding = found
            remark = "; read the rest with execute_python"
            shown = cut(text, self._max_text_bytes, remark) or "[the file is empty]"
            told = "" if encoding == "utf-8" else f"[decoded as {encoding}]"
            return text_result(join(told, shown))
        image = await anyio.to_thread.run_sync(examine, content)
        if image is None or not image.is_within(self._max_image_side):
            how = "made a picture that can be shown" if image is None else _SMALLER
            if (made := await _shown_image(target, path, self._max_image_side, how)) is not None:
                return made
        block = await anyio.to_thread.run_sync(content_block, path, content, self._max_image_side)
        return CallToolResult(content=[caption(path, content), block])

    async def list_files(
        self,
        ctx: Ctx,
        directory: Annotated[str, AfterValidator(without_scheme)] = "",
        recursive: bool = False,
        session: SessionHandle = "",
    ) -> CallToolResult:
        """List files of the session with their sizes and times of change."""
        target = await self._session(ctx, session)
        try:
            listing = await target.list_files(directory, recursive=recursive)
        except FileMissingError:
            directory = await existing(target, directory, "directory")
            listing = await target.list_files(directory, recursive=recursive)
        return text_result(cut(show_listing(listing), self._max_text_bytes))

    async def delete_file(
        self, ctx: Ctx, path: SessionPath, session: SessionHandle = ""
    ) -> CallToolResult:
        """Delete a file, or an empty directory, of the session."""
        target = await self._session(ctx, session)
        try:
            await target.delete_file(path)
        except FileMissingError:
            path = await existing(target, path)
            await target.delete_file(path)
        return text_result(f"Deleted {show_name(path)}.")

    async def _session(self, ctx: Ctx, handle: str) -> PythonSession:
        return (await self._callers.of(ctx.request_context).session(handle)).python


async def _shown_image(
    session: PythonSession, path: str, max_side: int, how: str
) -> CallToolResult | None:
    """An image file that is too large for a result, or of a format that few can show.

    The session itself makes another one of it, smaller if need be.
    """
    if not mime_type_of(path).startswith("image/"):
        return None
    figure = await shown_smaller(session, path, max_side)
    if figure is None:
        return None
    block = ImageContent(data=base64.b64encode(figure.data).decode(), mime_type=figure.mime_type)
    told = TextContent(text=f"{show_name(path)}, {how}")
    return CallToolResult(content=[told, block])


def _decoded(content: str, encoding: Literal["text", "base64"]) -> bytes:
    if encoding == "text":
        return content.encode(errors="surrogatepass")
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError(
            "`content` is not base64. Encode the bytes with the standard alphabet and padding, or "
            "pass encoding=text. Nothing was written."
        ) from None
