"""What Output widgets hold, by any order of doings."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.kernel.output_widgets import OutputWidgets

DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 1)),
        st.tuples(st.just("leave"), st.none()),
        st.tuples(st.just("print"), st.text("ab", min_size=1, max_size=2)),
        st.tuples(st.just("display"), st.sampled_from("xy")),
        st.tuples(st.just("clear"), st.booleans()),
    )
)


def entered() -> tuple[OutputWidgets, Any]:
    """What is tried, and a class of widgets that is prepared by it."""
    widgets = OutputWidgets(lambda error: {"name": "", "message": "", "traceback": "", "hint": ""})
    module: Any = ModuleType("widget_output")

    class Output(SimpleNamespace):
        append_stdout = append_stderr = append_display_data = print

    module.Output = Output
    widgets.prepare(module)
    widgets.begin()
    return widgets, module.Output


def held(widget: Any) -> str:
    return "".join(each.get("text") or each["data"]["text/plain"] for each in widget.outputs)


@given(DOINGS)
def test_each_thing_is_where_it_was_made_unless_that_was_cleared(
    doings: list[tuple[str, Any]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", outside := io.StringIO())
        widgets, kind = entered()
        both = [kind(outputs=(), model_id=name) for name in "pq"]
        within: list[int] = []
        expected, due = ["", ""], [False, False]
        beside = ""
        for what, about in doings:
            if what == "enter":
                both[about].__enter__()
                within.append(about)
            elif what == "leave":
                if within:
                    both[within.pop()].__exit__(None, None, None)
            elif what == "clear":
                assert widgets.clear(about) == bool(within)
                if within:
                    due[within[-1]] = about
                    expected[within[-1]] = expected[within[-1]] if about else ""
            else:
                if what == "print":
                    print(about, end="")  # noqa: T201 -- what is tried
                else:
                    assert widgets.take({"text/plain": about}, "") == bool(within)
                if not within:
                    beside += about if what == "print" else ""
                    continue
                at = within[-1]
                expected[at] = about if due[at] else expected[at] + about
                due[at] = False
        widgets.end()
        assert [held(widget) for widget in both] == expected
        print(end="|")  # noqa: T201
        assert outside.getvalue() == f"{beside}|"


def test_a_flood_in_a_widget_is_bounded() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.StringIO())
        widgets, kind = entered()
        widget = kind(outputs=(), model_id="m")
        widget.__enter__()
        for _ in range(3000):
            print("x" * 1000)  # noqa: T201
            widgets.take({"text/plain": "y"}, "")
        print("z" * 10**6)  # noqa: T201
        widget.__exit__(None, None, None)
    assert len(widget.outputs) <= 200
    assert len(held(widget)) < 500_000


def test_each_thread_and_each_task_has_its_own_widget() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", outside := io.StringIO())
        widgets, kind = entered()
        first, second, around = (kind(outputs=(), model_id=name) for name in "pqr")

        async def write(widget: Any) -> None:
            with widget:
                for _ in range(3):
                    print(widget.model_id, end="")  # noqa: T201
                    await asyncio.sleep(0)

        async def both() -> None:
            await asyncio.gather(write(first), write(second))

        thread = threading.Thread(target=asyncio.run, args=(both(),))
        thread.start()
        thread.join(30)
        with around:
            thread = threading.Thread(target=print, args=("t",), kwargs={"end": ""})
            thread.start()
            thread.join(30)
        print("out", end="")  # noqa: T201
        widgets.end()
    assert [held(each) for each in (first, second, around)] == ["ppp", "qqq", "t"]
    assert outside.getvalue() == "out"
