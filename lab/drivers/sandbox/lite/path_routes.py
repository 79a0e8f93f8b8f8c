"""Owns requests for paths that are no resources: health, version, discovery, OpenAPI, metrics, keys.

Source: golden/discovery, golden/exchanges, golden/policy/battery.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime

import msgspec

from . import answers, gojson
from .answers import Media
from .border import Json
from .exchange import NOT_ALLOWED, NOT_FOUND, Exchange
from .health import Health
from .http import Response
from .resources import group_versions
from .tokens import Tokens

GIT_VERSION = "v1.34.4-lite"
VERSION: Json = {
    "major": "1",
    "minor": "34",
    "emulationMajor": "1",
    "emulationMinor": "34",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "33",
    "gitVersion": GIT_VERSION,
    "gitCommit": "lite",
    "gitTreeState": "clean",
    "buildDate": "2026-02-10T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_OPENAPI_GZIP_FROM = 1024
_WELL_KNOWN = "/.well-known/openid-configuration"
_JWKS = "/openid/v1/jwks"

Document = tuple[str, bytes, str | None]
"""Content type, body, ETag (quoted) or None."""


class PathRoutes:
    """Answers authorized requests for paths. `document` gives discovery and OpenAPI documents by path and Accept."""

    def __init__(
        self,
        health: Health,
        document: Callable[[str, str], Document | None],
        tokens: Tokens,
        metrics: Callable[[], str],
    ) -> None:
        self._health = health
        self._document = document
        self._tokens = tokens
        self._metrics = metrics
        self._started = time.time()

    def answer(self, exchange: Exchange) -> Response:
        """Return the answer."""
        path, method = exchange.info.path, exchange.request.method
        checked = self._health.answer(exchange.request)
        if checked is not None:
            return checked
        if path in ("/version", "/version/"):
            if method not in ("GET", "HEAD"):
                return exchange.refuse(NOT_ALLOWED)
            return Response(200, gojson.encode_pretty(VERSION), answers.JSON)
        if path == "/metrics":
            body = self._metrics().encode()
            plain = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
            return answers.compress(exchange.request, Response(200, body, plain), at_least=_OPENAPI_GZIP_FROM)
        if path in ("/", ""):
            return Response(200, gojson.encode_pretty({"paths": self._paths()}), answers.JSON)
        if path in (_WELL_KNOWN, _JWKS):
            return self._keys(exchange)
        if path.startswith("/openapi/"):
            return self._openapi(exchange)
        return self._discovery(exchange)

    def _discovery(self, exchange: Exchange) -> Response:
        path, request = exchange.info.path, exchange.request
        at = path.rstrip("/")
        if not (at in ("/api", "/apis") or path.startswith(("/api/", "/apis/"))):
            return answers.page_not_found()
        found = self._document(at, ",".join(request.headers.get("accept", ())))
        if found is None:
            group = at.removeprefix("/apis/").split("/")[0]
            known = path.startswith("/api/") or any(group == have for have, _ in group_versions() if have)
            return exchange.refuse(NOT_FOUND) if known else answers.page_not_found()
        if request.method not in ("GET", "HEAD"):
            return exchange.refuse(NOT_ALLOWED)
        if exchange.media() is None:
            return answers.not_acceptable()
        content_type, body, etag = found
        headers = [] if etag is None else [("Etag", etag), ("Vary", "Accept")]
        if etag is not None and request.header("if-none-match") == etag:
            return Response(304, headers=headers)
        exchange.event.set_response(gojson.raw(body) if content_type.startswith(answers.JSON) else None)
        if Media(answers.JSON, True) == exchange.media() and content_type.startswith(answers.JSON):
            body = gojson.escape(msgspec.json.format(body, indent=2))
        return answers.compress(request, Response(200, body, content_type, headers))

    def _openapi(self, exchange: Exchange) -> Response:
        request = exchange.request
        found = self._document(exchange.info.path.rstrip("/"), ",".join(request.headers.get("accept", ())))
        if found is None:
            return answers.page_not_found()
        content_type, body, etag = found
        headers = [("Last-Modified", formatdate(self._started, usegmt=True)), ("Accept-Ranges", "bytes")]
        if etag is not None:
            headers += [("Etag", etag), ("Vary", "Accept")]
        if self._unchanged(exchange, etag):
            return Response(304, headers=headers)
        return answers.compress(request, Response(200, body, content_type, headers), at_least=_OPENAPI_GZIP_FROM)

    def _unchanged(self, exchange: Exchange, etag: str | None) -> bool:
        known, since = exchange.request.header("if-none-match"), exchange.request.header("if-modified-since")
        if known:
            return known == etag
        try:
            return bool(since) and parsedate_to_datetime(since).timestamp() >= int(self._started)
        except (ValueError, TypeError):
            return False

    def _keys(self, exchange: Exchange) -> Response:
        accept = exchange.request.header("accept")
        issuer = self._tokens.issuer
        if exchange.info.path == _WELL_KNOWN:
            value: Json = {
                "issuer": issuer,
                "jwks_uri": f"{issuer}{_JWKS}",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
            return Response(200, gojson.encode(value), answers.JSON)
        if "application/jwk-set+json" not in accept and "*" not in accept and accept:
            words = "406: Not Acceptable\n\nAvailable representations: application/jwk-set+json"
            refused = {**NOT_FOUND, "message": words, "reason": "NotAcceptable", "code": 406}
            return exchange.refuse(refused)
        return Response(200, gojson.encode({"keys": self._tokens.public_keys()}), "application/jwk-set+json")

    def _paths(self) -> list[str]:
        versions = [(group, version) for group, version in group_versions() if group]
        groups = {f"/apis/{group}" for group, _ in versions} | {
            f"/apis/{group}/{version}" for group, version in versions
        }
        others = (
            "/api",
            "/api/v1",
            "/apis",
            "/apis/",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/openapi/v3/",
            "/version",
        )
        return sorted({*groups, *others, _WELL_KNOWN, _JWKS, *self._health.paths()})
