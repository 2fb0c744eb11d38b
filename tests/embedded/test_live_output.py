"""What code prints and displays is told in the order of making, however it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.embedded.live_output import MAX_WAITING_CHARACTERS, LiveOutput
from aca_mcp.execution import Output
from aca_mcp.kernel.streams import DISPLAY, STDERR, STDOUT
from aca_mcp.reports.events import Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.pool import OutputChunk

    Step = Literal["stdout", "stderr", "display"]
    Delivery = Callable[[LiveOutput], None]


def displayed(text: str, place: int, *, display_id: str = "") -> Shown:
    return Shown(Output("display", {"text/plain": text}), place, display_id, 1)


class Heard(list[str]):
    """What was told, in words."""

    def __call__(self, chunk: OutputChunk) -> None:
        self.append(chunk.text if chunk.displayed is None else str(chunk.displayed.data))


def made(steps: list[Step]) -> tuple[list[str], dict[str, list[Delivery]]]:
    """What code shows by steps, and what a kernel sends of it by each of three ways."""
    told: list[str] = []
    ways: dict[str, list[Delivery]] = {"stdout": [], "stderr": [], "display": []}
    place, last = 0, "stdout"

    def mark(kind: bytes) -> None:
        nonlocal place
        place += 1
        for stream in ("stdout", "stderr"):
            ways[stream].append(lambda live, n=place, s=stream: live.mark(s, n, kind))

    for number, step in enumerate(steps):
        text = f"{step} {number}"
        if step == "display":
            mark(DISPLAY)
            shown, last = displayed(text, place), "stdout"
            ways[step].append(lambda live, shown=shown: live.display(shown))
            told.append(str(shown.output.data))
            continue
        if step != last:
            mark(STDERR if step == "stderr" else STDOUT)
            last = step
        ways[step].append(lambda live, s=step, text=text: live.print(s, text))
        told.append(text)
    return told, ways


STEPS = st.lists(st.sampled_from(["stdout", "stderr", "display"]), max_size=12)


@given(steps=STEPS, data=st.data())
def test_the_order_is_that_of_making_whichever_way_is_read_first(
    steps: list[Step], data: st.DataObject
) -> None:
    told, ways = made(steps)
    heard = Heard()
    live = LiveOutput(heard)
    while left := [name for name, way in ways.items() if way]:
        ways[data.draw(st.sampled_from(left))].pop(0)(live)
        assert heard == told[: len(heard)]
    assert heard == told  # before anybody says that it is all


def test_text_is_told_as_it_comes() -> None:
    heard = Heard()
    live = LiveOutput(heard)
    live.print("stdout", "a")
    assert heard == ["a"]
    live.print("stderr", "of a process")
    assert heard == ["a", "of a process"]


def test_a_display_that_may_be_updated_is_not_told_and_holds_nothing_up() -> None:
    heard = Heard()
    live = LiveOutput(heard)
    for stream in ("stdout", "stderr"):
        live.mark(stream, 1, DISPLAY)
    live.print("stdout", "behind")
    assert heard == []
    live.display(displayed("0 %", 1, display_id="bar"))
    assert heard == ["behind"]


def test_what_waits_for_what_never_comes_is_bounded_and_told_with_the_end() -> None:
    heard = Heard()
    live = LiveOutput(heard)
    for stream in ("stdout", "stderr"):
        live.mark(stream, 5, DISPLAY)
    live.print("stdout", "x" * MAX_WAITING_CHARACTERS)
    assert heard == []
    live.print("stdout", "y")
    assert "".join(heard) == "x" * MAX_WAITING_CHARACTERS + "y"
    live.mark("stdout", 2**32 - 1, STDOUT)  # in one pipe alone, as code forges it
    live.print("stdout", "z")
    live.tell_all()
    assert heard[-1] == "z"


def test_marks_that_begin_anew_hold_up_nothing_of_before() -> None:
    heard = Heard()
    live = LiveOutput(heard)
    live.mark("stdout", 3, STDOUT)
    live.print("stdout", "from before")
    live.mark("stdout", 1, STDOUT)
    assert heard == ["from before"]
