"""Owns how go-yaml cuts scalars out of YAML: plain, quoted and block ones.

Source: go.yaml.in/yaml/v2 2.4.2, scannerc.go.
"""

from __future__ import annotations

import re
from typing import Final

from checkers.kube.goyaml.marks import rest_of_line
from checkers.kube.goyaml.tokens import BREAKS, ENDS, SCALAR, Place, Token

# Possessive: to go back to each letter of a long word would take a hundred times its memory.
_PLAIN = re.compile(f"(?:[^:{ENDS}]++|:(?![{ENDS}]))++")
_FLOW_PLAIN = re.compile(rf"(?:[^:,?\[\]{{}}{ENDS}]++|:(?![{ENDS}]))++")
_SINGLE = re.compile(f"[^'{ENDS}]+")
_DOUBLE = re.compile(rf"[^\"\\{ENDS}]+")
_SPACES = re.compile(" *")
_BLANKS = re.compile("[ \t]*")
_LINE = re.compile(f"[^\\0{BREAKS}]*")
_HEX: Final = frozenset("0123456789abcdefABCDEF")

_ESCAPES: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "'": "'", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_CODES: Final = {"x": 2, "u": 4, "U": 8}


class _Gap:
    """The blanks and line breaks between two parts of a scalar of several lines, and what they are folded into."""

    __slots__ = ("blanks", "broken", "first", "others")

    def __init__(self) -> None:
        self.blanks = self.first = ""
        self.others: list[str] = []
        self.broken = False

    def read(self, place: Place, indent: int | None = None) -> None:
        """Go over blanks and breaks; a plain scalar's tabs must not stand before its indent."""
        text = place.text
        while True:
            letter = text[place.at]
            if letter in " \t":
                if not self.broken:
                    start = place.at
                    place.go_on(_BLANKS.match(text, start).end())  # type: ignore[union-attr]
                    self.blanks += text[start : place.at]
                elif letter == " ":
                    place.go_on(_SPACES.match(text, place.at).end())  # type: ignore[union-attr]
                elif indent is not None and place.column < indent:
                    raise place.error("found a tab character that violates indentation")
                else:
                    place.go_on(place.at + 1)
            elif letter in BREAKS:
                place.need(2)
                if not self.broken:
                    self.blanks = ""
                    self.first = place.newline()
                    self.broken = True
                else:
                    self.others.append(place.newline())
                place.need(1)
            else:
                return

    def fold(self) -> str:
        """Return what stands for the gap in the scalar."""
        if not self.broken:
            return self.blanks
        if self.first == "\n":
            return "".join(self.others) or " "
        return self.first + "".join(self.others)


def plain(place: Place) -> Token:
    """Cut a scalar without quotes."""
    text = place.text
    pattern = _FLOW_PLAIN if place.flow else _PLAIN
    line = end = place.line
    indent = place.indent + 1
    parts: list[str] = []
    gap = _Gap()
    while True:
        place.need(4)
        if (place.column == 0 and place.at_document_mark()) or text[place.at] == "#":
            break
        found = pattern.match(text, place.at)
        if found is not None:
            parts += (gap.fold(), found[0])
            gap = _Gap()
            end = place.line
            place.go_on(found.end(), 2)
        letter = text[place.at]
        if letter not in ENDS or letter == "\0":
            break
        gap.read(place, indent)
        if not place.flow and place.column < indent:
            break
    if gap.broken:
        place.key_allowed = True
    return Token(SCALAR, line, end, "".join(parts), plain=True)


def single_quoted(place: Place) -> Token:
    """Cut a scalar in single quotes."""
    return _quoted(place, "'")


def double_quoted(place: Place) -> Token:
    """Cut a scalar in double quotes, with escapes."""
    return _quoted(place, '"')


def _quoted(place: Place, mark: str) -> Token:
    text, line = place.text, place.line
    parts: list[str] = []
    place.at += 1
    while True:
        place.need(4)
        if place.column == 0 and place.at_document_mark():
            raise place.error("found unexpected document indicator")
        if text[place.at] == "\0":
            raise place.error("found unexpected end of stream")
        gap = _Gap()
        _quoted_part(place, mark, parts, gap)
        place.need(1)
        if text[place.at] == mark:
            break
        gap.read(place)
        parts.append(gap.fold() if gap.first or not gap.broken else "".join(gap.others))
    place.at += 1
    return Token(SCALAR, line, place.line, "".join(parts))


