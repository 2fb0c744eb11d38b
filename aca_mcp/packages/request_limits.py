"""Counts and records requests for packages: of each session, each principal, and all together."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from aca_mcp.bounded_mapping import BoundedMapping
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.request_context import recording_packages, request_context

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

PER_MINUTE = 10
PRINCIPAL_PER_MINUTE = 20
ALL_PER_MINUTE = 60
_REFUSALS_RECORDED_PER_MINUTE = 10
"""Of one session that asks too often: hostile code could fill a disk with records."""
_MINUTE = 60
_REMEMBERED = 10_000


class PackageRequests:
    """What sessions of one server ask for."""

    def __init__(self) -> None:
        self._asked: BoundedMapping[str, deque[float]] = BoundedMapping(_REMEMBERED)

    @contextmanager
    def request(self, session: str, texts: Sequence[str]) -> Generator[None]:
        """Answer a request in the block. It is recorded, however that ends.

        Args:
            session: the identifier of the one that asks.
            texts: what it asks for; they may come from hostile code.

        Raises:
            PackagesNotInstalledError: there were too many in the last minute.
        """
        refusal = self._refusal(session)
        if refusal and self._is_enough(session):
            raise PackagesNotInstalledError(refusal)
        with recording_packages(session, texts):
            if refusal:
                raise PackagesNotInstalledError(refusal)
            yield

    def refuse(self, session: str, texts: Sequence[str]) -> NoReturn:
        """Refuse a request where none is permitted. It is counted and recorded as the others are.

        Raises:
            PackagesNotInstalledError: always.
        """
        # Only here: nobody who installs nothing should wait for this import.
        from aca_mcp.packages.requirements import NO_PACKAGES, Policy, check_requirements

        with self.request(session, texts):
            check_requirements(texts, Policy())
            raise PackagesNotInstalledError(NO_PACKAGES)

    def _refusal(self, session: str) -> str:
        """Why a request is one too many; empty if it is not, and counted."""
        counted = [
            (f"session {session}", PER_MINUTE, "by this session"),
            ("all", ALL_PER_MINUTE, "by all sessions together"),
        ]
        if principal := request_context().principal:
            who = "by the sessions of one user"
            counted.insert(1, (f"principal {principal}", PRINCIPAL_PER_MINUTE, who))
        for key, most, who in counted:
            if len(self._in_the_last_minute(key)) >= most:
                return (
                    f"Packages were asked for {most} times in a minute {who}, which is the limit. "
                    "Nothing was installed. Ask for all that is needed at once, in a minute."
                )
        for key, _, _ in counted:
            self._in_the_last_minute(key).append(time.monotonic())
        return ""

    def _is_enough(self, session: str) -> bool:
        """Whether enough refusals of a session are recorded; else one more is counted."""
        times = self._in_the_last_minute(f"recorded {session}")
        if len(times) >= _REFUSALS_RECORDED_PER_MINUTE:
            return True
        times.append(time.monotonic())
        return False

    def _in_the_last_minute(self, key: str) -> deque[float]:
        times = self._asked.used(key, deque[float])
        while times and time.monotonic() - times[0] > _MINUTE:
            times.popleft()
        return times
