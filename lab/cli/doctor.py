"""The command that says what works on this machine, and what to do about the rest."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import click

from .. import __version__
from ..drivers.sandbox import binaries
from ..errors import EXIT_NO, EXIT_YES, LabError
from ..home import Home, made
from ..session import Session
from .talk import examples, format_option, out, out_json, say

_ROOM = 200 << 20
_MUCH = 500 << 20
_TERMINAL = (80, 24)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `needed` False: nothing is lost without it but what `found` says."""

    name: str
    ok: bool
    found: str
    hint: str = ""
    needed: bool = True


@click.command(epilog=examples("cks-lab doctor", "cks-lab doctor --format json"))
@format_option
def doctor(form: str) -> int:
    """Say what works on this machine, and what to do about the rest.

    Exit status: 0 a lab can be started and graded here, 1 something that this needs is missing.
    """
    session = Session()
    findings = list(_findings(session))
    if form == "json":
        out_json([asdict(finding) for finding in findings])
    else:
        out(f"cks-lab {__version__}, Python {sys.version.split()[0]}")
        for finding in findings:
            mark = "✓" if finding.ok else "✗" if finding.needed else "–"
            out(f"{mark} {finding.name}: {finding.found}")
            if finding.hint and not finding.ok:
                out(f"    {finding.hint}")
    whole = all(finding.ok or not finding.needed for finding in findings)
    if not whole:
        say("Something that a lab needs is missing: see the lines with ✗.")
    return EXIT_YES if whole else EXIT_NO


def _findings(session: Session) -> Iterator[Finding]:
    yield _asked("tasks", lambda: ", ".join(scenario.id for scenario in session.scenarios()))
    probes = session.probes()
    any_works = any(info.available for info in probes)
    for info in probes:
        yield Finding(f"node by {info.name}", info.available, info.reason, info.hint, needed=not any_works)
    yield _real_server()
    if not any_works:
        yield Finding("starting a lab", False, "no kind of node can be made here", "see the lines above")
    yield _asked("data folder", lambda: str(made(session.home.data)))
    yield _room(session.home)
    yield _kept(session.home)
    yield _asked("record of attempts", lambda: f"{len(session.history())} attempts")
    yield _terminal()
    labs = session.labs()
    yield Finding("labs", True, ", ".join(f"{lab.name} ({lab.state})" for lab in labs) or "none is there")
    for driver, reason in session.unreachable.items():
        yield Finding(f"labs by {driver}", False, reason, "cks-lab status", needed=False)


def _real_server() -> Finding:
    name = "kube-apiserver of the sandbox"
    try:
        found = binaries.find()
    except LabError as error:
        return Finding(name, False, error.message, error.hint)
    if found is None:
        return Finding(name, False, "lite; the real one is not here", "cks-lab setup   gets it", needed=False)
    return Finding(name, True, f"{found.version}, {found.apiserver}; etcd {found.etcd}")


def _asked(name: str, question: Callable[[], str]) -> Finding:
    """Return what the question found, or what it failed with."""
    try:
        return Finding(name, True, question())
    except LabError as error:
        return Finding(name, False, error.message, error.hint)


def _room(home: Home) -> Finding:
    place = next((folder for folder in (home.data, *home.data.parents) if folder.exists()), home.data)
    free = shutil.disk_usage(place).free
    return Finding(
        "free disk", free >= _ROOM, f"{free >> 20} MiB at {place}", f"make room: {_ROOM >> 20} MiB let a lab work well"
    )


def _kept(home: Home) -> Finding:
    """Say what has gathered. Nothing of it is ever removed by us: a learner may want it."""
    told: list[str] = []
    most, biggest = 0, home.bundles
    for folder, one, many in (
        (home.bundles, "bundle", "bundles"),
        (home.backups, "copy of your files", "copies of your files"),
        (home.crashes, "crash report", "crash reports"),
    ):
        try:
            sizes = [entry.stat().st_size for entry in folder.iterdir()]
        except FileNotFoundError:
            continue
        except OSError as error:
            return Finding("kept", False, f"cannot look into {folder}: {error.strerror}", f"ls -ld {folder}", False)
        if sizes:
            told.append(f"{len(sizes)} {one if len(sizes) == 1 else many}, {_mebibytes(sum(sizes))}: {folder}")
        most, biggest = max((most, biggest), (sum(sizes), folder))
    at = shlex.quote(str(biggest))
    remedy = f"rm {at}/*.tar.gz   (the history keeps the grades)" if biggest == home.bundles else f"ls -l {at}"
    return Finding("kept", most < _MUCH, "; ".join(told) or "nothing yet", remedy, needed=False)


def _mebibytes(size: int) -> str:
    return f"{max(size / (1 << 20), 0.1):.1f} MiB"


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return Finding("terminal", False, "none here; every command but the screen works", needed=False)
    size = shutil.get_terminal_size()
    found = f"{size.columns}×{size.lines}, TERM={os.environ.get('TERM', '')}"
    big_enough = size.columns >= _TERMINAL[0] and size.lines >= _TERMINAL[1]
    return Finding("terminal", big_enough, found, "the screen wants 80×24 or more", needed=False)
