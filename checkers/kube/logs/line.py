"""Owns one line of an audit log as bytes: what an event's fields are, and whether a kube-apiserver wrote it so.

A kube-apiserver writes the fields of an event in a fixed order, compactly, with `<`, `>` and `&` escaped. The struct
has this order; what it gives back when it is written is the line, unless somebody else wrote it.
Source: kube-apiserver 1.34 and 1.36, apiserver/pkg/apis/audit/v1; encoding/json.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple

import msgspec

from checkers.kube.logs.event import log_name
from checkers.kube.logs.findings import Problem

_ABSENT: Final = msgspec.Raw()


class LogLine(msgspec.Struct, rename=log_name, omit_defaults=True, gc=False):
    """An event: simple texts as they are, the rest as it stands in the line. The order is kube-apiserver's."""

    kind: str = ""
    api_version: str = ""
    level: str = ""
    audit_id: str = ""
    stage: str = ""
    request_uri: msgspec.Raw = _ABSENT
    verb: str | None = None
    user: msgspec.Raw = _ABSENT
    impersonated_user: msgspec.Raw = _ABSENT
    authentication_metadata: msgspec.Raw = _ABSENT
    source_ips: msgspec.Raw = _ABSENT
    user_agent: msgspec.Raw = _ABSENT
    object_ref: msgspec.Raw = _ABSENT
    response_status: msgspec.Raw = _ABSENT
    request_object: msgspec.Raw = _ABSENT
    response_object: msgspec.Raw = _ABSENT
    request_received_timestamp: str = ""
    stage_timestamp: str = ""
    annotations: msgspec.Raw = _ABSENT


class _AsItStands(msgspec.Struct, rename=log_name, omit_defaults=True, gc=False):
    """The same with every field as it stands: texts may have escapes."""

    kind: msgspec.Raw = _ABSENT
    api_version: msgspec.Raw = _ABSENT
    level: msgspec.Raw = _ABSENT
    audit_id: msgspec.Raw = _ABSENT
    stage: msgspec.Raw = _ABSENT
    request_uri: msgspec.Raw = _ABSENT
    verb: msgspec.Raw = _ABSENT
    user: msgspec.Raw = _ABSENT
    impersonated_user: msgspec.Raw = _ABSENT
    authentication_metadata: msgspec.Raw = _ABSENT
    source_ips: msgspec.Raw = _ABSENT
    user_agent: msgspec.Raw = _ABSENT
    object_ref: msgspec.Raw = _ABSENT
    response_status: msgspec.Raw = _ABSENT
    request_object: msgspec.Raw = _ABSENT
    response_object: msgspec.Raw = _ABSENT
    request_received_timestamp: msgspec.Raw = _ABSENT
    stage_timestamp: msgspec.Raw = _ABSENT
    annotations: msgspec.Raw = _ABSENT


_ORDER: Final = _AsItStands.__struct_encode_fields__
_ALWAYS: Final = ("kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user")
_TEXTS: Final = ("kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb")
_TIMES: Final = ("requestReceivedTimestamp", "stageTimestamp")
_UNESCAPED: Final = re.compile(rb"[<>&]|\xe2\x80[\xa8\xa9]")
_LEGACY: Final = re.compile(rb'\S+ AUDIT: id="[^"]*" stage="(\w*)"')
_NAMED: Final = 3
_EMPTY: Final = (b'""', b"[]", b"{}", b"null")

decode_line = msgspec.json.Decoder(LogLine).decode
"""Read a line. Raises msgspec.MsgspecError or UnicodeDecodeError for what is no event."""

encode_line = msgspec.json.Encoder().encode
_decode_as_it_stands = msgspec.json.Decoder(_AsItStands).decode


def is_there(raw: msgspec.Raw) -> bool:
    """Say whether a field is there; null is not."""
    return raw is not _ABSENT and raw != b"null"


def has_unescaped(line: bytes) -> bool:
    """Say whether the line has a character that Go's encoding/json never writes as it is."""
    return b"<" in line or b">" in line or b"&" in line


