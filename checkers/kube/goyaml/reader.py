"""Owns the bytes below YAML: encodings, forbidden characters, and where go-yaml stops reading because of them.

Source: go.yaml.in/yaml/v2 2.4.2, readerc.go.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from checkers.kube.goyaml.nodes import YAMLError

# go-yaml reads its input in pieces of so many bytes: a bad one is only seen once the scanner needs its piece.
_PIECE = 512

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Characters:
    """The readable start of a file: its `text`, and the `problem` that ends it, if one does.

    `pieces` are the places in the text at which go-yaml asks for more of the file, where that can be seen at all.
    """

    text: str
    problem: str | None = None
    pieces: tuple[int, ...] = ()

    def piece_after(self, end: int) -> int | None:
        """Return how far the next piece goes, None at the end of the file. Raises YAMLError for one that is bad."""
        at = bisect_right(self.pieces, end)
        if at < len(self.pieces):
            return self.pieces[at]
        if self.problem is not None:
            raise YAMLError(f"yaml: {self.problem}", len(_BREAK.findall(self.text)) + 1)
        return None


def characters(data: bytes) -> Characters:
    """Decode bytes as go-yaml's reader does: UTF-16 by its mark, else UTF-8; control characters are refused."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codec, mark = ("utf-16-le" if data[0] == 0xFF else "utf-16-be"), 2
    else:
        codec, mark = "utf-8", 3 if data[:3] == b"\xef\xbb\xbf" else 0
    body = data[mark:]
    problem, bad, width = None, len(body), 0
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        bad = error.start
        text = body[:bad].decode(codec)
        problem, width = _utf8_problem(body, bad) if codec == "utf-8" else _utf16_problem(body, bad, codec)
    forbidden = _FORBIDDEN.search(text)
    if forbidden is not None:
        problem = "control characters are not allowed"
        text, width = text[: forbidden.start()], len(forbidden[0].encode(codec))
        bad = len(text.encode(codec))
    if problem is None and "\ufeff" not in text:
        return Characters(text)
    return Characters(text, problem, _pieces(data, mark, codec, mark + bad, width))


def _pieces(data: bytes, mark: int, codec: str, bad: int, width: int) -> tuple[int, ...]:
    """Return where the pieces before the one with the bad character end; `width` of its bytes show that it is bad."""
    ends: list[int] = []
    at, count = mark, 0
    raw_end = min(_PIECE, len(data))
    while not (width and bad + width <= raw_end):
        end = min(raw_end, bad)
        if codec == "utf-8":
            while at < end < bad and data[end] & 0xC0 == 0x80:
                end -= 1
        elif at < end < bad and _unit(data, end - 2, codec) & 0xFC00 == 0xD800:
            end -= 2
        count += len(data[at:end].decode(codec))
        ends.append(count)
        if raw_end == len(data):
            break
        at, raw_end = end, min(end + _PIECE, len(data))
    return tuple(ends)


def _unit(data: bytes, at: int, codec: str) -> int:
    return int.from_bytes(data[at : at + 2], "little" if codec == "utf-16-le" else "big")


def _utf8_problem(body: bytes, at: int) -> tuple[str, int]:
    """Return what is wrong with a character and how many bytes it takes to see it; 0 bytes: the end of the file."""
    lead = body[at]
    if lead & 0xE0 == 0xC0:
        width, least = 2, 0x80
    elif lead & 0xF0 == 0xE0:
        width, least = 3, 0x800
    elif lead & 0xF8 == 0xF0:
        width, least = 4, 0x10000
    else:
        return "invalid leading UTF-8 octet", 1
    if at + width > len(body):
        return "incomplete UTF-8 octet sequence", 0
    code = lead & (0xFF >> (width + 1))
    for octet in body[at + 1 : at + width]:
        if octet & 0xC0 != 0x80:
            return "invalid trailing UTF-8 octet", width
        code = code << 6 | octet & 0x3F
    return ("invalid length of a UTF-8 sequence" if code < least else "invalid Unicode character"), width


def _utf16_problem(body: bytes, at: int, codec: str) -> tuple[str, int]:
    """Return the same for UTF-16."""
    if len(body) - at < 2:
        return "incomplete UTF-16 character", 0
    if _unit(body, at, codec) & 0xFC00 == 0xDC00:
        return "unexpected low surrogate area", 2
    if len(body) - at < 4:
        return "incomplete UTF-16 surrogate pair", 0
    return "expected low surrogate area", 4
