"""Code as models write it."""

from __future__ import annotations

import pytest

from aca_mcp.code_blocks import hint_about_fences, unfenced


@pytest.mark.parametrize(
    "written",
    [
        "```python\n1+1\n```",
        "```\n1+1\n```\n",
        "\n```py\n1+1\n```",
        "~~~python\n1+1\n~~~",
        "````python\n1+1\n````",
        "```python\r\n1+1\r\n```\r\n",
        "```python\n1+1",
        "```Python3  \n1+1```",
        "```{python}\n1+1\n```",
        "``` {.python .numberLines}\n1+1\n```",
        '```python title="a.py"\n1+1\n```',
        "```tool_code\n1+1\n```",
        "\ufeff1+1",
        "\ufeff```python\n1+1\n```",
    ],
)
def test_one_fence_around_code_is_taken_off(written: str) -> None:
    assert unfenced(written) == "1+1"


@pytest.mark.parametrize(
    "written",
    [
        "1+1",
        "```\n1\n```\n```\n2",
        "text = '''\n```python\n1+1\n```\n'''",
        "```bash\nls\n```",
        "```pythonic\n1\n```",
        "```python\na\n```\ntext\n```python\nb\n```",
        "%%markdown\n```python\n1\n```",
        "",
    ],
)
def test_other_code_is_left_as_it_is(written: str) -> None:
    assert unfenced(written) == written


@pytest.mark.parametrize(
    ("written", "is_told"),
    [
        ("Here it is:\n```python\n1\n```", True),
        ("```bash\nls\n```", True),
        ("1\n```", True),
        ("x = '`1`' +", False),
    ],
)
def test_what_to_do_about_fences_is_told_where_there_are_any(written: str, is_told: bool) -> None:
    assert ("below %%bash" in hint_about_fences(written)) is is_told
