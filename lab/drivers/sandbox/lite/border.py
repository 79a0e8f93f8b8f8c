"""Owns what crosses the line between the HTTP half of the lite API server and the half that keeps objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]
"""A decoded JSON object."""


class ApiError(Exception):
    """A refusal: `status` is the metav1.Status to send, with its HTTP code in `code`.

    `audit_object` is what an audit event's requestObject would be, where the body had been decoded before the refusal;
    `object_name` the name it gave.
    """

    def __init__(self, status: Json, *, audit_object: Json | None = None, object_name: str = "") -> None:
        super().__init__(status.get("message", ""))
        self.status = status
        self.audit_object = audit_object
        self.object_name = object_name
        self.warnings: list[str] = []

    @property
    def code(self) -> int:
        """Return the HTTP code."""
        return int(self.status["code"])


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asks, as authentication found out."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """One request for a resource, parsed but not decoded.

    `verb` is RequestInfo's (get, list, watch, create, update, patch, delete, deletecollection); `namespace` is "" for a
    cluster-wide request; `query` holds every value of every parameter; `now` is aware and in UTC.
    """

    verb: str
    group: str
    version: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = ""
    accept: str = ""
    user: UserInfo = UserInfo("")
    user_agent: str = ""
    now: datetime | None = None

    def param(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    @property
    def dry_run(self) -> bool:
        """Say whether nothing is to be kept."""
        return "All" in self.query.get("dryRun", ())

    @property
    def field_manager(self) -> str:
        """Return who the fields of a write belong to: the parameter, else the program's name in the user agent."""
        return self.param("fieldManager") or self.user_agent.split("/", 1)[0]


@dataclass(slots=True)
class Outcome:
    """An answer: `object` is the JSON to send with HTTP status `code`, as a Table where the request asked for one.

    `audit_object` is the requestObject of an audit event at level Request (None: there is none); `object_name`,
    `object_uid` and `object_resource_version` complete its objectRef as the real server does (they come from the
    decoded body, so a name the server generated is not there).
    """

    code: int
    object: Json
    audit_object: Json | None = None
    object_name: str = ""
    object_uid: str = ""
    object_resource_version: str = ""
    object_namespace: str = ""
    warnings: list[str] = field(default_factory=list)


class Watch:
    """A running watch: first `initial`, then what `queue` brings; an item None means: end the stream.

    Each event is `{"type": …, "object": …}`, a Table inside where the request asked for one.
    """

    def __init__(
        self, initial: list[Json], close: Callable[[Watch], None], bookmark: Callable[[], Json | None]
    ) -> None:
        self.initial = initial
        self.queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self._close = close
        self._bookmark = bookmark

    def bookmark(self) -> Json | None:
        """Return a BOOKMARK event for now, or None where the request did not allow them."""
        return self._bookmark()

    def close(self) -> None:
        """Stop; nothing is put in the queue after this."""
        self._close(self)
