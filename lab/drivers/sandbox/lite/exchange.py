"""Owns one request on its way through the server: what is known of it, and how its answers are recorded and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from checkers.kube.request_info import RequestInfo

from . import answers, gojson
from .answers import Media
from .audit import Event
from .border import Json, UserInfo
from .http import HttpRequest, Response


@dataclass(slots=True)
class Exchange:
    """A request with its meaning, its user (after impersonation) and its audit event."""

    request: HttpRequest
    info: RequestInfo
    user: UserInfo
    event: Event
    received: datetime
    warnings: list[str] = field(default_factory=list)

    def media(self, *, stream: bool = False) -> Media | None:
        """Return what the client gets; None is a 406."""
        return answers.negotiate(self.request, stream=stream)

    def send(self, code: int, value: Json, *headers: tuple[str, str], media: Media | None = None) -> Response:
        """Return an object as the client accepts it, and put it in the audit event.

        An error is told as JSON to who accepts nothing, and is then no part of the event: as with the real one.
        """
        chosen = media or self.media()
        if chosen is None:
            if code < 400:
                return answers.not_acceptable()
            return Response(code, gojson.encode_pretty(value), answers.JSON, list(headers))
        self.event.set_response(value)
        content_type, body = answers.write(chosen, value)
        return Response(code, body, content_type, [*headers, *warning_headers(self.warnings)])

    def refuse(self, status: Json, *headers: tuple[str, str]) -> Response:
        """Return a Status that says no."""
        return self.send(int(status["code"]), status, *headers)


def warning_headers(warnings: Sequence[str]) -> list[tuple[str, str]]:
    """Return the headers that kubectl shows as `Warning: …`."""
    return [("Warning", f'299 - "{_escaped(words)}"') for words in dict.fromkeys(warnings)]


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def generic(code: int, reason: str, message: str) -> Json:
    """Return the Status of a refusal that concerns no object: it has empty details."""
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    return {**status, "reason": reason, "details": {}, "code": code}


NOT_FOUND = generic(404, "NotFound", "the server could not find the requested resource")
NOT_ALLOWED = generic(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
