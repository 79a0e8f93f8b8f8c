"""Owns JSON as Go's encoding/json reads it: its strict grammar, and its words for what it refuses."""

from __future__ import annotations

import json
import re

from checkers.kube.gotext import go_text, quote
from checkers.kube.goyaml.nodes import MOST_WORDS, Document, Node, TooBig, YAMLError

_SPACE = re.compile(rb"[ \t\r\n]*")
#: What Go counts as white space (unicode.IsSpace).
GO_SPACE = " \t\n\v\f\r\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_MOST_DEPTH = 10_000


def is_json(data: bytes) -> bool:
    """Say whether Kubernetes takes the bytes for JSON: `{` is the first that is no white space."""
    head = data[:4096] if data[:1] in (b"{", b" ", b"\n", b"\t", b"\r") else data
    text = head.decode("utf-8", "replace").lstrip(GO_SPACE)
    if not text and len(data) > len(head):
        text = data.decode("utf-8", "replace").lstrip(GO_SPACE)
    return text.startswith("{")


def decode_json(data: bytes) -> Document:
    """Decode a whole file as JSON; of a key that is there twice `pairs` keeps both and `value` the last.

    Raises TooBig, and YAMLError with encoding/json's words (`invalid character '}' looking for beginning of value`).
    """
    return Document(_Reader(data).document(), is_json=True)


def _character(byte: int) -> str:
    if byte == 0x27:
        return "'\\''"
    if byte == 0x22:
        return "'\"'"
    return "'" + quote(chr(byte))[1:-1] + "'"


class WrittenNumber(float):
    """A number of JSON that is not whole, with the text that Go's errors repeat."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> WrittenNumber:
        """Make one of the text; one that is too large is infinite."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


