"""What a run of code came to, in a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.kernel.interpreter import CellResult


def data_of(result: CellResult) -> list[dict[str, object]]:
    assert result.error_name is None, result.traceback
    return [entry["data"] for entry in result.outputs.entries]  # pyright: ignore[reportReturnType] -- what a collector puts there


def texts(result: CellResult) -> list[object]:
    return [data["text/plain"] for data in data_of(result)]


def kinds(result: CellResult) -> list[object]:
    return [entry["kind"] for entry in result.outputs.entries]


def images(result: CellResult) -> list[bytes]:
    for data in data_of(result):
        if "image/png" in data:
            assert data["image/png"] in [{"blob": n} for n in range(len(result.outputs.blobs))]
    return result.outputs.blobs
