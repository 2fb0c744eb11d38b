"""Questions about sessions, and about who asks and how."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from aca_mcp.azure.api_versions import Feature
from aca_mcp.azure.probes import Probe

if TYPE_CHECKING:
    from aca_mcp.azure.probe_client import ProbeAnswer, ProbeClient


def _fresh() -> dict[str, str]:
    return {"identifier": secrets.token_urlsafe(24)}


async def _allocate(ask: ProbeClient, session: dict[str, str]) -> ProbeAnswer:
    return await ask("POST", "executions", body=ask.asked_to_run(), query=session)


async def _stop(ask: ProbeClient, session: dict[str, str]) -> ProbeAnswer | None:
    if ask.has(Feature.SESSIONS):
        return await ask("DELETE", "session", query=session)
    return None  # its cooldown ends it


async def _new_allocation(ask: ProbeClient) -> str:
    session = _fresh()
    first, second = await _allocate(ask, session), await _allocate(ask, session)
    await _stop(ask, session)
    told = [each.headers.get("x-ms-new-allocation") for each in (first, second)]
    etags = [each.headers.get("x-ms-session-etag") for each in (first, second)]
    etag = "the same etag" if etags[0] and etags[0] == etags[1] else "no lasting etag"
    return f"{first.status}, {second.status}: {told[0]}, then {told[1]}; {etag}"


async def _session(ask: ProbeClient) -> str:
    session = _fresh()
    got = await ask("GET", "session", query=session)
    return f"{got.status}, {(await ask('DELETE', 'session', query=session)).status}"


async def _managed_session(ask: ProbeClient) -> str:
    return (await ask("POST", ".management/getSession", query=_fresh())).code


async def _managed_shapes(ask: ProbeClient) -> str:
    session = _fresh()
    await _allocate(ask, session)
    got = await ask("POST", ".management/getSession", query=session)
    listed = await ask("POST", ".management/listSessions", query={"identifier": None})
    await _stop(ask, session)
    one = "with" if "expiresAt" in got.fields else "without"
    all_ = [name for name in ("value", "count") if name in listed.fields]
    return f"{got.status} {one} expiresAt, {listed.status} with {' and '.join(all_) or 'neither'}"


async def _stop_session(ask: ProbeClient) -> str:
    session = _fresh()
    await _allocate(ask, session)
    stopped = await ask("POST", ".management/stopSession", query=session)
    again = await ask("POST", ".management/stopSession", query=session)
    kind = "no text" if stopped.body is not None or not stopped.text else "a text"
    return f"{stopped.status} with {kind}, then {again.code}"


async def _unknown_route(ask: ProbeClient) -> str:
    return (await ask("GET", "no-such-operation")).code


async def _unknown_version(ask: ProbeClient) -> str:
    return (await ask("GET", "files", query={"api-version": "2020-01-01"})).code


async def _identifiers(ask: ProbeClient) -> str:
    seen = [await ask("GET", "files", query={"identifier": name}) for name in ("abc", "ab c d*")]
    return ", ".join(each.code for each in seen)


async def _token(ask: ProbeClient) -> str:
    return str((await ask("GET", "files", with_token=False)).status)


_NOT_FOUND = "400 SessionWithIdentifierNotFound"
SESSION_PROBES = {
    "new-allocation": Probe(_new_allocation, "200, 200: true, then false; the same etag"),
    "session": Probe(_session, "404, 404", needs=(Feature.SESSIONS,)),
    "managed-session": Probe(_managed_session, _NOT_FOUND),
    "managed-shapes": Probe(_managed_shapes, "200 with expiresAt, 200 with value and count"),
    "stop-session": Probe(
        _stop_session,
        f"200 with a text, then {_NOT_FOUND}",
        needs=(Feature.SESSIONS, Feature.STOP_SESSION),
    ),
    "unknown-route": Probe(_unknown_route, "400 SessionRequestNotSupported"),
    "unknown-version": Probe(_unknown_version, "400 InvalidApiVersion"),
    "identifiers": Probe(
        _identifiers, "400 InvalidLengthOfSessionIdentifier, 400 InvalidSessionIdentifier"
    ),
    "token": Probe(_token, "401"),
}
