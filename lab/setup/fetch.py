"""Owns getting one file over HTTP: it goes on where it was cut off, and nothing is taken that its checksum denies."""

from __future__ import annotations

import errno
import hashlib
import http.client
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from lab import __version__

from ..errors import LabError
from .news import News, size

_TIMEOUT = 20.0
"""Seconds without a byte."""
_TRIES = 5
"""How often in a row a connection may end without having brought anything."""
_TRIES_AT_FIRST = 2
"""The same for what is asked first: nobody waits long to learn that there is no network."""
_CHUNK = 1 << 18
_SMALL = 1 << 20
_NOT_FOUND = (404, 410)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class Unreachable(LabError):
    """The place cannot be reached at all, or not now: there may be another way."""


class _Cut(Exception):
    """A connection that ended before its time."""


def text(url: str, *, pause: Callable[[float], None] = time.sleep) -> str:
    """Return a small text. Raises LabError, Unreachable where there is no way to it."""
    for left in reversed(range(_TRIES_AT_FIRST)):
        try:
            with _open(url, 0) as answer:
                return answer.read(_SMALL).decode("utf-8", "replace")
        except (_Cut, OSError, http.client.HTTPException) as error:
            if not left:
                raise _unreachable(url, error) from error
            pause(1.0)
    raise AssertionError("unreachable")


def file(
    url: str, target: Path, digest: str, label: str, news: News, *, pause: Callable[[float], None] = time.sleep
) -> Path:
    """Get a file whose SHA-256 is `digest`, into `target`. Raises LabError, Unreachable where there is no way to it.

    What has come so far is kept in a file beside it, and the next call goes on from there.
    """
    part = target.with_name(target.name + ".part")
    for last in (False, True):
        resumed = _have(part) > 0
        _get(url, part, label, news, pause)
        if _digest(part) == digest.lower():
            part.replace(target)
            return target
        part.unlink()
        if last or not resumed:
            break
        news.say(f"{label}: the part that was there does not go with the rest; it is got as a whole.")
    raise LabError(
        f"{url} is not what its checksum says; it was thrown away", "try again: cks-lab setup; or: --from source"
    )


def _get(url: str, part: Path, label: str, news: News, pause: Callable[[float], None]) -> None:
    left = _TRIES
    while True:
        before = _have(part)
        try:
            _go_on(url, part, before, label, news)
            return
        except (_Cut, OSError, http.client.HTTPException) as error:
            if _is_disk(error):
                raise
            left = _TRIES if _have(part) > before else left - 1
            if not left:
                raise _unreachable(url, error) from error
            news.say(f"{label}: cut off at {size(_have(part))} ({_words(error)}); it goes on.")
            pause(_wait(left))


def _go_on(url: str, part: Path, have: int, label: str, news: News) -> None:
    with _open(url, have) as answer:
        if answer.status == 416:
            # Nothing is left to come, or the part is of another file: its checksum tells.
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if found and found[2] == str(have):
                return
            part.unlink()
            raise _Cut("the part that was there is too long")
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        have = have if answer.status == 206 and found and found[1] == str(have) else 0
        length = answer.headers.get("Content-Length", "")
        coming = int(length) if length.isdigit() else None
        _room(part, coming or 0)
        with part.open("ab" if have else "wb") as out, news.work(label, have + (coming or 0), "bytes", have) as told:
            _copy(answer, out, coming, told)


def _copy(answer: http.client.HTTPResponse, out: IO[bytes], coming: int | None, told: Callable[[int], None]) -> None:
    came = 0
    while data := answer.read1(_CHUNK):
        out.write(data)
        came += len(data)
        told(len(data))
    out.flush()
    if coming is not None and came < coming:
        raise _Cut(f"{size(coming - came)} were still to come")


def _open(url: str, have: int) -> http.client.HTTPResponse:
    """Ask for a file from a byte on. Raises LabError where it is not there, else OSError and the like."""
    headers = {"User-Agent": f"cks-lab/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return error  # type: ignore[return-value]
        if error.code in _NOT_FOUND:
            raise LabError(f"there is no {url} (status {error.code})", "another --kubernetes-version?") from error
        if error.code in _AGAIN:
            raise _Cut(f"status {error.code}") from error
        raise Unreachable(f"{url} is refused (status {error.code})", "cks-lab setup --from source") from error
    except ValueError as error:
        raise LabError(f"{url} is no address: {error}", "CKS_LAB_KUBERNETES_URL, CKS_LAB_ETCD_URL") from error
    assert isinstance(answer, http.client.HTTPResponse)
    return answer


def _room(part: Path, coming: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if coming > free:
        raise LabError(
            f"{size(coming)} are to come, and {part.parent} has room for {size(free)}",
            f"make room: df -h {part.parent}; then the same command goes on",
        )


def _have(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _is_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _DISK


def _wait(left: int) -> float:
    return float(min(2 ** (_TRIES - left - 1), 8))


def _unreachable(url: str, error: Exception) -> Unreachable:
    return Unreachable(
        f"{url} cannot be reached: {_words(error)}", "cks-lab setup --from source; behind a proxy set HTTPS_PROXY"
    )


def _words(error: BaseException) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLError):
        return f"TLS: {reason.reason or reason}"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(error).__name__
