"""Owns the bytes below YAML: encodings, forbidden characters, and where go-yaml stops reading because of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

# go-yaml reads its input in pieces of this size: a bad byte is only seen once the scanner needs its piece.
CHUNK = 512
# So many characters ahead the scanner looks: only then it sees that the last one is incomplete.
_AHEAD = 3

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Characters:
    """The readable start of a file: its `text`, and the `problem` that ends it, if one does.

    `seen` is how many characters the scanner can use before its reader stumbles over the problem.
    """

    text: str
    problem: str | None = None
    seen: int = 0


def characters(data: bytes) -> Characters:
    """Decode bytes as go-yaml's reader does: UTF-16 by its mark, else UTF-8; control characters are refused.

    Source: gopkg.in/yaml.v2 2.4, the reader's error texts.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _utf16(data[2:], "little" if data[0] == 0xFF else "big")
    mark = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    body = data[mark:]
    problem, end = None, len(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        end = error.start
        text = body[:end].decode("utf-8")
        problem = _utf8_problem(body, end)
    bad = _FORBIDDEN.search(text)
    if bad is not None:
        problem = "control characters are not allowed"
        end = len(text[: bad.start()].encode())
        text = text[: bad.start()]
    if problem is None:
        return Characters(text)
    if problem.startswith("incomplete"):
        return Characters(text, problem, max(len(text) - _AHEAD, 0))
    start = max((end + mark) // CHUNK * CHUNK - mark, 0)
    return Characters(text, problem, len(body[:start].decode("utf-8", "ignore")))


def _utf8_problem(body: bytes, at: int) -> str:
    lead = body[at]
    if lead & 0xE0 == 0xC0:
        width, least = 2, 0x80
    elif lead & 0xF0 == 0xE0:
        width, least = 3, 0x800
    elif lead & 0xF8 == 0xF0:
        width, least = 4, 0x10000
    else:
        return "invalid leading UTF-8 octet"
    if at + width > len(body):
        return "incomplete UTF-8 octet sequence"
    code = lead & (0xFF >> (width + 1))
    for octet in body[at + 1 : at + width]:
        if octet & 0xC0 != 0x80:
            return "invalid trailing UTF-8 octet"
        code = code << 6 | octet & 0x3F
    return "invalid length of a UTF-8 sequence" if code < least else "invalid Unicode character"


def _utf16(body: bytes, order: str) -> Characters:
    codec = "utf-16-le" if order == "little" else "utf-16-be"
    problem, end = None, len(body)
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        end = error.start
        text = body[:end].decode(codec)
        unit = int.from_bytes(body[end : end + 2], "little" if order == "little" else "big")
        if len(body) - end < 2:
            problem = "incomplete UTF-16 character"
        elif unit & 0xFC00 == 0xDC00:
            problem = "unexpected low surrogate area"
        elif len(body) - end < 4:
            problem = "incomplete UTF-16 surrogate pair"
        else:
            problem = "expected low surrogate area"
    bad = _FORBIDDEN.search(text)
    if bad is not None:
        problem = "control characters are not allowed"
        end = len(text[: bad.start()].encode(codec))
        text = text[: bad.start()]
    if problem is None:
        return Characters(text)
    if problem.startswith("incomplete"):
        return Characters(text, problem, max(len(text) - _AHEAD, 0))
    start = max((end + 2) // CHUNK * CHUNK - 2, 0)
    return Characters(text, problem, len(body[:start].decode(codec, "ignore")))
