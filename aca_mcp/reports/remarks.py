"""What to know about what programs wrote, where no exception tells it. Pure.

Programs that a session starts, and libraries that go on without what they could not fetch, say in
their own words what is missing. What they write is only searched for those words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.execution import ExecutionError

_MAX_CHARACTERS = 8 * 1024
"""That are searched of each stream, from its end: an event loop waits for it."""
_MAX_REMARKS = 3
_NO_PROGRAM = re.compile(
    r"^(?:/(?:usr/)?bin/)?(?:ba|da)?sh: (?:line )?(?:\d+: )?"
    r"([\w.+-]{1,40}): (?:command )?not found$"
    r"|^Couldn't find program: '([\w.+-]{1,40})'$",
    re.MULTILINE,
)
"""As shells and IPython's ``%%script`` say it."""
_NO_MODULE = re.compile(
    r"^ModuleNotFoundError: No module named '([\w.]{1,100})'"
    r"|^Pictures of [\w ]{1,40} need the package ([\w.-]{0,100}\w)",
    re.MULTILINE,
)
"""As Python says it, and our own renderers."""
_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|[Cc]ould not resolve host|unable to resolve host address|Could not contact DNS servers"
    r"|no\s+(?:\[nltk_data\]\s+)?validated\s+address\s+for\s+host"
)


def remarks_on(
    stdout: str, stderr: str, error: ExecutionError | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences about what was not there, and modules that programs did not find.

    None where the error says the same.

    Args:
        stdout: what an execution wrote.
        stderr: likewise.
        error: how it ended.
    """
    texts = [each[-_MAX_CHARACTERS:] for each in (stdout, stderr) if each]
    if not texts:
        return (), ()
    modules: dict[str, None] = {}
    if stderr and not (error is not None and error.missing_module):
        modules = dict.fromkeys(one or two for one, two in _NO_MODULE.findall(texts[-1]))
    remarks: list[str] = []
    if error is None or not error.hint:
        found = dict.fromkeys(
            one or two for text in texts for one, two in _NO_PROGRAM.findall(text)
        )
        is_cut_off = any(map(_NO_NETWORK.search, texts))
        if found or is_cut_off:
            from aca_mcp.kernel.error_hints import NOT_REACHED, about_program  # seldom needed

            remarks = [*map(about_program, found), *([NOT_REACHED] if is_cut_off else [])]
    return tuple(remarks[:_MAX_REMARKS]), tuple(modules)[:_MAX_REMARKS]
