"""Owns how an event of a log is decoded for counting: the few fields, and the words of the log, known after a while.

A log has few different words (verbs, resources, namespaces). Once they are known, each is one object: its hash is
known, and a look tells that two are equal. That makes a tenth of the speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, cast

import msgspec

from checkers.kube.logs.event import Level, Stage, log_name
from checkers.kube.logs.lines import Line

# At most so many blocks are read before the words are taken as known again, when new ones came.
_LONGEST_LOOK: Final = 1 << 10
_MOST_WORDS: Final = 1_000

#: level, stage, verb, group, resource, subresource, namespace, whether requestObject is there.
Key = tuple[str, str, str, str, str, str, str, bool]


class ObjectRef(msgspec.Struct, rename=log_name, gc=False):
    """What a request is about, without its name."""

    resource: str = ""
    namespace: str = ""
    api_group: str = ""
    subresource: str = ""


class _Body(msgspec.Struct, gc=False):
    """An object of which nothing is asked but that it is there."""


class CountedEvent(msgspec.Struct, rename=log_name, gc=False):
    """The few fields that every event is read for."""

    level: Level
    stage: Stage
    verb: str = ""
    object_ref: ObjectRef | None = None
    # An object, or the list of a JSON patch.
    request_object: _Body | list[msgspec.Raw] | None = None
    request_received_timestamp: str = ""


class NamedEvent(CountedEvent, rename=log_name, gc=False):
    """An event that is looked for by its id too."""

    audit_id: str = ""


Decode = Callable[[Line], CountedEvent]
_decode: Final[Decode] = msgspec.json.Decoder(CountedEvent).decode
_decode_named: Final[Decode] = msgspec.json.Decoder(NamedEvent).decode


class Words:
    """The words of logs, as far as they are known; they may be kept from one part of a log to the next.

    `any` decodes every event, `decode` refuses some that have words that are not known. `named`: with their auditID.
    `look`: after so many blocks the words are taken as known.
    """

    def __init__(self, *, named: bool, look: int = 16) -> None:
        self._kind = NamedEvent if named else CountedEvent
        self.any: Final = _decode_named if named else _decode
        self.decode = self.any
        self._look = self._left = look
        self._known: tuple[set[str], ...] = tuple({""} for _ in range(5))

    @property
    def looking(self) -> bool:
        """Whether the words are being looked at; tell then of each block with `seen`."""
        return self._left > 0

    def seen(self, keys: Iterable[Key]) -> None:
        """Take notice of one more block that was read; `keys` are the classes that were seen so far."""
        self._left -= 1
        if self._left:
            return
        for key in keys:
            for known, word in zip(self._known, key[2:7], strict=False):
                if len(known) < _MOST_WORDS:
                    known.add(str(word))
        self.decode = self._decoder()

    def refused(self) -> None:
        """Take notice of a block that `decode` refused though all of it are events: look at more of them."""
        self.decode = self.any
        self._look = self._left = min(2 * self._look, _LONGEST_LOOK)

    def _decoder(self) -> Decode:
        verbs, groups, resources, subresources, namespaces = map(_one_of, self._known)
        place = [
            ("resource", resources),
            ("namespace", namespaces),
            ("api_group", groups),
            ("subresource", subresources),
        ]
        ref = msgspec.defstruct("_KnownRef", [(name, words, "") for name, words in place], rename=log_name, gc=False)
        event = msgspec.defstruct(
            "_KnownEvent",
            [("verb", verbs, ""), ("object_ref", ref | None, None)],
            bases=(self._kind,),
            rename=log_name,
            gc=False,
        )
        return cast(Decode, msgspec.json.Decoder(event).decode)


def _one_of(words: set[str]) -> Any:
    """Return the type of these words, of any word where they are too many."""
    return Literal[tuple(sorted(words))] if len(words) < _MOST_WORDS else str
