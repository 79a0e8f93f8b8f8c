"""Owns how objects become answers: the media type that a client accepts, and the bytes in it.

Source: kube-apiserver 1.34, apiserver/pkg/endpoints/handlers/{negotiation,responsewriters}.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any

from checkers.kube.gotext import quote

from . import gojson
from .border import ApiError, Json
from .http import HttpRequest, Response
from .status import failure

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_ALL = (JSON, YAML, PROTOBUF)
_WRITTEN = (JSON, YAML)
"""Protobuf is read but not written here: every client of ours accepts JSON as well."""
_GZIP_FROM = 128 * 1024
"""The real server compresses what is larger."""
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
_AS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList", "APIGroupDiscoveryList")


@dataclass(frozen=True, slots=True)
class Media:
    """What a client gets: a media type, indented or not."""

    type: str
    pretty: bool = False


def negotiate(request: HttpRequest, *, stream: bool = False) -> Media | None:
    """Return the best of what the client accepts and the server has; None is a 406."""
    offered = (JSON,) if stream else _WRITTEN
    accept = ",".join(request.headers.get("accept", ())).strip()
    if not accept:
        return Media(JSON, _pretty(request))
    for kind, parameters in _clauses(accept):
        if parameters.get("as") and parameters["as"] not in _AS:
            continue
        for have in offered:
            if kind in (have, "*/*") or (kind.endswith("/*") and have.startswith(kind[:-1])):
                return Media(have, _pretty(request))
    return None


def _clauses(accept: str) -> list[tuple[str, dict[str, str]]]:
    """Return media types with their parameters, the most wanted first."""
    found: list[tuple[float, str, dict[str, str]]] = []
    for clause in accept.split(","):
        kind, *rest = (part.strip() for part in clause.split(";"))
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        try:
            wanted = float(parameters.pop("q", "1"))
        except ValueError:
            wanted = 1.0
        if kind:
            found.append((wanted, kind, parameters))
    found.sort(key=lambda clause: -clause[0])
    return [(kind, parameters) for _, kind, parameters in found]


def _pretty(request: HttpRequest) -> bool:
    asked = request.query.get("pretty")
    if asked and asked[0]:
        return asked[0] in ("1", "t", "T", "TRUE", "true", "True")
    return request.header("user-agent").startswith(("curl", "Wget", "Mozilla/5.0"))


def write(media: Media, value: Json) -> tuple[str, bytes]:
    """Return the content type and the bytes of an object."""
    if media.type == YAML:
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return YAML, yaml.dump(value, Dumper=dumper, default_flow_style=False, allow_unicode=True).encode()
    if media.pretty:
        return JSON, gojson.encode_pretty(value)
    return JSON, gojson.encode(value) + b"\n"


def text(status: int, words: str, *headers: tuple[str, str]) -> Response:
    """Return an answer in plain text."""
    return Response(status, words.encode(), "text/plain; charset=utf-8", [NO_SNIFFING, *headers])


def page_not_found() -> Response:
    """Return what a path gets that nobody serves."""
    return text(404, "404 page not found\n")


def internal_error(request: HttpRequest, words: str) -> Response:
    """Return an error that is no Status."""
    return text(500, f"Internal Server Error: {quote(request.target)}: {words}\n")


def not_acceptable(media: tuple[str, ...] = _ALL) -> Response:
    """Return the refusal of a client that accepts nothing the server has; it is JSON nevertheless."""
    refused = failure(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(media)}")
    return Response(406, gojson.encode_pretty(refused.status), JSON)


def forbidden(group: str, resource: str, name: str, why: str) -> ApiError:
    """Return a 403. `resource` "" is for a path."""
    qualified = f"{resource}.{group}" if group and resource else resource
    subject = f"{qualified} {quote(name)} is " if resource and name else f"{qualified} is " if resource else ""
    details: dict[str, Any] = {}
    if name and resource:
        details["name"] = name
    if group and resource:
        details["group"] = group
    if resource:
        details["kind"] = resource
    error = failure(403, "Forbidden", f"{subject}forbidden: {why}", details)
    error.status.setdefault("details", details)
    return ApiError({**{key: value for key, value in error.status.items() if key != "code"}, "code": 403})


def compress(request: HttpRequest, response: Response, *, at_least: int = _GZIP_FROM) -> Response:
    """Return the answer, compressed where it is large and the client can read that."""
    asked = {part.split(";")[0].strip() for part in request.header("accept-encoding").split(",")}
    if "gzip" not in asked or len(response.body) <= at_least or response.stream is not None:
        return response
    packed = gzip.compress(response.body, compresslevel=1, mtime=0)
    headers = [*response.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return Response(response.status, packed, response.content_type, headers)
