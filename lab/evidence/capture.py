"""Captures a node at one instant: what grading looks at, and nothing that it does not need.

Private keys and kubeconfigs are never taken: a bundle is made to be sent to others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checkers.evidence import FileKind, Missing, NodeFiles, NotAFile, Unreadable
from checkers.wants import Wants

from ..errors import LabError
from .bundle import BundleWriter
from .live import Node, live_facts

FACTS_SCHEMA = "cks-lab/facts/v1"
LOG_TAIL = 64 << 20
"""How much of a log's end is taken, in bytes: days of a lab, minutes of a big cluster."""
_FILE_LIMIT = 10 << 20
_POD_LOG_TAIL = 64 << 10
_POD_LOGS = "/var/log/pods"
_FOLDER_LIMIT = 500
_MOST_LINKS = 40
_PATHS = re.compile(rb"""(?:path|mountPath):\s*["']?(/[^\s"'#]+)|--audit-[a-z-]+[= "']+(/[^\s"'#]+)""")


@dataclass(frozen=True, slots=True)
class About:
    """What the capture is of: it goes into the facts and from there into the report."""

    scenario: str
    driver: str
    node: str
    variant: Mapping[str, object]


def utcnow() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC, to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def capture(node: Node, about: About, wants: Wants, out: Path, *, now: Callable[[], datetime] = utcnow) -> None:
    """Capture a live node into a bundle: facts and probes first, then the files they left.

    Raises LabError where the node is gone or the bundle cannot be written; then no bundle is there.
    """
    started = now()
    facts = live_facts(node, wants)
    writer = BundleWriter(out)
    try:
        cut = _take(node, wants, writer)
        writer.finish(
            {
                "schema": FACTS_SCHEMA,
                "scenario": about.scenario,
                "variant": dict(about.variant),
                "node": {"driver": about.driver, "name": about.node},
                "started": rfc3339(started),
                "finished": rfc3339(now()),
                "cut": cut,
                **facts,
            }
        )
    except BaseException:
        writer.abandon()
        raise


def _take(node: Node, wants: Wants, writer: BundleWriter) -> dict[str, Any]:
    """Write all files that count; return, by path, how many bytes of a log's beginning were left out."""
    taker = _Taker(node.files, node, writer)
    taker.folder(wants.manifests, lambda name: _FILE_LIMIT)
    texts = [content for path, content in taker.contents.items() if path.startswith(wants.manifests + "/")]
    taker.folder(_parent(wants.policy_file), lambda name: _FILE_LIMIT)
    taker.path(wants.policy_file, _FILE_LIMIT)
    log_name = wants.log_file.rpartition("/")[2].partition(".")[0]
    taker.folder("/var/log", lambda name: 0)
    taker.folder(_parent(wants.log_file), lambda name: LOG_TAIL if name.startswith(log_name) else 0)
    for pod in taker.names(_POD_LOGS):
        if "kube-apiserver" in pod:
            for container in taker.names(f"{_POD_LOGS}/{pod}"):
                taker.folder(f"{_POD_LOGS}/{pod}/{container}", lambda name: _POD_LOG_TAIL)
    for text in texts:
        for match in _PATHS.finditer(text):
            taker.path((match[1] or match[2]).decode("utf-8", "replace"), 0)
    return taker.cut


class _Taker:
    """Takes each path once, with the links that lead to it."""

    def __init__(self, files: NodeFiles, node: Node, writer: BundleWriter) -> None:
        self._files = files
        self._node = node
        self._writer = writer
        self._done: set[str] = set()
        self._links: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}

    def names(self, path: str) -> list[str]:
        try:
            return self._files.list(path)[:_FOLDER_LIMIT]
        except (Missing, NotAFile, Unreadable):
            return []

    def folder(self, path: str, limit: Callable[[str], int]) -> None:
        """Take a folder's own entries, each up to its limit in bytes; 0: only that it is there."""
        self.path(path, 0)
        for name in self.names(path):
            self.path(f"{path}/{name}", limit(name))

    def path(self, path: str, limit: int) -> None:
        """Take what is at a path, the links on the way included; what is missing is left out."""
        path = _plain(path)
        for _ in range(_MOST_LINKS):
            onward = self._walk(path, limit)
            if onward is None:
                return
            path = onward

    def _walk(self, path: str, limit: int) -> str | None:
        """Take the parts of a path down to its end or its first link; return where that link leads on."""
        at = ""
        parts = [part for part in path.split("/") if part]
        for number, part in enumerate(parts, 1):
            at = f"{at}/{part}"
            there = self._one(at, limit if number == len(parts) else 0)
            if not there:
                return None
            if at in self._links:
                return _plain("/".join((self._links[at], *parts[number:])))
        return None

    def _one(self, path: str, limit: int) -> bool:
        """Take one entry; False where there is none."""
        if path in self._done and not (limit and path not in self.contents):
            return True
        try:
            found = self._files.stat(path)
        except Missing:
            return False
        except Unreadable as error:
            raise LabError(f"cannot look at {error}", "grade again; if it stays: cks-lab doctor") from error
        self._done.add(path)
        if found.link is not None:
            self._writer.add(path, found, link=found.link)
            self._links[path] = found.link if found.link.startswith("/") else f"{_parent(path)}/{found.link}"
            return True
        if found.kind is not FileKind.FILE:
            self._writer.add(path, found)
            return True
        content = self._content(path, found.size, limit) if limit else b""
        if limit:
            self.contents[path] = content
            self._writer.add(path, found, content)
        elif not self._secret(path):
            self._writer.add(path, found)
        return True

    def _content(self, path: str, size: int, limit: int) -> bytes:
        if self._secret(path):
            return b""
        if size <= limit:
            return self._files.read(path, limit)
        if limit == _FILE_LIMIT:
            return self._files.read(path, limit + 1)
        tail = self._node.run(["tail", "-c", str(limit), path], timeout=60).stdout
        whole = tail[tail.find(b"\n") + 1 :]
        self.cut[path] = size - len(whole)
        return whole

    @staticmethod
    def _secret(path: str) -> bool:
        return path.endswith((".key", ".conf", ".pem")) or path.startswith(("/etc/kubernetes/pki/", "/root/"))


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _plain(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
