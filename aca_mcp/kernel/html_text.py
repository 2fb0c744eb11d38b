"""The text of an HTML fragment, as a person would read it: tables in columns, no markup.

Standard library only. Bounded: a fragment too long is read to a bound, and a table's rows and cells
are cut.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

MAX_CHARACTERS = 512 * 1024
"""Of a fragment; the rest is not read."""
_MAX_ROWS = 200
_MAX_COLUMNS = 100
_MAX_CELL = 200
_MAX_DEPTH = 10
"""Of lists in lists, by which items are indented."""
_HIDDEN = frozenset(
    {"script", "style", "head", "template", "noscript", "svg", "canvas", "iframe", "object"}
    | {"audio", "video", "button", "select", "label"}
)
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "col", "source", "wbr", "embed"})
_BLOCK = re.compile(
    "address|article|aside|blockquote|d[dlt]|details|div|fieldset|figcaption|figure|footer|form|"
    "h[1-6r]|header|main|nav|[ou]l|p|section|summary"
)
_NOT_DISPLAYED = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_COVERING = re.compile(r"position\s*:\s*absolute", re.IGNORECASE)
_AT_RULE = re.compile(r"@[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_LAST_CLASS = re.compile(r"\.([\w-]+)\s*$")
_WITHOUT_SIGHT = frozenset({"html", "head", "body", "title", "meta", "link", "script", "style"})
"""What alone shows nothing."""
_FRAMES = frozenset({"iframe", "audio", "video", "img", "embed"})
"""What shows something from another address."""
_LABELS = frozenset({"a", "span", "sup"})
"""What may hold a symbol for a person to click, or to point at."""
_MAX_LABELS = 50
"""Within one another, that are looked at."""
_UNENDED_TAG = re.compile("<[a-zA-Z/!?]")
"""Or a comment, with which a fragment ends."""
_SPACES = re.compile(r"[ \t\r\f\v\n\xa0]+")
_BLANK_LINES = re.compile(r"\n\s*\n\s*\n+")


class _Table:
    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.left_out = 0
        self.spans: dict[int, int] = {}
        """Column to how many more rows an earlier cell covers it."""
        self.is_layout = False
        """Whether it holds other tables: its cells are parts of a page, not values."""

    def begin_row(self) -> None:
        if len(self.rows) >= _MAX_ROWS:
            self.left_out += 1
        self.rows.append([])
        if len(self.rows) > _MAX_ROWS + 1:
            del self.rows[_MAX_ROWS]
        self._skip_spanned()

    def add(self, text: str, columns: int, rows: int) -> None:
        if not self.rows:
            self.begin_row()
        row = self.rows[-1]
        if len(row) >= _MAX_COLUMNS:
            return
        at = len(row)
        row += [text, *[""] * (min(columns, _MAX_COLUMNS - at) - 1)]
        if rows > 1:
            self.spans.update(dict.fromkeys(range(at, len(row)), rows - 1))
        self._skip_spanned()

    def _skip_spanned(self) -> None:
        row = self.rows[-1]
        while self.spans.get(len(row), 0) > 0 and len(row) < _MAX_COLUMNS:
            self.spans[len(row)] -= 1
            row.append("")

    def text(self) -> str:
        rows = [row for row in self.rows[:_MAX_ROWS] if any(row)]
        if self.is_layout or not rows:
            return "\n".join(cell for row in rows for cell in row if cell)
        count = max(map(len, rows))
        rows = [row + [""] * (count - len(row)) for row in rows]
        widths = [max(len(row[column]) for row in rows) for column in range(count)]
        right = [_is_numeric([row[column] for row in rows[1:]]) for column in range(count)]
        lines = [
            "  ".join(
                cell.rjust(width) if aligned else cell.ljust(width)
                for cell, width, aligned in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in rows
        ]
        if self.left_out:
            lines.append(f"[... {self.left_out:,} more rows ...]")
        return "\n".join(lines)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[list[str]] = [[]]
        """Text being collected: of the whole, and of each cell that is open."""
        self._tables: list[_Table] = []
        self._cells: list[tuple[int, int]] = []
        self._hidden: list[str] = []
        self._not_displayed: set[str] = set()
        """Classes that the page's own style hides."""
        self._block = 0
        """Where the text of the innermost block begins, of those that are open or ended."""
        self._preformatted = 0
        self._labels: list[tuple[str, int]] = []
        """Those that are open, and where the text begins of one that is clicked or has a title."""
        self._lists: list[int | None] = []
        """Of those that are open, the number of the item before; None where items have none."""
        self.elements = 0
        """That may be seen."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements += tag not in _WITHOUT_SIGHT
        if self._hidden:
            if tag == "source" and self._hidden[-1] in _FRAMES:
                self._add(_text_of(self._hidden[-1], attributes))
            if tag == self._hidden[-1] or tag not in _VOID:
                self._hidden.append(tag)
            return
        if self._hides(tag, attributes):
            if tag == "iframe" and _COVERING.search(attributes.get("style") or ""):
                del self._pieces[-1][self._block :]  # what lies beneath, until it is loaded
            if tag in _FRAMES:
                self._add(_text_of(tag, attributes))
            if tag not in _VOID:
                self._hidden.append(tag)
            return
        self._begin(tag, attributes)

    def _hides(self, tag: str, attributes: dict[str, str | None]) -> bool:
        if tag in _HIDDEN or "hidden" in attributes:
            return True
        if _NOT_DISPLAYED.search(attributes.get("style") or ""):
            return True
        classes = (attributes.get("class") or "").split()
        return not self._not_displayed.isdisjoint(classes)

    def _begin(self, tag: str, attributes: dict[str, str | None]) -> None:
        match tag:
            case "table":
                self._tables.append(_Table())
            case "tr" if self._tables:
                self._end_cell()
                self._tables[-1].begin_row()
            case "td" | "th" if self._tables:
                self._end_cell()
                self._cells.append((_number(attributes, "colspan"), _number(attributes, "rowspan")))
                self._pieces.append([])
            case "pre":
                self._preformatted += 1
                self._add("\n")
            case "ul" | "ol" | "menu":
                self._lists.append(_number(attributes, "start") - 1 if tag == "ol" else None)
                self._add("\n")
            case "li":
                self._begin_item()
            case _ if tag in _LABELS:
                is_clicked = tag == "a" or "title" in attributes
                self._labels.append((tag, len(self._pieces[-1]) if is_clicked else -1))
            case _:
                self._add(_text_of(tag, attributes))
                if _BLOCK.fullmatch(tag):
                    self._block = len(self._pieces[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:
            self.handle_starttag(tag, attrs)
            if tag not in _VOID:
                self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        if tag in ("td", "th", "tr"):
            self._end_cell()
        elif tag == "table" and self._tables:
            self._end_table()
        elif tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)
            self._add("\n")
        elif tag in ("ul", "ol", "menu"):
            del self._lists[-1:]
            self._add("\n")
        elif tag == "li" or _BLOCK.fullmatch(tag):
            self._add("\n")
        else:
            self._end_label(tag)
            return
        self._block = len(self._pieces[-1])

    def _end_table(self) -> None:
        self._end_cell()
        text = self._tables.pop().text()
        if self._tables and text:
            self._tables[-1].is_layout = True
        self._add(f"\n{text}\n")

    def _end_label(self, tag: str) -> None:
        """Forget a label that is a symbol alone, such as one for help."""
        recent = self._labels[-_MAX_LABELS:]
        while recent and recent[-1][0] != tag:
            recent.pop()
        if not recent:
            return
        start = recent[-1][1]
        del self._labels[len(recent) - 1 + max(0, len(self._labels) - _MAX_LABELS) :]
        if start >= 0 and not any(map(str.isalnum, "".join(self._pieces[-1][start:]))):
            del self._pieces[-1][start:]

    def handle_data(self, data: str) -> None:
        if self._hidden[-1:] == ["style"]:
            self._not_displayed |= _hidden_classes(data)
        if self._hidden or (self._tables and not self._in_cell() and not data.strip()):
            return
        self._add(data if self._preformatted else _SPACES.sub(" ", data))

    def _begin_item(self) -> None:
        self._add("\n")
        number = self._lists[-1] if self._lists else None
        mark = "- "
        if number is not None:
            self._lists[-1] = number + 1
            mark = f"{number + 1}. "
        self._pieces[-1].append("  " * min(len(self._lists) - 1, _MAX_DEPTH) + mark)

    def _in_cell(self) -> bool:
        return len(self._cells) >= len(self._tables)

    def _add(self, text: str) -> None:
        pieces = self._pieces[-1]
        if not pieces or pieces[-1].endswith("\n"):
            if text == "\n":
                return
            if not self._preformatted:
                text = text.lstrip(" ")
        if text:
            pieces.append(text)

    def _end_cell(self) -> None:
        if not self._tables or len(self._cells) < len(self._tables):
            return
        columns, rows = self._cells.pop()
        text = "".join(self._pieces.pop())
        if self._tables[-1].is_layout:
            text = _BLANK_LINES.sub("\n\n", text).strip("\n")
        else:
            text = " ".join(text.split())
            if len(text) > _MAX_CELL:
                text = f"{text[:_MAX_CELL]}…"
        self._tables[-1].add(text, columns, rows)

    def text(self) -> str:
        self._hidden.clear()  # what was never closed hides no end of a table
        while self._tables:
            self.handle_endtag("table")
        lines = "".join(self._pieces[0]).split("\n")
        return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")


def _text_of(tag: str, attributes: dict[str, str | None]) -> str:
    """What a tag by itself shows."""
    match tag:
        case "img" | "iframe" | "audio" | "video" | "embed":
            described = attributes.get("alt") or attributes.get("title") or _address(attributes)
            what = {"img": "image", "iframe": "page", "embed": "page"}.get(tag, tag)
            return f"[{what}: {described[:_MAX_CELL]}]" if described else ""
        case "progress":
            return f"{attributes.get('value', '?')}/{attributes.get('max') or 1}"
        case _:
            return "\n" if tag == "br" or _BLOCK.fullmatch(tag) else ""


def _address(attributes: dict[str, str | None]) -> str:
    """Where it is: what a page brings along is not to be read."""
    source = (attributes.get("src") or "").strip()
    return "" if source.lower().startswith(("data:", "blob:", "javascript:")) else source


def _hidden_classes(style: str) -> set[str]:
    """The classes whose elements a style sheet hides, whatever else is done with them."""
    rules = _RULE.findall(_AT_RULE.sub("", style))
    selectors = [
        each
        for selector, body in rules
        if _NOT_DISPLAYED.search(body)
        for each in selector.split(",")
    ]
    return {found[1] for each in selectors if (found := _LAST_CLASS.search(each))}


def read_html(html: str) -> tuple[str, bool]:
    """The text of a fragment, and whether it has scripts and nothing to show something in.

    The text is empty where it shows only what scripts or drawings make.
    """
    reader = _Reader()
    try:
        reader.feed(html[:MAX_CHARACTERS])
        if _UNENDED_TAG.match(reader.rawdata):
            reader.rawdata = ""  # no text, and it may hold a picture
        reader.close()
    except (ValueError, AssertionError, RecursionError):
        pass  # what was read so far is shown
    text = reader.text()
    return text, not text and not reader.elements and "<script" in html.lower()


def _number(attributes: dict[str, str | None], name: str) -> int:
    value = (attributes.get(name) or "1")[:4]
    return max(1, min(int(value), _MAX_COLUMNS)) if value.isascii() and value.isdigit() else 1


def _is_numeric(cells: list[str]) -> bool:
    found = [cell for cell in cells if cell]
    return bool(found) and all(cell.lstrip("-+$€£")[:1].isdigit() for cell in found)
