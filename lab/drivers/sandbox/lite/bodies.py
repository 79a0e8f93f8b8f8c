"""Owns reading request bodies: JSON, YAML or protobuf to an object of its kind, and the words for what is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from .border import ApiError, Json, Request
from .convert import Converter, ConvertError
from .resources import ResourceType, by_kind, schema_name
from .status import bad_request, unsupported_media

ACCEPTED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


@dataclass(slots=True)
class Decoded:
    """An object as its kind has it, not yet defaulted; `warnings` name fields that were dropped."""

    object: Json
    warnings: list[str] = field(default_factory=list)


def media_type(request: Request) -> str:
    """Return the bare content type of a body."""
    return request.content_type.split(";", 1)[0].strip().lower()


def read_json(body: bytes) -> Any:
    """Parse JSON. Raises ValueError in the words of Go's decoder."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise ValueError(_go_syntax_error(body)) from None


def read_yaml(body: bytes) -> Any:
    """Parse YAML or JSON. Raises ValueError."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        import yaml

        try:
            return yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ValueError(f"error converting YAML to JSON: yaml: {str(error).splitlines()[0]}") from None


def decode(request: Request, kind: ResourceType, group: str = "", version: str = "", name: str = "") -> Decoded:
    """Decode a body as an object of `kind`, or as `name` in `group` and `version` where a subresource has its own."""
    expected = (group or kind.group, version or kind.version, name or kind.kind) if name else (
        kind.group, kind.version, kind.kind)  # fmt: skip
    body = request.body or b""
    media = media_type(request) or "application/json"
    if media == "application/vnd.kubernetes.protobuf":
        from .protobuf import decode_unknown

        try:
            value: Any = decode_unknown(body, schema_name(*expected))
        except ValueError as error:
            raise bad_request(f"unable to decode: {error}") from None
    elif media in ("application/json", "application/yaml"):
        try:
            value = read_json(body) if media == "application/json" else read_yaml(body)
        except ValueError as error:
            raise bad_request(
                _unrecognized(expected[2], f"couldn't get version/kind; json parse error: {error}", body)
            ) from None
    else:
        raise unsupported_media(ACCEPTED)
    if not isinstance(value, dict):
        word = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}.get(type(value), "null")
        why = (
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {word} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        raise bad_request(_unrecognized(expected[2], why, body))
    return shaped(value, request.param("fieldValidation", "Warn"), expected)


def shaped(value: Json, validation: str, expected: tuple[str, str, str]) -> Decoded:
    """Give an object the shape of the expected (group, version, kind). ApiError 400 says why it cannot have it."""
    group, version, kind = expected
    api_version = f"{group}/{version}" if group else version
    given_kind, given_version = value.get("kind") or kind, value.get("apiVersion") or api_version
    if not isinstance(given_kind, str) or not isinstance(given_version, str):
        raise bad_request(
            _unrecognized(kind, "couldn't get version/kind; json parse error: json: cannot unmarshal", b"")
        )
    if given_version != api_version:
        its_group, _, its_version = given_version.rpartition("/")
        if by_kind(its_group, its_version, given_kind) is None:
            raise bad_request(
                f'no kind "{given_kind}" is registered for version "{given_version}" in scheme '
                '"pkg/api/legacyscheme/scheme.go:30"'
            )
        raise bad_request(
            f"the API version in the data ({given_version}) does not match the expected API version ({api_version})"
        )
    if given_kind != kind:
        raise bad_request(_wrong_kind(given_kind, api_version, version, group, kind))
    converter = Converter()
    try:
        made = converter.object({**value, "kind": kind, "apiVersion": api_version}, schema_name(*expected))
    except ConvertError as error:
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    unknown = [f'unknown field "{path}"' for path in converter.unknown]
    if unknown and validation == "Strict":
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {", ".join(unknown)}'
        )
    return Decoded(made, unknown if validation != "Ignore" else [])


def _wrong_kind(given: str, api_version: str, version: str, group: str, kind: str) -> str:
    if by_kind(group, version, given) is None:
        return (
            f'no kind "{given}" is registered for version "{api_version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
        )
    package = group.split(".", 1)[0] or "core"
    return (
        f'{given} in version "{version}" cannot be handled as a {kind}: converting ({version}.{given}) to '
        f"({package}.{kind}): unknown conversion"
    )


def _unrecognized(kind: str, why: str, body: bytes) -> str:
    if body[:1] == b"{":
        shown = body[:30].decode("utf-8", "replace") + (" ..." if len(body) > 30 else "")
    else:
        shown = body[:30].hex() + (" ..." if len(body) > 30 else "")
    return f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})"


def _go_syntax_error(body: bytes) -> str:
    """Say what Go's JSON decoder would say of a body that is not JSON."""
    import json

    text = body.decode("utf-8", "replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :].lstrip()
        if not rest:
            return "unexpected end of JSON input"
        letter = "'\\''" if rest[0] == "'" else f"'{rest[0]}'"
        if error.msg.startswith("Expecting property name"):
            wanted = "looking for beginning of object key string"
        elif error.msg.startswith("Expecting ':'"):
            wanted = "after object key"
        elif error.msg.startswith("Expecting ','"):
            before = text[: error.pos].rstrip()
            wanted = "after array element" if _in_array(before) else "after object key:value pair"
        elif error.msg.startswith("Extra data"):
            wanted = "after top-level value"
        elif error.msg.startswith("Invalid control character"):
            return f"invalid character {rest[0]!r} in string literal"
        else:
            literal = next((word for word in ("null", "true", "false") if word[0] == rest[0]), None)
            if literal:
                return _broken_literal(rest, literal)
            wanted = "looking for beginning of value"
        return f"invalid character {letter} {wanted}"
    except RecursionError:
        return "exceeded max depth"
    return "invalid UTF-8 in string"


def _broken_literal(text: str, literal: str) -> str:
    """Say where a word that starts like a literal is none."""
    for given, meant in zip(text, literal, strict=False):
        if given != meant:
            return f"invalid character '{given}' in literal {literal} (expecting '{meant}')"
    return "unexpected end of JSON input"


def _in_array(text: str) -> bool:
    depth: list[str] = []
    quoted = escaped = False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = quoted
        elif letter == '"':
            quoted = not quoted
        elif not quoted and letter in "[{":
            depth.append(letter)
        elif not quoted and letter in "]}" and depth:
            depth.pop()
    return bool(depth) and depth[-1] == "["


__all__ = ["ACCEPTED", "ApiError", "Decoded", "decode", "media_type", "read_json", "read_yaml", "shaped"]
