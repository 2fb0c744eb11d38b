"""Modules that are missing, and the packages that bring them."""

from __future__ import annotations

import re

import pytest

from aca_mcp.missing_modules import PackageOffer, about_missing_module


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
        ("google.protobuf", "protobuf"),
        ("google.protobuf.message", "protobuf"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("google.cloud.bigquery_storage.types", "google-cloud-bigquery-storage"),
        ("google.oauth2.service_account", "google-auth"),
        ("azure.storage.blob.aio", "azure-storage-blob"),
        ("azure.identity.aio", "azure-identity"),
        ("ruamel.yaml", "ruamel-yaml"),
        ("mpl_toolkits.basemap", "basemap"),
        ("mpl_toolkits.mplot3d", "matplotlib"),
        ("lxml.html.clean", "lxml-html-clean"),
        ("backports.tarfile", "backports-tarfile"),
        ("pkg_resources", "setuptools<81"),
        ("kaleido", "kaleido==0.2.1"),
        ("vl-convert-python", "vl-convert-python"),
        ("pytables", "tables"),
        ("odf.opendocument", "odfpy"),
        ("kafka", "kafka-python"),
    ],
)
def test_a_missing_module_is_told_with_its_package_and_the_call(module: str, package: str) -> None:
    said = about_missing_module(module, PackageOffer("index"))
    assert said.endswith(f'install_packages(packages=["{package}"]) gets it.')
    refused = about_missing_module(module)
    assert "Packages cannot be installed" in refused
    assert re.split("[<=]", package)[0] in refused


def test_a_name_that_may_be_a_strangers_is_not_recommended() -> None:
    said = about_missing_module("my_helpers", PackageOffer("index"))
    assert said.startswith("If my_helpers is a package of that name")


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("google.colab.drive", "google.colab is Colab's own."),
        ("kaggle_secrets", "is Kaggle's own"),
        ("winreg", "on Windows alone"),
        ("urllib2", "urllib.request"),
        ("ConfigParser", "configparser"),
        ("imp", "importlib"),
    ],
)
def test_what_no_package_brings_is_told_without_one(module: str, told: str) -> None:
    said = about_missing_module(module, PackageOffer("index"))
    assert told in said
    assert "install" not in said


def test_a_list_offers_what_is_on_it() -> None:
    offer = PackageOffer("list", ("Scikit_Learn>=1.5", "openpyxl"))
    assert 'packages=["scikit-learn"]' in about_missing_module("sklearn", offer)
    refused = about_missing_module("seaborn", offer)
    assert "not on the list" in refused
    assert "ACA_MCP_PACKAGES_LIST" in refused


def test_whoever_has_no_tools_is_told_the_code() -> None:
    said = about_missing_module("yaml", PackageOffer("index"), by_code=True)
    assert about_missing_module("pip", PackageOffer("index")).startswith("pip is a command")
    plain = about_missing_module("xgboost", PackageOffer("index"), by_code=True)
    assert plain == "xgboost is not installed: %pip install xgboost gets it."
    assert said == "yaml comes with the package pyyaml: %pip install pyyaml gets it."
    assert "ACA_MCP_PACKAGES=index" in about_missing_module("yaml", PackageOffer("off"))
