"""What a terminal would show in the end of text that moves the cursor, as progress bars do. Pure.

A screen of a few lines, below which everything above is settled: cursor movement reaches no
further up, as on a real one. Bounded in time by the length of the text.
"""

from __future__ import annotations

import re

_ROWS = 50
"""Of the screen: what has scrolled out of it stays as it is."""
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
    screen = _Screen()
    for step in _STEP.finditer(text):
        piece = step[0]
        if step[2]:
            screen.control(step[1], step[2])
        elif len(piece) == 1 and piece < " ":
            screen.move(piece)
        elif piece[0] >= " " and not "\x7f" <= piece[0] <= "\x9f":
            screen.write(piece)
    return screen.text()


class _Screen:
    def __init__(self) -> None:
        self._settled: list[str] = []
        self._rows = [""]
        self._row = 0
        self._column = 0

    def text(self) -> str:
        while len(self._rows) > 1 and not self._rows[-1] and self._row < len(self._rows) - 1:
            self._rows.pop()
        return "\n".join(line.rstrip(" ") for line in [*self._settled, *self._rows])

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
            case "\t":
                self.write("\t")
            case _:
                pass

    def control(self, parameters: str, final: str) -> None:
        numbers = [int(each[:4] or 0) for each in parameters.split(";")[:4] if _is_number(each)]
        first = numbers[0] if numbers else 0
        match final:
            case "A" | "F":
                self._row = max(0, self._row - max(1, first))
            case "B" | "E":
                self._down(max(1, first))
            case "C":
                self._column = min(self._column + max(1, first), _COLUMNS)
            case "D":
                self._column = max(0, self._column - max(1, first))
            case "G":
                self._column = min(max(0, first - 1), _COLUMNS)
            case "H" | "f":
                self._row = 0
                self._down(min(max(0, first - 1), _ROWS - 1))
                self._column = min(max(0, numbers[1] - 1), _COLUMNS) if len(numbers) > 1 else 0
            case "J":
                self._erase_screen(first)
            case "K":
                self._erase_line(first)
            case _:
                return
        if final in "EF":
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
            self._rows[self._row] = " " * min(self._column, len(line)) + line[self._column :]
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
