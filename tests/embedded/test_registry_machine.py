"""The registry of sessions against a model of it, in any order of events and at any times."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aca_mcp.embedded.registry import Admission, Registry, SessionState

IDENTIFIERS = [f"identifier-{number}" for number in range(4)]
COOLDOWN = 60.0


@dataclass
class ModelSession:
    """What a session is to those who use it."""

    starting: bool
    last_used_at: float
    users: int = 0
    untold: str | None = None


class RegistryMachine(RuleBasedStateMachine):
    """Sessions come, are used, idle, die and are stopped; the model says what must be true."""

    @initialize(capacity=st.integers(1, 3))
    def begin(self, capacity: int) -> None:
        self.now = 1000.0
        self.registry = Registry(max_sessions=capacity, cooldown_seconds=COOLDOWN)
        self.sessions: dict[str, ModelSession] = {}
        self.losses: dict[str, str] = {}
        self.reasons = 0

    @rule(seconds=st.sampled_from([0.0, 1.0, COOLDOWN / 2, COOLDOWN]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(identifier=st.sampled_from(IDENTIFIERS), quick=st.booleans())
    def somebody_asks(self, identifier: str, quick: bool) -> None:
        admission = self.registry.admit(identifier, self.now)
        if identifier in self.sessions:
            assert admission is Admission.USE
        elif len(self.sessions) == self.registry.max_sessions:
            assert admission is Admission.FULL
        else:
            assert admission is Admission.START
            loss = self.losses.pop(identifier, None)
            self.sessions[identifier] = ModelSession(True, self.now, untold=loss)
            if quick:
                self._begin(identifier)

    @precondition(lambda self: any(s.starting for s in self.sessions.values()))
    @rule(data=st.data())
    def a_process_is_there(self, data: st.DataObject) -> None:
        starting = [i for i, session in self.sessions.items() if session.starting]
        self._begin(data.draw(st.sampled_from(starting)))

    def _begin(self, identifier: str) -> None:
        self.registry.started(identifier, self.now)
        self.sessions[identifier].starting = False
        self.sessions[identifier].last_used_at = self.now

    @precondition(lambda self: any(not s.starting for s in self.sessions.values()))
    @rule(data=st.data())
    def an_operation_begins(self, data: st.DataObject) -> None:
        there = [i for i, session in self.sessions.items() if not session.starting]
        identifier = data.draw(st.sampled_from(there))
        self.registry.enter(identifier)
        self.sessions[identifier].users += 1

    @rule(identifier=st.sampled_from(IDENTIFIERS))
    def an_operation_is_over(self, identifier: str) -> None:
        """Perhaps one that began in a session which has ended since."""
        self.registry.leave(identifier, self.now)
        session = self.sessions.get(identifier)
        if session is not None and session.users:
            session.users -= 1
            session.last_used_at = self.now

    @rule(identifier=st.sampled_from(IDENTIFIERS))
    def somebody_is_told_of_a_loss(self, identifier: str) -> None:
        session = self.sessions.get(identifier)
        assert self.registry.told(identifier) == (session.untold if session else None)
        if session is not None:
            session.untold = None

    @rule(identifier=st.sampled_from(IDENTIFIERS))
    def somebody_keeps_it_alive(self, identifier: str) -> None:
        session = self.sessions.get(identifier)
        assert self.registry.touch(identifier, self.now) is (session is not None)
        if session is not None:
            session.last_used_at = self.now

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), asked=st.booleans())
    def a_session_ends(self, data: st.DataObject, asked: bool) -> None:
        identifier = data.draw(st.sampled_from(IDENTIFIERS))
        self.reasons += 1
        reason = None if asked else f"reason {self.reasons}"
        assert self.registry.ended(identifier, reason) is (identifier in self.sessions)
        if self.sessions.pop(identifier, None) is not None and reason is not None:
            self.losses[identifier] = reason

    @rule()
    def idle_sessions_are_ended(self) -> None:
        for identifier in self.registry.expired(self.now):
            self.registry.ended(identifier, "idle")
            del self.sessions[identifier]
            self.losses[identifier] = "idle"
        assert self.registry.expired(self.now) == ()

    @invariant()
    def it_has_the_sessions_that_the_model_has(self) -> None:
        assert len(self.registry) == len(self.sessions) <= self.registry.max_sessions
        for identifier in IDENTIFIERS:
            record, session = self.registry.get(identifier), self.sessions.get(identifier)
            assert (record is None) == (session is None)
            if record is not None and session is not None:
                state = SessionState.STARTING if session.starting else SessionState.OPEN
                assert (record.state, record.users) == (state, session.users)
                assert record.last_used_at == session.last_used_at

    @invariant()
    def only_idle_sessions_whose_time_is_up_expire(self) -> None:
        expected = {
            identifier
            for identifier, session in self.sessions.items()
            if not session.starting
            and session.users == 0
            and session.last_used_at + COOLDOWN <= self.now
        }
        assert set(self.registry.expired(self.now)) == expected

    @invariant()
    def it_says_what_it_holds(self) -> None:
        starting = sum(session.starting for session in self.sessions.values())
        used = sum(session.users > 0 for session in self.sessions.values())
        assert repr(self.registry) == (
            f"<Registry {len(self.sessions)} sessions: {starting} starting, {used} in use>"
        )


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=100, stateful_step_count=50)


def test_only_so_many_losses_are_remembered() -> None:
    registry = Registry(max_sessions=3, cooldown_seconds=COOLDOWN, remembered_losses=2)
    for identifier in ("first", "second", "third"):
        registry.admit(identifier, 0)
        registry.ended(identifier, f"the {identifier} crashed")
    told: list[str | None] = []
    for identifier in ("first", "second", "third"):
        registry.admit(identifier, 1)
        told.append(registry.told(identifier))
    assert told == [None, "the second crashed", "the third crashed"]


def test_a_session_that_is_not_there_expires_never() -> None:
    registry = Registry(max_sessions=1, cooldown_seconds=COOLDOWN)
    assert registry.expires_at("nobody") is None
