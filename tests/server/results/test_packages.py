"""The question which packages there are."""

from __future__ import annotations

import pytest

from aca_mcp.missing_modules import PackageOffer
from aca_mcp.pool import Installation, Package
from aca_mcp.server.results.packages import show_installation, show_packages

PACKAGES = (
    Package("numpy", "2.3.0"),
    Package("PyYAML", "6.0", ("yaml",)),
    Package("scikit-learn", "1.7"),
)
INDEX, OFF = PackageOffer("index"), PackageOffer("off")


def test_without_a_query_all_are_listed() -> None:
    assert show_packages(PACKAGES, " ", OFF).splitlines()[:-1] == [
        "numpy 2.3.0",
        "PyYAML 6.0 (import yaml)",
        "scikit-learn 1.7",
    ]


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        (INDEX, "install_packages gets others"),
        (OFF, "ACA_MCP_PACKAGES=index"),
        (PackageOffer("never"), "[Packages cannot be installed.]"),
        (PackageOffer("list", ("tea>=2", "cup")), "gets these, and no others: tea>=2, cup."),
    ],
)
def test_a_list_ends_with_what_can_be_installed_besides(offer: PackageOffer, says: str) -> None:
    assert says in show_packages(PACKAGES, "", offer).splitlines()[-1]


def test_where_the_pool_is_the_environment_that_is_said() -> None:
    shown = show_packages(PACKAGES, "", PackageOffer("index", pool_chooses=True))
    assert "what the Azure pool has, which is the environment of all its sessions" in shown
    assert "Azure" not in show_packages(PACKAGES, "", INDEX)


def test_names_may_be_spelt_as_for_pip() -> None:
    shown = show_packages(PACKAGES, "scikit_learn, pyyaml", OFF)
    assert shown == "scikit-learn 1.7\nPyYAML 6.0 (import yaml)"


def test_packages_that_share_a_namespace_are_told_apart() -> None:
    packages = (Package("protobuf", "6.0", ("google",)), Package("azure-core", "1.0", ("azure",)))
    assert (
        show_packages(packages, "google.protobuf", INDEX) == "protobuf 6.0 (import google.protobuf)"
    )
    assert "google.cloud.storage: not installed" in show_packages(
        packages, "google.cloud.storage", INDEX
    )
    assert '["google-cloud-storage"]' in show_packages(packages, "google.cloud.storage", INDEX)


def test_part_of_a_name_finds_similar_ones_and_says_that_it_is_no_name() -> None:
    shown = show_packages(PACKAGES, "yam", INDEX)
    assert shown.startswith("yam: not installed; if there is such a package, install_packages")
    assert shown.endswith(". Similar names:\nPyYAML 6.0 (import yaml)")


def test_an_absent_package_is_said_to_be_absent() -> None:
    absent = 'seaborn: not installed; install_packages(packages=["seaborn"]) gets it'
    assert show_packages(PACKAGES, "numpy seaborn", INDEX) == f"numpy 2.3.0\n{absent}"
    assert "cannot be installed here" in show_packages(PACKAGES, "cv2", OFF)
    assert '["opencv-python-headless"]' in show_packages(PACKAGES, "cv2", INDEX)


def test_a_pool_that_does_not_tell_is_said_not_to() -> None:
    assert show_packages((), "", OFF).startswith("[the pool does not tell which packages there")


@pytest.mark.parametrize("query", ["yaml; numpy", "PyYAML, numpy", "pyyaml numpy"])
def test_a_package_is_found_by_either_of_its_names(query: str) -> None:
    answer = show_packages(PACKAGES, query, OFF).splitlines()
    assert answer[0].removesuffix(" (import yaml)") == "PyYAML 6.0"
    assert answer[1] == "numpy 2.3.0"


def test_what_was_installed_is_told_with_the_name_to_import() -> None:
    made = Installation((Package("scikit-learn", "1.7"),), (Package("numpy", "2.3"),), 2**20, 1.5)
    assert show_installation(made) == (
        "Installed scikit-learn 1.7 (1.0 MiB, 1.5 s).\n"
        "scikit-learn is imported as sklearn.\n"
        "Already there: numpy 2.3."
    )


def test_a_module_is_found_by_what_the_session_itself_tells_or_by_what_is_known() -> None:
    other = (Package("opencv-python", "4.10", ("cv2",)), Package("scikit-learn", "1.7"))
    assert show_packages(other, "cv2 sklearn.cluster", OFF) == (
        "opencv-python 4.10 (import cv2)\nscikit-learn 1.7 (import sklearn.cluster)"
    )