def _quoted_part(place: Place, mark: str, parts: list[str], gap: _Gap) -> None:
    """Cut up to a blank, a break or the closing quote."""
    text = place.text
    pattern = _SINGLE if mark == "'" else _DOUBLE
    while True:
        found = pattern.match(text, place.at)
        if found is not None:
            parts.append(found[0])
            place.go_on(found.end(), 2)
        letter = text[place.at]
        if letter in ENDS or (letter == mark and (mark == '"' or text[place.at + 1] != "'")):
            return
        if letter == "'":
            parts.append("'")
            place.at += 2
        elif text[place.at + 1] in BREAKS:
            place.need(3)
            place.at += 1
            place.newline()
            gap.broken = True
            return
        else:
            parts.append(_escape(place))
        place.need(2)


def _escape(place: Place) -> str:
    letter = place.text[place.at + 1]
    length = _CODES.get(letter, 0)
    if not length and letter not in _ESCAPES:
        raise place.error("found unknown escape character")
    place.at += 2
    if not length:
        return _ESCAPES[letter]
    place.need(length)
    digits = place.text[place.at : place.at + length]
    if not _HEX.issuperset(digits):
        raise place.error("did not find expected hexdecimal number")
    code = int(digits, 16)
    if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        raise place.error("found invalid Unicode character escape code")
    place.at += length
    return chr(code)


def block_scalar(place: Place, *, literal: bool) -> Token:
    """Cut a block scalar: literal after `|`, folded after `>`."""
    text, line = place.text, place.line
    chomping, increment = _block_header(place)
    indent = max(place.indent, 0) + increment if increment else 0
    parts: list[str] = []
    indent, others = _block_breaks(place, indent)
    first = ""
    was_blank = False
    place.need(1)
    while place.column == indent and text[place.at] != "\0":
        blank = text[place.at] in " \t"
        if literal or was_blank or blank or first != "\n":
            parts.append(first)
        elif not others:
            parts.append(" ")
        parts.append(others)
        was_blank = blank
        start = place.at
        place.go_on(_LINE.match(text, start).end())  # type: ignore[union-attr]
        parts.append(text[start : place.at])
        place.need(2)
        first = place.newline() if text[place.at] in BREAKS else ""
        indent, others = _block_breaks(place, indent)
    if chomping != "-":
        parts.append(first)
    if chomping == "+":
        parts.append(others)
    return Token(SCALAR, line, place.line, "".join(parts))


def _block_header(place: Place) -> tuple[str, int]:
    """Read what follows the `|` or `>` on its line: chomping (`+`, `-` or nothing) and indentation, in any order."""
    text = place.text
    place.at += 1
    chomping, increment = "", 0
    for _ in range(2):
        place.need(1)
        letter = text[place.at]
        if letter in "+-" and not chomping:
            chomping = letter
        elif letter in "0123456789" and not increment:
            if letter == "0":
                raise place.error("found an indentation indicator equal to 0")
            increment = int(letter)
        else:
            break
        place.at += 1
    rest_of_line(place)
    return chomping, increment


def _block_breaks(place: Place, indent: int) -> tuple[int, str]:
    """Go over indentation and empty lines; returns the indentation, found out where it was 0, and the breaks."""
    text = place.text
    breaks = ""
    deepest = 0
    while True:
        place.need(1)
        end = _SPACES.match(text, place.at).end()  # type: ignore[union-attr]
        if indent:
            end = min(end, max(place.line_start + indent, place.at))
        place.go_on(end)
        deepest = max(deepest, place.column)
        if text[place.at] == "\t" and (not indent or place.column < indent):
            raise place.error("found a tab character where an indentation space is expected")
        if text[place.at] not in BREAKS:
            break
        place.need(2)
        breaks += place.newline()
    return indent or max(deepest, place.indent + 1, 1), breaks
