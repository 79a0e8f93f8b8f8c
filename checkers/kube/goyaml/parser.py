"""Owns YAML's grammar as go-yaml parses it: tokens in, and out of the first document what the composer takes.

Source: go.yaml.in/yaml/v2 2.4.2, parserc.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from checkers.kube.goyaml.compose import Composer
from checkers.kube.goyaml.nodes import MOST_WORDS, TooBig, YAMLError
from checkers.kube.goyaml.reader import Characters
from checkers.kube.goyaml.scanner import Tokens
from checkers.kube.goyaml.tokens import (
    ALIAS,
    ANCHOR,
    BLOCK_END,
    BLOCK_ENTRY,
    BLOCK_MAPPING,
    BLOCK_SEQUENCE,
    DOCUMENT_END,
    DOCUMENT_START,
    FLOW_ENTRY,
    FLOW_MAPPING,
    FLOW_MAPPING_END,
    FLOW_SEQUENCE,
    FLOW_SEQUENCE_END,
    KEY,
    SCALAR,
    STREAM_END,
    TAG,
    TAG_DIRECTIVE,
    VALUE,
    VERSION,
    Token,
)

_TAGS: Final = {"!": "!", "!!": "tag:yaml.org,2002:"}
_NO_CONTENT: Final = frozenset((VERSION, TAG_DIRECTIVE, DOCUMENT_START, DOCUMENT_END, STREAM_END))
_NO_ITEM: Final = frozenset((BLOCK_ENTRY, BLOCK_END))
_NO_INDENTLESS_ITEM: Final = frozenset((BLOCK_ENTRY, KEY, VALUE, BLOCK_END))
_NO_BLOCK_VALUE: Final = frozenset((KEY, VALUE, BLOCK_END))
_NO_LIST_KEY: Final = frozenset((VALUE, FLOW_ENTRY, FLOW_SEQUENCE_END))
_NO_LIST_VALUE: Final = frozenset((FLOW_ENTRY, FLOW_SEQUENCE_END))
_NO_FLOW_KEY: Final = frozenset((VALUE, FLOW_ENTRY, FLOW_MAPPING_END))
_NO_FLOW_VALUE: Final = frozenset((FLOW_ENTRY, FLOW_MAPPING_END))


#: So many steps take half a second; there is about one a word.
_MOST_STEPS: Final = MOST_WORDS // 2


def parse(read: Characters, composer: Composer) -> None:
    """Give the first document's nodes to the composer. Raises YAMLError, TooBig."""
    parser = _Parser(read, composer)
    for _ in range(_MOST_STEPS):
        if parser.done:
            return
        parser.step()
    raise TooBig


