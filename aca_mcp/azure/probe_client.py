"""Asks a pool one thing at a time, and takes every answer as it is: nothing is tried again."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import httpx

from aca_mcp.azure.api_versions import Api, Feature
from aca_mcp.azure.connection_errors import FOREIGN, describe_failed_connection
from aca_mcp.azure.decompression import decoded
from aca_mcp.azure.multipart import file_body
from aca_mcp.azure.pool_description import PoolKind, kind_of
from aca_mcp.azure.responses import MetadataResponse, NotUnderstoodError
from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

Runs = Literal["python", "shell"]
_MAX_TEXT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """An answer, as a probe looks at it."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> object:
        """The JSON of the body, or None if it is none."""
        try:
            found: object = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return found

    @property
    def fields(self) -> dict[str, object]:
        """The body's, if it is an object."""
        return fields_of(self.body)

    @property
    def code(self) -> str:
        """Status and error code, such as ``400 FileNameInvalid``."""
        code = (fields_of(self.fields.get("error")) or self.fields).get("code")
        return f"{self.status} {code}" if isinstance(code, str) else str(self.status)

    @property
    def execution(self) -> str:
        """Status, and what the execution came to."""
        return f"{self.code} {self.fields.get('status')}"

    def result(self, name: str) -> object:
        """A field of the execution's result, or None."""
        return fields_of(self.fields.get("result")).get(name)


def fields_of(value: object) -> dict[str, object]:
    """The fields of an object; none of anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


class ProbeClient:
    """Sends requests to a pool, about one session unless told otherwise.

    Args:
        http: with the pool's credential.
        api: the pool's.
        head_start_seconds: how long code runs before what is to wait for it is sent.
    """

    def __init__(self, http: httpx.AsyncClient, api: Api, head_start_seconds: float) -> None:
        self._http = http
        self._api = api
        self.head_start_seconds = head_start_seconds
        self.runs: Runs = "python"
        """What the pool's sessions run, once ``find_out_what_runs`` has asked."""
        self.identifier = secrets.token_urlsafe(24)

    def has(self, feature: Feature) -> bool:
        """Whether the pool has a feature, by its kind and the API's version."""
        return self._api.has(feature)

    async def find_out_what_runs(self) -> None:
        """Ask the pool what its sessions run, or one of them.

        Raises:
            PoolUnavailableError: the pool cannot be reached.
        """
        try:
            kind = await self._kind_told() if self.has(Feature.METADATA) else PoolKind.UNKNOWN
            if kind is PoolKind.UNKNOWN:
                tried = await self("POST", "executions", body={"shellCommand": "true"})
                kind = PoolKind.SHELL if tried.status == 200 else PoolKind.PYTHON
        except httpx.ConnectError as error:
            raise self.unreachable(error) from error
        except FOREIGN:
            return  # each probe will say so
        self.runs = "shell" if kind is PoolKind.SHELL else "python"

    async def _kind_told(self) -> PoolKind:
        with suppress(NotUnderstoodError):
            return kind_of(MetadataResponse.read((await self("GET", "metadata")).text.encode()))
        return PoolKind.UNKNOWN

    def asked_to_run(self, code: str = "1", command: str = "true") -> dict[str, object]:
        """What an execution's body says: code, or in a pool of shells what does the like there."""
        return {"code": code} if self.runs == "python" else {"shellCommand": command}

    def unreachable(self, error: httpx.ConnectError) -> PoolUnavailableError:
        """What to say where there is no connection."""
        failure = describe_failed_connection(error, self._api.endpoint)
        return PoolUnavailableError(f"The session pool cannot be reached. {failure}")

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | None] | None = None,
        file: tuple[str, bytes] | None = None,
        with_token: bool = True,
    ) -> ProbeAnswer:
        """Send one; in ``query``, None leaves a parameter out."""
        parameters = {"api-version": self._api.version, "identifier": self.identifier}
        asked = {**parameters, **(query or {})}
        request = self._http.build_request(
            method,
            f"{self._api.endpoint}/{path}",
            params={name: value for name, value in asked.items() if value is not None},
            json=body,
        )
        if file is not None:
            form = await file_body(file[0], _once(file[1]), len(file[1]))
            request = self._http.build_request(
                method,
                request.url,
                content=form.content(),
                headers={"Content-Type": form.content_type},
            )
        auth = httpx.USE_CLIENT_DEFAULT if with_token else None
        response = await self._http.send(request, stream=True, auth=auth)
        try:
            text = bytearray()
            async for chunk in decoded(response):
                text += chunk
                if len(text) > _MAX_TEXT_BYTES:
                    break
        finally:
            await response.aclose()
        return ProbeAnswer(response.status_code, response.headers, text.decode("utf-8", "replace"))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
