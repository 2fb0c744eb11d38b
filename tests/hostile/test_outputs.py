"""Values and exceptions that are hostile to whoever shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.pool import ExecutionStatus

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

MEBIBYTE = 2**20

VALUES = {
    "raises": ("def __repr__(self): raise ValueError('no')", "ValueError", "no"),
    "raises BaseException": (
        "def __repr__(self): raise BaseException('no')",
        "BaseException",
        "no",
    ),
    "exits": ("def __repr__(self): raise SystemExit(5)", "SystemExit", "5"),
    "is no text": ("def __repr__(self): return 5", "TypeError", None),
    "recurses": ("def __repr__(self): return repr(self)", "RecursionError", None),
}


@pytest.mark.parametrize("what", VALUES)
async def test_a_value_that_cannot_be_shown_is_an_error_of_the_code(
    arena: Arena, what: str
) -> None:
    body, name, message = VALUES[what]
    async with arena.attacker() as attacker:
        execution = await attacker.run(f"class Rude:\n    {body}\nRude()")
        assert execution.status is ExecutionStatus.FAILED
        assert execution.session_lost is None
        assert execution.error is not None
        assert execution.error.name == name
        if message is not None:
            assert execution.error.message == message


async def test_a_repr_that_never_ends_is_interrupted(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "class Slow:\n    def __repr__(self):\n        while True: pass\nSlow()",
            timeout_seconds=0.3,
        )
        assert execution.status is ExecutionStatus.TIMED_OUT
        assert execution.session_lost is None


async def test_a_repr_of_a_hundred_megabytes_is_cut(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run("'x' * 10**8")
        assert execution.status is ExecutionStatus.SUCCEEDED
        text = execution.outputs[0].data["text/plain"]
        assert isinstance(text, str)
        assert len(text) < 2 * MEBIBYTE
        assert "[... 98,951,426 characters ...]" in text


async def test_images_are_bytes_whatever_they_are_and_bounded(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "from IPython.display import display\n"
            "class Image:\n"
            "    def __init__(self, content): self.content = content\n"
            "    def _repr_png_(self): return self.content\n"
            "    def __repr__(self): return 'an image'\n"
            "display({'image/png': '!!! no base64 é'}, raw=True)\n"
            "display({'image/png': 'AAA'}, raw=True)\n"
            "display(Image(bytes(100)))\n"
            "display(Image(bytes(10**8)))\n"
            "display({'image/png': 5, 'text/plain': None, 'x/evil': {'a': [1]}}, raw=True)"
        )
        assert execution.session_lost is None
        assert execution.status is ExecutionStatus.SUCCEEDED, execution.error
        images = [output.data.get("image/png") for output in execution.outputs]
        assert bytes(100) not in images  # nobody could decode it
        assert all(image is None or isinstance(image, bytes) for image in images)
        remarks = [remark for output in execution.outputs for remark in output.remarks]
        assert "100,000,000 bytes that are no image, though called image/png" in remarks


async def test_displays_without_end_are_bounded(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "from IPython.display import display\n"
            "for _ in range(3000): display({'text/plain': 'x' * 10**4}, raw=True)"
        )
        assert execution.session_lost is None
        total = sum(len(str(output.data)) for output in execution.outputs)
        assert total < 17 * MEBIBYTE


async def test_surrogates_and_zeros_come_out_as_text_that_can_be_encoded(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "print('\\ud800 and \\0')\nos.write(2, b'\\xed\\xa0\\x80\\xff')\n"
            "class Odd:\n    def __repr__(self): return '\\udfff\\0'\n"
            "display(Odd())\nraise ValueError('\\ud83d')"
        )
        assert execution.error is not None
        for text in (
            execution.stdout.text,
            execution.stderr.text,
            str(execution.outputs[0].data["text/plain"]),
            execution.error.message,
            execution.error.traceback,
        ):
            text.encode("utf-8")
        assert execution.stdout.text == "\\ud800 and \0\n"
        assert execution.error.message == "\\ud83d"


EXCEPTIONS = {
    "without a text": (
        "class Rude(Exception):\n    def __str__(self): raise BaseException\nraise Rude",
        "Rude",
    ),
    "with a name of megabytes": ("raise type('A' * 20_000_000, (Exception,), {})", "A" * 1000),
    "in a circle": (
        ("a, b = ValueError(1), KeyError(2)\na.__cause__, b.__cause__ = b, a\nraise a"),
        "ValueError",
    ),
    "in a long chain": (
        (
            "error = None\nfor n in range(3000):\n    new = ValueError(n)\n"
            "    new.__cause__ = error; error = new\nraise error"
        ),
        "ValueError",
    ),
    "in a deep group": (
        (
            "error = ValueError(1)\nfor _ in range(3000): error = ExceptionGroup('g', [error])\n"
            "raise error"
        ),
        "ExceptionGroup",
    ),
    "from far below": ("def down(): down()\ndown()", "RecursionError"),
    "with a text of megabytes": ("raise ValueError('x' * 10**8)", "ValueError"),
}


@pytest.mark.parametrize("what", EXCEPTIONS)
async def test_a_hostile_exception_is_told_of_and_the_session_lives(
    arena: Arena, what: str
) -> None:
    code, name = EXCEPTIONS[what]
    async with arena.attacker() as attacker:
        execution = await attacker.run(code)
        assert execution.session_lost is None
        assert execution.status is ExecutionStatus.FAILED
        assert execution.error is not None
        assert execution.error.name == name
        assert len(execution.error.message) <= 65_536
        assert len(execution.error.traceback) < 70_000


async def test_streams_that_code_took_away_are_missed_by_nobody(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        for code in (
            "import sys; del sys.stdout",
            "import sys\nclass Rude:\n    def flush(self): raise RuntimeError\nsys.stderr = Rude()",
        ):
            execution = await attacker.run(code)
            assert execution.session_lost is None
        execution = await attacker.run("1 + 1")
        assert execution.outputs[0].data["text/plain"] == "2"
