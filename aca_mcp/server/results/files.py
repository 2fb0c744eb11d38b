"""Files of a session as a model sees them: listings, and contents as text, image or bytes."""

from __future__ import annotations

import base64
import mimetypes
from typing import TYPE_CHECKING
from urllib.parse import quote

from mcp_types import BlobResourceContents, EmbeddedResource, ImageContent, TextContent

from aca_mcp.errors import FileTooLargeError
from aca_mcp.server.results.image_structure import examine
from aca_mcp.server.results.text import clean, show_name

if TYPE_CHECKING:
    from mcp_types import ContentBlock

    from aca_mcp.pool import FileEntry, FileListing
    from aca_mcp.session import PythonSession

BYTES = "application/octet-stream"
"""The type of what is nothing more particular."""
MAX_DOWNLOAD_BYTES = 700_000
"""Of an image or other bytes in a result: base64 makes them a third longer."""


async def read_at_most(session: PythonSession, path: str, max_bytes: int) -> bytes:
    """Read a file that memory can hold, whatever size the session claims.

    Raises:
        FileTooLargeError: it has more than ``max_bytes``.
    """
    content = bytearray()
    async with session.open_file(path) as file:
        if file.entry.size_bytes <= max_bytes:
            async for chunk in file.chunks:
                content += chunk
                if len(content) > max_bytes:
                    break
            else:
                return bytes(content)
    raise FileTooLargeError(
        f"{show_name(path)} has {max(file.entry.size_bytes, len(content)):,} bytes, and a result "
        f"holds at most {max_bytes:,}."
    )


def as_text(content: bytes) -> tuple[str, str] | None:
    """The content, ready to show, and its encoding, if it is text; else None.

    Takes its time for long texts in unusual encodings.
    """
    from aca_mcp.server.results.encodings import encoding_of  # a client waits for the start

    if (encoding := encoding_of(content)) is None:
        return None
    text = content.decode(encoding, "replace")
    return clean(text.replace("\r\n", "\n").replace("\r", "\n")), encoding


def mime_type_of(path: str) -> str:
    """What a file's name says that it is."""
    return mimetypes.guess_type(path)[0] or BYTES


def content_block(path: str, content: bytes, max_image_side: int) -> ContentBlock:
    """An image block for what is an image by its signature, an embedded blob for other bytes."""
    encoded = base64.b64encode(content).decode()
    if (image := examine(content)) is not None and image.is_within(max_image_side):
        return ImageContent(data=encoded, mime_type=image.mime_type)
    uri = f"session:///{quote(path, errors='backslashreplace')}"
    return EmbeddedResource(
        resource=BlobResourceContents(uri=uri, blob=encoded, mime_type=mime_type_of(path))
    )


def caption(path: str, content: bytes) -> TextContent:
    """A line of text for clients and models that do not see the block."""
    return TextContent(text=f"{show_name(path)}, {len(content):,} bytes")


def show_listing(listing: FileListing) -> str:
    """A listing, a line for each entry: path, size and time."""
    if not listing.entries:
        return "[no files]"
    lines = [_line(entry) for entry in listing.entries]
    if listing.truncated:
        lines.append("[more than can be listed at once; list a subdirectory]")
    return "\n".join(lines)


def _line(entry: FileEntry) -> str:
    name = show_name(entry.path)
    time = f"{entry.modified_at:%Y-%m-%d %H:%M:%S} UTC"
    if entry.kind == "directory":
        return f"{name}/\tdirectory\t{time}"
    size = f"{entry.size_bytes:,} bytes" if entry.kind == "file" else "not a regular file"
    return f"{name}\t{size}\t{time}"
