"""The Python client over every HTTP transport and in both eras, against real sessions."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.http.clients import connected
from tests.support.calling import images_of
from tests.support.edges import EDGES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.http.clients import Era, Model, Transport

FIGURE = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"


@pytest.fixture
async def call(address: str, transport: Transport, era: Era) -> AsyncIterator[Model]:
    """A client of the server."""
    async with connected(address, transport, era) as client:
        yield client


async def test_state_is_kept_and_a_handle_told_where_there_is_no_connection(
    call: Model, transport: Transport, era: Era
) -> None:
    assert "42" in await call("execute_python", code="x = 6 * 7; x")
    assert await call("execute_python", code="x + 1") == "43"
    assert bool(call.handle) == (transport == "http" and era != "legacy")


async def test_files_go_up_and_down(call: Model) -> None:
    await call("upload_file", path="data/größe.txt", content="grüße\n")
    assert await call("download_file", path="data/größe.txt") == "grüße\n"
    assert await call("execute_python", code="open('data/größe.txt').read()") == "'grüße\\n'"


async def test_figures_are_images(call: Model) -> None:
    (image,) = images_of(await call.result("execute_python", code=FIGURE))
    assert image.mime_type == "image/png"
    assert base64.b64decode(image.data).startswith(b"\x89PNG")


async def test_errors_of_code_are_results(call: Model) -> None:
    assert "ZeroDivisionError" in await call.refusal("execute_python", code="1 / 0")
    assert "has no argument" in await call.refusal("execute_python", cod="1")


async def test_two_clients_do_not_see_each_other(
    call: Model, address: str, transport: Transport, era: Era
) -> None:
    await call("execute_python", code="x = 1; open('mine', 'w').close()")
    async with connected(address, transport, era) as other:
        assert "NameError" in await other.refusal("execute_python", code="x")
        assert await other("list_files") == "[no files]"


@pytest.mark.parametrize("edge", EDGES)
async def test_what_is_not_quite_as_it_should_be_is_understood(call: Model, edge: str) -> None:
    await EDGES[edge](call)
