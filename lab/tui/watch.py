"""Owns the look at a node once a second: its policy, its audit log, its API server. Knows nothing of widgets.

One object belongs to one thread; `look` returns what has changed since the last call, as messages for the screen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from checkers.evidence import FileKind, Missing, NotAFile, Unreadable

from ..errors import LabError
from .messages import ApiServerState, LogAbsent, LogGrew, PolicySaved

if TYPE_CHECKING:
    from textual.message import Message

    from checkers.evidence import FileStat, NodeFiles

    from ..drivers.base import NodeHandle

FIRST_TAIL = 256 << 10
"""Bytes of an existing log that are shown at first."""
CHUNK = 1 << 20
"""Bytes of new log that are taken at most in one look; what lies between is left out."""
_POLICY_LIMIT = 4 << 20
_TIMEOUT = 5.0
_SLOW = 5.0
"""Seconds between two looks at an API server that runs."""
_TAIL = 'stat -L -c %i "$1" && tail -c "+$2" "$1" | head -c "$3"'
"""Prints the inode on a line, then the file from a byte (1-based), at most so many bytes."""
_KLOG_ERROR = re.compile(r' err="((?:[^"\\]|\\.)*)"')
"""The error in a structured log line of the API server or the kubelet, quotes in it escaped."""
_FILE_PROBLEMS = (Missing, NotAFile, Unreadable)


@dataclass(frozen=True, slots=True)
class _Seen:
    kind: FileKind
    size: int
    mtime: int


def _seen(stat: FileStat) -> _Seen:
    return _Seen(stat.kind, stat.size, stat.mtime)


class NodeWatch:
    """What was seen of a node the last time, and how to see what is new."""

    def __init__(
        self, node: NodeHandle, policy_file: str, log_file: str, manifest: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self._node = node
        self._policy_file, self._log_file, self._manifest = policy_file, log_file, manifest
        self._clock = clock
        self._policy: _Seen | str | None = None
        self._log: _Seen | str | None = None
        self._offset = 0
        self._inode = ""
        self._rest = b""
        self._manifest_seen: _Seen | str | None = None
        self._api: tuple[str, str] | None = None
        self._answered = ""
        self._next_api = 0.0
        self._failures = 0

    def look(self) -> list[Message]:
        """Return what is new. A node that does not answer twice in a row is gone; it is looked for at each call."""
        try:
            found = [*self._look_at_policy(), *self._look_at_log(), *self._look_at_apiserver()]
        except LabError as error:
            self._failures += 1
            return self._say("gone", error.message) if self._failures > 1 else []
        self._failures = 0
        return found

    def _files(self) -> NodeFiles:
        return self._node.files

    def _look_at_policy(self) -> list[Message]:
        try:
            seen = _seen(self._files().stat(self._policy_file))
            if seen == self._policy:
                return []
            content = self._files().read(self._policy_file, _POLICY_LIMIT)
        except _FILE_PROBLEMS as error:
            if str(error) == self._policy:
                return []
            self._policy = str(error)
            return [PolicySaved(None, str(error))]
        self._policy = seen
        return [PolicySaved(content, "")]

    def _look_at_log(self) -> list[Message]:
        try:
            stat = self._files().stat(self._log_file)
            if stat.kind is not FileKind.FILE:
                raise NotAFile(self._log_file, stat.kind)
        except _FILE_PROBLEMS as error:
            if str(error) == self._log:
                return []
            self._log, self._offset, self._inode, self._rest = str(error), 0, "", b""
            if isinstance(error, Missing):
                return [LogAbsent(f"{error}\nthe API server writes it once --audit-log-path is set and mounted")]
            return [LogAbsent(str(error))]
        seen = _seen(stat)
        if seen == self._log:
            return []
        first = not isinstance(self._log, _Seen)
        self._log = seen
        return self._read_log(stat.size, first)

    def _read_log(self, size: int, first: bool) -> list[Message]:
        fresh = first or size < self._offset
        start = max(0, size - FIRST_TAIL) if fresh else max(self._offset, size - CHUNK)
        inode, content = self._tail(start)
        if not fresh and inode != self._inode:
            fresh, start = True, max(0, size - FIRST_TAIL)
            inode, content = self._tail(start)
        skipped = start != self._offset or fresh
        self._inode, self._offset = inode, start + len(content)
        lines = ((b"" if skipped else self._rest) + content).split(b"\n")
        self._rest = lines.pop()[-CHUNK:]
        if skipped and start and lines:
            del lines[0]
        return [LogGrew([line for line in lines if line.strip()], fresh)] if lines or fresh else []

    def _tail(self, start: int) -> tuple[str, bytes]:
        done = self._node.run(["sh", "-c", _TAIL, "sh", self._log_file, str(start + 1), str(CHUNK)], timeout=_TIMEOUT)
        inode, _, content = done.stdout.partition(b"\n")
        return inode.decode("ascii", "replace"), content

    def _look_at_apiserver(self) -> list[Message]:
        try:
            manifest: _Seen | str = _seen(self._files().stat(self._manifest))
        except _FILE_PROBLEMS as error:
            manifest = str(error)
        now = self._clock()
        if manifest == self._manifest_seen and now < self._next_api:
            return []
        self._manifest_seen = manifest
        state, detail = self._apiserver()
        self._next_api = now + (_SLOW if state == "up" else 0.0)
        return self._say(state, detail)

    def _say(self, state: str, detail: str) -> list[Message]:
        if (state, detail) == self._api:
            return []
        self._api = (state, detail)
        return [ApiServerState(state, detail)]

    def _apiserver(self) -> tuple[str, str]:
        done = self._node.run(["crictl", "ps", "-a", "-o", "json", "--name", "kube-apiserver"], timeout=_TIMEOUT)
        containers = _containers(done.stdout)
        running = [c for c in containers if c.get("state") == "CONTAINER_RUNNING"]
        if running:
            newest = str(running[0].get("id", ""))
            if newest == self._answered or self._answers():
                self._answered = newest
                return "up", ""
            return "starting", ""
        self._answered = ""
        if done.exit_code and self._answers():
            # crictl does not work there: which containers there are is not known, and not that there is none.
            return "up", ""
        if not containers:
            return "absent", self._kubelet_says()
        attempt = int((containers[0].get("metadata") or {}).get("attempt") or 0)
        if containers[0].get("state") == "CONTAINER_EXITED":
            return "crashing", self._last_words(str(containers[0].get("id", "")), attempt)
        return "starting", ""

    def _answers(self) -> bool:
        """Ask the API server once. Asked only until it answers: each question may become an event in the log."""
        api = self._node.api
        if api is None:
            return True
        try:
            return api.request("GET", "/readyz", timeout=1.0).status < 500
        except LabError:
            return False

    def _last_words(self, container: str, attempt: int) -> str:
        done = self._node.run(["crictl", "logs", "--tail", "5", container], timeout=_TIMEOUT)
        lines = [line for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines() if line.strip()]
        words = lines[-1].strip() if lines else "it said nothing"
        return _said(words) + (f" (start {attempt + 1})" if attempt else "")

    def _kubelet_says(self) -> str:
        done = self._node.run(["journalctl", "-u", "kubelet", "--no-pager", "-n", "50"], timeout=_TIMEOUT)
        lines = done.text.splitlines()
        # It also tells when the folder's own mode or owner changes, which is no trouble.
        folder = f'config file \\"{self._manifest.rpartition("/")[0]}\\"'
        lines = [line for line in lines if folder not in line]
        telling = [line for line in lines if "manifest" in line or "StartContainer" in line or "MountVolume" in line]
        return _said(telling[-1].strip()) if telling else ""


def _said(line: str) -> str:
    """Return what a log line is about: its error where it has one, else the line."""
    found = _KLOG_ERROR.search(line)
    return found[1].replace('\\"', '"') if found else line


def _containers(output: bytes) -> list[dict[str, Any]]:
    """Return the API server's containers from crictl's JSON, the newest first."""
    try:
        listed = json.loads(output or b"{}").get("containers") or []
    except (ValueError, AttributeError) as error:
        raise LabError("crictl on the node prints no JSON", "crictl ps -a") from error
    named = [c for c in listed if (c.get("metadata") or {}).get("name") == "kube-apiserver"]
    return sorted(named, key=lambda c: int(c.get("createdAt") or 0), reverse=True)
