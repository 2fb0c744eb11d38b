"""Displayed values: representations by type, attachments by number, nothing without a bound."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from aca_mcp.kernel.outputs import MAX_ATTACHED_BYTES, MAX_TEXT_CHARACTERS, OutputCollector

if TYPE_CHECKING:
    from collections.abc import Mapping

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def data_of(bundle: Mapping[str, object], value: object = None) -> dict[str, object]:
    """What becomes of one displayed value."""
    collector = OutputCollector()
    collector.add("display", bundle, value)
    (entry,) = collector.entries
    found = entry["data"]
    assert isinstance(found, dict)
    return found  # pyright: ignore[reportUnknownVariableType] -- its keys are MIME types


def test_text_stays_text_and_an_image_becomes_an_attachment() -> None:
    collector = OutputCollector()
    collector.add("result", {"text/plain": "<Figure>", "image/png": base64.b64encode(PNG).decode()})
    data = {"text/plain": "<Figure>", "image/png": {"blob": 0}}
    assert collector.entries == [{"kind": "result", "data": data}]
    assert collector.blobs == [PNG]


def test_attachments_are_numbered_across_values() -> None:
    collector = OutputCollector()
    collector.add("display", {"image/png": PNG})
    collector.add("display", {"image/jpeg": b"jpeg", "application/pdf": b"pdf"})
    assert collector.blobs == [PNG, b"jpeg", b"pdf"]
    assert collector.entries[1]["data"] == {
        "image/jpeg": {"blob": 1},
        "application/pdf": {"blob": 2},
    }


@pytest.mark.parametrize(
    "mime", ["image/png", "image/gif", "audio/wav", "video/mp4", "application/pdf"]
)
def test_binary_types_are_attached(mime: str) -> None:
    assert data_of({mime: b"..."}) == {mime: {"blob": 0}}


@pytest.mark.parametrize("mime", ["text/html", "image/svg+xml", "application/json", "text/latex"])
def test_text_types_are_not(mime: str) -> None:
    assert data_of({mime: "<a>"}) == {mime: "<a>"}


def test_a_representation_that_is_json_already_becomes_its_text() -> None:
    plot = {"application/vnd.plotly.v1+json": {"data": [1, 2]}}
    assert data_of(plot) == {"application/vnd.plotly.v1+json": '{"data": [1, 2]}'}


@pytest.mark.parametrize("value", [0, -3, 2.5, True, "text", ""])
def test_a_scalar_is_there_as_json_too(value: object) -> None:
    assert data_of({"text/plain": "..."}, value)["application/json"] == json.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_null(value: float) -> None:
    assert data_of({"text/plain": "..."}, value)["application/json"] == "null"


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 1j, "x" * (MAX_TEXT_CHARACTERS + 1)])
def test_other_values_are_not(value: object) -> None:
    assert "application/json" not in data_of({"text/plain": "..."}, value)


def test_a_value_without_representations_is_not_shown() -> None:
    collector = OutputCollector()
    collector.add("display", {})
    collector.add("display", {"image/png": "\N{SNOWMAN} is not base64"})
    collector.add("display", {"image/png": "abc"})
    assert collector.entries == []


def test_long_text_is_cut_in_the_middle() -> None:
    text = data_of({"text/plain": "a" * MAX_TEXT_CHARACTERS + "b" * MAX_TEXT_CHARACTERS})
    shown = str(text["text/plain"])
    half = MAX_TEXT_CHARACTERS // 2
    assert shown == f"{'a' * half}\n[... {MAX_TEXT_CHARACTERS:,} characters ...]\n{'b' * half}"


def test_images_past_the_bound_are_left_out_and_said_so() -> None:
    collector = OutputCollector()
    collector.add("display", {"image/png": bytes(MAX_ATTACHED_BYTES)})
    collector.add("display", {"image/png": PNG, "text/plain": "<Figure>"})
    assert collector.blobs == [bytes(MAX_ATTACHED_BYTES)]
    data = collector.entries[1]["data"]
    assert isinstance(data, dict)
    assert "image/png" not in data
    assert "28 bytes left out: too large" in str(data)  # pyright: ignore[reportUnknownArgumentType] -- a mapping of MIME types


def test_clearing_forgets_what_was_shown_and_its_size() -> None:
    collector = OutputCollector()
    collector.add("display", {"image/png": bytes(MAX_ATTACHED_BYTES)})
    collector.clear()
    collector.add("display", {"image/png": PNG})
    assert collector.blobs == [PNG]
    assert [entry["data"] for entry in collector.entries] == [{"image/png": {"blob": 0}}]
