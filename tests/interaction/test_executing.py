"""A client has Python run: what comes back, what stays, and what does not."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp_types import ResourceLink, TextResourceContents
from PIL import Image

from tests.interaction.conftest import in_one_era
from tests.support.calling import Caller, images_of, text_of
from tests.wasm.pools import WASM

if TYPE_CHECKING:
    from tests.interaction.conftest import Serve

FOREVER = "import time\nwhile True: time.sleep(0.01)"


def dimensions(encoded: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        return image.size


async def test_variables_imports_and_files_stay(call: Caller) -> None:
    assert await call("execute_python", code="import math; x = math.tau; print('set')") == "set"
    await call("execute_python", code="open('note.txt', 'w').write('kept');")
    assert await call("execute_python", code="round(x, 2), open('note.txt').read()") == (
        "(6.28, 'kept')"
    )


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("1 + 1", "2"),
        ("x = 1", "[done, no output]"),
        ('{"a": 1}', "{'a': 1}"),
        ('"null"', "'null'"),
        ("print('one')\n2", "one\n[value]\n2"),
        ("import sys; print('bad', file=sys.stderr)", "[stderr]\nbad"),
        ("import pandas; pandas.DataFrame({'a': [1, 2]})", "   a\n0  1\n1  2"),
        ("import asyncio; await asyncio.sleep(0, 'awaited')", "'awaited'"),
        ("display('shown')\n'value'", "'shown'\n[value]\n'value'"),
        # Sessions in WebAssembly have no processes, as the contract suite has it.
        *([] if WASM else [("!echo from the shell", "from the shell")]),
        ("print('\\x1b[31mred\\x1b[0m')", "red"),
        ("from IPython.display import Markdown; Markdown('*text*')", "*text*"),
        ("'größe 数据 🎉'", "'größe 数据 🎉'"),
    ],
)
async def test_what_code_gives_is_shown(call: Caller, code: str, shown: str) -> None:
    assert await call("execute_python", code=code) == shown


async def test_figures_come_as_images_in_their_order(call: Caller) -> None:
    result = await call.result(
        "execute_python",
        code=(
            "import matplotlib.pyplot as plt\n"
            "plt.figure(figsize=(3, 2), dpi=50); plt.plot([1, 2])\n"
            "plt.show()\n"
            "plt.figure(figsize=(4, 2), dpi=50); plt.plot([2, 1]);"
        ),
    )
    assert text_of(result) == "[figure 1]\n[figure 2]"
    first, second = images_of(result)
    assert first.mime_type == second.mime_type == "image/png"
    assert dimensions(first.data) < dimensions(second.data)


@in_one_era
async def test_images_are_as_large_as_the_setting_says(serve: Serve) -> None:
    async with serve(ACA_MCP_MAX_IMAGE_SIDE_PIXELS=2000) as call:
        code = "import PIL.Image; image = PIL.Image.new('RGB', (2400, 300)); image.save('a.png')"
        for result, told in (
            (await call.result("execute_python", code=f"{code}\nimage"), "it has 2400x300"),
            (await call.result("download_file", path="a.png"), "smaller"),
        ):
            assert [max(dimensions(image.data)) for image in images_of(result)] == [2000]
            assert told in text_of(result)
        result = await call.result("execute_python", code="PIL.Image.new('RGB', (1900, 300))")
        assert [dimensions(image.data) for image in images_of(result)] == [(1900, 300)]


@pytest.mark.skipif(WASM, reason="its Pillow has no JPEG")
async def test_a_photograph_that_is_read_is_shown_as_large_as_can_be(call: Caller) -> None:
    code = (
        "import numpy, PIL.Image\n"
        "noise = numpy.random.randint(0, 255, (75, 100, 3), dtype='uint8')\n"
        "PIL.Image.fromarray(noise).resize((4000, 3000)).save('photo.jpg', quality=95)"
    )
    await call("execute_python", code=code)
    (photo,) = images_of(await call.result("download_file", path="photo.jpg"))
    assert (photo.mime_type, dimensions(photo.data)) == ("image/jpeg", (1568, 1176))


@pytest.mark.parametrize("form", ["bmp", "tiff", "ico"])
async def test_an_image_of_a_format_that_few_can_show_is_made_one_that_all_can(
    call: Caller, form: str
) -> None:
    code = f"import PIL.Image; PIL.Image.new('RGB', (32, 32)).save('a.{form}')"
    await call("execute_python", code=code)
    result = await call.result("download_file", path=f"a.{form}")
    assert [dimensions(image.data) for image in images_of(result)] == [(32, 32)]
    assert text_of(result) == f"a.{form}, made a picture that can be shown"


async def test_a_figure_too_large_for_clients_is_shown_smaller_and_kept(call: Caller) -> None:
    result = await call.result(
        "execute_python",
        code=(
            "import numpy, PIL.Image\n"
            "noise = numpy.random.default_rng(0).integers(0, 256, (1000, 1200, 3), 'uint8')\n"
            "display(PIL.Image.fromarray(noise)); secret = _SCALE = 1"
        ),
    )
    first, smaller, original = text_of(result).splitlines()
    assert first == "[figure 1]"
    (image,) = images_of(result)
    assert len(result.model_dump_json(by_alias=True)) < 1_000_000
    width, height = dimensions(image.data)
    assert 300 < width <= 1200
    assert smaller.startswith("[shown at ") or width == 1200
    assert abs(width / height - 1.2) < 0.01
    name = original.removeprefix("[image/png: ").rstrip("]")
    assert await call("execute_python", code=f"PIL.Image.open({name!r}).size") == "(1200, 1000)"
    (left,) = (await call("list_files", directory="outputs")).splitlines()
    assert left.startswith(f"{name}\t")
    variables = await call("execute_python", code="[n for n in dir() if n in ('jobs', 'source')]")
    assert variables == "[]"


async def test_long_output_is_cut_and_whole_in_a_file(call: Caller) -> None:
    text = await call("execute_python", code="for n in range(100_000): print('line', n)")
    assert text.startswith("line 0\n")
    assert text.endswith("\nline 99999")
    assert len(text) < 41_000
    name = text.partition("all of it is in ")[2].partition(" ...]")[0]
    counted = await call("execute_python", code=f"len(open({name!r}).read().splitlines())")
    assert int(counted) > 40_000  # the pool has a bound of its own, of 1 MiB


async def test_exceptions_come_with_the_users_part_of_the_traceback(call: Caller) -> None:
    text = await call.refusal("execute_python", code="print('before')\ndef f():\n  1/0\nf()")
    assert text.startswith("before\nTraceback (most recent call last):")
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "IPython" not in text
    assert "SyntaxError" in await call.refusal("execute_python", code="1 +")
    text = await call.refusal("execute_python", code="So:\n```bash\nls\n```")
    assert text.startswith("[Code is Python alone")
    assert "SyntaxError" in text
    assert "input" in await call.refusal("execute_python", code="input('name? ')")


async def test_a_timeout_keeps_what_was_printed_and_the_variables(call: Caller) -> None:
    text = await call.refusal(
        "execute_python", code=f"x = 5; print('early')\n{FOREVER}", timeout_seconds=0.5
    )
    assert text.startswith("early\n")
    assert "\nKeyboardInterrupt" in text
    assert text.count("after 0.5") == 1, "it is said once"
    assert "because the time was up" in text
    assert await call("execute_python", code="x") == "5"


async def test_code_that_ends_its_process_is_reported_and_the_session_goes_on(call: Caller) -> None:
    text = await call.refusal(
        "execute_python", code="print('last words', flush=True)\nimport os; os._exit(3)"
    )
    assert text.startswith("last words\n")
    assert "[The code was ended: its process ended itself (exit code 3). Variables are as" in text
    assert await call("execute_python", code="'still'") == "'still'"


async def test_restart_forgets_variables_and_files(call: Caller) -> None:
    await call("execute_python", code="x = 1; open('a', 'w').close()")
    await call("restart_session")
    assert "NameError" in await call.refusal("execute_python", code="x")
    assert await call("list_files") == "[no files]"


@in_one_era
async def test_two_clients_do_not_see_each_other(call: Caller, serve: Serve) -> None:
    await call("execute_python", code="x = 1; open('mine', 'w').close()")
    async with serve() as other:
        assert "NameError" in await other.refusal("execute_python", code="x")
        assert await other("list_files") == "[no files]"


async def test_code_in_the_background_is_asked_for_and_interrupted(call: Caller) -> None:
    heard: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        heard.append(message or "")

    loop = "import time\nx = 5\nwhile True:\n    print('turn')\n    time.sleep(0.1)"
    name = await call.begin(loop)
    with anyio.fail_after(20):
        await call.client.call_tool(
            "get_execution",
            {"execution": name, "wait_seconds": 2},
            progress_callback=on_progress,
        )
        assert "turn" in "".join(heard)
        cancelled = await call("cancel_execution", execution=name)
        assert "[Interrupted on request" in cancelled
        assert "turn" in cancelled
        assert await call("execute_python", code="x") == "5"


async def test_files_that_code_wrote_are_named_and_can_be_read(call: Caller) -> None:
    result = await call.result(
        "execute_python", code="open('made by code.csv', 'w').write('x'); print('done')"
    )
    assert text_of(result).endswith("done\n[files written: made by code.csv]")
    # Hosts that do not know links drop the whole result; they are sent to those that do.
    assert not [block for block in result.content if isinstance(block, ResourceLink)]
    uri = "aca://sessions/current/files/made%20by%20code.csv"
    (content,) = (await call.client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.text == "x"
    again = await call.result("execute_python", code="print('nothing written')")
    assert text_of(again) == "nothing written"
    assert len(again.content) == 1