class _Parser:
    """go-yaml's state machine: `step` is the state, `_after` the states to go back to."""

    def __init__(self, read: Characters, composer: Composer) -> None:
        self._tokens = Tokens(read)
        self._to = composer
        self._after: list[Callable[[], None]] = []
        # The lines (0-based) on which the open collections start.
        self._starts: list[int] = []
        self._tags: dict[str, str] = {}
        self.done = False
        self.step: Callable[[], None] = self._stream

    def _error(self, problem: str, token: Token, start: int = 0) -> YAMLError:
        """Return an error about a token; `start` is the line (0-based) of what it is in. go-yaml counts from 0 here."""
        said = token.line or start
        return YAMLError(f"yaml: line {said}: {problem}" if said else f"yaml: {problem}", token.line + 1)

    def _next(self) -> Token:
        """Skip the token that was looked at, and look at the next one."""
        self._tokens.skip()
        return self._tokens.peek()

    def _empty(self, line: int, state: Callable[[], None]) -> None:
        self.step = state
        self._to.scalar(line + 1, "", "", None, implicit=True)

    def _close(self) -> None:
        self.step = self._after.pop()
        self._to.end()

    # Documents

    def _stream(self) -> None:
        self._tokens.peek()
        token = self._next()
        if token.kind == STREAM_END:
            self.done = True
        elif token.kind in _NO_CONTENT and token.kind != DOCUMENT_END:
            token = self._directives(token)
            if token.kind != DOCUMENT_START:
                raise self._error("did not find expected <document start>", token)
            self._after.append(self._document_end)
            self._tokens.skip()
            self.step = self._content
        else:
            self._tags.update(_TAGS)
            self._after.append(self._document_end)
            self.step = self._block_node

    def _directives(self, token: Token) -> Token:
        version = False
        while token.kind in (VERSION, TAG_DIRECTIVE):
            if token.kind == VERSION:
                if version:
                    raise self._error("found duplicate %YAML directive", token)
                if token.text != "1.1":
                    raise self._error("found incompatible YAML document", token)
                version = True
            elif token.text in self._tags:
                raise self._error("found duplicate %TAG directive", token)
            else:
                self._tags[token.text] = token.more
            token = self._next()
        self._tags = {**_TAGS, **self._tags}
        return token

    def _content(self) -> None:
        token = self._tokens.peek()
        if token.kind in _NO_CONTENT:
            self._empty(token.line, self._after.pop())
        else:
            self._node(block=True)

    def _document_end(self) -> None:
        self._tokens.peek()
        self.done = True

    # Nodes

    def _block_node(self) -> None:
        self._node(block=True)

    def _node(self, *, block: bool, indentless: bool = False) -> None:
        token = self._tokens.peek()
        if token.kind == SCALAR and token.plain:
            self.step = self._after.pop()
            self._tokens.skip()
            self._to.scalar(token.line + 1, token.text, "", None, implicit=True)
            return
        if token.kind == ALIAS:
            self.step = self._after.pop()
            self._tokens.skip()
            self._to.alias(token.line + 1, token.text)
            return
        start = token.line
        anchor: str | None = None
        tagged: Token | None = None
        for _ in range(2):
            if token.kind == ANCHOR and anchor is None:
                anchor = token.text
            elif token.kind == TAG and tagged is None:
                tagged = token
            else:
                break
            token = self._next()
        tag = self._tag(tagged, start) if tagged else ""
        kind = token.kind
        if indentless and kind == BLOCK_ENTRY:
            self._start(start, anchor, self._indentless_entry, mapping=False)
        elif kind == SCALAR:
            self.step = self._after.pop()
            self._tokens.skip()
            implicit = (not tag and token.plain) or tag == "!"
            self._to.scalar(start + 1, token.text, tag, anchor, implicit=implicit)
        elif kind == FLOW_SEQUENCE:
            self._start(start, anchor, self._flow_list_first, mapping=False)
        elif kind == FLOW_MAPPING:
            self._start(start, anchor, self._flow_mapping_first, mapping=True)
        elif block and kind == BLOCK_SEQUENCE:
            self._start(start, anchor, self._block_list_first, mapping=False)
        elif block and kind == BLOCK_MAPPING:
            self._start(start, anchor, self._block_mapping_first, mapping=True)
        elif anchor or tag:
            self.step = self._after.pop()
            self._to.scalar(start + 1, "", tag, anchor, implicit=not tag)
        else:
            raise self._error("did not find expected node content", token, start)

    def _start(self, line: int, anchor: str | None, state: Callable[[], None], *, mapping: bool) -> None:
        self.step = state
        self._to.start(line + 1, anchor, mapping=mapping)

    def _tag(self, token: Token, start: int) -> str:
        if not token.text:
            return token.more
        prefix = self._tags.get(token.text)
        tag = "" if prefix is None else prefix + token.more
        if not tag:
            raise self._error("found undefined tag handle", token, start)
        return tag

    def _first(self) -> None:
        self._starts.append(self._tokens.peek().line)
        self._tokens.skip()

    # Collections by indentation

    def _block_list_first(self) -> None:
        self._first()
        self._block_entry()

    def _block_entry(self) -> None:
        token = self._tokens.peek()
        if token.kind == BLOCK_ENTRY:
            line = token.end
            if self._next().kind in _NO_ITEM:
                self._empty(line, self._block_entry)
            else:
                self._after.append(self._block_entry)
                self._node(block=True)
        elif token.kind == BLOCK_END:
            self._starts.pop()
            self._tokens.skip()
            self._close()
        else:
            raise self._error("did not find expected '-' indicator", token, self._starts[-1])

    def _indentless_entry(self) -> None:
        token = self._tokens.peek()
        if token.kind != BLOCK_ENTRY:
            self._close()
            return
        line = token.end
        if self._next().kind in _NO_INDENTLESS_ITEM:
            self._empty(line, self._indentless_entry)
        else:
            self._after.append(self._indentless_entry)
            self._node(block=True)

    def _block_mapping_first(self) -> None:
        self._first()
        self._block_key()

    def _block_key(self) -> None:
        token = self._tokens.peek()
        if token.kind == KEY:
            line = token.end
            if self._next().kind in _NO_BLOCK_VALUE:
                self._empty(line, self._block_value)
            else:
                self._after.append(self._block_value)
                self._node(block=True, indentless=True)
        elif token.kind == BLOCK_END:
            self._starts.pop()
            self._tokens.skip()
            self._close()
        else:
            raise self._error("did not find expected key", token, self._starts[-1])

    def _block_value(self) -> None:
        token = self._tokens.peek()
        if token.kind != VALUE:
            self._empty(token.line, self._block_key)
            return
        line = token.end
        if self._next().kind in _NO_BLOCK_VALUE:
            self._empty(line, self._block_key)
        else:
            self._after.append(self._block_key)
            self._node(block=True, indentless=True)

    # Collections in brackets

    def _flow_list_first(self) -> None:
        self._first()
        self._flow_item(self._tokens.peek())

    def _flow_list_next(self) -> None:
        token = self._tokens.peek()
        if token.kind == FLOW_ENTRY:
            token = self._next()
        elif token.kind != FLOW_SEQUENCE_END:
            raise self._error("did not find expected ',' or ']'", token, self._starts[-1])
        self._flow_item(token)

    def _flow_item(self, token: Token) -> None:
        if token.kind == FLOW_SEQUENCE_END:
            self._starts.pop()
            self._tokens.skip()
            self._close()
        elif token.kind == KEY:
            # A single pair without braces: [a: b].
            self._tokens.skip()
            self._start(token.line, None, self._pair_key, mapping=True)
        else:
            self._after.append(self._flow_list_next)
            self._node(block=False)

    def _pair_key(self) -> None:
        token = self._tokens.peek()
        if token.kind in _NO_LIST_KEY:
            # go-yaml takes this token off, whatever it is.
            self._tokens.skip()
            self._empty(token.end, self._pair_value)
        else:
            self._after.append(self._pair_value)
            self._node(block=False)

    def _pair_value(self) -> None:
        token = self._tokens.peek()
        if token.kind == VALUE and self._next().kind not in _NO_LIST_VALUE:
            self._after.append(self._pair_end)
            self._node(block=False)
        else:
            self._empty(token.line, self._pair_end)

    def _pair_end(self) -> None:
        self._tokens.peek()
        self.step = self._flow_list_next
        self._to.end()

    def _flow_mapping_first(self) -> None:
        self._first()
        self._flow_pair(self._tokens.peek())

    def _flow_mapping_next(self) -> None:
        token = self._tokens.peek()
        if token.kind == FLOW_ENTRY:
            token = self._next()
        elif token.kind != FLOW_MAPPING_END:
            raise self._error("did not find expected ',' or '}'", token, self._starts[-1])
        self._flow_pair(token)

    def _flow_pair(self, token: Token) -> None:
        if token.kind == FLOW_MAPPING_END:
            self._starts.pop()
            self._tokens.skip()
            self._close()
        elif token.kind == KEY:
            token = self._next()
            if token.kind in _NO_FLOW_KEY:
                self._empty(token.line, self._flow_value)
            else:
                self._after.append(self._flow_value)
                self._node(block=False)
        else:
            self._after.append(self._flow_no_value)
            self._node(block=False)

    def _flow_value(self) -> None:
        token = self._tokens.peek()
        if token.kind == VALUE:
            token = self._next()
            if token.kind not in _NO_FLOW_VALUE:
                self._after.append(self._flow_mapping_next)
                self._node(block=False)
                return
        self._empty(token.line, self._flow_mapping_next)

    def _flow_no_value(self) -> None:
        self._empty(self._tokens.peek().line, self._flow_mapping_next)
