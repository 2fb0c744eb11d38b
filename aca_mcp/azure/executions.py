"""Runs code in sessions of the service: one request where it can be, never the same code twice."""

from __future__ import annotations

import json
import logging
import math
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import anyio.to_thread

from aca_mcp.azure.api_versions import DEFAULT_STREAM_CHARACTERS, Feature
from aca_mcp.azure.client import AnswerLostError, AnswerTooLargeError, Call, Reply
from aca_mcp.azure.known_sessions import is_new
from aca_mcp.azure.responses import ExecutionResponse, NotUnderstoodError, TooManyValuesError
from aca_mcp.azure.service_errors import Subject, describe_page
from aca_mcp.errors import ExecutionOutcomeUnknownError, InvalidRequestError, SessionPoolError

if TYPE_CHECKING:
    from aca_mcp.azure.api_versions import Api
    from aca_mcp.azure.client import DataPlane
    from aca_mcp.azure.configuration import AzurePoolConfiguration

_logger = logging.getLogger(__name__)

MAX_SYNCHRONOUS_SECONDS = 100
"""Longer executions are polled: gateways and proxies on the way drop connections idle for long."""
OWN_CODE_SECONDS = 60
"""How long code of ours may take."""
_READ_AT_ONCE_BYTES = 2**20
"""Of an answer; a larger one is read by a thread, while others have their turn."""


ShellFields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExecutionReply:
    """What the service answered to an execution."""

    response: ExecutionResponse
    new_session: bool | None
    """The session was allocated for it; None if the service does not say."""


class Executions:
    """The operations on executions of one pool."""

    def __init__(self, api: Api, plane: DataPlane, configuration: AzurePoolConfiguration) -> None:
        self._api = api
        self._plane = plane
        self._ask_for_length = api.has(Feature.OUTPUT_LENGTH)
        self._max_stream_characters = configuration.max_stream_characters
        self._max_answer_bytes = configuration.max_answer_bytes
        self._pacing = configuration.pacing

    @property
    def stream_characters(self) -> int:
        """How much of each stream the service keeps."""
        return self._max_stream_characters if self._ask_for_length else DEFAULT_STREAM_CHARACTERS

    async def run(
        self, identifier: str, code: str | ShellFields, timeout_seconds: float
    ) -> ExecutionReply:
        """Run code and wait for its end.

        Args:
            identifier: the session's.
            code: for a Python interpreter; or what a shell is to run, by the API's names.
            timeout_seconds: after which the service is to stop it.

        Raises:
            ExecutionOutcomeUnknownError: it was sent, and its answer is lost.
            SessionPoolError: it was not run.
        """
        execution_id = str(uuid.uuid4())
        deadline = anyio.current_time() + timeout_seconds + self._pacing.grace_seconds
        try:
            reply = await self._post(identifier, code, timeout_seconds, execution_id)
        except AnswerTooLargeError:
            raise _too_large() from None
        except AnswerLostError as lost:
            # Its code is never sent again, but what came of it can be asked for.
            _logger.info("The answer of an execution was lost; asking what became of it")
            answer = await self._follow(identifier, execution_id, deadline, str(lost))
            return ExecutionReply(answer, None)
        answer = await _read(reply, identifier)
        if answer.is_pending:
            why = "it had not ended when it was last asked for"
            answer = await self._follow(identifier, answer.id or execution_id, deadline, why)
        return ExecutionReply(answer, is_new(reply.headers))

    async def _post(
        self, identifier: str, code: str | ShellFields, timeout_seconds: float, execution_id: str
    ) -> Reply:
        request: dict[str, object] = {"timeoutInSeconds": math.ceil(timeout_seconds)}
        grace = self._pacing.grace_seconds
        asynchronous = isinstance(code, str) and timeout_seconds > MAX_SYNCHRONOUS_SECONDS
        if isinstance(code, str):
            kind = "Asynchronous" if asynchronous else "Synchronous"
            request |= {"codeInputType": "Inline", "executionType": kind, "code": code}
        else:
            request |= code  # Shell pools refuse the names of options of code
        if self._ask_for_length:
            request["outputStreamsMaxLength"] = self._max_stream_characters
        call = Call(
            "POST",
            self._api.url("/executions", identifier),
            Subject.EXECUTION,
            identifier,
            content=json.dumps(request).encode(),
            headers={"Content-Type": "application/json", "operation-id": execution_id},
            answer_seconds=grace if asynchronous else timeout_seconds + grace,
            most_bytes=self._max_answer_bytes,
        )
        try:
            return await self._plane.send(call)
        except InvalidRequestError as error:
            # Whether there is a bound to what may be asked for is not documented. A request that
            # is not valid was not run.
            if self._ask_for_length and "outputstreamsmaxlength" in error.message.lower():
                _logger.warning("The pool takes no outputStreamsMaxLength; output will be short")
                self._ask_for_length = False
                return await self._post(identifier, code, timeout_seconds, execution_id)
            raise

    async def _follow(
        self, identifier: str, execution_id: str, deadline: float, why: str
    ) -> ExecutionResponse:
        """Ask for an execution until it has ended; without success, say why that was needed."""
        call = Call(
            "GET",
            self._api.url(f"/executions/{quote(execution_id, safe='')}", identifier),
            Subject.EXECUTION,
            identifier,
            repeatable=True,
            most_bytes=self._max_answer_bytes,
        )
        wait = self._pacing.first_poll_seconds
        with suppress(SessionPoolError, AnswerTooLargeError, NotUnderstoodError):
            with anyio.CancelScope(deadline=deadline):
                while True:
                    answer = await _read_body((await self._plane.send(call)).body)
                    if not answer.is_pending:
                        return answer
                    await anyio.sleep(wait)
                    wait = min(wait * 1.5, self._pacing.longest_poll_seconds)
        raise _outcome_unknown(why)


async def _read_body(body: bytes) -> ExecutionResponse:
    if len(body) < _READ_AT_ONCE_BYTES:
        return ExecutionResponse.read(body)
    return await anyio.to_thread.run_sync(ExecutionResponse.read, body)


async def _read(reply: Reply, identifier: str) -> ExecutionResponse:
    try:
        return await _read_body(reply.body)
    except TooManyValuesError:
        raise _too_large() from None
    except NotUnderstoodError as error:
        raise _outcome_unknown(describe_page(reply.status, reply.body, identifier)) from error


def _too_large() -> ExecutionOutcomeUnknownError:
    return ExecutionOutcomeUnknownError(
        "The code was run, and what it displayed is too large to be read: print and "
        "display less, or write it to a file. The session is kept."
    )


def _outcome_unknown(why: str) -> ExecutionOutcomeUnknownError:
    return ExecutionOutcomeUnknownError(
        f"The code was sent and its answer was lost ({why}): it may have run, wholly, partly or "
        "not at all. It was not sent again. Look at the session's variables and files before "
        "running it again."
    )
