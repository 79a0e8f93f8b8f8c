"""Reads bundles: a node's files at one instant, as a tar.gz that can be kept, sent and graded again.

A bundle is somebody else's file: nothing in it is unpacked, links stay inside it, and its size is bounded.
"""

from __future__ import annotations

import gzip
import io
import json
import stat as stat_module
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from checkers.evidence import FileKind, FileStat, Missing, NodeFiles, NotAFile

from ..errors import LabError
from .links import follow

FACTS = "facts.json"
ROOT = "root"
MAX_ENTRIES = 100_000
MAX_BYTES = 1 << 30
"""Unpacked. A collector takes 64 MiB of a log; whole logs of a node, by hand, can be more, and are not needed."""
_KEPT = 16 << 20
_KEPT_IN_ALL = 64 << 20
_AT_ONCE = 32 << 20
_LONGEST_HEADER = 1 << 20
_FACTS_LIMIT = 32 << 20
_CHUNK = 1 << 20
_AGAIN = "make it again on the node: cks-lab collect -o FILE.tar.gz"
_Mode = Literal["r:", "r:gz", "r:bz2", "r:xz"]
_MAGICS: dict[bytes, _Mode] = {b"\x1f\x8b": "r:gz", b"BZh": "r:bz2", b"\xfd7zXZ\x00": "r:xz"}
_PADDING = 64 << 20
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DAMAGE: tuple[type[Exception], ...] = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)
try:
    import lzma
except ImportError:
    # A Python may be built without it; then tarfile says so of an xz archive.
    pass
