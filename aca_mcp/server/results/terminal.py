"""What a terminal would show in the end of text that moves the cursor, as progress bars do. Pure.

A screen of a few lines, below which everything above is settled: cursor movement reaches no
further up, as on a real one. Bounded in time by the length of the text.
"""

from __future__ import annotations

import re

_ROWS = 50
"""Of the screen: what has scrolled out of it stays as it is."""
_ALTERNATE = frozenset({"?47", "?1047", "?1049"})
"""Modes in which programs draw on a second screen, of which nothing is left afterwards."""
_COLUMNS = 2000
"""To which the cursor can be moved; text that is simply long has no bound."""
_STEP = re.compile(
    r"[^\x00-\x1f\x7f-\x9f]+"  # text
    r"|\x1b\[([0-9;?]*)[ -/]*([@-~])"  # CSI: colours, cursor movement
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC and other strings: titles, links
    r"|\x1b[ -/]*[0-~]?"  # other escapes
    r"|[\x00-\x1f\x7f-\x9f]"
)


def screen_text(text: str) -> str:
    """The text as it stands on the screen when all of it has been written."""
    return _drawn(text).text()


def split_drawing(text: str) -> tuple[str, str, bool]:
    """What stands above the cursor, what draws the rest again, and whether it is not at the end."""
    return _drawn(text).split()


def _drawn(text: str) -> _Screen:
    screen = _Screen()
    for step in _STEP.finditer(text):
        piece = step[0]
        if step[2]:
            screen.control(step[1], step[2])
        elif len(piece) == 1 and piece < " ":
            screen.move(piece)
        elif len(piece) == 2 and piece[0] == "\x1b":
            screen.escape(piece[1])
        elif piece[0] >= " " and not "\x7f" <= piece[0] <= "\x9f":
            screen.write(piece)
    return screen


