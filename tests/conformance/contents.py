"""What the conformance suite reads: contents of every kind, progress, logs, prompts, resources."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    AudioContent,
    Completion,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)

if TYPE_CHECKING:
    from aca_mcp.server.app import PythonServer

_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5E"
    "rkJggg=="
)
_SILENCE = base64.b64encode(
    b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    b"data\x02\0\0\0\0\0"
).decode()
_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

Ctx = Context[Any, Any]


def add_contents(server: PythonServer) -> None:
    """Offer all of them."""
    for tool in (
        test_simple_text,
        test_image_content,
        test_audio_content,
        test_embedded_resource,
        test_multiple_content_types,
        test_tool_with_logging,
        test_logging_tool,
        test_tool_with_progress,
        test_error_handling,
        json_schema_2020_12_tool,
    ):
        server.add_tool(tool, structured_output=False)
    schema = server._tool_manager.get_tool("json_schema_2020_12_tool")  # pyright: ignore[reportPrivateUsage] -- a schema that no signature yields
    assert schema is not None
    schema.parameters = _SCHEMA
    for prompt in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
    ):
        server.prompt()(prompt)
    server.resource("test://static-text", mime_type="text/plain")(static_text)
    server.resource("test://static-binary", mime_type="image/png")(static_binary)
    server.resource("test://watched-resource", mime_type="text/plain")(static_text)
    server.resource("test://template/{id}/data", mime_type="application/json")(template)
    server.completion()(complete)
    handlers = server.lowlevel.add_request_handler
    handlers("resources/subscribe", SubscribeRequestParams, _acknowledge)
    handlers("resources/unsubscribe", UnsubscribeRequestParams, _acknowledge)
    handlers("logging/setLevel", SetLevelRequestParams, _acknowledge)


async def test_simple_text() -> str:
    """Answers with text."""
    return "This is a simple text response for testing."


async def test_image_content() -> ImageContent:
    """Answers with an image."""
    return ImageContent(data=_PIXEL, mime_type="image/png")


async def test_audio_content() -> AudioContent:
    """Answers with sound."""
    return AudioContent(data=_SILENCE, mime_type="audio/wav")


async def test_embedded_resource() -> EmbeddedResource:
    """Answers with a resource."""
    return _embedded("test://embedded-resource", "This is an embedded resource content.")


async def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answers with contents of three kinds."""
    return [
        TextContent(text="Multiple content types test:"),
        ImageContent(data=_PIXEL, mime_type="image/png"),
        _embedded("test://mixed-content-resource", '{"test": "data", "value": 123}'),
    ]


async def test_tool_with_logging(ctx: Ctx) -> str:
    """Logs while it runs."""
    for step in ("started", "processing", "completed"):
        await ctx.log("info", f"Tool execution {step}")  # pyright: ignore[reportDeprecated] -- the older revision has it
    return "logged"


async def test_logging_tool(ctx: Ctx) -> str:
    """Logs while it runs, where the client asked for it."""
    return await test_tool_with_logging(ctx)


async def test_tool_with_progress(ctx: Ctx) -> str:
    """Tells how far it is."""
    for percent in (0, 50, 100):
        await ctx.report_progress(percent, 100)
        await anyio.sleep(0.05)
    return "done"


async def test_error_handling() -> str:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


async def json_schema_2020_12_tool() -> str:
    """Has a schema with every keyword."""
    return "done"


async def test_simple_prompt() -> str:
    """Takes nothing."""
    return "This is a simple prompt for testing."


async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """Takes two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """Carries a resource."""
    return [
        UserMessage(_embedded(resourceUri, "Embedded resource content for testing.")),
        UserMessage("Please process the embedded resource above."),
    ]


async def test_prompt_with_image() -> list[UserMessage]:
    """Carries an image."""
    return [
        UserMessage(ImageContent(data=_PIXEL, mime_type="image/png")),
        UserMessage("Please analyze the image above."),
    ]


async def static_text() -> str:
    """Text that never changes."""
    return "This is the content of the static text resource."


async def static_binary() -> bytes:
    """An image that never changes."""
    return base64.b64decode(_PIXEL)


async def template(id: str) -> str:
    """Says which one was asked for."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


async def complete(*_: object) -> Completion:
    """Suggests the same whatever was typed."""
    return Completion(values=["test"], total=1, has_more=False)


async def _acknowledge(*_: object) -> EmptyResult:
    return EmptyResult()


def _embedded(uri: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(
        resource=TextResourceContents(uri=uri, mime_type="text/plain", text=text)
    )
