"""What a pool is asked to see how like the published service it answers, and what is expected.

Each probe is named as the behaviour that it looks at, and says what it saw in the form in which the
expectation is written: status, code, and the part of the body that matters. Nothing of a pool or a
person is in either.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Seen:
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
        return _object(self.body)

    @property
    def code(self) -> str:
        """Status and error code, such as ``400 FileNameInvalid``."""
        code = (_object(self.fields.get("error")) or self.fields).get("code")
        return f"{self.status} {code}" if isinstance(code, str) else str(self.status)

    @property
    def execution(self) -> str:
        """Status, and what the execution came to."""
        return f"{self.code} {self.fields.get('status')}"

    def result(self, name: str) -> object:
        """A field of the execution's result, or None."""
        return _object(self.fields.get("result")).get(name)


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


class Asker(Protocol):
    """Sends requests to the pool, about one session unless told otherwise."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | None] | None = None,
        file: tuple[str, bytes] | None = None,
        with_token: bool = True,
    ) -> Seen:
        """Send one; in ``query``, None leaves a parameter out."""
        ...


Probe = Callable[[Asker], Awaitable[str]]

TIMED_OUT = "Request timed out waiting for code execution to complete"


async def _run(ask: Asker, code: str, **fields: object) -> Seen:
    return await ask("POST", "executions", body={"code": code, **fields})


async def _values(ask: Asker) -> str:
    seen = await _run(ask, "1+1")
    return f"{seen.execution}: {seen.result('executionResult')!r}"


async def _not_a_number(ask: Asker) -> str:
    seen = await _run(ask, "float('nan')")
    return f"{seen.execution}: {seen.result('executionResult')!r}"


async def _exception(ask: Asker) -> str:
    seen = await _run(ask, "1/0")
    where = "in stderr" if "ZeroDivisionError" in str(seen.result("stderr")) else "elsewhere"
    return f"{seen.execution}: traceback {where}"


async def _timeout(ask: Asker) -> str:
    seen = await _run(ask, "import time; time.sleep(30)", timeoutInSeconds=2)
    stderr = str(seen.result("stderr"))
    return f"{seen.execution}: {TIMED_OUT if stderr.startswith(TIMED_OUT) else _words(stderr)}"


async def _interpreter_died(ask: Asker) -> str:
    seen = await _run(ask, "import os; os._exit(1)")
    return f"{seen.execution}: {_words(seen.result('stderr'))}"


async def _output_length(ask: Asker) -> str:
    seen = await _run(ask, "print('x' * 10000)")
    return f"{seen.execution}: {len(str(seen.result('stdout')))} characters"


async def _wrapped_body(ask: Asker) -> str:
    return (await ask("POST", "executions", body={"properties": {"code": "1"}})).code


async def _nulls(ask: Asker) -> str:
    return (await _run(ask, "1", shellCommand=None, timeoutInSeconds=None)).execution


async def _case(ask: Asker) -> str:
    return (await ask("POST", "Executions", body={"code": "1"})).execution


async def _python_execute(ask: Asker) -> str:
    fields = {"codeInputType": "inline", "executionType": "synchronous", "pythonCode": "1+1"}
    query = {"api-version": "2024-02-02-preview"}
    seen = await ask("POST", "python/execute", body={"properties": fields}, query=query)
    return f"{seen.code}: {seen.fields.get('result')!r}"


async def _asynchronous(ask: Asker) -> str:
    seen = await _run(ask, "1", executionType="Asynchronous")
    where = "with" if "operation-location" in seen.headers else "without"
    return f"{seen.status} {where} Operation-Location"


async def _new_allocation(ask: Asker) -> str:
    fresh = {"identifier": secrets.token_urlsafe(24)}
    first = await ask("POST", "executions", body={"code": "1"}, query=fresh)
    second = await ask("POST", "executions", body={"code": "1"}, query=fresh)
    await ask("DELETE", "session", query=fresh)
    name = "x-ms-new-allocation"
    return f"{first.status}: {first.headers.get(name)}, then {second.headers.get(name)}"


async def _directory(ask: Asker) -> str:
    seen = await _run(ask, "import os; os.getcwd()")
    here = str(seen.result("executionResult")).strip("'")
    return f"{seen.execution}: {'another' if here != '/mnt/data' else here}"


async def _base_name(ask: Asker) -> str:
    seen = await ask("POST", "files", file=("/mnt/data/probe.txt", b"abc"))
    return f"{seen.code}: {_words(seen.fields.get('name'))}"


async def _file_types(ask: Asker) -> str:
    await ask("POST", "files", file=("probe.txt", b"abc"))
    seen = await ask("GET", "files")
    for each in _files(seen):
        if each.get("name") == "probe.txt":
            return f"{seen.code}: {each.get('type')} in {each.get('directory')!r}"
    return f"{seen.code}: not listed"


async def _last_page(ask: Asker) -> str:
    seen = await ask("GET", "files")
    has = "nextLink" in seen.fields
    return f"{seen.code} {'with' if has else 'without'} nextLink"


async def _paths(ask: Asker) -> str:
    return (await ask("GET", "files", query={"path": "v1.2"})).code


async def _missing_file(ask: Asker) -> str:
    return (await ask("GET", "files/not-there.txt/content")).code


async def _missing_directory(ask: Asker) -> str:
    return (await ask("GET", "files", query={"path": "not-there"})).code


async def _file_names(ask: Asker) -> str:
    return (await ask("POST", "files", file=("a*b.txt", b"abc"))).code


async def _session(ask: Asker) -> str:
    fresh = {"identifier": secrets.token_urlsafe(24)}
    got = await ask("GET", "session", query=fresh)
    return f"{got.status}, {(await ask('DELETE', 'session', query=fresh)).status}"


async def _managed_session(ask: Asker) -> str:
    fresh = {"identifier": secrets.token_urlsafe(24)}
    return (await ask("POST", ".management/getSession", query=fresh)).code


async def _unknown_route(ask: Asker) -> str:
    return (await ask("GET", "no-such-operation")).code


async def _unknown_version(ask: Asker) -> str:
    return (await ask("GET", "files", query={"api-version": "2020-01-01"})).code


async def _identifiers(ask: Asker) -> str:
    return (await ask("GET", "files", query={"identifier": "abc"})).code


async def _token(ask: Asker) -> str:
    return str((await ask("GET", "files", with_token=False)).status)


def _files(seen: Seen) -> list[dict[str, object]]:
    value = seen.fields.get("value", seen.body)
    return (
        [_object(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
    )


def _words(text: object) -> str:
    return " ".join(str(text).split())[:80]


PROBES: dict[str, tuple[Probe, str]] = {
    "values": (_values, "200 Succeeded: 2"),
    "not-a-number": (_not_a_number, "200 Succeeded: None"),
    "exception": (_exception, "200 Failed: traceback in stderr"),
    "output-length": (_output_length, "200 Succeeded: 4096 characters"),
    "wrapped-body": (_wrapped_body, "400 SessionPropertiesMissing"),
    "nulls": (_nulls, "200 Succeeded"),
    "case": (_case, "200 Succeeded"),
    "python-execute": (_python_execute, "200: 2"),
    "asynchronous": (_asynchronous, "200 with Operation-Location"),
    "new-allocation": (_new_allocation, "200: true, then false"),
    "directory": (_directory, "200 Succeeded: another"),
    "base-name": (_base_name, "200: probe.txt"),
    "file-types": (_file_types, "200: file in '.'"),
    "last-page": (_last_page, "200 without nextLink"),
    "paths": (_paths, "400 FilePathInvalid"),
    "missing-file": (_missing_file, "404 FileNotFound"),
    "missing-directory": (_missing_directory, "404 FileNotFound"),
    "file-names": (_file_names, "400 FileNameInvalid"),
    "session": (_session, "404, 404"),
    "managed-session": (_managed_session, "400 SessionWithIdentifierNotFound"),
    "unknown-route": (_unknown_route, "400 SessionRequestNotSupported"),
    "unknown-version": (_unknown_version, "400 InvalidApiVersion"),
    "identifiers": (_identifiers, "400 InvalidLengthOfSessionIdentifier"),
    "token": (_token, "401"),
    "timeout": (_timeout, f"200 Failed: {TIMED_OUT}"),
    # Last, for the session's variables are gone then.
    "interpreter-died": (_interpreter_died, "200 Failed: Kernel restarted"),
}
"""Probe and expectation by the name of the behaviour, in the order in which they are asked."""
