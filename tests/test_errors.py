"""The tree of errors is the one that its module shows, and each error is a sentence."""

from __future__ import annotations

import inspect
import re

import pytest

from aca_mcp import errors
from aca_mcp.errors import AcaMcpError, SessionPoolError


def classes() -> dict[str, type[AcaMcpError]]:
    return {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, AcaMcpError)
    }


def drawn_tree() -> dict[str, str | None]:
    """Class to base, as the drawing in the module's docstring has them."""
    found: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in str(errors.__doc__).splitlines():
        drawn = re.match(r"^    ([│├└─ ]*)(\w+Error)\b", line)
        if drawn is None:
            continue
        depth, name = len(drawn[1]), drawn[2]
        above = [(level, base) for level, base in above if level < depth]
        found[name] = above[-1][1] if above else None
        above.append((depth, name))
    return found


def test_the_tree_is_drawn_as_it_is() -> None:
    real: dict[str, str | None] = {
        name: None if found is AcaMcpError else found.__bases__[0].__name__
        for name, found in classes().items()
    }
    assert drawn_tree() == real


@pytest.mark.parametrize("name", classes())
def test_each_error_says_when_it_is_raised_and_shows_its_sentence(name: str) -> None:
    error = classes()[name]("What happened, and what to do.")
    assert error.message == "What happened, and what to do."
    assert str(type(error).__doc__).endswith(".")


def test_no_error_is_of_two_kinds() -> None:
    assert all(len(found.__bases__) == 1 for found in classes().values())


def test_what_a_pool_says_no_with_is_one_kind() -> None:
    pool_errors = {name for name, found in classes().items() if issubclass(found, SessionPoolError)}
    assert pool_errors == set(classes()) - {
        "AcaMcpError",
        "SettingsError",
        "HostPathRefusedError",
        "EnvironmentFailedError",
    }
