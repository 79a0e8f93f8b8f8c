"""Owns YAML's tokens as go-yaml cuts them: its scanner, step for step, with its words for what it refuses.

libyaml is the same scanner in many ways and another in small ones (`[]: x`, `?` in `[a?b]`, a byte-order mark), and
it looks further ahead than go-yaml, so it stumbles over what go-yaml never sees. Where the two could differ this one
decides. Scalars, tags and directives are cut in `words` and `marks`.

Source: go.yaml.in/yaml/v2 2.4.2, scannerc.go.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from checkers.kube.goyaml import marks as marks
from checkers.kube.goyaml import words as words
from checkers.kube.goyaml.reader import Characters
from checkers.kube.goyaml.tokens import (
    BLOCK_END,
    BLOCK_ENTRY,
    BLOCK_MAPPING,
    BLOCK_SEQUENCE,
    BREAKS,
    DOCUMENT_END,
    DOCUMENT_START,
    ENDS,
    FLOW_ENTRY,
    FLOW_MAPPING,
    FLOW_MAPPING_END,
    FLOW_SEQUENCE,
    FLOW_SEQUENCE_END,
    KEY,
    STREAM_END,
    STREAM_START,
    VALUE,
    Place,
    Token,
)

#: How deep flow collections and indentations may be nested.
MOST_DEPTH: Final = 10_000
#: A key that is not marked by `?` ends so many characters after its start, and on the same line.
_LONGEST_KEY: Final = 1024

_SPACES = re.compile(" *")
_BLANKS = re.compile("[ \t]*")
_TO_LINE_END = re.compile(f"[^\\0{BREAKS}]*")
_NOT_PLAIN = frozenset(f"{ENDS}-?:,[]{{}}#&*!|>'\"%@`")


class _Key:
    """A place where a key may have started that has no `?` before it."""

    __slots__ = ("column", "index", "line", "number", "possible", "required")

    def __init__(self, scanner: Tokens, *, possible: bool, required: bool) -> None:
        self.possible = possible
        self.required = required
        self.number = scanner.parsed + len(scanner.queue)
        self.index = scanner.at
        self.line = scanner.line
        self.column = scanner.at - scanner.line_start


class Tokens(Place):
    """The tokens of one file."""

    def __init__(self, read: Characters) -> None:
        super().__init__(read)
        self.queue: deque[Token] = deque((Token(STREAM_START, 0, 0),))
        self.parsed = 0
        self._indents: list[int] = []
        self._keys: list[_Key] = [_Key(self, possible=False, required=False)]
        # Of the tokens before which a KEY may be put yet: where in the list of keys.
        self._key_of: dict[int, int] = {}
        self.need(1)

    def peek(self) -> Token:
        """Return the next token. Raises YAMLError."""
        while True:
            if self.queue:
                place = self._key_of.get(self.parsed)
                if place is None or not self._is_possible(self._keys[place]):
                    return self.queue[0]
            self._fetch()

    def skip(self) -> Token:
        """Take the next token, which has been looked at, off the queue."""
        self.parsed += 1
        return self.queue.popleft()

    def _is_possible(self, key: _Key) -> bool:
        if not key.possible:
            return False
        if key.line < self.line or key.index + _LONGEST_KEY < self.at:
            if key.required:
                raise self.error("could not find expected ':'")
            key.possible = False
        return key.possible

    def save_key(self) -> None:
        """Remember that a key may start here."""
        required = self.flow == 0 and self.indent == self.column
        if self.key_allowed:
            key = _Key(self, possible=True, required=required)
            self._remove_key()
            self._keys[-1] = key
            self._key_of[key.number] = len(self._keys) - 1

    def _remove_key(self) -> None:
        key = self._keys[-1]
        if key.possible:
            if key.required:
                raise self.error("could not find expected ':'")
            key.possible = False
            self._key_of.pop(key.number, None)

    def _roll(self, column: int, number: int, kind: int, line: int) -> None:
        if self.flow > 0 or self.indent >= column:
            return
        self._indents.append(self.indent)
        self.indent = column
        if len(self._indents) > MOST_DEPTH:
            raise self.error(f"exceeded max depth of {MOST_DEPTH}")
        token = Token(kind, line, line)
        if number < 0:
            self.queue.append(token)
        else:
            self.queue.insert(number - self.parsed, token)

    def _unroll(self, column: int) -> None:
        if self.flow > 0:
            return
        while self.indent > column:
            self.queue.append(Token(BLOCK_END, self.line, self.line))
            self.indent = self._indents.pop()

    # One token more

    def _fetch(self) -> None:
        self.need(1)
        self._to_next_token()
        column = self.column
        self._unroll(column)
        self.need(4)
        letter = self.text[self.at]
        blank = self.text[self.at + 1] in ENDS
        if letter == "\0":
            self._stream_end()
        elif column == 0 and letter == "%":
            self._directive()
        elif column == 0 and self.at_document_mark():
            self._document_mark()
        elif letter == "[":
            self._flow_start(FLOW_SEQUENCE)
        elif letter == "{":
            self._flow_start(FLOW_MAPPING)
        elif letter == "]":
            self._flow_end(FLOW_SEQUENCE_END)
        elif letter == "}":
            self._flow_end(FLOW_MAPPING_END)
        elif letter == ",":
            self._remove_key()
            self.key_allowed = True
            self._indicator(FLOW_ENTRY)
        elif letter == "-" and blank:
            self._block_entry()
        elif letter == "?" and (blank or self.flow):
            self._key()
        elif letter == ":" and (blank or self.flow):
            self._value()
        else:
            self._word(letter, blank)

    def _word(self, letter: str, blank: bool) -> None:
        if letter in "|>" and not self.flow:
            self._remove_key()
            self.key_allowed = True
            self.queue.append(words.block_scalar(self, literal=letter == "|"))
            return
        if letter in "*&":
            scan = marks.anchor
        elif letter == "!":
            scan = marks.tag
        elif letter == "'":
            scan = words.single_quoted
        elif letter == '"':
            scan = words.double_quoted
        elif (
            letter not in _NOT_PLAIN
            or (letter == "-" and self.text[self.at + 1] not in " \t")
            or (letter in "?:" and not self.flow and not blank)
        ):
            scan = words.plain
        else:
            raise self.error("found character that cannot start any token")
        self.save_key()
        self.key_allowed = False
        self.queue.append(scan(self))

    def _to_next_token(self) -> None:
        text = self.text
        while True:
            self.need(1)
            if self.column == 0 and self.at_stray_mark:
                self.at += 1
                self.need(1)
            blanks = _BLANKS if self.flow or not self.key_allowed else _SPACES
            self.go_on(blanks.match(text, self.at).end())  # type: ignore[union-attr]
            if text[self.at] == "#":
                self.go_on(_TO_LINE_END.match(text, self.at).end())  # type: ignore[union-attr]
            if text[self.at] not in BREAKS:
                return
            self.need(2)
            self.newline()
            if not self.flow:
                self.key_allowed = True

    def _indicator(self, kind: int) -> None:
        self.at += 1
        self.queue.append(Token(kind, self.line, self.line))

    def _stream_end(self) -> None:
        if self.column != 0:
            self.line += 1
            self.line_start = self.at
        self._unroll(-1)
        self._remove_key()
        self.key_allowed = False
        self.queue.append(Token(STREAM_END, self.line, self.line))

    def _directive(self) -> None:
        self._unroll(-1)
        self._remove_key()
        self.key_allowed = False
        self.queue.append(marks.directive(self))

    def _document_mark(self) -> None:
        self._unroll(-1)
        self._remove_key()
        self.key_allowed = False
        kind = DOCUMENT_START if self.text[self.at] == "-" else DOCUMENT_END
        self.at += 2
        self._indicator(kind)

    def _flow_start(self, kind: int) -> None:
        self.save_key()
        self._keys.append(_Key(self, possible=False, required=False))
        self.flow += 1
        if self.flow > MOST_DEPTH:
            raise self.error(f"exceeded max depth of {MOST_DEPTH}")
        self.key_allowed = True
        self._indicator(kind)

    def _flow_end(self, kind: int) -> None:
        self._remove_key()
        if self.flow:
            self.flow -= 1
            # The level's last key may have the number of the one before the bracket: `[]: x` loses its key by this.
            self._key_of.pop(self._keys.pop().number, None)
        self.key_allowed = False
        self._indicator(kind)

    def _block_entry(self) -> None:
        if not self.flow:
            if not self.key_allowed:
                raise self.error("block sequence entries are not allowed in this context")
            self._roll(self.column, -1, BLOCK_SEQUENCE, self.line)
        self._remove_key()
        self.key_allowed = True
        self._indicator(BLOCK_ENTRY)

    def _key(self) -> None:
        if not self.flow:
            if not self.key_allowed:
                raise self.error("mapping keys are not allowed in this context")
            self._roll(self.column, -1, BLOCK_MAPPING, self.line)
        self._remove_key()
        self.key_allowed = not self.flow
        self._indicator(KEY)

    def _value(self) -> None:
        key = self._keys[-1]
        if self._is_possible(key):
            self.queue.insert(key.number - self.parsed, Token(KEY, key.line, key.line))
            self._roll(key.column, key.number, BLOCK_MAPPING, key.line)
            key.possible = False
            self._key_of.pop(key.number, None)
            self.key_allowed = False
        else:
            if not self.flow:
                if not self.key_allowed:
                    raise self.error("mapping values are not allowed in this context")
                self._roll(self.column, -1, BLOCK_MAPPING, self.line)
            self.key_allowed = not self.flow
        self._indicator(VALUE)
