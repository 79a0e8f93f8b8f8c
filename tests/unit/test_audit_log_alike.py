"""The fast reader of audit logs against one that any person would write: the same of everything, however the log is."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.kube.audit_log import EventClass, LogStatistics, Words, read_log
from tests.unit.test_audit_log import event, log, start

_STRINGS = ("verb", "requestReceivedTimestamp", "auditID")
_PLACE = ("resource", "namespace", "apiGroup", "subresource")


class Pairs(list[tuple[str, Any]]):
    """An object of JSON with every pair in it, repeated names too."""


def _refused(name: str) -> None:
    raise ValueError(name)


def slow_event(line: bytes) -> dict[str, Any] | None:
    """Read one line with json.loads; None for what is no audit event."""
    try:
        # Go writes no bad UTF-8; where nothing is asked of it, it may stand.
        text = line.decode("utf-8", "surrogateescape")
        top = json.loads(text, object_pairs_hook=Pairs, parse_constant=_refused)
        if not isinstance(top, Pairs):
            return None
        found: dict[str, Any] = {"body": False, "ref": {}}
        for name, value in top:
            if name == "level":
                assert value in ("None", "Metadata", "Request", "RequestResponse")
            elif name == "stage":
                assert value in ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
            elif name in _STRINGS:
                assert isinstance(value, str)
                value.encode()
            elif name == "requestObject":
                assert value is None or isinstance(value, list)
                found["body"] = value is not None
            elif name == "objectRef":
                assert value is None or isinstance(value, Pairs)
                for key, text in value or ():
                    assert key not in _PLACE or isinstance(text, str)
                    _ = key in _PLACE and text.encode()
                found["ref"] = dict(value or ())
            else:
                continue
            found[name] = value
        return found if "level" in found and "stage" in found else None
    except (ValueError, AssertionError, TypeError):
        return None


def slow(data: bytes, since: str | None) -> tuple[Any, ...]:
    """Return what is in a log: lines, events, broken, first broken, older, classes, first lines."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    events = broken = older = 0
    first_broken = None
    classes: dict[EventClass, int] = {}
    firsts: dict[EventClass, int] = {}
    for number, line in enumerate(lines, 1):
        found = slow_event(line)
        if found is None:
            if line.strip():
                broken += 1
                first_broken = first_broken or number
            continue
        events += 1
        if since is not None and found.get("requestReceivedTimestamp", "") < since:
            older += 1
            continue
        group, resource, sub, space = (
            found["ref"].get(key, "") for key in ("apiGroup", "resource", "subresource", "namespace")
        )
        kind = EventClass(
            found["level"], found["stage"], found.get("verb", ""), group, resource, sub, space, found["body"]
        )
        classes[kind] = classes.get(kind, 0) + 1
        firsts.setdefault(kind, number)
    return len(lines), events, broken, first_broken, older, classes, firsts


def told(statistics: LogStatistics) -> tuple[Any, ...]:
    s = statistics
    return s.lines, s.events, s.broken, s.first_broken, s.older, s.classes, s.examples


