"""What is said of a loss is true, whatever happens in whatever order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from aca_mcp.state_loss import UNEXPLAINED, HeldState

REASONS = ("it was idle for an hour", "its memory was full")


class World(RuleBasedStateMachine):
    """A pool with one session of a user's, beside what the user is told of it.

    The pool tells why the session before ended where it knows, until code has been told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = HeldState()
        self.there = False
        """The session exists."""
        self.promised = False
        """Something of the user's is in a session, as far as they know."""
        self.unseen = False
        """It was lost to code that was cancelled, and nobody was there to be told."""
        self.released = False
        """It was ended while they were away."""
        self.perhaps_released = False
        """So was what a cancelled call had begun, of which they may have seen nothing."""
        self.reason: str | None = None
        """Why the session before ended, as far as the pool knows."""

    def start(self) -> bool:
        """Whether there is a session for this use alone since now."""
        started, self.there = not self.there, True
        return started

    @rule()
    def code_runs(self) -> None:
        use, started = self.held.enter(), self.start()
        told = self.held.ran(use, in_new_session=started, why_ended=self.reason)
        if self.released or (started and self.promised):
            assert told is not None, "a loss is said"
        elif self.reason is None and not self.unseen:
            assert told is None, "what was not lost is not said to be"
        if self.reason is not None and not self.released:
            known = {self.reason, "nobody used it"} if self.perhaps_released else {self.reason}
            assert told in known, "the pool knows best"
        self.promised, self.released, self.reason, self.unseen = True, False, None, False
        self.perhaps_released = False

    @rule(begins=st.booleans(), survives=st.booleans(), reason=st.sampled_from(REASONS))
    def code_is_cancelled(self, begins: bool, survives: bool, reason: str) -> None:
        use = self.held.enter()
        if begins:
            if self.start():
                self.promised, self.unseen = False, self.promised or self.unseen
            if not survives:
                self.there, self.reason = False, reason
        if self.there:  # the pool was asked
            self.held.seen(use)
            self.promised = True

    @rule()
    def a_file_is_uploaded(self) -> None:
        use = self.held.enter()
        self.start()
        self.held.seen(use)
        self.promised = True

    @rule(reason=st.sampled_from([None, *REASONS]))
    def the_pool_ends_the_session(self, reason: str | None) -> None:
        if self.there:
            self.there, self.reason = False, reason

    @rule()
    def the_user_restarts(self) -> None:
        self.held.restart()
        self.there = self.promised = self.released = self.unseen = False
        self.perhaps_released, self.reason = False, None

    @rule()
    def the_server_releases_it(self) -> None:
        self.held.release("nobody used it")
        self.released = self.released or self.promised
        self.perhaps_released = self.perhaps_released or self.unseen
        self.there, self.reason = False, None


TestWorld = World.TestCase


def test_a_session_that_never_was_is_not_lost() -> None:
    held = HeldState()
    held.enter()  # cancelled before there was a session
    assert held.ran(held.enter(), in_new_session=True, why_ended=None) is None


def test_a_loss_that_nobody_explains_is_said_once() -> None:
    held = HeldState(exists=True)
    assert held.ran(held.enter(), in_new_session=True, why_ended=None) == UNEXPLAINED
    assert held.ran(held.enter(), in_new_session=False, why_ended=None) is None


def test_what_concerns_a_session_that_was_replaced_says_nothing_of_its_successor() -> None:
    held = HeldState()
    before = held.enter()
    held.restart()
    held.seen(before)
    assert held.ran(before, in_new_session=True, why_ended=None) is None
    assert held.ran(held.enter(), in_new_session=True, why_ended=None) is None


def test_a_released_session_is_said_to_be_gone_also_where_a_file_began_the_next() -> None:
    held = HeldState(exists=True)
    held.release("nobody used it")
    held.seen(held.enter())
    assert held.ran(held.enter(), in_new_session=False, why_ended=None) == "nobody used it"
