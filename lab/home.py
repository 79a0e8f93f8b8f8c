"""Owns where the program keeps things on this machine: attempts, bundles, copies of learners' files, labs.

`CKS_LAB_HOME` puts all of it into one folder; else the XDG folders of the person are used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError

_NAME = "cks-lab"


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one person. Nothing is made before it is needed: see `made`."""

    data: Path
    cache: Path

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> Home:
        """Return the folders that the environment names. Relative XDG paths do not count (XDG specification)."""
        env = os.environ if environ is None else environ
        if one := env.get("CKS_LAB_HOME"):
            data = Path(one).expanduser().absolute()
            return cls(data, data / "cache")
        home = Path(env.get("HOME") or "~").expanduser()

        def base(variable: str, default: str) -> Path:
            given = env.get(variable, "")
            return Path(given) if given.startswith("/") else home / default

        return cls(base("XDG_DATA_HOME", ".local/share") / _NAME, base("XDG_CACHE_HOME", ".cache") / _NAME)

    @property
    def labs(self) -> Path:
        """One folder a lab, named as the lab: what a driver without a daemon keeps of it."""
        return self.data / "labs"

    @property
    def bundles(self) -> Path:
        """The captured evidence of every grading."""
        return self.data / "bundles"

    @property
    def backups(self) -> Path:
        """Copies of the learner's files, made before a reset."""
        return self.data / "backups"

    @property
    def crashes(self) -> Path:
        """Tracebacks of failures nobody expected, one file each."""
        return self.data / "crashes"

    @property
    def database(self) -> Path:
        """The record of attempts, where no other database is asked for."""
        return self.data / "attempts.db"


def made(folder: Path) -> Path:
    """Make a folder, with its parents and for its owner only, where it is not there yet. Raises LabError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"cannot make the folder {folder}: {error.strerror}", "set CKS_LAB_HOME to a folder that you may write to"
        ) from error
    return folder


def write_whole(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Write a file so that it is there whole or not at all. Raises LabError, and leaves nothing behind.

    `content` may come in pieces. A file that is there keeps its mode. A link is followed, and what is no plain file (a
    pipe, /dev/stdout) is written to as it is.
    """
    part: Path | None = None
    pieces = (content,) if isinstance(content, bytes) else content
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as out:
                out.writelines(pieces)
            return path
        real = path.resolve()
        part = real.with_name(f".{real.name}.{os.getpid()}.part")
        with part.open("wb") as out:
            if real.exists():
                part.chmod(stat.S_IMODE(real.stat().st_mode))
            out.writelines(pieces)
            out.flush()
            os.fsync(out.fileno())
        part.replace(real)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LabError(
            f"cannot write {path}: {error.strerror}", f"choose another place, or look: df -h {path.parent}"
        ) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return path