_WORDS = st.sampled_from(["get", "list", "watch", "ä", "a\\b", 'q"', "configmaps", "pods", "dev", "shop", ""])
_TIMES = st.sampled_from([f"2026-11-23T{hour}:00:00.{micro:06d}Z" for hour in ("09", "10", "11") for micro in (0, 1)])
_EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(["Metadata", "Request", "RequestResponse", "metadata", None, 3]),
        "stage": st.sampled_from(["RequestReceived", "ResponseComplete", "Panic", "Done"]),
        "verb": _WORDS,
        "requestReceivedTimestamp": _TIMES,
        "objectRef": st.none() | st.dictionaries(st.sampled_from([*_PLACE, "name"]), _WORDS),
        "requestObject": st.sampled_from([None, {}, {"level": "None", "x": [{}]}, [], [{"op": "add"}], [1], 1, "x"]),
        "responseObject": st.sampled_from([{"objectRef": {"resource": "x"}}, {"requestReceivedTimestamp": "0"}]),
    },
).map(lambda fields: log(event(**fields))[:-1])
_STRANGE = st.sampled_from(
    [
        b"",
        b" \t",
        b"\r",
        b"\x0b",
        b"\x00",
        b"{",
        b"}",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"level":"Metadata","stage":"Panic"}{"level":"Metadata","stage":"Panic"}',
        b'{"level":"Metadata","stage":"Panic",}',
        b'{"level":"x","level":"Metadata","stage":"Panic"}',
        b'{"l\\u0065vel":"Metadata","stage":"Panic","verb":"g\\u0065t"}',
        b'{"level":"Metadata","stage":"Panic","verb":"\xff"}',
        b'{"level":"Metadata","stage":"Panic","user":"\xff"}',
        b'{"level":"Metadata","stage":"Panic","x":NaN}',
        b'{"level":"Metadata","stage":"Panic","x":"a\x00b"}',
        b'{"level":"Metadata","stage":"Panic","objectRef":{"resource":"a"},"objectRef":{"namespace":"b"}}',
        b'{"level":"Metadata","stage":"Panic","requestObject":{},"requestObject":null}',
        b'{"level":"Metadata","stage":"Panic","x":"' + b"y" * 3000 + b'"}',
    ]
)


@st.composite
def _bent(draw: st.DrawFn) -> bytes:
    """An event with a byte or two that are not its own."""
    line = bytearray(draw(_EVENTS))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(line)))
        line[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b"\n", b"{", b"}", b'"', b",", b":", b"\xff"])
        )
    return bytes(line)


_LOGS = st.tuples(
    st.lists(
        st.tuples(_EVENTS | _EVENTS | _STRANGE | _bent(), st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\n\n"]))
    ),
    st.sampled_from([b"", b"\n", b"{"]),
).map(lambda both: b"".join(line + end for line, end in both[0]) + both[1])
_SINCE = st.none() | _TIMES


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks, at, index = [], 0, 0
    while at < len(data):
        size = sizes[index % len(sizes)]
        chunks.append(data[at : at + size])
        at, index = at + size, index + 1
    return chunks


@settings(max_examples=150, deadline=None)
@given(_LOGS, _SINCE, st.lists(st.integers(1, 4000), min_size=1, max_size=4), st.sampled_from([1, 16]))
def test_the_fast_reader_and_a_slow_one_find_the_same(
    data: bytes, since: str | None, sizes: list[int], look: int
) -> None:
    plain, named = Words(named=False, look=look), Words(named=True, look=look)
    # The second time the words are known from the first.
    for _ in range(2):
        assert told(read_log(chunked(data, sizes), since, words=plain)) == slow(data, since)
        assert told(read_log(chunked(data, sizes), since, ["no such"], words=named)) == slow(data, since)


_STARTS = st.tuples(st.sampled_from(["09", "10", "11"]), st.integers(0, 59), st.integers(0, 59)).map(
    lambda at: log(start(f"2026-11-23T{at[0]}:{at[1]:02d}:{at[2]:02d}.000000Z"))[:-1]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_EVENTS | _STARTS | _STRANGE, max_size=8), max_size=5), _SINCE)
def test_parts_that_are_read_apart_and_joined_are_the_whole(parts: list[list[bytes]], since: str | None) -> None:
    pieces = [b"".join(line + b"\n" for line in part) for part in parts]
    words = Words(named=False, look=1)
    so_far = LogStatistics()
    for number, piece in enumerate(pieces):
        both = so_far.followed_by(read_log([piece], since, words=words), same_file=number > 0)
        if both is None:
            found = read_log([piece], since, start=so_far.start, words=words)
            both = so_far.continued_by(found, same_file=number > 0)
        so_far = both
    whole = read_log([b"".join(pieces)], since)
    if pieces:
        assert so_far == whole
