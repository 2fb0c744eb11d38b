"""From an execution to what a model is shown."""

from __future__ import annotations

import pytest

from aca_mcp.missing_modules import PackageOffer
from aca_mcp.pool import ExecutionError, ExecutionStatus, Output, Span
from aca_mcp.server.results.report import Figure, report
from tests.support.executions import executed
from tests.support.pictures import png

PNG = png()


def value(**data: str | bytes) -> Output:
    return Output("result", {kind.replace("_", "/"): content for kind, content in data.items()})


def shown(*outputs: Output, stdout: str = "", stderr: str = "") -> str:
    return report(executed(*outputs, stdout=stdout, stderr=stderr)).text


def test_a_value_alone_is_only_the_value() -> None:
    assert shown(value(text_plain="2")) == "2"


def test_what_was_printed_comes_first_and_the_value_is_told_apart() -> None:
    assert shown(value(text_plain="2"), stdout="hi\n", stderr="hm\n") == (
        "hi\n[stderr]\nhm\n[value]\n2"
    )


def test_silence_is_said() -> None:
    assert report(executed()).text == "[done, no output]"


def test_figures_are_numbered_where_they_appeared() -> None:
    figure = Output("display", {"text/plain": "<Figure size 640x480>", "image/png": PNG})
    result = report(executed(figure, value(text_plain="3"), figure))
    assert result.text == "[figure 1]\n[value]\n3\n[figure 2]"
    assert result.figures == (Figure(1, "image/png", PNG), Figure(2, "image/png", PNG))


def test_what_only_claims_to_be_an_image_is_not_shown_as_one() -> None:
    fake = Output("display", {"text/plain": "<Image>", "image/png": b"<script>"})
    result = report(executed(fake))
    assert result.figures == ()
    assert result.text.startswith("<Image>\n[an image that is not whole")


def test_the_structure_decides_the_type() -> None:
    mislabelled = Output("display", {"image/jpeg": PNG})
    result = report(executed(mislabelled))
    assert result.figures[0].mime_type == "image/png"


@pytest.mark.parametrize("data", [PNG[:-5], PNG[:8] + b"junk" * 50, png(width=2000)])
def test_an_image_that_hosts_would_refuse_is_a_sentence(data: bytes) -> None:
    result = report(executed(Output("display", {"image/png": data})))
    assert result.figures == ()
    assert "not whole, or of too many pixels" in result.text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text/plain": "   a\n0  1", "text/html": "<table>"}, "   a\n0  1"),
        ({"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "*a*"}, "*a*"),
        ({"text/plain": "<IPython.core.display.Math object>", "text/latex": "$x$"}, "$x$"),
        ({"text/plain": "x**2", "text/latex": "$x^2$"}, "$x^2$"),
        ({"text/plain": "<IPython.core.display.HTML object>", "text/html": "<b>"}, None),
        ({"text/html": "<b>only</b>"}, "<b>only</b>"),
        ({"application/json": "true"}, "true"),
        ({"image/svg+xml": "<svg/>"}, "[a value that only image/svg+xml can show]"),
    ],
)
def test_the_most_readable_text_of_a_value_is_taken(
    data: dict[str, str | bytes], text: str | None
) -> None:
    expected = data["text/plain"] if text is None else text
    assert shown(Output("display", data)) == expected


def test_what_was_not_there_is_told_after_what_was_printed() -> None:
    result = report(
        executed(stdout="before\n", remarks=("There is no ffmpeg.",), missing_modules=("yaml",)),
        offer=PackageOffer("index"),
    )
    call = 'install_packages(packages=["pyyaml"]) gets it.'
    assert result.text == (
        f"before\n[There is no ffmpeg.]\n[yaml comes with the package pyyaml: {call}]"
    )


def test_a_remark_on_several_outputs_is_told_once() -> None:
    script = Output("display", {"application/javascript": "x()"}, remarks=("JavaScript",))
    assert report(executed(*[script] * 3)).text == "[JavaScript]"


def test_an_error_is_an_error_after_what_was_printed() -> None:
    error = ExecutionError("ValueError", "no", "Traceback\n\x1b[31mValueError: no\x1b[0m\n")
    result = report(executed(error=error, stdout="before\n"))
    assert result.is_error
    assert result.text == "before\nTraceback\nValueError: no"


def test_lost_state_is_the_first_line() -> None:
    result = report(
        executed(stdout="hi\n", started_session=True, lost_before="it was idle for an hour")
    )
    first, second = result.text.splitlines()
    assert first.startswith("[The earlier session is gone: it was idle for an hour.")
    assert second == "hi"
    assert not result.is_error


def test_the_end_of_the_session_is_the_last_line() -> None:
    result = report(executed(stdout="hi\n", session_lost="it ran out of memory"))
    assert result.is_error
    assert result.text.splitlines()[-1] == (
        "[The session ended: it ran out of memory. Its variables and files are gone; the next "
        "execution begins in a new session.]"
    )


@pytest.mark.parametrize(
    ("status", "begins"),
    [
        (ExecutionStatus.TIMED_OUT, "[Interrupted after 0.5 s because the time was up."),
        (ExecutionStatus.CANCELED, "[Interrupted on request after 0.5 s."),
    ],
)
def test_an_interruption_says_that_state_is_kept(status: ExecutionStatus, begins: str) -> None:
    text = report(executed(status=status)).text
    assert text.startswith(begins)
    assert "Variables and files are kept." in text


