"""What of a node's files is taken, and how it is written: the same content is the same bytes.

Private keys and kubeconfigs are never taken: a bundle is made to be sent to others.
"""

import datetime
import gzip
import io
import json
import re
import tarfile
from typing import IO, Any, Callable, Dict, List, Mapping, Optional, Set

if __package__:  # In the one file that is sent to nodes, what this needs stands above.
    from .facts import live_facts
    from .host import Host, Missing, Stat, Unreadable

FACTS_SCHEMA = "cks-lab/facts/v1"
LOG_TAIL = 64 << 20
"""How much of a log's end is taken, in bytes: days of a lab, minutes of a big cluster."""
_FILE_LIMIT = 10 << 20
_POD_LOG_TAIL = 64 << 10
_POD_LOGS = "/var/log/pods"
_FOLDER_LIMIT = 500
_MOST_LINKS = 40
_TYPES = {"directory": tarfile.DIRTYPE, "character device": tarfile.CHRTYPE, "block device": tarfile.BLKTYPE}
_PATHS = re.compile(rb"""(?:path|mountPath):\s*["']?(/[^\s"'#]+)|--audit-[a-z-]+[= "']+(/[^\s"'#]+)""")


def collect(host: Host, task: Mapping[str, Any], out: IO[bytes], now: Callable[[], datetime.datetime]) -> None:
    """Write a bundle: facts and probes first, then the files they left. Raises Unreadable.

    `task`: scenario, variant, driver, node (its name), apiserver (what it was made with), policy_file, log_file,
    manifests (paths); `look`: only what says how far the API server has come, without probes and without what logs
    hold.
    """
    started = now()
    facts = live_facts(host, task)
    archive = Archive(out)
    cut = _Taker(host, archive).all(task)
    made = {"apiserver": task["apiserver"]} if task.get("apiserver") else {}
    head = {
        "schema": FACTS_SCHEMA,
        "scenario": task["scenario"],
        "variant": task["variant"],
        "node": dict({"driver": task["driver"], "name": task["node"]}, **made),
        "started": rfc3339(started),
        "finished": rfc3339(now()),
        "cut": cut,
    }
    archive.finish(dict(facts, **head))


