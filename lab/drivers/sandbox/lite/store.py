"""Owns the objects: kept as JSON bytes, with one growing resourceVersion, a short history for watches, and a journal.

The journal is `objects.jsonl` in the storage directory: a line for every write, in order, so that a killed server loses
nothing that it had answered; the file is rewritten (and replaced in one step) at a start and when it has grown. One
process at a time writes it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .border import Json

HISTORY = 1000
"""How many writes a watch may lie behind."""
GROWTH = 4 * 1024 * 1024
"""Bytes that the journal may grow by before it is rewritten."""


class Key(NamedTuple):
    """Where an object is: `kind` is `group/resource`; `namespace` is "" for a cluster-wide one."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One write: what was there before and is there after, None where nothing was or is."""

    revision: int
    key: Key
    before: bytes | None
    after: bytes | None


class _Line(msgspec.Struct):
    rv: int
    key: tuple[str, str, str] | None = None
    object: msgspec.Raw = msgspec.Raw(b"null")  # not `| None`: msgspec then takes nothing but null


class Store:
    """Objects by key. `directory` None keeps them in memory only."""

    def __init__(self, directory: Path | None = None) -> None:
        self.revision = 0
        self.floor = 0
        """Watches from before this revision cannot be served."""
        self._kinds: dict[str, dict[tuple[str, str], bytes]] = {}
        self._revisions: dict[str, int] = {}
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._listeners: list[Callable[[Change], None]] = []
        self._path = directory / "objects.jsonl" if directory else None
        self._file: int | None = None
        self._written = 0
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._load(self._path)
            self._rewrite(self._path)
        self.floor = self.revision

    def get(self, key: Key) -> Json | None:
        """Return a fresh copy of the object, or None."""
        raw = self._kinds.get(key.kind, {}).get((key.namespace, key.name))
        if raw is None:
            return None
        found: Json = _decode(raw)
        return found

    def exists(self, key: Key) -> bool:
        """Say whether there is such an object."""
        return (key.namespace, key.name) in self._kinds.get(key.kind, {})

    def keys(self, kind: str, namespace: str = "") -> list[Key]:
        """Return the keys of a kind in the API server's order; `namespace` "" means all."""
        found = self._kinds.get(kind, {})
        return [Key(kind, *k) for k in sorted(found) if not namespace or k[0] == namespace]

    def objects(self, kind: str, namespace: str = "") -> Iterator[Json]:
        """Yield fresh copies of a kind's objects in the API server's order; `namespace` "" means all."""
        found = self._kinds.get(kind, {})
        for key in self.keys(kind, namespace):
            yield _decode(found[key.namespace, key.name])

    def kinds(self) -> list[str]:
        """Return the kinds that have had an object."""
        return list(self._kinds)

    def changed(self, kind: str) -> int:
        """Return the revision of the last write to a kind, for those who cache what they read."""
        return self._revisions.get(kind, 0)

    def put(self, key: Key, obj: Json) -> Json:
        """Keep an object, give it its resourceVersion, tell the listeners; return it.

        Raises OSError where the journal cannot be written (a full disk); then nothing has changed.
        """
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        raw = msgspec.json.encode(obj)
        before = self._kinds.get(key.kind, {}).get((key.namespace, key.name))
        self._write(self.revision, key, raw)
        self._kinds.setdefault(key.kind, {})[key.namespace, key.name] = raw
        self._record(Change(self.revision, key, before, raw))
        return obj

    def delete(self, key: Key) -> Json | None:
        """Drop an object; return it as it was, with the revision of its deletion, or None."""
        before = self._kinds.get(key.kind, {}).get((key.namespace, key.name))
        if before is None:
            return None
        self.revision += 1
        self._write(self.revision, key, None)
        del self._kinds[key.kind][key.namespace, key.name]
        self._record(Change(self.revision, key, before, None))
        obj: Json = _decode(before)
        obj["metadata"]["resourceVersion"] = str(self.revision)
        return obj

    def since(self, revision: int, kind: str) -> Iterator[Change]:
        """Yield a kind's writes after a revision, oldest first."""
        for change in self._history:
            if change.revision > revision and change.key.kind == kind:
                yield change

    def oldest(self) -> int:
        """Return the lowest revision a watch may start from."""
        if len(self._history) == HISTORY:
            return max(self.floor, self._history[0].revision - 1)
        return self.floor

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` after every write."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[Change], None]) -> None:
        """Stop calling it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def close(self) -> None:
        """Let go of the journal."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _record(self, change: Change) -> None:
        self._revisions[change.key.kind] = change.revision
        self._history.append(change)
        for listener in tuple(self._listeners):
            listener(change)
        self._compact()

    def _write(self, revision: int, key: Key, raw: bytes | None) -> None:
        if self._file is None:
            return
        line = _line(revision, key, raw)
        whole = os.fstat(self._file).st_size
        try:
            while line:
                done = os.write(self._file, line)
                self._written += done
                line = line[done:]
        except OSError:
            os.ftruncate(self._file, whole)  # half a line would spoil the next one
            raise

    def _compact(self) -> None:
        if self._path and self._written > GROWTH:
            self._rewrite(self._path)

    def _load(self, path: Path) -> None:
        """Read the journal; a last line that a kill cut off is left out."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        decoder = msgspec.json.Decoder(_Line)
        with file:
            for line in file:
                try:
                    entry = decoder.decode(line)
                except msgspec.DecodeError:
                    continue
                self.revision = max(self.revision, entry.rv)
                if entry.key is None:
                    continue
                kind, *rest = entry.key
                where = (rest[0], rest[1])
                self._revisions[kind] = entry.rv
                if bytes(entry.object) == b"null":
                    self._kinds.get(kind, {}).pop(where, None)
                else:
                    self._kinds.setdefault(kind, {})[where] = bytes(entry.object)

    def _rewrite(self, path: Path) -> None:
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(b'{"rv":%d}\n' % self.revision)
            for kind, found in self._kinds.items():
                for (namespace, name), raw in found.items():
                    file.write(_line(self._revisions.get(kind, 0), Key(kind, namespace, name), raw))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        self.close()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._written = 0


def _line(revision: int, key: Key, raw: bytes | None) -> bytes:
    return b'{"rv":%d,"key":%s,"object":%s}\n' % (revision, msgspec.json.encode(key), raw or b"null")


def _decode(raw: bytes) -> Any:
    return msgspec.json.decode(raw)
