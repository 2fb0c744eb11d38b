"""What a pool is asked to see how like the published service it answers, and what is expected.

Each probe is named as the behaviour that it looks at, and says what it saw in the form in which the
expectation is written: status, code, and the part of the body that matters. Nothing of a pool or a
person is in either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aca_mcp.azure.api_versions import Feature
    from aca_mcp.azure.probe_client import ProbeAnswer, ProbeClient, Runs

BOTH: frozenset[Runs] = frozenset({"python", "shell"})
PYTHON: frozenset[Runs] = frozenset({"python"})
SHELL: frozenset[Runs] = frozenset({"shell"})


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to a pool."""

    look: Callable[[ProbeClient], Awaitable[str]]
    expected: str
    needs: tuple[Feature, ...] = ()
    """One of these, if there are any."""
    runs: frozenset[Runs] = BOTH
    """What sessions the question can be put to."""

    def why_not(self, ask: ProbeClient) -> str:
        """Why it is not asked; empty if it is."""
        if ask.runs not in self.runs:
            other = "shells" if ask.runs == "shell" else "Python"
            return f"the pool's sessions are {other}"
        if self.needs and not any(map(ask.has, self.needs)):
            return "this kind of pool, or this version of the API, has no such thing"
        return ""


async def run(
    ask: ProbeClient, code: str = "1", command: str = "true", **fields: object
) -> ProbeAnswer:
    """Run code, or in a pool of shells what does the like there."""
    return await ask("POST", "executions", body={**ask.asked_to_run(code, command), **fields})


def outcome(ask: ProbeClient, seen: ProbeAnswer) -> str:
    """Status, and what an execution came to, in the same words for both kinds."""
    if ask.runs == "shell" and seen.fields.get("status") == "0":
        return f"{seen.code} Succeeded"
    return seen.execution


def words(text: object) -> str:
    """The beginning of a text, in one line."""
    return " ".join(str(text).split())[:80]
