"""Which connection gives way, and when there are as many as may be: decided without a socket."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aca_mcp.listening.connections import Connections


def test_the_longest_silent_gives_way() -> None:
    connections = Connections[str](most=2, spare=1)
    assert [connections.opened(name) for name in "abc"] == [None, None, None]
    connections.waits("a")
    assert connections.opened("d") == "b"


def test_one_that_is_owed_an_answer_never_gives_way() -> None:
    connections = Connections[str](most=2, spare=1)
    for name in "abc":
        connections.opened(name)
        connections.works(name)
    assert connections.opened("d") == "d"


def test_answers_beyond_the_bound_are_refused_until_one_is_given() -> None:
    connections = Connections[str](most=1, spare=1)
    for name in "ab":
        connections.opened(name)
    connections.works("a")
    assert not connections.is_full_for("a")
    assert connections.is_full_for("b")
    connections.waits("a")
    assert not connections.is_full_for("b")


def test_each_of_many_that_come_at_once_has_another_one_closed() -> None:
    connections = Connections[int](most=2, spare=1)
    gone = [connections.opened(number) for number in range(8)]
    assert gone == [None, None, None, 0, 1, 2, 3, 4]
    connections.waits(4)  # its last words before it is closed
    assert connections.one_gives_way() == 5
    connections.closed(4)
    assert 4 not in connections


@given(st.lists(st.tuples(st.sampled_from(["waits", "works"]), st.integers(0, 4))))
def test_what_was_closed_does_not_come_back(moves: list[tuple[str, int]]) -> None:
    connections = Connections[int](most=2, spare=1)
    for name in range(3):
        connections.opened(name)
        connections.closed(name)
    for move, name in moves:
        getattr(connections, move)(name)
        assert name not in connections


class ConnectionsMachine(RuleBasedStateMachine):
    """Any clients whatever, and a listener that closes those it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = Connections[int](most=3, spare=2)
        self.open: set[int] = set()
        self.working: set[int] = set()
        self.number = 0

    @rule()
    def comes(self) -> None:
        self.number += 1
        self.open.add(self.number)
        if (goes := self.connections.opened(self.number)) is not None:
            assert goes not in self.working
            self.leaves(goes)

    @rule(which=st.integers(0, 10))
    def asks(self, which: int) -> None:
        if name := self._some(which):
            self.connections.works(name)
            if self.connections.is_full_for(name):  # it is refused, and so not owed anything
                self.connections.waits(name)
            else:
                self.working.add(name)

    @rule(which=st.integers(0, 10))
    def is_answered(self, which: int) -> None:
        if name := self._some(which):
            self.connections.waits(name)
            self.working.discard(name)

    @rule(which=st.integers(0, 10))
    def goes(self, which: int) -> None:
        if name := self._some(which):
            self.leaves(name)

    def leaves(self, name: int) -> None:
        self.connections.closed(name)
        self.open.discard(name)
        self.working.discard(name)

    def _some(self, which: int) -> int:
        return sorted(self.open)[which % len(self.open)] if self.open else 0

    @invariant()
    def there_are_no_more_than_may_be(self) -> None:
        assert len(self.open) <= 5
        assert len(self.working) <= 3
        assert all(name in self.connections for name in self.open)


TestConnectionsMachine = ConnectionsMachine.TestCase
TestConnectionsMachine.settings = settings(max_examples=50)
