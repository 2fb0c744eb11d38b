"""What people who know Jupyter are used to, on every way to reach a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.pool import ExecutionStatus, Output, StreamPart
from aca_mcp.server.results.report import report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.pool import Execution, SessionPool


async def run(pool: SessionPool, identifier: str, code: str) -> Execution:
    execution = await pool.execute(identifier, code, timeout_seconds=40)
    assert execution.session_lost is None
    return execution


async def shown(pool: SessionPool, identifier: str, code: str) -> str:
    execution = await run(pool, identifier, code)
    assert execution.status is ExecutionStatus.SUCCEEDED, execution.error
    return report(execution).text


CHOICES = (
    "%matplotlib inline",
    "%matplotlib widget",
    "%pylab inline",
    "import matplotlib; matplotlib.use('TkAgg')",
    "%config InlineBackend.figure_format = 'svg'",
    "%config InlineBackend.figure_formats = ['pdf', 'retina']",
)
"""Of where figures go, as code of notebooks makes them."""


async def test_figures_come_back_whatever_display_was_chosen(
    pool: SessionPool, identifier: str
) -> None:
    for choice in CHOICES:
        code = f"{choice}\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);\nprint('ran')"
        execution = await run(pool, identifier, code)
        assert execution.error is None, choice
        assert "ran" in execution.stdout.text
        assert len(report(execution).figures) == 1, choice


async def test_everything_stands_where_it_was_made(pool: SessionPool, identifier: str) -> None:
    code = (
        "import sys\nimport matplotlib.pyplot as plt\n"
        "for n in range(2):\n"
        "    print('before', n)\n    plt.plot([n]); plt.show()\n"
        "    print('warned', n, file=sys.stderr)\n"
        "print('end')\n'value'"
    )
    assert await shown(pool, identifier, code) == (
        "before 0\n[figure 1]\n[stderr]\nwarned 0\n[stdout]\nbefore 1\n[figure 2]\n[stderr]\n"
        "warned 1\n[stdout]\nend\n[value]\n'value'"
    )


async def test_the_users_own_modules_are_found(pool: SessionPool, identifier: str) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"def double(x): return 2 * x\n"

    await pool.upload_file(identifier, "helpers.py", content())
    assert await shown(pool, identifier, "import helpers; helpers.double(4)") == "8"
    await run(pool, identifier, "%%writefile m.py\nx = 1")
    assert await shown(pool, identifier, "import m; m.x") == "1"
    await run(pool, identifier, "%%writefile m.py\nx = 2")
    assert await shown(pool, identifier, "import importlib; importlib.reload(m).x") == "2"
    package = "import os\nos.makedirs('p'); open('p/__init__.py', 'w').write('y = 3');"
    await run(pool, identifier, package)
    assert await shown(pool, identifier, "import p; p.y") == "3"


async def test_updates_and_clears_leave_the_last_state(pool: SessionPool, identifier: str) -> None:
    code = "h = display(0, display_id=True)\nfor n in range(50): h.update(n)"
    assert await shown(pool, identifier, code) == "49"
    code = (
        "from IPython.display import clear_output\n"
        "for n in range(30):\n    clear_output(wait=True); print(n)"
    )
    assert await shown(pool, identifier, code) == "29"
    bar = "from IPython.display import ProgressBar\nfor _ in ProgressBar(3): pass"
    assert (await shown(pool, identifier, bar)).endswith("3/3")


async def test_html_is_told_as_its_text_and_kept(pool: SessionPool, identifier: str) -> None:
    page = "<table><tr><th>k<th>v<tr><td>a<td>1</table><script>x()</script>"
    text = await shown(pool, identifier, f"from IPython.display import HTML; HTML({page!r})")
    assert text.startswith("k  v\na  1\n[HTML: outputs/")
    path = text.rpartition(": ")[2].rstrip("]")
    assert await shown(pool, identifier, f"print(open({path!r}).read())") == page


@pytest.mark.parametrize(
    "made",
    [
        "Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + b'junk' * 50)",
        "Image(data=whole[:len(whole) // 2])",
    ],
)
async def test_bytes_that_are_no_image_are_a_sentence(
    pool: SessionPool, identifier: str, made: str
) -> None:
    code = (
        "import io, PIL.Image\nfrom IPython.display import Image\nbuffer = io.BytesIO()\n"
        "PIL.Image.effect_noise((200, 200), 90).save(buffer, 'png')\nwhole = buffer.getvalue()\n"
    )
    execution = await run(pool, identifier, code + made)
    assert report(execution).figures == ()
    assert "image" in report(execution).text


async def test_images_of_too_many_pixels_are_shown_smaller(
    pool: SessionPool, identifier: str
) -> None:
    code = "import PIL.Image; PIL.Image.new('RGB', (20000, 10))"
    told = report(await run(pool, identifier, code))
    assert len(told.figures) == 1
    assert "20000x10" in told.text
    code = "import matplotlib.pyplot as plt\nplt.figure(figsize=(8, 120)); plt.plot([1]);"
    assert len(report(await run(pool, identifier, code)).figures) == 1


async def test_the_value_is_told_after_any_number_of_displays(
    pool: SessionPool, identifier: str
) -> None:
    text = await shown(pool, identifier, "for n in range(1105): display(n)\n'value'")
    assert text.endswith("[value]\n'value'")
    assert "displayed values are left out" in text


async def test_a_deep_recursion_is_told_in_a_few_lines_and_state_kept(
    pool: SessionPool, identifier: str
) -> None:
    code = "import sys\nx = 5\nsys.setrecursionlimit(10**5)\ndef f(n): return f(n + 1)\nf(0)"
    execution = await run(pool, identifier, code)
    assert execution.error is not None
    assert execution.error.name == "RecursionError"
    assert "frames left out" in execution.error.traceback
    assert await shown(pool, identifier, "x") == "5"


@pytest.mark.parametrize("code", ["breakpoint()", "import pdb; pdb.set_trace()", "input()"])
async def test_who_asks_a_person_hears_that_there_is_none(
    pool: SessionPool, identifier: str, code: str
) -> None:
    execution = await run(pool, identifier, code)
    assert execution.error is not None
    assert "nobody can type into this session" in execution.error.message


async def test_a_module_that_is_missing_is_named(pool: SessionPool, identifier: str) -> None:
    execution = await run(pool, identifier, "import no_such_thing.inner")
    assert execution.error is not None
    assert execution.error.missing_module == "no_such_thing"


async def test_a_figure_that_was_displayed_is_not_shown_again(
    pool: SessionPool, identifier: str
) -> None:
    code = "import matplotlib.pyplot as plt\nf, a = plt.subplots(); a.plot([1]); display(f)"
    assert len(report(await run(pool, identifier, code)).figures) == 1


async def test_a_figure_is_shown_where_something_was_drawn(
    pool: SessionPool, identifier: str
) -> None:
    for drawn, count in (
        ("fig.text(0.5, 0.5, 'x')", 1),
        ("fig.figimage([[0, 1], [1, 0]])", 1),
        ("None", 0),
    ):
        code = f"import matplotlib.pyplot as plt\nfig = plt.figure()\n{drawn};"
        assert len(report(await run(pool, identifier, code)).figures) == count, drawn


async def test_options_of_pandas_are_the_codes_own(pool: SessionPool, identifier: str) -> None:
    frame = "import pandas as pd\ndf = pd.DataFrame({f'c{n}': [n] for n in range(30)})\n"
    assert "..." not in await shown(pool, identifier, f"{frame}df")
    code = f"{frame}pd.set_option('display.max_columns', 4)\nprint(df)"
    assert "..." in await shown(pool, identifier, code)


async def test_a_task_that_is_not_awaited_goes_on(pool: SessionPool, identifier: str) -> None:
    begin = (
        "import asyncio\nasync def job():\n    await asyncio.sleep(0.01); return 7\n"
        "task = asyncio.create_task(job())"
    )
    await run(pool, identifier, begin)
    assert await shown(pool, identifier, "await task") == "7"


async def test_a_chain_of_parts_is_all_that_there_is(pool: SessionPool, identifier: str) -> None:
    execution = await run(pool, identifier, "print('a'); display(1); print('b')")
    parts = list(execution.timeline)
    assert [type(part) for part in parts] == [StreamPart, Output, StreamPart]
    assert "".join(part.text for part in parts if isinstance(part, StreamPart)) == "a\nb\n"
