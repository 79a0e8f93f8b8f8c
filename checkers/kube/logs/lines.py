"""Owns the cutting of a log into lines: chunks of bytes of any size become blocks of whole lines, none of them lost.

A line keeps its end. Memory does not grow with the log, nor with a line that has no end.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Final

#: A line longer than this is passed over: the API server writes none so long.
LONGEST_LINE: Final = 64 << 20
#: What stands in the place of a line that is too long. It is no JSON, and no line of the legacy format.
TOO_LONG: Final = b"\x00\n"
# As much as a core's cache holds beside what is made of it.
_BLOCK: Final = 1 << 16

Line = bytes | bytearray


class LineSplitter:
    """Cuts chunks into blocks of lines, in order. A block is some 64 KiB, or one line that lay in several chunks."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._waiting = bytearray()
        self._skipping = False

    @property
    def waits(self) -> bool:
        """Whether the last line has no end so far."""
        return bool(self._waiting) or self._skipping

    def feed(self, chunk: bytes) -> Iterator[list[Line]]:
        """Yield the lines that end in this chunk. Read it to its end before the next chunk."""
        position = 0
        if self.waits:
            position = chunk.find(b"\n") + 1
            if not position:
                self._keep(chunk)
                return
            self._keep(chunk[:position])
            yield [self._take()]
        end = chunk.rfind(b"\n", position) + 1
        if end > position:
            # Its memory is the chunk's own: nothing is copied but the lines.
            reader = BytesIO(chunk)
            reader.seek(position)
            while position < end:
                yield reader.readlines(min(_BLOCK, end - position))  # type: ignore[misc]
                position = reader.tell()
        if position < len(chunk):
            self._keep(chunk[position:] if position else chunk)

    def finish(self) -> Line | None:
        """Return the last line where it has no end; None where every line has one."""
        return self._take() if self.waits else None

    def _keep(self, part: bytes) -> None:
        if not self._skipping:
            self._waiting += part
            if len(self._waiting) > self._longest:
                self._skipping = True
                self._waiting = bytearray()

    def _take(self) -> Line:
        line = TOO_LONG if self._skipping else self._waiting
        self._skipping = False
        self._waiting = bytearray()
        return line
