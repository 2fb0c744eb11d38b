"""Results that would be too large: what is cut or too large stays in the session, and is named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from mcp_types import ImageContent, TextContent

from aca_mcp.server.results.fitting import MAX_FIGURES, answer, wire_bytes
from aca_mcp.server.results.report import Figure, Report
from aca_mcp.server.types import MAX_TEXT_BYTES
from aca_mcp.session import PythonSession
from tests.support.pictures import png

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from tests.support.toy_pool import ToyPool

NAME = "outputs/execution-7"


def a_report(body: str = "", *sizes: int, is_error: bool = False, opening: str = "") -> Report:
    figures = tuple(Figure(number, "image/png", png(size)) for number, size in enumerate(sizes, 1))
    return Report(opening, body, "", figures, is_error)


def text_of(result: CallToolResult) -> str:
    first = result.content[0]
    assert isinstance(first, TextContent)
    return first.text


def images_of(result: CallToolResult) -> int:
    return sum(isinstance(block, ImageContent) for block in result.content)


def size_on_the_wire(result: CallToolResult) -> int:
    return len(result.model_dump_json(by_alias=True, exclude_none=True))


async def test_what_fits_is_passed_whole_with_text_first(toy_pool: ToyPool) -> None:
    async with PythonSession(toy_pool) as session:
        result = await answer(
            session, a_report("[figure 1]", 1000), name=NAME, max_text_bytes=40_000
        )
    assert text_of(result) == "[figure 1]"
    assert images_of(result) == 1
    assert len(result.content) == 2
    assert result.structured_content is None
    assert toy_pool.sessions == {}


async def test_text_that_is_cut_is_kept_whole_in_the_session(toy_pool: ToyPool) -> None:
    body = "\n".join(map(str, range(20_000)))
    async with PythonSession(toy_pool) as session:
        report = a_report(body, opening="[The earlier session is gone.]")
        result = await answer(session, report, name=NAME, max_text_bytes=8000)
        assert (await session.download(f"{NAME}.txt")).decode() == report.text
    text = text_of(result)
    assert text.startswith("[The earlier session is gone.]\n0\n1\n")
    assert text.endswith("19998\n19999")
    assert f"all of it is in {NAME}.txt ...]" in text
    assert len(text) < 8200


async def test_errors_are_cut_before_a_client_cuts_their_end(toy_pool: ToyPool) -> None:
    report = a_report("x\n" * 50_000 + "ValueError: the point", is_error=True)
    async with PythonSession(toy_pool) as session:
        result = await answer(session, report, name=NAME, max_text_bytes=800_000)
    assert result.is_error
    assert len(text_of(result)) < 11_000
    assert text_of(result).endswith("ValueError: the point")


async def test_nothing_is_promised_where_the_session_is_gone(toy_pool: ToyPool) -> None:
    result = await answer(None, a_report("x" * 100_000, 900_000), name=NAME, max_text_bytes=40_000)
    assert "bytes left out ...]" in text_of(result)
    assert text_of(result).endswith("[figure 1 is too large to be shown; it is not kept]")
    assert toy_pool.sessions == {}


async def test_nothing_is_promised_where_the_session_has_no_room(toy_pool: ToyPool) -> None:
    toy_pool.refuse_uploads = True
    async with PythonSession(toy_pool) as session:
        result = await answer(
            session, a_report("x" * 100_000, 900_000), name=NAME, max_text_bytes=40_000
        )
    assert NAME not in text_of(result)


async def test_a_figure_that_cannot_be_made_smaller_is_named(toy_pool: ToyPool) -> None:
    report = a_report("", 900_000, 10_000)
    async with PythonSession(toy_pool) as session:
        result = await answer(session, report, name=NAME, max_text_bytes=40_000)
        assert await session.download(f"{NAME}-figure-1.png") == report.figures[0].data
    assert text_of(result) == (f"[figure 1 is too large to be shown; it is in {NAME}-figure-1.png]")
    assert images_of(result) == 1


async def test_of_many_figures_some_are_shown_and_the_others_named(toy_pool: ToyPool) -> None:
    report = a_report("", *[100] * 30)
    async with PythonSession(toy_pool) as session:
        result = await answer(session, report, name=NAME, max_text_bytes=40_000)
        names = [entry.path for entry in (await session.list_files(recursive=True)).entries]
    assert images_of(result) == MAX_FIGURES
    assert text_of(result) == f"[figures from 21 on are not shown; they are in {NAME}-figure-*]"
    assert names == [f"{NAME}-figure-{number}.png" for number in range(21, 31)]


@pytest.mark.parametrize(
    "report",
    [
        a_report('"' * 1_000_000),
        a_report("\\\n" * 500_000),
        a_report("ü" * 1_000_000),
        a_report("x" * 1_000_000, 200_000, 200_000, 200_000),
        a_report("", *[30_000] * 60),
        a_report("", 700_000),
        a_report("", 300_000, 300_000, 300_000),
    ],
    ids=range(7),
)
async def test_no_result_is_more_than_clients_take(toy_pool: ToyPool, report: Report) -> None:
    async with PythonSession(toy_pool) as session:
        result = await answer(session, report, name=NAME, max_text_bytes=MAX_TEXT_BYTES)
    assert size_on_the_wire(result) < 1_000_000
    named = re.findall(r"figure (\d+) is too large", text_of(result))
    assert images_of(result) + len(named) == min(len(report.figures), MAX_FIGURES)


def test_the_length_inside_json_is_known() -> None:
    text = 'a"b\\c\nd\te ü 🎉'
    assert wire_bytes(text) == len(TextContent(text=text).model_dump_json().encode()) - len(
        TextContent(text="").model_dump_json()
    )
