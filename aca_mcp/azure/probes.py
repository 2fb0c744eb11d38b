"""What a pool is asked to see how like the published service it answers, and what is expected.

Each probe is named as the behaviour that it looks at, and says what it saw in the form in which the
expectation is written: status, code, and the part of the body that matters. Nothing of a pool or a
person is in either.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aca_mcp.azure.api import Feature

Runs = Literal["python", "shell"]
BOTH: frozenset[Runs] = frozenset({"python", "shell"})
PYTHON: frozenset[Runs] = frozenset({"python"})
SHELL: frozenset[Runs] = frozenset({"shell"})


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


class Asker(Protocol):
    """Sends requests to the pool, about one session unless told otherwise."""

    @property
    def runs(self) -> Runs:
        """What the pool's sessions run."""
        ...

    def has(self, feature: Feature) -> bool:
        """Whether the pool has a feature, by its kind and the API's version."""
        ...

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


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to a pool."""

    look: Callable[[Asker], Awaitable[str]]
    expected: str
    needs: tuple[Feature, ...] = ()
    """One of these, if there are any."""
    runs: frozenset[Runs] = BOTH
    """What sessions the question can be put to."""

    def why_not(self, ask: Asker) -> str:
        """Why it is not asked; empty if it is."""
        if ask.runs not in self.runs:
            other = "shells" if ask.runs == "shell" else "Python"
            return f"the pool's sessions are {other}"
        if self.needs and not any(map(ask.has, self.needs)):
            return "this kind of pool, or this version of the API, has no such thing"
        return ""


async def run(ask: Asker, code: str = "1", command: str = "true", **fields: object) -> Seen:
    """Run code, or in a pool of shells what does the like there."""
    given = {"code": code} if ask.runs == "python" else {"shellCommand": command}
    return await ask("POST", "executions", body={**given, **fields})


def outcome(ask: Asker, seen: Seen) -> str:
    """Status, and what an execution came to, in the same words for both kinds."""
    if ask.runs == "shell" and seen.fields.get("status") == "0":
        return f"{seen.code} Succeeded"
    return seen.execution


def fields_of(value: object) -> dict[str, object]:
    """The fields of an object; none of anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def words(text: object) -> str:
    """The beginning of a text, in one line."""
    return " ".join(str(text).split())[:80]
