"""Owns Go's reading of one record of comma-separated values, which is how pflag splits a list.

Source: Go 1.24, encoding/csv (Reader.Read with its defaults).
"""

from __future__ import annotations

from typing import Final

from checkers.kube.gotext import GoValueError

_BARE: Final = 'bare " in non-quoted-field'
_STRAY: Final = 'extraneous or missing " in quoted-field'


def split_csv(text: str) -> list[str]:
    """Split the value of a list flag; "" is no item. Raises GoValueError in Go's words for stray quotes."""
    if text == "":
        return []
    data = text.encode("utf-8", "surrogateescape")
    return [field.decode("utf-8", "surrogateescape") for field in _Record(data).fields()]


class _Record:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.line = 0
        self.start = 0

    def next_line(self) -> bytes:
        """Return the next line with its end, which is always one newline; b"" at the end of the data."""
        end = self.data.find(b"\n", self.at)
        end = len(self.data) if end < 0 else end + 1
        line = self.data[self.at : end]
        self.at = end
        if line.endswith(b"\r\n"):
            line = line[:-2] + b"\n"
        elif end == len(self.data):
            line = line.removesuffix(b"\r")
        self.line += bool(line)
        return line

    def fields(self) -> list[bytes]:
        """Return the fields of the first record; empty lines before it are passed over."""
        line = b"\n"
        while line == b"\n":
            if self.at >= len(self.data):
                raise GoValueError("EOF")
            line = self.next_line()
        if not line:
            raise GoValueError("EOF")
        self.start = self.line
        fields: list[bytes] = []
        column = 1
        while True:
            if line.startswith(b'"'):
                field, line, column, more = self.quoted(line[1:], column + 1)
            else:
                field, comma, rest = line.partition(b",")
                more = bool(comma)
                if not more:
                    field = field.removesuffix(b"\n")
                if b'"' in field:
                    raise self.error(column + field.index(b'"'), _BARE)
                column += len(field) + 1
                line = rest
            fields.append(field)
            if not more:
                return fields

    def quoted(self, line: bytes, column: int) -> tuple[bytes, bytes, int, bool]:
        """Read a quoted field, perhaps over several lines: the field, the rest, its column, whether more follow."""
        field = b""
        while True:
            end = line.find(b'"')
            if end < 0 and line:
                field += line
                column += len(line)
                line = self.next_line() if self.at < len(self.data) else b""
                column = 1 if line else column
                continue
            if end < 0:
                raise self.error(column, _STRAY)
            field += line[:end]
            line = line[end + 1 :]
            column += end + 1
            if line.startswith(b'"'):
                field += b'"'
                line = line[1:]
                column += 1
            elif line.startswith(b","):
                return field, line[1:], column + 1, True
            elif line in (b"", b"\n"):
                return field, b"", column, False
            else:
                raise self.error(column - 1, _STRAY)

    def error(self, column: int, words: str) -> GoValueError:
        where = f"parse error on line {self.line}, column {column}: {words}"
        return GoValueError(where if self.line == self.start else f"record on line {self.start}; {where}")