def both(*order: Span, stdout: str = "", stderr: str = "", outputs: tuple[Output, ...] = ()) -> str:
    return report(executed(*outputs, stdout=stdout, stderr=stderr, order=order)).text


def test_what_was_shown_stands_where_it_was_made() -> None:
    figure = Output("display", {"image/png": PNG})
    order = (Span("stdout", 2), Span("output"), Span("stderr", 2), Span("stdout", 2))
    assert both(*order, stdout="a\nb\n", stderr="e\n", outputs=(figure,)) == (
        "a\n[figure 1]\n[stderr]\ne\n[stdout]\nb"
    )


def test_text_and_figure_of_one_value_are_both_shown() -> None:
    assert shown(Output("display", {"image/png": PNG}, text="Two")) == "Two\n[figure 1]"


def test_what_comes_again_from_both_streams_is_shown_once_and_counted() -> None:
    order = (Span("stdout", 2), Span("stderr", 2)) * 50
    assert both(*order, stdout="a\n" * 50, stderr="e\n" * 50, outputs=()) == (
        "a\n[stderr]\ne\n[stdout]\n[the 4 lines above 49 times in all]\na\n[stderr]\ne"
    )
    again = Output("display", {"text/plain": "same\nvalue"})
    assert shown(*[again] * 30) == "same\nvalue\n[the 2 lines above 30 times in all]"


def test_what_earlier_code_wrote_is_told_apart() -> None:
    order = (Span("stdout", 5, late=True), Span("stdout", 4))
    assert both(*order, stdout="late\nnow\n") == (
        "[from earlier code that still ran]\nlate\n[stdout]\nnow"
    )


def test_a_bar_that_is_drawn_again_is_shown_as_it_was_last() -> None:
    bars = ("\r 10%|#", "\r 50%|###", "\r100%|#####\n")
    order = [Span("stderr", len(bars[0]))]
    for bar in bars[1:]:
        order += [Span("stdout", 2), Span("stderr", len(bar))]
    text = both(*order, stdout="a\nb\n", stderr="".join(bars))
    assert "10%" not in text
    assert "50%" not in text
    assert text.endswith("100%|#####")


def test_bars_below_one_another_go_on_where_they_began_whatever_is_printed_in_between() -> None:
    bars = (
        "\rout: 0/2\n\rin: 0/3\x1b[A",
        "\n\r       \r\x1b[A\n\rin: 1/3\x1b[A",
        "\n\r       \r\x1b[A\rout: 2/2\n",
    )
    order = [Span("stderr", len(bars[0]))]
    for bar in bars[1:]:
        order += [Span("stdout", 2), Span("stderr", len(bar))]
    assert both(*order, stdout="a\nb\n", stderr="".join(bars)) == "a\nb\n[stderr]\nout: 2/2"
    closed = "\rout: 0\n\rin: 0/3\x1b[A\rin: 3/3\n"  # above its own line, where the cursor is
    order = [Span("stderr", len(closed)), Span("stdout", 2), Span("stderr", len("\rout: 2/2\n"))]
    assert both(*order, stdout="a\n", stderr=closed + "\rout: 2/2\n") == (
        "[stderr]\nin: 3/3\n[stdout]\na\n[stderr]\nout: 2/2"
    )


def test_bars_below_one_another_are_shown_where_nothing_is_drawn_after_them() -> None:
    drawn = "\rout: 0/2\n\rin: 0/3\x1b[A"
    order = (Span("stderr", len(drawn)), Span("stdout", 2))
    assert both(*order, stdout="a\n", stderr=drawn) == ("[stderr]\nout: 0/2\nin: 0/3\n[stdout]\na")


def test_bars_too_large_to_be_drawn_again_stay_where_they_are() -> None:
    wide = "x" * 30_000 + "\ny\x1b[A"
    order = (Span("stderr", len(wide)), Span("stdout", 2), Span("stderr", 5))
    text = both(*order, stdout="a\n", stderr=wide + "\rend\n")
    assert text == "[stderr]\n" + "x" * 30_000 + "\ny\n[stdout]\na\n[stderr]\nend"


def test_text_and_remarks_of_a_value_are_shown() -> None:
    output = Output("result", {"text/plain": "<X object>"}, "k  v", ("HTML: outputs/x.html",))
    assert shown(output) == "k  v\n[HTML: outputs/x.html]"


def test_files_that_are_named_with_what_they_keep_are_not_named_again() -> None:
    kept = ("outputs/x.html",)
    told = report(executed(files=("a.csv", *kept), kept_files=kept))
    assert told.text == "[files written: a.csv]"


def test_an_error_begins_with_what_sessions_do_not_have_and_ends_with_the_module() -> None:
    error = ExecutionError("E", "m", "Traceback\nE: m", "Sessions have no network.", "sklearn")
    text = report(executed(error=error)).text
    assert text.startswith("[Sessions have no network.]\nTraceback\nE: m\n[")
    assert "scikit-learn" in text
