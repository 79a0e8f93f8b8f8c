"""Captures a node that is no lab of ours, given by how it is reached: with python3 there, else through its shell.

Both run the same collector; what is graded is the bundle, for every kind of node. Nothing is installed on the node.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from checkers.evidence import NodeFiles
from checkers.wants import Wants

from .. import procs
from ..errors import LabError
from ..home import write_whole
from ..procs import Completed
from .bundle import Bundle
from .capture import About
from .collector import script
from .collector.files import collect, utcnow
from .collector.host import FOLDERS, Unreadable
from .reach import Way, reach
from .settle import REAL, settle_looks
from .shell_host import ShellHost

PATIENCE = 90.0
"""How long, in seconds, a real kubelet and API server may take to follow an edit. Source: facts E, return time."""
_LOOK_TIMEOUT = 20.0
_COLLECT_TIMEOUT = 180.0
_GZIP = b"\x1f\x8b\x08"
_MARK = "cks-lab:"
_LOOK_AROUND = """
PATH="$PATH:FOLDERS"
root=; [ "$(id -u)" = 0 ] || { root=no; sudo -n true 2>/dev/null && root='sudo -n'; }
python=
for each in "$@" python3 /usr/libexec/platform-python; do
    each=$(command -v "$each") || continue
    "$each" -I -c 'import ssl, sys, zlib; sys.exit(sys.version_info < (3, 6))' 2>/dev/null </dev/null || continue
    python=$each; break
done
[ "$root" = no ] && as= || as=$root
lacks=; for each in head stat tail readlink; do command -v $each >/dev/null || lacks="$lacks $each"; done
$as test -d "$0" && there=yes || there=
printf '%s\\n' "MARKroot=$root" "MARKpython=$python" "MARKlacks=$lacks" "MARKmanifests=$there"
""".replace("FOLDERS", FOLDERS).replace("MARK", _MARK)


@dataclass(frozen=True, slots=True)
class _Given:
    """What a first look at a node says. `prefix` makes a command root's; `python` is "" where there is none."""

    way: Way
    prefix: tuple[str, ...]
    root: bool
    python: str


def capture_given(
    url: str,
    about: About,
    wants: Wants,
    out: Path,
    *,
    at_terminal: bool = False,
    say: Callable[[str], None] = lambda text: None,
    now: Callable[[], datetime] = utcnow,
) -> None:
    """Capture a node into a bundle, once its API server has taken the last edit.

    `about.driver` and `about.node` are put in here: by the way, and by how the user named the node. `say` is told what
    is waited for. Raises LabError where the node cannot be reached or looked at; then no bundle is there.
    """
    with reach(url, at_terminal=at_terminal) as way:
        given = _look_around(way, wants.manifests)
        task = replace(about, driver=way.kind, node=way.name).task(wants)
        settle_looks(
            lambda: _BundleLook(_capture(given, {**task, "look": True}, now)),
            wants,
            patience=PATIENCE,
            pace=REAL,
            say=say,
        )
        write_whole(out, _capture(given, task, now))


def _look_around(way: Way, manifests: str) -> _Given:
    """Find out what the node has for us. Raises LabError where it is no control plane, or cannot be asked."""
    done = _asked(way, ["sh", "-c", _LOOK_AROUND, manifests, *way.pythons], _LOOK_TIMEOUT)
    said = dict(
        line.removeprefix(_MARK).partition("=")[::2] for line in done.text.splitlines() if line.startswith(_MARK)
    )
    if "root" not in said:
        words = done.stderr.decode("utf-8", "replace").strip() or done.text.strip() or f"exit status {done.exit_code}"
        raise LabError(
            f"{way.name} has no shell that can be asked: {words[-300:]}",
            "cks-lab collect --script > collect.py, and run that on the node",
        )
    root = said["root"] != "no"
    if not said["manifests"]:
        denied = "" if root else ", or may not be seen without root"
        raise LabError(
            f"{way.name} is no control-plane node: {manifests} is no directory there{denied}",
            "name the node that runs the API server" if root else way.as_root,
        )
    if not said["python"] and said["lacks"]:
        raise LabError(
            f"{way.name} has neither python3 nor {said['lacks'].strip().replace(' ', ', ')}",
            "copy its files and grade them: cks-lab grade SCENARIO --root DIR",
        )
    return _Given(way, tuple(said["root"].split()) if root else (), root, said["python"])


def _asked(way: Way, argv: Sequence[str], timeout: float, stdin: bytes | None = None) -> Completed:
    """Run a command on the node. Raises LabError where the way failed, or the time is over."""
    try:
        done = procs.run(way.argv(argv), timeout=timeout, stdin=stdin, check=False)
    except LabError as error:
        hint = f"see whether it does: {way.by_hand}"
        raise LabError(f"{way.name} gave no answer within {timeout:g} s", hint) from error
    if failure := way.failure(done):
        raise failure
    return done


def _capture(given: _Given, task: Mapping[str, Any], now: Callable[[], datetime]) -> bytes:
    """Return a bundle of the node. Raises LabError."""
    if given.python:
        return _by_python(given, task)
    content = io.BytesIO()
    try:
        with ShellHost(given.way, given.prefix, task["manifests"]) as host:
            collect(host, task, content, now)
    except Unreadable as error:
        raise _denied(given, str(error)) from error
    return content.getvalue()


def _by_python(given: _Given, task: Mapping[str, Any]) -> bytes:
    argv = [*given.prefix, given.python, "-I", "-"]
    done = _asked(given.way, argv, _COLLECT_TIMEOUT, script(task).encode())
    if done.exit_code:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        said = words[-1].removeprefix("collect.py: ").partition("; ")[0]
        if said.startswith("cannot look at "):
            raise _denied(given, said.removeprefix("cannot look at "))
        raise LabError(f"{given.way.name}: the collector ended with {done.exit_code} there: {said}", "cks-lab doctor")
    # A login script of the user's may have talked before.
    at = done.stdout.find(_GZIP)
    if at < 0:
        raise LabError(f"{given.way.name}: what came back is no bundle: {done.stdout[:80]!r}", "cks-lab doctor")
    return done.stdout[at:]


def _denied(given: _Given, words: str) -> LabError:
    if given.root:
        return LabError(f"cannot look at {words}, on {given.way.name}", "look at it there, as root")
    return LabError(f"cannot look at {words}, on {given.way.name} without being root", given.way.as_root)


class _BundleLook:
    """What a capture says of how far the API server has come."""

    def __init__(self, content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="cks-lab-") as folder:
            path = Path(folder, "look.tar.gz")
            path.write_bytes(content)
            bundle = Bundle.load(path)
        self.files: NodeFiles = bundle.files
        self._facts = bundle.facts

    def containers(self) -> list[dict[str, Any]] | None:
        """Return the API server's containers, newest first."""
        found = self._facts.get("containers")
        return found if isinstance(found, list) else None

    def ready(self) -> bool:
        """Say whether the API server answers; where nobody can ask it, its container is all there is to wait for."""
        apiserver = self._facts.get("apiserver")
        return not isinstance(apiserver, dict) or apiserver["readyz"].get("status") == 200

    def now(self) -> float:
        """Return when this was seen, by the node's own clock, in seconds since the epoch."""
        return datetime.fromisoformat(str(self._facts["started"])).timestamp()
