"""Versions, endpoints and URLs."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.azure.api_versions import Api, Feature, complaint_about, file_path
from aca_mcp.pool import check_identifier
from aca_mcp.session import PythonSession
from tests.azure.service import ENDPOINT
from tests.support.toy_pool import ToyPool

CUSTOM = "https://pool.happyhill-1234abcd.westus2.azurecontainerapps.io"

names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)
identifiers = st.text("abcXYZ019|-&^%$#(){}[];<>_", min_size=4, max_size=128)


@given(name=names, identifier=identifiers, directory=st.lists(names, max_size=3))
def test_every_legal_file_name_survives_the_way_to_the_service(
    name: str, identifier: str, directory: list[str]
) -> None:
    path = "/".join(directory)
    url = Api(ENDPOINT).url(file_path(name, "/content"), identifier, path=path)
    sent = httpx.URL(url)
    segments = sent.raw_path.split(b"?")[0].decode().split("/")
    assert [unquote(segment) for segment in segments[-3:]] == ["files", name, "content"]
    query = parse_qs(sent.query.decode(), keep_blank_values=True)
    assert query["identifier"] == [identifier]
    assert query.get("path", [""]) == [path]
    assert query["api-version"] == ["2025-10-02-preview"]
    assert sent.host == "westus2.dynamicsessions.io"


def test_new_identifiers_are_always_ones_that_azure_takes() -> None:
    for _ in range(1000):
        assert check_identifier(PythonSession(ToyPool()).identifier)


def test_what_each_version_and_kind_of_pool_has() -> None:
    newest, middle, oldest = (
        Api(ENDPOINT),
        Api(ENDPOINT, "2025-02-02-preview"),
        Api(ENDPOINT, "2024-10-02-preview"),
    )
    newer, custom_only = Feature.METADATA, {Feature.STOP_SESSION, Feature.MANAGED_SESSIONS}
    assert {each for each in Feature if newest.has(each)} == set(Feature) - custom_only
    assert {each for each in Feature if middle.has(each)} == {Feature.SESSIONS, newer}
    assert not any(oldest.has(feature) for feature in Feature)
    custom = Api(CUSTOM)
    assert custom.is_custom_container
    assert {each for each in Feature if custom.has(each)} == set(Feature) - {
        Feature.SESSIONS,
        newer,
    }


@pytest.mark.parametrize(
    "endpoint", [ENDPOINT, CUSTOM, "http://127.0.0.1:8080", "https://proxy.corp/x"]
)
def test_endpoints_of_both_shapes_and_of_others_are_taken(endpoint: str) -> None:
    assert complaint_about(endpoint) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://westus2.dynamicsessions.io",
        "https://westus2.dynamicsessions.io/subscriptions/s/resourceGroups/g",
        f"{ENDPOINT}/executions",
        f"{ENDPOINT}?x=1",
        "https://pool.azurecontainerapps.io",
    ],
)
def test_an_endpoint_of_another_shape_is_explained(endpoint: str) -> None:
    complaint = complaint_about(endpoint)
    assert complaint is not None
    assert urlsplit(endpoint).netloc not in complaint


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/files",
        f"{ENDPOINT}.evil.example/files",
        f"{ENDPOINT}x/files",
        "//evil.example/files",
        f"{ENDPOINT}/../../../other/files",
        f"{ENDPOINT}/%2e%2e/files",
        f"{ENDPOINT.replace('https', 'http')}/files",
        f"{ENDPOINT.replace('.io', '.io:8443')}/files",
        f"{ENDPOINT.replace('https://', 'https://user@')}/files",
        "https://[broken/files",
        "https://westus2.dynamicsessions.io:x/files",
    ],
)
def test_only_pages_of_the_same_endpoint_are_followed(link: str) -> None:
    assert Api(ENDPOINT).next_page(link, f"{ENDPOINT}/files?a=1") is None
