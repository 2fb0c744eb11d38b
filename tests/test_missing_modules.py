"""Modules that are missing, and the packages that bring them."""

from __future__ import annotations

import pytest

from aca_mcp.missing_modules import about_missing_module


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("cv2", "opencv-python-headless"),
        ("sklearn", "scikit-learn"),
        ("sklearn.cluster", "scikit-learn"),
        ("yaml", "pyyaml"),
        ("PIL", "pillow"),
        ("docx", "python-docx"),
        ("seaborn", "seaborn"),
    ],
)
def test_a_missing_module_is_told_with_its_package_and_the_call(module: str, package: str) -> None:
    said = about_missing_module(module, installs_packages=True)
    assert said.endswith(f'install_packages(packages=["{package}"]) gets it.')
    refused = about_missing_module(module)
    assert "Packages cannot be installed" in refused
    assert package in refused


def test_a_name_that_may_be_a_strangers_is_not_recommended() -> None:
    said = about_missing_module("my_helpers", installs_packages=True)
    assert said.startswith("If my_helpers is a package of that name")