def utcnow() -> datetime.datetime:
    """Return the time now, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def rfc3339(moment: datetime.datetime) -> str:
    """Return a moment as RFC 3339 in UTC, to the microsecond."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Archive:
    """A bundle as it is written: the node's files below root/, then facts.json. The same content is the same bytes."""

    def __init__(self, out: IO[bytes]) -> None:
        self._gzip = gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=4, mtime=0)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, path: str, found: Stat, content: bytes = b"") -> None:
        """Add what is at a path of the node: its own link where it is one."""
        entry = tarfile.TarInfo("root" + path)
        entry.mode, entry.uid, entry.gid, entry.mtime = found.mode, found.uid, found.gid, found.mtime
        if found.link is not None:
            entry.type, entry.linkname, content = tarfile.SYMTYPE, found.link, b""
        elif found.kind == "file":
            entry.size = len(content)
        else:
            devices = {
                "directory": tarfile.DIRTYPE,
                "character device": tarfile.CHRTYPE,
                "block device": tarfile.BLKTYPE,
            }
            entry.type = devices.get(found.kind, tarfile.FIFOTYPE)
        self._tar.addfile(entry, io.BytesIO(content))

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the facts, and end it."""
        content = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")
        entry = tarfile.TarInfo("facts.json")
        entry.size, entry.mode = len(content), 0o644
        self._tar.addfile(entry, io.BytesIO(content))
        self._tar.close()
        self._gzip.close()


class _Taker:
    """Takes each path once, with the links that lead to it."""

    def __init__(self, host: Host, archive: Archive) -> None:
        self._host = host
        self._archive = archive
        self._done: Set[str] = set()
        self._links: Dict[str, str] = {}
        self._contents: Dict[str, bytes] = {}
        self._cut: Dict[str, int] = {}

    def all(self, task: Mapping[str, Any]) -> Dict[str, int]:
        """Take all that counts; return, by path, how many bytes of a log's beginning were left out."""
        manifests, log = task["manifests"], task["log_file"]
        look = bool(task.get("look"))
        self._folder(manifests, lambda name: _FILE_LIMIT)
        texts = [content for path, content in self._contents.items() if path.startswith(manifests + "/")]
        self._folder(_parent(task["policy_file"]), lambda name: _FILE_LIMIT)
        self._path(task["policy_file"], _FILE_LIMIT)
        log_name = log.rpartition("/")[2].partition(".")[0]
        self._folder("/var/log", lambda name: 0)
        self._folder(_parent(log), lambda name: LOG_TAIL if name.startswith(log_name) and not look else 0)
        for pod in () if look else self._names(_POD_LOGS):
            if "kube-apiserver" in pod:
                for container in self._names(f"{_POD_LOGS}/{pod}"):
                    self._folder(f"{_POD_LOGS}/{pod}/{container}", lambda name: _POD_LOG_TAIL)
        for text in texts:
            for match in _PATHS.finditer(text):
                self._path((match.group(1) or match.group(2)).decode("utf-8", "replace"), 0)
        return self._cut

    def _names(self, path: str) -> List[str]:
        try:
            return self._host.names(path)[:_FOLDER_LIMIT]
        except Missing:
            return []

    def _folder(self, path: str, limit: Callable[[str], int]) -> None:
        """Take a folder's own entries, each up to its limit in bytes; 0: only that it is there."""
        self._path(path, 0)
        for name in self._names(path):
            try:
                self._path(f"{path}/{name}", limit(name))
            except Unreadable:
                # Somebody else's mount, say: that it cannot be looked at matters only where its content counts.
                if limit(name):
                    raise

    def _path(self, path: str, limit: int) -> None:
        """Take what is at a path, the links on the way included; what is missing is left out."""
        path = _plain(path)
        for _ in range(_MOST_LINKS):
            onward = self._walk(path, limit)
            if onward is None:
                return
            path = onward

    def _walk(self, path: str, limit: int) -> Optional[str]:
        """Take the parts of a path down to its end or its first link; return where that link leads on."""
        at = ""
        parts = [part for part in path.split("/") if part]
        for number, part in enumerate(parts, 1):
            at = f"{at}/{part}"
            if not self._one(at, limit if number == len(parts) else 0):
                return None
            if at in self._links:
                return _plain("/".join([self._links[at]] + parts[number:]))
        return None

    def _one(self, path: str, limit: int) -> bool:
        """Take one entry; False where there is none."""
        if path in self._done and not (limit and path not in self._contents):
            return True
        try:
            found = self._host.stat(path)
        except Missing:
            return False
        self._done.add(path)
        if found.link is not None:
            self._archive.add(path, found)
            self._links[path] = found.link if found.link.startswith("/") else _parent(path) + "/" + found.link
            return True
        if found.kind != "file":
            self._archive.add(path, found)
            return True
        content = self._content(path, found.size, limit) if limit else b""
        if limit:
            self._contents[path] = content
            self._archive.add(path, found, content)
        elif not _secret(path):
            self._archive.add(path, found)
        return True

    def _content(self, path: str, size: int, limit: int) -> bytes:
        if _secret(path):
            return b""
        if size <= limit:
            return self._host.read(path, limit)
        if limit == _FILE_LIMIT:
            return self._host.read(path, limit + 1)
        tail = self._host.tail(path, limit)
        whole = tail[tail.find(b"\n") + 1 :]
        self._cut[path] = size - len(whole)
        return whole


def _secret(path: str) -> bool:
    return path.endswith((".key", ".conf", ".pem")) or path.startswith(("/etc/kubernetes/pki/", "/root/"))


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _plain(path: str) -> str:
    parts: List[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
