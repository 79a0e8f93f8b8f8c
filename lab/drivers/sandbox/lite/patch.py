"""Owns patches: JSON patch, merge patch and strategic merge patch, and reading those and apply configurations."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec

from .bodies import Decoded, media_type, read_json, read_yaml
from .border import ApiError, Json, Request
from .convert import Converter, ConvertError
from .resources.schema import Field, Schema, schema
from .status import bad_request, failure, invalid, invalid_value, unsupported_media

TYPES = (
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml", "application/apply-patch+cbor",
)  # fmt: skip


class _Missing(Exception):
    """A JSON patch operation that cannot be done."""


def read(request: Request) -> Any:
    """Return the patch document. ApiError 415 or 400."""
    if media_type(request) not in TYPES:
        raise unsupported_media(TYPES)
    try:
        return read_json(request.body or b"")
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from None


def read_apply(request: Request) -> Json:
    """Return an apply configuration. ApiError 400."""
    try:
        config = read_yaml(request.body or b"")
    except ValueError as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(config, dict):
        raise bad_request("error decoding YAML: the configuration is not an object")
    return config


def patched(request: Request, document: Any, old: Json, type_name: str, expected: tuple[str, str, str]) -> Decoded:
    """Return the object that the patch makes of `old`. ApiError 422 or 400 says why it makes none."""
    media = media_type(request)
    validation = request.param("fieldValidation", "Warn")
    if media == "application/json-patch+json":
        result = _json_patch(document, deepcopy(old))
        shown = _raw(result)
    else:
        if not isinstance(document, dict):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}"
            )
        if media == "application/merge-patch+json":
            result = merge_patch(deepcopy(old), document)
            shown = _raw(result)
        else:
            try:
                result = strategic(deepcopy(old), document, schema(type_name), top=True)
            except ValueError as error:
                raise bad_request(str(error)) from None
            shown = go_format(document)
    if not isinstance(result, dict):
        raise invalid("", "", "", [invalid_value("patch", shown, "the patch does not leave an object")])
    group, version, kind = expected
    api_version = f"{group}/{version}" if group else version
    if result.get("kind", kind) != kind or result.get("apiVersion", api_version) != api_version:
        raise bad_request(
            f"the API version in the data ({result.get('apiVersion', '')}) does not match the expected API version "
            f"({api_version})"
        )
    converter = Converter()
    try:
        made = converter.object({**result, "kind": kind, "apiVersion": api_version}, type_name)
    except ConvertError as error:
        words = _unstructured_words(error) if media == "application/strategic-merge-patch+json" else str(error)
        raise invalid("", "", "", [invalid_value("patch", shown, words)]) from None
    before = Converter()
    before.object(old, type_name)
    unknown = [f'unknown field "{path}"' for path in converter.unknown if path not in before.unknown]
    if media == "application/strategic-merge-patch+json":
        unknown = _unknown_in_patch(document, schema(type_name)) or unknown
    if unknown and validation == "Strict":
        raise invalid("", "", "", [invalid_value("patch", shown, f"strict decoding error: {', '.join(unknown)}")])
    return Decoded(made, unknown if validation != "Ignore" else [])


def _unknown_in_patch(document: Json, kind: Schema) -> list[str]:
    """Return the words for fields that a patch sets and the type does not have."""
    converter = Converter()

    def walk(value: Json, owner: Schema, path: str) -> None:
        for name, inner in value.items():
            if name.startswith("$") or (not path and name in ("kind", "apiVersion")):
                continue
            where = f"{path}.{name}" if path else name
            field = owner.fields.get(name)
            if field is None:
                if inner is not None:
                    converter.unknown.append(where)
            elif isinstance(inner, dict) and not field.container and field.is_struct:
                walk(inner, schema(field.type), where)
            elif isinstance(inner, list) and field.container == "[" and field.is_struct:
                for number, item in enumerate(inner):
                    if isinstance(item, dict):
                        walk(item, schema(field.type), f"{where}[{number}]")

    walk(document, kind, "")
    return [f'unknown field "{path}"' for path in converter.unknown]


def _unstructured_words(error: ConvertError) -> str:
    words = str(error)
    for sent, go in (("number", "int64"), ("bool", "bool"), ("string", "string")):
        head = f"json: cannot unmarshal {sent} into Go struct field "
        if words.startswith(head):
            wanted = words.rpartition(" of type ")[2]
            if wanted in ("string", "bool") or wanted.startswith("map[string]string"):
                return f"cannot convert {go} to {wanted.removeprefix('map[string]')}"
            return f"cannot restore {'slice' if wanted.startswith('[]') else 'struct'} from: {go}"
    return words


def _raw(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def go_format(value: Any) -> str:
    """Render a value as Go's `%v` does."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_format(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_format(v) for v in value) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