def strangeness(line: bytes) -> str | None:
    """Say in what a readable event is not written as a kube-apiserver writes it; None where it is."""
    found = _UNESCAPED.search(line)
    if found is not None:
        return f"{found[0].decode()!r} is not escaped"
    event = _decode_as_it_stands(line)
    if encode_line(event) == line:
        return None
    fields = _fields(line)
    if fields is None:
        return "not UTF-8"
    unknown = [name for name in fields if name not in _ORDER]
    if unknown:
        return "unknown " + ("field " if len(unknown) == 1 else "fields ") + ", ".join(map(repr, unknown[:_NAMED]))
    places = [_ORDER.index(name) for name in fields]
    for name, place, following in zip(fields, places, places[1:], strict=False):
        if place > following:
            return f"the fields are in another order: {_ORDER[following]} after {name}"
    if encode_line(event).replace(b" ", b"") == line.replace(b" ", b""):
        return "blanks between the fields"
    return "a field is there twice, or empty"


def _fields(raw: bytes) -> dict[str, msgspec.Raw] | None:
    """Return the fields of an object; None where their names are not UTF-8."""
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def nested_strangeness(raw: bytes, known: tuple[str, ...], what: str) -> str | None:
    """Say in what a part (the user, the objectRef) is not as a kube-apiserver writes it; None where it is."""
    fields = _fields(raw)
    if fields is None:
        return f"{what} is not UTF-8"
    unknown = [name for name in fields if name not in known]
    if unknown:
        return f"unknown field {unknown[0]!r} in {what}"
    if sorted(fields, key=known.index) != list(fields):
        return f"the fields of {what} are in another order"
    empty = next((name for name, value in fields.items() if bytes(value) in _EMPTY), None)
    return None if empty is None else f"{empty} of {what} is there, and empty"


def unreadable(line: bytes) -> Problem:
    """Say what a line is that is no event."""
    if _LEGACY.match(line):
        return Problem("legacy", "legacy format")
    try:
        value = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Problem("unreadable", _shown(line))
    if not isinstance(value, dict):
        return Problem("not-an-event", f"JSON, but not an object: {_shown(line)}")
    for name in (*_TEXTS, *_TIMES):
        if name in value and not isinstance(value[name], str):
            return Problem("field", f"{name} is not a text: {_shown(msgspec.json.encode(value[name]))}")
    return Problem("not-an-event", _shown(line))


def missing_fields(event: LogLine) -> tuple[str, ...]:
    """Return the fields that every event has and this one has not."""
    there = (
        event.kind,
        event.api_version,
        event.level,
        event.audit_id,
        event.stage,
        is_there(event.request_uri),
        event.verb is not None,
        is_there(event.user),
        event.request_received_timestamp,
        event.stage_timestamp,
    )
    if all(there):
        return ()
    return tuple(name for name, found in zip((*_ALWAYS, *_TIMES), there, strict=True) if not found)


def _shown(line: bytes, most: int = 60) -> str:
    """Return the beginning of a line, printable."""
    text = line[:most].decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "·" for c in text)
    return text + ("…" if len(line) > most else "")


class Answer(NamedTuple):
    """How a request was answered. `code` None: it is not said. `closed_early`: nobody was there to be answered."""

    code: int | None
    closed_early: bool = False


@lru_cache(maxsize=10_000)
def answer(raw: bytes) -> Answer:
    """Return what a responseStatus says. Source: apiserver/pkg/endpoints/filters/audit.go."""
    try:
        status = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Answer(None)
    if not isinstance(status, dict):
        return Answer(None)
    code = status.get("code")
    return Answer(
        code if isinstance(code, int) and not isinstance(code, bool) else None,
        status.get("message") == "Connection closed early",
    )


@lru_cache(maxsize=10_000)
def address_problem(raw: bytes) -> Problem | None:
    """Say what is wrong with the sourceIPs as they stand (b"" where there are none). Source: apimachinery SourceIPs."""
    if raw in (b"", b"null"):
        return Problem("written", "no sourceIPs, which only a request over an IPv6 link-local address has not")
    try:
        addresses = msgspec.json.decode(raw, type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Problem("field", f"sourceIPs are no texts: {_shown(raw)}")
    if not addresses:
        return Problem("written", "sourceIPs is there, and empty")
    wrong = next((address for address in addresses if not _is_address(address)), None)
    return None if wrong is None else Problem("field", f"{wrong[:60]!r} in sourceIPs is no IP address")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
