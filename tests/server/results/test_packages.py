"""The question which packages there are."""

from __future__ import annotations

import pytest

from aca_mcp.pool import Installation, Package
from aca_mcp.server.results.packages import (
    show_installation,
    show_packages,
)

PACKAGES = (Package("numpy", "2.3.0"), Package("PyYAML", "6.0"), Package("scikit-learn", "1.7"))


def test_without_a_query_all_are_listed() -> None:
    assert show_packages(PACKAGES, " ") == "numpy 2.3.0\nPyYAML 6.0\nscikit-learn 1.7"


def test_names_may_be_spelt_as_for_pip() -> None:
    shown = show_packages(PACKAGES, "scikit_learn, pyyaml")
    assert shown == "scikit-learn 1.7\nPyYAML 6.0"


def test_part_of_a_name_finds_similar_ones_and_says_that_it_is_no_name() -> None:
    assert show_packages(PACKAGES, "yam") == "yam: not installed; similar names:\nPyYAML 6.0"


def test_an_absent_package_is_said_to_be_absent() -> None:
    assert show_packages(PACKAGES, "numpy torch") == "numpy 2.3.0\ntorch: not installed"


def test_a_pool_that_does_not_tell_is_said_not_to() -> None:
    assert show_packages((), "") == "[the pool does not tell which packages there are]"


@pytest.mark.parametrize("query", ["yaml; numpy", "PyYAML, numpy", "pyyaml numpy"])
def test_a_package_is_found_by_either_of_its_names(query: str) -> None:
    answer = show_packages(PACKAGES, query).splitlines()
    assert answer[0].removesuffix(" (import yaml)") == "PyYAML 6.0"
    assert answer[1] == "numpy 2.3.0"


def test_what_was_installed_is_told_with_the_name_to_import() -> None:
    made = Installation((Package("scikit-learn", "1.7"),), (Package("numpy", "2.3"),), 2**20, 1.5)
    assert show_installation(made) == (
        "Installed scikit-learn 1.7 (1.0 MiB, 1.5 s).\n"
        "scikit-learn is imported as sklearn.\n"
        "Already there: numpy 2.3."
    )
