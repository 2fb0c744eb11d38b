"""What asks the client back: by requests of its own before 2026-07-28, by its results since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    MissingRequiredClientCapabilityErrorData,
    SamplingCapability,
    SamplingMessage,
    TextContent,
)

if TYPE_CHECKING:
    from aca_mcp.server.app import PythonServer

Ctx = Context[Any, Any]
Input = InputRequiredResult

_CHOICES = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]


def add_questions(server: PythonServer) -> None:
    """Offer all of them."""
    for tool in (
        test_sampling,
        test_elicitation,
        test_elicitation_sep1034_defaults,
        test_elicitation_sep1330_enums,
        test_missing_capability,
        test_streaming_elicitation,
        test_input_required_result_elicitation,
        test_input_required_result_sampling,
        test_input_required_result_list_roots,
        test_input_required_result_request_state,
        test_input_required_result_tampered_state,
        test_input_required_result_multiple_inputs,
        test_input_required_result_multi_round,
        test_input_required_result_capabilities,
    ):
        server.add_tool(tool, structured_output=False)
    server.prompt()(test_input_required_result_prompt)


async def test_sampling(ctx: Ctx, prompt: str) -> str:
    """Asks the client's model."""
    answer = await ctx.session.create_message(  # pyright: ignore[reportDeprecated] -- the older revision has it
        [SamplingMessage(role="user", content=TextContent(text=prompt))],
        max_tokens=100,
        related_request_id=ctx.request_id,
    )
    return f"LLM response: {answer.content}"


async def test_elicitation(ctx: Ctx, message: str) -> str:
    """Asks the user for two texts."""
    text = {"type": "string"}
    return await _elicit(ctx, message, {"username": text, "email": text}, ["username", "email"])


async def test_elicitation_sep1034_defaults(ctx: Ctx) -> str:
    """Asks the user, with a default of every type."""
    states = ["active", "inactive", "pending"]
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": states, "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await _elicit(ctx, "Please check these.", properties, [])


async def test_elicitation_sep1330_enums(ctx: Ctx) -> str:
    """Asks the user to choose, in every way that there is."""
    properties = {
        "untitledSingle": {"type": "string", "enum": _CHOICES},
        "titledSingle": {"type": "string", "oneOf": _TITLED},
        "legacyEnum": {"type": "string", "enum": ["opt1"], "enumNames": ["Option One"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _CHOICES}},
        "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
    }
    return await _elicit(ctx, "Please choose.", properties, [])


async def test_missing_capability(ctx: Ctx) -> str:
    """Needs a client with a model."""
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        needed = ClientCapabilities(sampling=SamplingCapability())
        data = MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "The client has no model to ask.",
            data.model_dump(by_alias=True, mode="json", exclude_none=True),
        )
    return "The client has a model."


async def test_streaming_elicitation(ctx: Ctx) -> str | Input:
    """Tells of its progress, then asks."""
    await ctx.report_progress(1, 2)
    return await test_input_required_result_elicitation(ctx)


async def test_input_required_result_elicitation(ctx: Ctx) -> str | Input:
    """Asks for a name."""
    if (name := _form(ctx, "user_name").get("name")) is None:
        return Input(input_requests={"user_name": _ask("What is your name?", "name")})
    return f"Hello, {name}!"


async def test_input_required_result_sampling(ctx: Ctx) -> str | Input:
    """Asks the client's model."""
    answer = (ctx.input_responses or {}).get("capital_question")
    if not isinstance(answer, CreateMessageResult):
        return Input(input_requests={"capital_question": _sample("What is the capital of France?")})
    return str(answer.content)


async def test_input_required_result_list_roots(ctx: Ctx) -> str | Input:
    """Asks for the client's roots."""
    answer = (ctx.input_responses or {}).get("client_roots")
    if not isinstance(answer, ListRootsResult):
        return Input(input_requests={"client_roots": ListRootsRequest()})
    return ", ".join(str(root.uri) for root in answer.roots)


async def test_input_required_result_request_state(ctx: Ctx) -> str | Input:
    """Asks, and finds its own state again."""
    if ctx.request_state != "asked":
        return Input(
            input_requests={"confirm": _ask("Please confirm", "ok", "boolean")},
            request_state="asked",
        )
    return "state-ok"


async def test_input_required_result_tampered_state(ctx: Ctx) -> str | Input:
    """The same; the server must not let another's state through to it."""
    return await test_input_required_result_request_state(ctx)


async def test_input_required_result_multiple_inputs(ctx: Ctx) -> str | Input:
    """Asks three things at once."""
    asked = {
        "user_name": _ask("What is your name?", "name"),
        "greeting": _sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if not asked.keys() <= (ctx.input_responses or {}).keys():
        return Input(input_requests=asked, request_state="asked")
    return "All three were answered."


async def test_input_required_result_multi_round(ctx: Ctx) -> str | Input:
    """Asks twice."""
    if ctx.request_state is None:
        return Input(
            input_requests={"step1": _ask("Step 1: What is your name?", "name")},
            request_state="1",
        )
    if ctx.request_state == "1":
        return Input(
            input_requests={"step2": _ask("Step 2: What is your favorite color?", "color")},
            request_state="2",
        )
    return "Both were answered."


async def test_input_required_result_capabilities(ctx: Ctx) -> str | Input:
    """Asks what the client can answer, and nothing else."""
    can = ctx.client_capabilities or ClientCapabilities()
    asked: dict[str, CreateMessageRequest | ElicitRequest | ListRootsRequest] = {}
    if can.sampling is not None:
        asked["model"] = _sample("What is the capital of France?")
    if can.elicitation is not None:
        asked["user"] = _ask("What is your name?", "name")
    return Input(input_requests=asked) if asked else "The client can answer nothing."


async def test_input_required_result_prompt(ctx: Ctx) -> str | Input:
    """A prompt that asks before it is given."""
    if (context := _form(ctx, "user_context").get("context")) is None:
        question = _ask("What context should the prompt use?", "context")
        return Input(input_requests={"user_context": question})
    return f"Use this context: {context}"


async def _elicit(ctx: Ctx, message: str, properties: dict[str, Any], required: list[str]) -> str:
    schema = {"type": "object", "properties": properties, "required": required}
    answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"Elicitation completed: action={answer.action}, content={answer.content}"


def _ask(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(question: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=question))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[message], max_tokens=100)
    )


def _form(ctx: Ctx, key: str) -> dict[str, Any]:
    answer = (ctx.input_responses or {}).get(key)
    return dict(answer.content or {}) if isinstance(answer, ElicitResult) else {}
