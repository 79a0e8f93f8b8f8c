"""Owns the refusals: metav1.Status objects in the words of kube-apiserver (Source: golden/exchanges)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from checkers.kube.gotext import quote

from .border import ApiError, Json


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that validation refused. `kind` is a Status cause's reason, `text` its words without the path."""

    path: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def quoted(value: Any) -> str:
    """Render a refused value as the API server does: a string as Go quotes it, the rest as Go writes JSON."""
    if isinstance(value, str):
        return quote(value)
    text = msgspec.json.encode(value).decode()
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def required(path: str, detail: str = "") -> FieldError:
    """Return the error of a field that must be there."""
    return FieldError(path, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def invalid_value(path: str, value: Any, detail: str) -> FieldError:
    """Return the error of a value that is wrong."""
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {quoted(value)}: {detail}")


def unsupported(path: str, value: Any, supported: Sequence[str]) -> FieldError:
    """Return the error of a value that is not one of those supported."""
    known = ", ".join(quoted(s) for s in supported)
    return FieldError(path, "FieldValueNotSupported", f"Unsupported value: {quoted(value)}: supported values: {known}")


def forbidden_field(path: str, detail: str) -> FieldError:
    """Return the error of a field that may not be set or changed."""
    return FieldError(path, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate(path: str, value: Any) -> FieldError:
    """Return the error of a value that is there twice."""
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {quoted(value)}")


def not_found_value(path: str, value: Any) -> FieldError:
    """Return the error of a reference to something that is not there."""
    return FieldError(path, "FieldValueNotFound", f"Not found: {quoted(value)}")


def failure(code: int, reason: str, message: str, details: Json | None = None) -> ApiError:
    """Return a refusal with these words."""
    status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        status["reason"] = reason
    if details:
        status["details"] = details
    status["code"] = code
    return ApiError(status)


def _details(group: str, kind: str, name: str) -> Json:
    details: Json = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details


def qualified(group: str, resource: str) -> str:
    """Return `deployments.apps`, or `configmaps` for the core group."""
    return f"{resource}.{group}" if group else resource


def not_found(group: str, resource: str, name: str) -> ApiError:
    """Return the refusal of an object that is not there."""
    text = f"{qualified(group, resource)} {quoted(name)} not found"
    return failure(404, "NotFound", text, _details(group, resource, name))


def no_resource() -> ApiError:
    """Return the refusal of a resource that this server does not have."""
    return failure(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(group: str, resource: str, name: str) -> ApiError:
    """Return the refusal of a create where the name is taken."""
    text = f"{qualified(group, resource)} {quoted(name)} already exists"
    return failure(409, "AlreadyExists", text, _details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str) -> ApiError:
    """Return the refusal of a write to an object that has changed meanwhile."""
    text = f"Operation cannot be fulfilled on {qualified(group, resource)} {quoted(name)}: {why}"
    return failure(409, "Conflict", text, _details(group, resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def internal_error(message: str) -> ApiError:
    """Return the answer to a request that failed through no fault of its own."""
    text = f"Internal error occurred: {message}"
    return failure(500, "InternalError", text, {"causes": [{"message": message}]})


def bad_request(message: str) -> ApiError:
    """Return the refusal of a request that cannot be understood."""
    return failure(400, "BadRequest", message)


def gone(message: str) -> ApiError:
    """Return the refusal of a resourceVersion or continue token that is too old."""
    return failure(410, "Expired", message)


def method_not_allowed(group: str, resource: str, verb: str) -> ApiError:
    """Return the refusal of a verb that a resource does not have."""
    text = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", text, {})


def unsupported_media(accepted: Sequence[str]) -> ApiError:
    """Return the refusal of a body of an unknown content type."""
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return failure(415, "UnsupportedMediaType", text)


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """Return the refusal of an object whose fields are wrong."""
    texts = [str(e) for e in errors]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified_kind = f"{kind}.{group}" if group else kind
    details = _details(group, kind, name)
    details["causes"] = [{"reason": e.kind, "message": e.text, "field": e.path} for e in errors]
    return failure(422, "Invalid", f"{qualified_kind} {quoted(name)} is invalid: {text}", details)