class _Reader:
    """Reads one JSON text, byte by byte where it matters."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._line = 1
        self._counted = 0

    def document(self) -> Node:
        """Return the value of the whole text."""
        stack: list[tuple[bool, int, list[tuple[str, int, Node]], list[Node]]] = []
        key: tuple[str, int] | None = None
        keys: list[tuple[str, int] | None] = []
        words = 0
        while True:
            words += 1
            if words > MOST_WORDS:
                raise TooBig
            # A value is due.
            byte = self._next()
            line = self._line_here()
            node: Node
            if byte == 0x7B or byte == 0x5B:
                self._at += 1
                if len(stack) >= _MOST_DEPTH:
                    raise YAMLError("exceeded max depth", line)
                closing = self._next()
                if closing != (0x7D if byte == 0x7B else 0x5D):
                    stack.append((byte == 0x7B, line, [], []))
                    keys.append(key)
                    key = self._key() if byte == 0x7B else None
                    continue
                self._at += 1
                node = Node({}, line, pairs=()) if byte == 0x7B else Node([], line, items=())
            else:
                node = self._scalar(byte, line)
            # A value is there: add it to what is open, and close what ends here.
            while True:
                if not stack:
                    rest = self._next(may_end=True)
                    if rest is not None:
                        raise self._invalid("after top-level value")
                    return node
                is_object, opened, pairs, items = stack[-1]
                byte = 0
                if is_object:
                    assert key is not None
                    pairs.append((key[0], key[1], node))
                    byte = self._next()
                    if byte == 0x2C:
                        self._at += 1
                        key = self._key()
                        break
                    if byte != 0x7D:
                        raise self._invalid("after object key:value pair")
                    node = Node({k: n.value for k, _, n in pairs}, opened, pairs=tuple(pairs))
                else:
                    items.append(node)
                    byte = self._next()
                    if byte == 0x2C:
                        self._at += 1
                        break
                    if byte != 0x5D:
                        raise self._invalid("after array element")
                    node = Node([n.value for n in items], opened, items=tuple(items))
                self._at += 1
                stack.pop()
                key = keys.pop()

    def _line_here(self) -> int:
        self._line += self._data.count(b"\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _next(self, *, may_end: bool = False) -> int:
        """Skip white space and return the byte that follows.

        Raises YAMLError at the end of the text, unless it may end here: then returns None.
        """
        self._at = _SPACE.match(self._data, self._at).end()  # type: ignore[union-attr]
        if self._at < len(self._data):
            return self._data[self._at]
        if may_end:
            return None  # type: ignore[return-value]
        raise self._ended()

    def _ended(self) -> YAMLError:
        self._at = len(self._data)
        return YAMLError("unexpected end of JSON input", self._line_here())

    def _invalid(self, where: str, at: int | None = None) -> YAMLError:
        if at is not None:
            self._at = at
        if self._at >= len(self._data):
            # Go feeds its scanner one blank at the end, to see whether it was waiting for something.
            inside = where.startswith(("in ", "after decimal point"))
            return YAMLError(f"invalid character ' ' {where}", self._line_here()) if inside else self._ended()
        return YAMLError(f"invalid character {_character(self._data[self._at])} {where}", self._line_here())

    def _key(self) -> tuple[str, int]:
        if self._next() != 0x22:
            raise self._invalid("looking for beginning of object key string")
        line = self._line_here()
        key = self._string()
        if self._next() != 0x3A:
            raise self._invalid("after object key")
        self._at += 1
        return key, line

    def _scalar(self, byte: int, line: int) -> Node:
        if byte == 0x22:
            return Node(self._string(), line)
        for word, value in ((b"true", True), (b"false", False), (b"null", None)):
            if byte == word[0]:
                for offset, expected in enumerate(word):
                    if self._data[self._at + offset : self._at + offset + 1] != bytes((expected,)):
                        where = f"in literal {word.decode()} (expecting {_character(expected)})"
                        raise self._invalid(where, self._at + offset)
                self._at += len(word)
                return Node(value, line)
        if byte == 0x2D or 0x30 <= byte <= 0x39:
            return Node(self._number(), line)
        raise self._invalid("looking for beginning of value")

    def _digits(self, where: str) -> None:
        start = self._at
        while self._data[self._at : self._at + 1].isdigit():
            self._at += 1
        if self._at == start:
            raise self._invalid(where)

    def _number(self) -> int | float:
        start = self._at
        if self._data[start] == 0x2D:
            self._at += 1
        if self._data[self._at : self._at + 1] == b"0":
            self._at += 1
        else:
            self._digits("in numeric literal")
        whole = True
        if self._data[self._at : self._at + 1] == b".":
            whole = False
            self._at += 1
            self._digits("after decimal point in numeric literal")
        if self._data[self._at : self._at + 1] in (b"e", b"E"):
            whole = False
            self._at += 1
            if self._data[self._at : self._at + 1] in (b"+", b"-"):
                self._at += 1
            self._digits("in exponent of numeric literal")
        text = self._data[start : self._at].decode()
        return int(text) if whole and len(text) < 4000 else WrittenNumber(text)

    def _string(self) -> str:
        start = self._at
        at = start + 1
        data = self._data
        while True:
            at = _PLAIN.match(data, at).end()  # type: ignore[union-attr]
            if at >= len(data):
                raise self._ended()
            if data[at] == 0x22:
                break
            if data[at] != 0x5C:
                raise self._invalid("in string literal", at)
            escape = data[at + 1 : at + 2]
            if escape == b"u":
                for offset in range(2, 6):
                    digit = data[at + offset : at + offset + 1]
                    if not digit or digit not in b"0123456789abcdefABCDEF":
                        raise self._invalid("in \\u hexadecimal character escape", at + offset)
                at += 6
            elif escape and escape in b'"\\/bfnrt':
                at += 2
            else:
                raise self._invalid("in string escape code", at + 1)
        self._at = at + 1
        body = go_text(data[start + 1 : at])
        if "\\" not in body:
            return body
        text: str = json.loads(f'"{body}"')
        # A lone surrogate has no place in UTF-8: Go puts the replacement character in its stead.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
