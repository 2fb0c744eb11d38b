"""The text of a page, as a person would read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.kernel.html_text import read_html

TABLE = (
    "<table><tr><th></th><th>a</th><th>b</th></tr><tr><th>0</th><td>1.5</td><td>x</td></tr></table>"
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (TABLE, "     a  b\n0  1.5  x"),
        (f"<p>Before</p>{TABLE}", "Before\n\n     a  b\n0  1.5  x"),
        ("<h1> A </h1><ul><li>one<li>two</ul>", "A\n- one\n- two"),
        (
            "<ol start=3><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ol>e",
            "3. a\n  - b\n  - c\n4. d\ne",
        ),
        ("<table><tr><td><ul><li>a</li><li>b</li></ul></td><td>c</td></tr></table>", "- a - b  c"),
        ("<video src='film.mp4'></video>", "[video: film.mp4]"),
        ("<script>x()</script><style>p {}</style><p>seen</p>", "seen"),
        ("<p hidden>no</p><p style='display: none'>no</p>yes", "yes"),
        ("<style>#a div.no, .n { top: 0; display: none }</style><p class='x no'>no</p>yes", "yes"),
        ("<style>@media print { .no { display: none } }</style><p class=no>yes</p>", "yes"),
        ("<style>.menu:hover .no { display: block }</style><p class=no>yes</p>", "yes"),
        ("<img src='https://example.com/x.png'>", "[image: https://example.com/x.png]"),
        ("<img alt='a plot' src='data:image/png;base64,AAAA'>", "[image: a plot]"),
        ("<img src='data:image/png;base64,AAAA'>", ""),
        ("<iframe src='https://example.com/v'>old</iframe>", "[page: https://example.com/v]"),
        (
            "A<div><i>Trust me</i><iframe srcdoc='x' style='position: absolute'></iframe></div>B",
            "A\nB",
        ),
        ("<label>Speed <input></label>done", "done"),
        ("<button>Play</button><select><option>1</select>done", "done"),
        ("<sup><a title='static preview' href='x'>ⓘ</a></sup>a", "a"),
        ("<h1>T<a href='#t'>¶</a></h1><a href='x'>name</a> <span>★</span>", "T\nname ★"),
        ("<span title='t'><span>a</span>→</span> <span title='t'>🔒</span>b", "a→ b"),
        (
            "<table><tr><td><table><tr><td>a<td>1<tr><td>bc<td>2</table></td><td>d</table>",
            "a   1\nbc  2\nd",
        ),
        ("<pre>  def f():\n    pass</pre>", "  def f():\n    pass"),
        ("a <b", "a"),
        ("<audio><source src='a.mp3'/>none</audio>b", "[audio: a.mp3]b"),
        ("<video><source src='data:video/mp4;base64,AAAA'></video>b", "b"),
        ("<p>a</p><img src='data:image/png;base64,AAAA", "a"),
        ("a<table><tr><td>1</td></tr></tab", "a\n1"),
        ("a <!-- b <p>c</p>", "a"),
        ("1 < 2 and 3 <4", "1 < 2 and 3 <4"),
    ],
)
def test_a_page_is_told_as_what_is_seen_of_it(html: str, text: str) -> None:
    assert read_html(html)[0] == text


MARKUP = st.sampled_from(
    [
        "<table>",
        "</table>",
        "<a>",
        "</a>",
        "<span/title=x>",
        "</span>",
        "<tr>",
        "<td>",
        "<td/colspan=9999>",
        "<td/rowspan=9>",
        "<li>",
        "<br>",
        "<pre>",
        "<p/class=a>",
        "</p>",
        "<div/hidden>",
        "</div>",
        "<style>",
        ".a{display:none}",
        "@media{",
        "{",
        "}",
        "</style>",
        "<!--",
        "-->",
        "<![CDATA[",
        "&lt;",
        "x",
        "&#x110000;",
    ]
)


@pytest.mark.parametrize("opened", ["<style>", "<script>", "<div hidden>", "<table><td><script>"])
def test_what_is_hidden_and_never_closed_ends_with_the_text(opened: str) -> None:
    assert read_html(f"<table><tr><td>seen{opened}unseen")[0] == "seen"


@given(st.lists(MARKUP | st.text(max_size=5), max_size=60).map("".join))
def test_any_markup_has_a_text_that_is_not_many_times_as_long(html: str) -> None:
    assert len(read_html(html)[0]) <= 200 * (len(html) + 10)
