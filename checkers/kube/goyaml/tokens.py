"""Owns what go-yaml's scanner cuts YAML into, and its place in the text.

Source: go.yaml.in/yaml/v2 2.4.2, scannerc.go and readerc.go.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from checkers.kube.goyaml.nodes import MOST_WORDS, TooBig, YAMLError
from checkers.kube.goyaml.reader import Characters

BREAKS: Final = "\r\n\x85\u2028\u2029"
#: What ends a word: blanks, line breaks, and the end of the text.
ENDS: Final = f"\0 \t{BREAKS}"

STREAM_START, STREAM_END, VERSION, TAG_DIRECTIVE, DOCUMENT_START, DOCUMENT_END = range(6)
BLOCK_SEQUENCE, BLOCK_MAPPING, BLOCK_END, FLOW_SEQUENCE, FLOW_SEQUENCE_END, FLOW_MAPPING = range(6, 12)
FLOW_MAPPING_END, BLOCK_ENTRY, FLOW_ENTRY, KEY, VALUE, ALIAS, ANCHOR, TAG, SCALAR = range(12, 21)


class Token(NamedTuple):
    """A token: `line` and `end` are 0-based; `text` is a scalar's, an anchor's or a tag handle, `more` the tag's rest.

    `plain` is for scalars without quotes and block indicators.
    """

    kind: int
    line: int
    end: int
    text: str = ""
    more: str = ""
    plain: bool = False


class Place:
    """Where the scanner is: `at` in the text, `line` (0-based), `line_start` where that starts.

    `flow` is the depth of `[` and `{`, `indent` the column of the innermost collection by indentation.
    """

    def __init__(self, read: Characters) -> None:
        self.text = f"{read.text}\0\0\0\0\0\0\0\0"
        self.at = self.line = self.line_start = 0
        self.flow = 0
        self.indent = -1
        self.key_allowed = True
        self._read = read
        self._left = 6 * MOST_WORDS
        # What go-yaml's buffer holds: from the first of these to before the second.
        self._buffered = (0, 0)
        # Only a bad character or a byte-order mark shows how go-yaml fills its buffer.
        self._careful = read.problem is not None or "\ufeff" in read.text

    @property
    def column(self) -> int:
        return self.at - self.line_start

    @property
    def at_stray_mark(self) -> bool:
        """Say whether go-yaml sees a byte-order mark here: it looks for it at the start of its buffer."""
        return self._careful and self.text[self._buffered[0]] == "\ufeff"

    def need(self, length: int) -> None:
        """Have so many characters at hand. Raises TooBig, and YAMLError where a bad one is read with them."""
        self._step()
        if self._careful:
            self.go_on(self.at, length)

    def go_on(self, to: int, length: int = 1) -> None:
        """Go to a place of the text, with so many characters at hand all the way. Raises as `need` does."""
        self._step()
        if self._careful:
            start, end = self._buffered
            while to + length > end:
                start = max(self.at, end - length + 1)
                more = self._read.piece_after(end)
                if more is None:
                    # At the end of the file go-yaml puts one zero more into its buffer, each time it is asked.
                    end += 1
                    break
                end = more
            self._buffered = (start, end)
        self.at = to

    def newline(self) -> str:
        """Go over a line break and return what it is in a scalar: mostly one newline."""
        self._step()
        found = self.text[self.at]
        self.at += 2 if found == "\r" and self.text[self.at + 1] == "\n" else 1
        self.line += 1
        self.line_start = self.at
        return found if found in "\u2028\u2029" else "\n"

    def _step(self) -> None:
        self._left -= 1
        if not self._left:
            raise TooBig

    def at_document_mark(self) -> bool:
        """Say whether `---` or `...` stands here, and nothing that belongs to it."""
        text, at = self.text, self.at
        return text[at : at + 3] in ("---", "...") and text[at + 3] in ENDS

    def error(self, problem: str) -> YAMLError:
        """Return an error that the scanner finds here; go-yaml names no line where it is the first."""
        where = f"line {self.line + 1}: " if self.line else ""
        return YAMLError(f"yaml: {where}{problem}", self.line + 1)
