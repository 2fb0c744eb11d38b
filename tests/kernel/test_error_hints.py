"""What there is to know about errors of libraries that look for what sessions do not have."""

from __future__ import annotations

import pytest

from aca_mcp.kernel.error_hints import hint_for


@pytest.mark.parametrize(
    "text",
    [
        "Torch not compiled with CUDA enabled",
        "cudaErrorNoDevice: no CUDA-capable device is detected",
        "CUDA driver version is insufficient for CUDA runtime version",
        "Error at driver init: CUDA driver library cannot be found.",
        "libcuda.so.1: cannot open shared object file: No such file or directory",
        "No OpenCL device found",
    ],
)
def test_who_looks_for_a_gpu_is_told_that_there_is_none(text: str) -> None:
    assert "no GPU" in hint_for(RuntimeError(text))
    assert "no GPU" in hint_for(ImportError(text))


@pytest.mark.parametrize(
    "text",
    [
        "no display name and no $DISPLAY environment variable",
        "window.cpp:1301: error: Rebuild the library with Windows, GTK+ 2.x or Cocoa support.",
        "b'X11: The DISPLAY environment variable is missing'",
        "No available video device",
    ],
)
def test_who_opens_a_window_is_told_that_there_is_no_screen(text: str) -> None:
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        wrapped = ValueError("it could not be shown")
        wrapped.__cause__ = error
    assert "no screen" in hint_for(wrapped)


@pytest.mark.parametrize("text", ["the display is None", "window of size 3", "cuda", "gtk"])
def test_words_alone_are_no_reason(text: str) -> None:
    assert hint_for(ValueError(text)) == ""
