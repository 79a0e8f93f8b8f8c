"""Owns what happens between the person's terminal and a key event: no key may be lost or taken on its way to vim.

Textual reads an Esc that is followed quickly by another key as Alt with that key, drops the Alt of keys that are no
letters, and looks for a lone Esc ten times a second. All of that is fine for a form and wrong for vim, where `Esc :wq`
typed fast has to arrive as it was typed. This parser hands on Esc as Esc, after 30 ms (ESCDELAY changes that).
"""

from __future__ import annotations

import codecs
import os
import re
import select
from collections.abc import Iterable
from time import monotonic

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

ESC = "\x1b"
_IDLE = 0.1
_LONE_ESCAPE = re.compile(r"\x1b(?=[^\[O\]P_]|[\[O]\x1b)")
"""An Esc that starts no control sequence: what follows is the next key."""


def _escape_delay() -> float:
    given = os.environ.get("ESCDELAY", "")
    return int(given) / 1000 if given.isdigit() else 0.03


class KeyParser(XTermParser):
    """Textual's parser of terminal input, with Esc kept apart from the key after it."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._delay = _escape_delay()
        self._held: float | None = None

    @property
    def patience(self) -> float:
        """Seconds to wait for more input before `tick` has something to say."""
        return _IDLE if self._held is None else max(0.001, self._delay - (monotonic() - self._held))

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the events of a piece of input; an Esc at its end is held until more comes or its time is over."""
        if self._held is not None:
            self._held = None
            data = ESC + data
        done = 0
        for lone in _LONE_ESCAPE.finditer(data):
            if lone.start() > done:
                yield from super().feed(data[done : lone.start()])
            yield events.Key("escape", ESC)
            done = lone.end()
        rest = data[done:]
        if rest.endswith(ESC):
            rest = rest[:-1]
            self._held = monotonic()
        if rest or not data:
            yield from super().feed(rest)

    def tick(self) -> Iterable[Message]:
        """Yield the held Esc when its time is over, and what the base class waited for."""
        if self._held is not None and monotonic() - self._held >= self._delay:
            self._held = None
            yield events.Key("escape", ESC)
        yield from super().tick()

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if alt:
            yield events.Key("escape", ESC)
        yield from super()._sequence_to_key_events(sequence)


class KeyDriver(LinuxDriver):
    """Textual's driver for a Linux terminal, reading keys with `KeyParser`."""

    def run_input_thread(self) -> None:
        """Read the terminal and dispatch events until the program ends or the terminal is gone."""
        parser = KeyParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        while not self.exit_event.is_set():
            if select.select([self.fileno], [], [], parser.patience)[0]:
                data = os.read(self.fileno, 4096)
                if not data:
                    return
                if text := decode(data):
                    for event in parser.feed(text):
                        self.process_message(event)
            for event in parser.tick():
                self.process_message(event)