class _Screen:
    def __init__(self) -> None:
        self._settled: list[str] = []
        self._rows = [""]
        self._row = 0
        self._column = 0
        self._saved = 0, 0
        """Where the cursor was when it was to be kept."""
        self._first: tuple[list[str], int, int] | None = None
        """The screen itself, and its cursor, while the second one is drawn on."""

    def text(self) -> str:
        while len(self._rows) > 1 and not self._rows[-1] and self._row < len(self._rows) - 1:
            self._rows.pop()
        return "\n".join(line.rstrip(" ") for line in [*self._settled, *self._rows])

    def split(self) -> tuple[str, str, bool]:
        rows, below = self._rows[self._row :], len(self._rows) - 1 - self._row
        cursor = "\x1b[A" * below + f"\x1b[{self._column + 1}G"
        above = "".join(f"{line}\n" for line in [*self._settled, *self._rows[: self._row]])
        return above, "\n".join(rows) + cursor, below > 0 or self._column < len(rows[0])

    def write(self, text: str) -> None:
        line = self._rows[self._row]
        if self._column == len(line):
            self._rows[self._row] = line + text
        else:
            before = line[: self._column].ljust(self._column)
            self._rows[self._row] = before + text + line[self._column + len(text) :]
        self._column += len(text)

    def move(self, control: str) -> None:
        if control in "\r\b":
            self._wrap()
        match control:
            case "\n":
                self._row += 1
                self._column = 0
                if self._row == len(self._rows):
                    self._rows.append("")
                if len(self._rows) > _ROWS:
                    self._settled.append(self._rows.pop(0))
                    self._row -= 1
            case "\r":
                self._column = 0
            case "\b":
                self._column = max(0, self._column - 1)
            case "\v" | "\f":
                column = self._column
                self.move("\n")
                self._column = column
            case "\t":
                self.write("\t")
            case _:
                pass

    def escape(self, final: str) -> None:
        match final:
            case "7":
                self._saved = self._row, self._column
            case "8":
                self._restore()
            case "D":
                self.move("\v")
            case "E":
                self.move("\n")
            case "M":
                if self._row == 0:
                    column = self._column
                    self._change_rows("L", 1)
                    self._column = column
                else:
                    self._row -= 1
            case "c":
                self._rows, self._row, self._column = [""], 0, 0
            case _:
                pass

    def control(self, parameters: str, final: str) -> None:
        numbers = [int(each[:4] or 0) for each in parameters.split(";")[:4] if _is_number(each)]
        first = numbers[0] if numbers else 0
        match final:
            case "H" | "f" | "d":
                self._row = 0
                self._down(min(max(0, first - 1), _ROWS - 1))
                if final != "d":
                    column = numbers[1] - 1 if len(numbers) > 1 else 0
                    self._column = min(max(0, column), _COLUMNS)
            case "J":
                self._erase_screen(first)
            case "K":
                self._erase_line(first)
            case "@" | "P" | "X":
                self._change_line(final, min(max(1, first), _COLUMNS))
            case "L" | "M":
                self._change_rows(final, min(max(1, first), _ROWS))
            case "s" | "u" if not parameters:
                self.escape("7" if final == "s" else "8")
            case "h" | "l" if not _ALTERNATE.isdisjoint(parameters.split(";")):
                self._turn_to_other(second=final == "h")
            case _:
                self._step(final, max(1, first))

    def _step(self, final: str, count: int) -> None:
        """Move the cursor by so many rows or columns, or to a column."""
        match final:
            case "A" | "F":
                self._row = max(0, self._row - count)
            case "B" | "E" | "e":
                self._down(count)
            case "C" | "a":
                self._column = min(self._column + count, _COLUMNS)
            case "D":
                self._column = max(0, self._column - count)
            case "G" | "`":
                self._column = min(count - 1, _COLUMNS)
            case _:
                return
        if final in "EF":
            self._column = 0

    def _restore(self) -> None:
        row, column = self._saved
        self._row = 0
        self._down(row)
        self._column = column

    def _turn_to_other(self, *, second: bool) -> None:
        if second and self._first is None:
            self._first = self._rows, self._row, self._column
            self._rows, self._row, self._column = [""], 0, 0
        elif not second and self._first is not None:
            (self._rows, self._row, self._column), self._first = self._first, None

    def _change_line(self, how: str, count: int) -> None:
        """Insert, delete or erase characters at the cursor."""
        line = self._rows[self._row]
        before, behind = line[: self._column], line[self._column :]
        match how:
            case "@":
                behind = " " * count + behind if behind else behind
            case "P":
                behind = behind[count:]
            case _:
                behind = " " * min(count, len(behind)) + behind[count:]
        self._rows[self._row] = before + behind

    def _change_rows(self, how: str, count: int) -> None:
        """Insert or delete lines at the cursor."""
        if how == "L":
            self._rows[self._row : self._row] = [""] * count
            del self._rows[_ROWS:]
        else:
            del self._rows[self._row : self._row + count]
            self._down(0)
        self._column = 0

    def _wrap(self) -> None:
        """Of a line that is too long for any screen, only the last of it can be written over."""
        line = self._rows[self._row]
        if len(line) > _COLUMNS and self._row == len(self._rows) - 1:
            whole = len(line) - len(line) % _COLUMNS
            self._rows[self._row] = line[:whole]
            column = self._column - whole
            self.move("\n")
            self._rows[self._row] = line[whole:]
            self._column = max(0, column)

    def _down(self, count: int) -> None:
        self._row = min(self._row + count, _ROWS - 1)
        while len(self._rows) <= self._row:
            self._rows.append("")

    def _erase_line(self, how: int) -> None:
        line = self._rows[self._row]
        if how == 0:
            self._rows[self._row] = line[: self._column]
        elif how == 1:
            end = self._column + 1  # with what stands at the cursor
            self._rows[self._row] = " " * min(end, len(line)) + line[end:]
        else:
            self._rows[self._row] = ""

    def _erase_screen(self, how: int) -> None:
        if how == 0:
            self._erase_line(0)
            del self._rows[self._row + 1 :]
        elif how in (2, 3):
            self._rows = [""] * (self._row + 1)


def _is_number(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())
