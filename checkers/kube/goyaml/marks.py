"""Owns how go-yaml cuts anchors, tags and directives out of YAML.

Source: go.yaml.in/yaml/v2 2.4.2, scannerc.go.
"""

from __future__ import annotations

import re
from typing import Final

from checkers.kube.goyaml.tokens import ALIAS, ANCHOR, BREAKS, ENDS, TAG, TAG_DIRECTIVE, VERSION, Place, Token

_BLANKS = re.compile("[ \t]*")
_LINE = re.compile(f"[^\\0{BREAKS}]*")
_WORD = re.compile("[0-9A-Za-z_-]*")
_URI = re.compile(r"[0-9A-Za-z_;/?:@&=+$,.!~*'()\[\]-]*")
_DIGITS = re.compile("[0-9]*")
_HEX: Final = frozenset("0123456789abcdefABCDEF")


def rest_of_line(place: Place) -> None:
    """Go over blanks, a comment and the line break."""
    text = place.text
    place.need(1)
    place.go_on(_BLANKS.match(text, place.at).end())  # type: ignore[union-attr]
    if text[place.at] == "#":
        place.go_on(_LINE.match(text, place.at).end())  # type: ignore[union-attr]
    if text[place.at] in BREAKS:
        place.need(2)
        place.newline()
    elif text[place.at] != "\0":
        raise place.error("did not find expected comment or line break")


def anchor(place: Place) -> Token:
    """Cut an anchor or an alias."""
    text, line = place.text, place.line
    kind = ANCHOR if text[place.at] == "&" else ALIAS
    place.at += 1
    name = _word(place)
    if not name or text[place.at] not in f"{ENDS}?:,]}}%@`":
        raise place.error("did not find expected alphabetic or numeric character")
    return Token(kind, line, line, name)


def _word(place: Place) -> str:
    place.need(1)
    start = place.at
    place.go_on(_WORD.match(place.text, start).end())  # type: ignore[union-attr]
    return place.text[start : place.at]


def tag(place: Place) -> Token:
    """Cut a tag: `!<uri>`, `!handle!suffix` or `!suffix`."""
    text, line = place.text, place.line
    place.need(2)
    if text[place.at + 1] == "<":
        place.at += 2
        handle, suffix = "", _uri(place)
        if text[place.at] != ">":
            raise place.error("did not find the expected '>'")
        place.at += 1
    else:
        handle = _handle(place, directive=False)
        if len(handle) > 1 and handle.endswith("!"):
            suffix = _uri(place)
        else:
            suffix = _uri(place, handle)
            handle, suffix = ("!", suffix) if suffix else ("", "!")
    place.need(1)
    if text[place.at] not in ENDS:
        raise place.error("did not find expected whitespace or line break")
    return Token(TAG, line, line, handle, suffix)


def _handle(place: Place, *, directive: bool) -> str:
    place.need(1)
    if place.text[place.at] != "!":
        raise place.error("did not find expected '!'")
    place.at += 1
    handle = f"!{_word(place)}"
    if place.text[place.at] == "!":
        place.at += 1
        return f"{handle}!"
    if directive and handle != "!":
        raise place.error("did not find expected '!'")
    return handle


def _uri(place: Place, head: str = "") -> str:
    """Cut a tag's URI; `head` is what was taken for a handle and is none."""
    parts = [head[1:].encode()]
    start = place.at
    place.need(1)
    while True:
        found = _URI.match(place.text, place.at)
        assert found is not None
        place.go_on(found.end())
        parts.append(found[0].encode())
        if place.text[place.at] != "%":
            break
        parts.append(_uri_escapes(place))
        place.need(1)
    if not head and place.at == start:
        raise place.error("did not find expected tag URI")
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _uri_escapes(place: Place) -> bytes:
    """Read the `%` escapes of one character."""
    octets = bytearray()
    width = 1
    while len(octets) < width:
        place.need(3)
        digits = place.text[place.at + 1 : place.at + 3]
        if place.text[place.at] != "%" or not _HEX.issuperset(digits):
            raise place.error("did not find URI escaped octet")
        octet = int(digits, 16)
        if not octets:
            width = next((w for w, top in ((1, 0x80), (0, 0xC0), (2, 0xE0), (3, 0xF0), (4, 0xF8)) if octet < top), 0)
            if not width:
                raise place.error("found an incorrect leading UTF-8 octet")
        elif octet & 0xC0 != 0x80:
            raise place.error("found an incorrect trailing UTF-8 octet")
        octets.append(octet)
        place.at += 3
    return bytes(octets)


def directive(place: Place) -> Token:
    """Cut a directive: %YAML with its version, or %TAG with handle and prefix."""
    text, line = place.text, place.line
    place.at += 1
    name = _word(place)
    if not name:
        raise place.error("could not find expected directive name")
    if text[place.at] not in ENDS:
        raise place.error("found unexpected non-alphabetical character")
    if name == "YAML":
        token = Token(VERSION, line, line, _version(place))
    elif name == "TAG":
        _blanks(place)
        handle = _handle(place, directive=True)
        _must_be_blank(place, " \t", "did not find expected whitespace")
        _blanks(place)
        prefix = _uri(place)
        _must_be_blank(place, ENDS, "did not find expected whitespace or line break")
        token = Token(TAG_DIRECTIVE, line, line, handle, prefix)
    else:
        raise place.error("found unknown directive name")
    rest_of_line(place)
    return token


def _blanks(place: Place) -> None:
    place.need(1)
    place.go_on(_BLANKS.match(place.text, place.at).end())  # type: ignore[union-attr]


def _must_be_blank(place: Place, allowed: str, problem: str) -> None:
    place.need(1)
    if place.text[place.at] not in allowed:
        raise place.error(problem)


def _version(place: Place) -> str:
    _blanks(place)
    major = _number(place)
    if place.text[place.at] != ".":
        raise place.error("did not find expected digit or '.' character")
    place.at += 1
    return f"{major}.{_number(place)}"


def _number(place: Place) -> int:
    place.need(1)
    found = _DIGITS.match(place.text, place.at)
    assert found is not None
    if len(found[0]) > 2:
        place.go_on(place.at + 2)
        raise place.error("found extremely long version number")
    if not found[0]:
        raise place.error("did not find expected version number")
    place.go_on(found.end())
    return int(found[0])