# JSON patch


def _json_patch(document: Any, obj: Any) -> Any:
    if not isinstance(document, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(document) > 10000:
        raise failure(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is 10000, got {len(document)}",
        )
    for step in document:
        try:
            obj = _step(step, obj)
        except (_Missing, KeyError, TypeError, AttributeError, IndexError):
            text = "the server rejected our request due to an error in our request"
            error = failure(422, "Invalid", text, {})
            code = error.status.pop("code")
            error.status |= {"details": {}, "code": code}
            raise error from None
    return obj


def _step(step: Json, obj: Any) -> Any:
    operation, path = step["op"], _pointer(step["path"])
    if operation == "test":
        if _look(obj, path) != step.get("value"):
            raise _Missing
        return obj
    if operation == "remove":
        return _change(obj, path, "remove", None)
    if operation in ("add", "replace"):
        return _change(obj, path, operation, deepcopy(step["value"]))
    if operation == "copy":
        return _change(obj, path, "add", deepcopy(_look(obj, _pointer(step["from"]))))
    if operation == "move":
        moved = _look(obj, _pointer(step["from"]))
        return _change(_change(obj, _pointer(step["from"]), "remove", None), path, "add", moved)
    raise _Missing


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise _Missing
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _look(obj: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(obj, dict):
            obj = obj[part]
        else:
            obj = obj[_index(part, len(obj) - 1)]
    return obj


def _index(part: str, last: int) -> int:
    if part == "-":
        return last
    number = int(part) if part.lstrip("-").isdigit() else -1
    if not 0 <= number <= last:
        raise _Missing
    return number


def _change(obj: Any, path: list[str], operation: str, value: Any) -> Any:
    if not path:
        if operation == "remove":
            raise _Missing
        return value
    parent = _look(obj, path[:-1])
    part = path[-1]
    if isinstance(parent, dict):
        if operation == "remove" or operation == "replace":
            parent[part]
        if operation == "remove":
            del parent[part]
        else:
            parent[part] = value
    elif isinstance(parent, list):
        if operation == "add":
            parent.insert(len(parent) if part == "-" else _index(part, len(parent)), value)
        elif operation == "replace":
            parent[_index(part, len(parent) - 1)] = value
        else:
            del parent[_index(part, len(parent) - 1)]
    else:
        raise _Missing
    return obj


# merge patch


def merge_patch(target: Any, document: Any) -> Any:
    """Return a merge patch's result (RFC 7386)."""
    if not isinstance(document, dict):
        return document
    result = target if isinstance(target, dict) else {}
    for name, value in document.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


# strategic merge patch


def strategic(target: Json, document: Json, kind: Schema | None, *, top: bool = False) -> Json:
    """Return a strategic merge patch's result. ValueError: a directive that cannot be."""
    directive = document.get("$patch")
    if directive == "replace":
        return {k: v for k, v in document.items() if k != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise ValueError(f"unknown patch type found: {directive}")
    retain = document.get("$retainKeys")
    if isinstance(retain, list):
        target = {k: v for k, v in target.items() if k in retain}
    orders = {k.partition("/")[2]: v for k, v in document.items() if k.startswith("$setElementOrder/")}
    for name, value in document.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field_name = name.partition("/")[2]
            if isinstance(target.get(field_name), list):
                target[field_name] = [v for v in target[field_name] if v not in value]
    for name, value in document.items():
        if name.startswith("$"):
            continue
        field = kind.fields.get(name) if kind else None
        if value is None:
            target.pop(name, None)
            continue
        target[name] = _strategic_value(target.get(name), value, field, orders.get(name))
        if target[name] == {} and isinstance(value, dict) and value.get("$patch") == "delete":
            del target[name]
    for name, order in orders.items():
        field = kind.fields.get(name) if kind else None
        if name not in document and isinstance(target.get(name), list):
            target[name] = _in_order(target[name], order, field.merge_key if field else None)
    return target


def _strategic_value(old: Any, value: Any, field: Field | None, order: list[Any] | None) -> Any:
    if isinstance(value, dict):
        inner = schema(field.type) if field and field.is_struct and not field.container else None
        if field and field.container == "{":
            return _merged_map(old if isinstance(old, dict) else {}, value, field)
        return strategic(old if isinstance(old, dict) else {}, value, inner)
    if isinstance(value, list):
        if field is None or field.merge_key is None:
            return _plain(value)
        if field.merge_key == "":
            merged = [*(old or []), *(v for v in value if v not in (old or []))]
            return _in_order(merged, order, None) if order else merged
        merged = _merged_list(old if isinstance(old, list) else [], value, field)
        return _in_order(merged, order, field.merge_key) if order else merged
    return value


def _plain(value: list[Any]) -> list[Any]:
    return [{k: v for k, v in item.items() if k != "$patch"} if isinstance(item, dict) else item for item in value]


def _merged_map(old: Json, value: Json, field: Field) -> Json:
    if value.get("$patch") == "replace":
        return {k: v for k, v in value.items() if k != "$patch"}
    if value.get("$patch") == "delete":
        return {}
    for name, item in value.items():
        if item is None:
            old.pop(name, None)
        elif isinstance(item, dict) and field.is_struct:
            old[name] = strategic(old.get(name) or {}, item, schema(field.type))
        else:
            old[name] = item
    return old


def _merged_list(old: list[Any], value: list[Any], field: Field) -> list[Any]:
    key = field.merge_key or ""
    items = [item for item in value if isinstance(item, dict)]
    if any(item.get("$patch") == "replace" for item in items):
        return [item for item in items if "$patch" not in item]
    result = list(old)
    for item in items:
        if key not in item:
            raise ValueError(f"map: {go_format(item)} does not contain declared merge key: {key}")
        at = next((i for i, v in enumerate(result) if isinstance(v, dict) and v.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            result = [v for v in result if v.get(key) != item[key]]
        elif at is None:
            result.append(strategic({}, item, schema(field.type)) if field.is_struct else item)
        else:
            result[at] = strategic(result[at], item, schema(field.type)) if field.is_struct else item
    return result


def _in_order(values: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """Sort by the order the client saw; what it did not see keeps its place relative to its neighbours."""
    wanted = [o.get(key) if isinstance(o, dict) and key else o for o in order]

    def place(value: Any) -> int | None:
        mine = value.get(key) if isinstance(value, dict) and key else value
        return wanted.index(mine) if mine in wanted else None

    seen = sorted((v for v in values if place(v) is not None), key=lambda v: place(v) or 0)
    others = [(i, v) for i, v in enumerate(values) if place(v) is None]
    result = list(seen)
    for i, value in others:
        result.insert(min(i, len(result)), value)
    return result


__all__ = ["TYPES", "ApiError", "go_format", "merge_patch", "patched", "read", "read_apply", "strategic"]
