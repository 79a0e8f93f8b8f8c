"""Owns reads: get, list in pages, and watches, with selectors and the form the client asked for."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

import msgspec

from .border import Json, Request, Watch
from .resources import ResourceType
from .selectors import Match, field_selector, label_selector
from .status import bad_request, failure, gone, not_found
from .store import Change, Key, Store
from .tables import form_of


class Selection:
    """What a list, watch or deletecollection asks for: kind, namespace and selectors."""

    def __init__(self, request: Request, kind: ResourceType) -> None:
        self.kind = kind
        self.namespace = request.namespace
        self._labels: Match | None = label_selector(request.param("labelSelector"))
        self._fields, self.name = field_selector(request.param("fieldSelector"), kind)
        if request.name:
            self.name = request.name

    def matches(self, obj: Json) -> bool:
        """Say whether an object of this kind and namespace is asked for."""
        if self.name and obj["metadata"]["name"] != self.name:
            return False
        return (self._labels is None or self._labels(obj)) and (self._fields is None or self._fields(obj))

    def keys(self, store: Store) -> list[Key]:
        """Return the keys to look at."""
        if self.name and self.namespace:
            key = Key(self.kind.stored_as, self.namespace, self.name)
            return [key] if store.exists(key) else []
        return store.keys(self.kind.stored_as, self.namespace)


def key_of(kind: ResourceType, namespace: str, name: str) -> Key:
    """Return where an object of this kind is kept."""
    return Key(kind.stored_as, namespace if kind.namespaced else "", name)


def read(store: Store, kind: ResourceType, namespace: str, name: str) -> Json:
    """Return an object. ApiError 404: there is none."""
    found = store.get(key_of(kind, namespace, name))
    if found is None:
        raise not_found(kind.group, kind.name, name)
    return found


def get(store: Store, request: Request, kind: ResourceType, now: datetime) -> Json:
    """Answer a get."""
    wanted = request.param("resourceVersion")
    _check_version(wanted)
    obj = read(store, kind, request.namespace, request.name)
    return form_of(request, kind, now).single(shown_as(obj, kind))


def list_objects(store: Store, request: Request, kind: ResourceType, now: datetime) -> Json:
    """Answer a list: a page of it where `limit` is given."""
    selection = Selection(request, kind)
    limit = _number(request.param("limit"))
    revision = store.revision
    _check_version(request.param("resourceVersion"))
    start: tuple[str, str] | None = None
    token = request.param("continue")
    if token:
        revision, start = _continued(token)
        if revision < store.oldest():
            raise gone(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter, or use the continue token in this response to retrieve the "
                "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                "objects that were created, modified, or deleted between the time the first chunk was returned and "
                "now may show up in the list."
            )
    items: list[Json] = []
    meta: Json = {"resourceVersion": str(revision)}
    keys = selection.keys(store)
    last: Key | None = None
    filtered = bool(request.param("labelSelector") or request.param("fieldSelector"))
    for number, key in enumerate(keys):
        if start is not None and (key.namespace, key.name) < start:
            continue
        obj = store.get(key)
        if obj is None or not selection.matches(obj):
            continue
        if limit and len(items) == limit and last is not None:
            meta["continue"] = _token(revision, last, kind)
            if not filtered:
                meta["remainingItemCount"] = len(keys) - number
            break
        last = key
        items.append(shown_as(obj, kind))
    return form_of(request, kind, now).page(items, meta)


def shown_as(obj: Json, kind: ResourceType) -> Json:
    """Return a stored object as the asked group and version show it."""
    if obj.get("apiVersion") == kind.api_version:
        return obj
    from .resources.conversions import convert

    return convert(obj, kind)


class Watcher:
    """Serves one watch: turns the store's writes into events of the asked form."""

    def __init__(self, store: Store, request: Request, kind: ResourceType, now: datetime) -> None:
        self._store = store
        self._selection = Selection(request, kind)
        self._kind = kind
        self._form = form_of(request, kind, now)
        self._bookmarks = request.param("allowWatchBookmarks") in ("true", "1")
        asked = request.param("resourceVersion")
        if asked and not asked.isdigit():
            # A list is refused with 400, a watch fails: it gets as far as the watch cache.
            wrong = f'resourceVersion: Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax'
            raise failure(500, "", wrong)
        initial: list[Json] = []
        send_initial = request.param("sendInitialEvents") in ("true", "1")
        if asked in ("", "0") or send_initial:
            if request.param("sendInitialEvents") not in ("false", "0"):
                for key in self._selection.keys(store):
                    obj = store.get(key)
                    if obj is not None and self._selection.matches(obj):
                        initial.append(self._event("ADDED", obj))
            if send_initial and self._bookmarks:
                initial.append(self._bookmark_event(initial_end=True))
        else:
            revision = int(asked)
            if revision < store.oldest():
                raise gone(f"too old resource version: {revision} ({store.oldest()})")
            for change in store.since(revision, kind.stored_as):
                event = self._of_change(change)
                if event:
                    initial.append(event)
        self.watch = Watch(initial, self._close, self._bookmark)
        store.listen(self._on_change)

    def _on_change(self, change: Change) -> None:
        if change.key.kind != self._kind.stored_as:
            return
        event = self._of_change(change)
        if event:
            self.watch.queue.put_nowait(event)

    def _of_change(self, change: Change) -> Json | None:
        if self._selection.namespace and change.key.namespace != self._selection.namespace:
            return None
        if self._selection.name and change.key.name != self._selection.name:
            return None
        before = msgspec.json.decode(change.before) if change.before else None
        after = msgspec.json.decode(change.after) if change.after else None
        was = before is not None and self._selection.matches(before)
        is_now = after is not None and self._selection.matches(after)
        if is_now and after is not None:
            return self._event("MODIFIED" if was else "ADDED", after)
        if was and before is not None:
            before["metadata"]["resourceVersion"] = str(change.revision)
            return self._event("DELETED", before)
        return None

    def _event(self, word: str, obj: Json) -> Json:
        return {"type": word, "object": self._form.watched(shown_as(obj, self._kind))}

    def _bookmark_event(self, *, initial_end: bool = False) -> Json:
        meta: Json = {"resourceVersion": str(self._store.revision)}
        if initial_end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        shell: Json = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": meta}
        return {"type": "BOOKMARK", "object": self._form.bookmark(shell)}

    def _bookmark(self) -> Json | None:
        return self._bookmark_event() if self._bookmarks else None

    def _close(self, _watch: Watch) -> None:
        self._store.unlisten(self._on_change)


def _check_version(text: str) -> None:
    if text and not text.isdigit():
        raise bad_request(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _token(revision: int, last: Key, kind: ResourceType) -> str:
    path = f"/{last.namespace}/{last.name}\0" if kind.namespaced else f"/{last.name}\0"
    raw = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": revision, "start": path})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _continued(token: str) -> tuple[int, tuple[str, str]]:
    try:
        value: Any = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = value["start"].lstrip("/").rpartition("/")
        return int(value["rv"]), (namespace, name)
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, msgspec.DecodeError):
        raise bad_request("continue key is not valid: illegal base64 data") from None
