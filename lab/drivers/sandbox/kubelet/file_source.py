"""Owns what the manifests folder asks for: the watch, the full relist, and which file speaks for a pod.

Pods are keyed by namespace and name. A watch event makes the last touched file win; a relist makes the last file in
sorted order win and drops what cannot be read. Deleting any file that once spoke for a pod removes the pod, whichever
file speaks for it now, until the next relist. Source: kubelet 1.34, pkg/kubelet/config/file.go and file_linux.go.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from .clock import Clock
from .inotify import GONE, LOST, WRITTEN, Inotify
from .log import Klog, quoted
from .pod_spec import Decode, StaticPod, static_pod

LIMIT = 10 << 20
_WATCH_RETRY = 1.0


class FileSource:
    """Calls `changed` with the pods that the folder asks for, each time something was looked at."""

    def __init__(
        self,
        folder: Path,
        shown: str,
        node: str,
        relist: float,
        decode: Decode,
        clock: Clock,
        klog: Klog,
        changed: Callable[[list[StaticPod]], None],
    ) -> None:
        """`folder` is where the files are, `shown` the folder's name in messages and in UIDs; `relist` in seconds."""
        self._folder = folder
        self._shown = shown
        self._node = node
        self._period = relist
        self._decode = decode
        self._clock = clock
        self._klog = klog
        self._changed = changed
        self._pods: dict[tuple[str, str], StaticPod] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self._watch: Inotify | None = None
        self._next_relist = 0.0
        self._next_watch = 0.0
        self.looked_at_all = False
        """Whether a full look came after the last news: what runs now is what a relist would run."""

    @property
    def fd(self) -> int | None:
        """The descriptor that becomes readable at news from the folder."""
        return None if self._watch is None else self._watch.fd

    def start(self) -> None:
        """Watch the folder and look at all of it."""
        self._open_watch()
        self.relist()

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def tick(self) -> float:
        """Do what is due and return the moment of the next wake-up (monotonic seconds)."""
        now = self._clock.monotonic()
        if self._watch is None and now >= self._next_watch:
            self._open_watch()
            if self._watch is not None:
                # What happened while there was no watch is only seen by looking.
                self.relist()
        if now >= self._next_relist:
            self.relist()
        return self._next_relist if self._watch is not None else min(self._next_relist, self._next_watch)

    def ready(self) -> None:
        """Read the news."""
        if self._watch is None:
            return
        last: tuple[str, bool] | None = None
        lost = False
        for event in self._watch.events():
            lost = lost or bool(event.mask & LOST)
            if not event.name:
                continue
            news = (event.name, bool(event.mask & GONE))
            if news != last and event.mask & (WRITTEN | GONE):
                self.touched(event.name, gone=news[1])
            last = news
        if lost:
            self.close()
            self._next_watch = self._clock.monotonic()

    def touched(self, name: str, *, gone: bool = False) -> None:
        """Take the news that a file of the folder was written, or is gone."""
        if name.startswith("."):
            return
        self.looked_at_all = False
        path = f"{self._shown}/{name}"
        try:
            self._gone(path) if gone else self._written(name)
        except ValueError as error:
            self._klog.error("file.go:108", "Unable to process watch event", str(error))
            return
        self._push()

    def relist(self) -> None:
        """Look at the whole folder."""
        self._next_relist = self._clock.monotonic() + self._period
        found: dict[tuple[str, str], StaticPod] = {}
        try:
            names = sorted(name for name in os.listdir(self._folder) if not name.startswith("."))
        except FileNotFoundError:
            self._klog.error(
                "file.go:79", "Unable to read config path", "path does not exist, ignoring", path=self._shown
            )
            names = []
        except NotADirectoryError:
            names = []
        for name in names:
            pod = self._listed(name)
            if pod is not None:
                found[pod.namespace, pod.name] = pod
        self._pods = found
        self.looked_at_all = True
        self._push()

    def _open_watch(self) -> None:
        try:
            self._watch = Inotify(str(self._folder))
        except OSError as error:
            self._next_watch = self._clock.monotonic() + _WATCH_RETRY
            text = f"unable to create inotify for path {quoted(self._shown)}: {(error.strerror or '').lower()}"
            self._klog.error("file_linux.go:61", "Unable to read config path", text, path=self._shown)

    def _gone(self, path: str) -> None:
        key = self._keys.get(path)
        if key is None:
            return
        if key not in self._pods:
            raise ValueError(f"the pod with key {key[0]}/{key[1]} doesn't exist in cache")
        del self._pods[key], self._keys[path]

    def _written(self, name: str) -> None:
        try:
            pod = self._read(name)
        except (ValueError, OSError) as error:
            raise ValueError(f"can't process config file {quoted(f'{self._shown}/{name}')}: {_words(error)}") from None
        self._pods[pod.namespace, pod.name] = pod

    def _listed(self, name: str) -> StaticPod | None:
        path = f"{self._shown}/{name}"
        try:
            mode = (self._folder / name).stat().st_mode
        except OSError as error:
            words = f"stat {path}: {(error.strerror or '').lower()}"
            self._klog.error("file.go:176", "Could not get metadata", words, path=path)
            return None
        if stat.S_ISDIR(mode):
            text = "Provided manifest path is a directory, not recursing into manifest path"
            self._klog.plain("E", "file.go:182", f'"{text}" path={quoted(path)}')
            return None
        if not stat.S_ISREG(mode):
            text = f'"Manifest path is not a directory or file" path={quoted(path)} mode={quoted(stat.filemode(mode))}'
            self._klog.plain("E", "file.go:192", text)
            return None
        try:
            return self._read(name)
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            self._klog.error("file.go:187", "Could not process manifest file", _words(error), path=path)
            return None

    def _read(self, name: str) -> StaticPod:
        path = f"{self._shown}/{name}"
        try:
            # A fifo or a device would block the node; the kubelet's own watch has the same weakness.
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise IsADirectoryError(21, "is a directory")
                content = file.read(LIMIT + 1)
        except OSError as error:
            operation = "read" if isinstance(error, IsADirectoryError) else "open"
            raise type(error)(error.errno, f"{operation} {path}: {(error.strerror or '').lower()}") from None
        if len(content) > LIMIT:
            raise ValueError("the read limit is reached")
        pod = static_pod(self._decode(content, path, self._node), self._clock.wall())
        old = self._pods.get((pod.namespace, pod.name))
        if old is not None and old.uid == pod.uid:
            pod = old
        self._keys[path] = (pod.namespace, pod.name)
        return pod

    def _push(self) -> None:
        self._changed(list(self._pods.values()))


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