else:
    _DAMAGE = (*_DAMAGE, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: str | None
    member: str
    content: bytes | None


class TarFiles:
    """The files of a tar archive, by their path on the node.

    Contents over 16 MiB, and what comes after 64 MiB in all, are read again when asked for.
    """

    def __init__(self, archive: Path, entries: dict[str, _Entry]) -> None:
        self._archive = archive
        self._entries = entries
        self._children: dict[str, set[str]] = {"/": set()}
        for path in entries:
            while path != "/":
                folder, _, name = path.rpartition("/")
                folder = folder or "/"
                known = self._children.setdefault(folder, set())
                if name in known:
                    break
                known.add(name)
                path = folder

    def read(self, path: str, limit: int = 10 << 20) -> bytes:
        """Return the file's first `limit` bytes."""
        entry = self._file(path)
        if entry.content is not None:
            return entry.content[:limit]
        out = bytearray()
        for chunk in self.stream(path):
            out += chunk
            if len(out) >= limit:
                break
        return bytes(out[:limit])

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield the whole file in chunks of 1 MiB."""
        entry = self._file(path)
        if entry.content is not None:
            yield from (entry.content[at : at + _CHUNK] for at in range(0, len(entry.content), _CHUNK))
            return
        with _open(self._archive) as tar:
            member = next((m for m in tar if m.name == entry.member and m.isreg()), None)
            file = tar.extractfile(member) if member else None
            while file and (chunk := file.read(_CHUNK)):
                yield chunk

    def stat(self, path: str) -> FileStat:
        """Say what is at the path; a folder that the archive does not name itself is an ordinary one."""
        real = follow(path, self._link_at)
        entry = self._entries.get(real)
        if entry is None:
            if real not in self._children:
                raise Missing(path)
            return FileStat(FileKind.DIRECTORY, 0o755, 0, 0, 0, 0, self._own_link(path))
        return FileStat(entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime, self._own_link(path))

    def list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted by code point."""
        found = self.stat(path)
        if found.kind is not FileKind.DIRECTORY:
            raise NotAFile(path, found.kind)
        return sorted(self._children.get(follow(path, self._link_at), ()))

    def _file(self, path: str) -> _Entry:
        found = self.stat(path)
        if found.kind is not FileKind.FILE:
            raise NotAFile(path, found.kind)
        return self._entries[follow(path, self._link_at)]

    def _link_at(self, path: str) -> str | None:
        entry = self._entries.get(path)
        return entry.link if entry else None

    def _own_link(self, path: str) -> str | None:
        folder, _, name = path.rstrip("/").rpartition("/")
        return self._link_at(follow(folder or "/", self._link_at).rstrip("/") + "/" + name) if name else None


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds. `facts` is {} for a bare tar of a node's files."""

    path: Path
    files: NodeFiles
    facts: Mapping[str, Any]
    newest: int
    """The youngest file's time, nanoseconds since the epoch."""

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """Read a bundle. Raises LabError for anything that is none, is damaged, or is not safe to look at."""
        try:
            _refuse_what_is_no_file(path)
            with _open(path) as tar:
                entries, facts = _index(path, tar)
                _read_on(tar)
        except FileNotFoundError:
            raise LabError(f"{path}: no such file", f"ls {path.parent}") from None
        except _DAMAGE as error:
            raise LabError(f"{path}: not a whole tar archive ({error})", _AGAIN) from error
        except OSError as error:
            raise LabError(f"{path}: {error.strerror or error}", _AGAIN) from error
        newest = max((entry.mtime for entry in entries.values()), default=0)
        return cls(path, TarFiles(path, entries), facts, newest)


def _refuse_what_is_no_file(path: Path) -> None:
    """Raise LabError for a directory, and for a device or a pipe: reading one may never end. Nothing is opened."""
    mode = path.stat().st_mode
    if stat_module.S_ISDIR(mode):
        raise LabError(f"{path}: is a directory", f"cks-lab grade SCENARIO --root {path}")
    if not stat_module.S_ISREG(mode):
        raise LabError(f"{path}: is no regular file", "write it to a file first: cks-lab grade --bundle FILE.tar.gz")


def _open(path: Path) -> tarfile.TarFile:
    """Open an archive as its first bytes say. Raises LabError for what is none, what tarfile raises for a damaged one.

    `r:*` would try every decompressor, and that of old lzma takes a file of zeros for its own: 0.1 s a MiB.
    """
    with path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    mode: _Mode = next((mode for magic, mode in _MAGICS.items() if head.startswith(magic)), "r:")
    try:
        if not head.strip(b"\0"):
            raise tarfile.ReadError("nothing but zeros")
        if mode == "r:gz" and (content := _unpacked(path)) is not None:
            return tarfile.open(fileobj=io.BytesIO(content), mode="r:", tarinfo=_Member)
        return tarfile.open(path, mode, tarinfo=_Member)
    except tarfile.ReadError as error:
        # A cause is the decompressor's: the stream is of a known kind, and cut or damaged before its first output.
        if error.__cause__ is not None:
            raise tarfile.ReadError(str(error.__cause__)) from error
        raise LabError(f"{path}: is no bundle (not a tar archive)", _AGAIN) from error


class _Member(tarfile.TarInfo):
    """A member whose name and attributes are no longer than real ones: tarfile reads them into memory as a whole."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _LONGEST_HEADER:
            raise tarfile.TarError(f"a header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return found


def _unpacked(path: Path) -> bytes | None:
    """Return what a small gzip holds: to read it at once takes half the time. None for a big or a damaged one."""
    with path.open("rb") as file:
        packed = file.read(_AT_ONCE)
    decompressor = zlib.decompressobj(wbits=31)
    try:
        content = decompressor.decompress(packed, _AT_ONCE)
    except zlib.error:
        return None
    return content if decompressor.eof and not decompressor.unused_data else None


def _read_on(tar: tarfile.TarFile) -> None:
    """Read the padding behind the last entry: only at its end does a compressed stream say whether it is whole."""
    left = _PADDING
    while left > 0 and tar.fileobj is not None and (chunk := tar.fileobj.read(_CHUNK)):
        left -= len(chunk)


def _index(path: Path, tar: tarfile.TarFile) -> tuple[dict[str, _Entry], dict[str, Any]]:
    raw: dict[str, _Entry] = {}
    facts: bytes | None = None
    total = kept = 0
    for number, member in enumerate(tar):
        total += member.size
        if number >= MAX_ENTRIES or total > MAX_BYTES:
            raise LabError(f"{path}: more than {MAX_ENTRIES} entries or {MAX_BYTES >> 30} GiB", _AGAIN)
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if ".." in parts or member.name.startswith("/"):
            raise LabError(f"{path}: entry {member.name!r} leads out of the archive; nothing of it was read", _AGAIN)
        name = "/" + "/".join(parts)
        if name == f"/{FACTS}" and member.isreg():
            file = tar.extractfile(member)
            facts = file.read(_FACTS_LIMIT) if file else b""
            continue
        entry = raw[name] = _entry(tar, member, raw, keep=min(_KEPT, _KEPT_IN_ALL - kept))
        kept += len(entry.content or b"")
    if facts is None:
        return raw, {}
    try:
        decoded = json.loads(facts)
    except (ValueError, RecursionError) as error:
        raise LabError(f"{path}: {FACTS} in it is not JSON ({error})", _AGAIN) from error
    if not isinstance(decoded, dict):
        raise LabError(f"{path}: {FACTS} in it is not a JSON object", _AGAIN)
    prefix = f"/{ROOT}"
    return {
        name.removeprefix(prefix) or "/": entry for name, entry in raw.items() if name.startswith(prefix + "/")
    }, decoded


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo, before: Mapping[str, _Entry], *, keep: int) -> _Entry:
    if member.islnk():
        target = "/" + "/".join(part for part in member.linkname.split("/") if part not in ("", "."))
        if target in before:
            return before[target]
    kind = (
        FileKind.FILE if member.isreg()
        else FileKind.DIRECTORY if member.isdir()
        else FileKind.SYMLINK if member.issym()
        else FileKind.CHAR_DEVICE if member.ischr()
        else FileKind.BLOCK_DEVICE if member.isblk()
        else FileKind.FIFO
    )  # fmt: skip
    content = None
    if kind is FileKind.FILE and member.size <= keep:
        file = tar.extractfile(member)
        content = file.read() if file else b""
    return _Entry(
        kind=kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size=member.size,
        mtime=int(member.mtime * 1_000_000_000),
        link=member.linkname if kind is FileKind.SYMLINK else None,
        member=member.name,
        content=content,
    )
