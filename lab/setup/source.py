"""Owns building kube-apiserver and etcd from their Go modules, for machines that the releases cannot be reached from.

A main module of ours needs each of them. Kubernetes' own go.mod points its libraries (k8s.io/api and so on) at folders
of its repository; for others they are published as v0.X modules, and that is what ours replaces them with.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import procs
from ..drivers.sandbox.binaries import APISERVER, ETCD
from ..errors import LabError
from .golang import Go, find
from .news import News

_SERVER = "k8s.io/kubernetes/cmd/kube-apiserver"
_ETCD = "go.etcd.io/etcd/server/v3"
_REPLACED = re.compile(r"^\s*(?:replace\s+)?(\S+) => \./staging/", re.MULTILINE)
_GODEBUG = re.compile(r"^godebug default=(\S+)$", re.MULTILINE)
_GO = re.compile(r"^go (\d+\.\d+(?:\.\d+)?)$", re.MULTILINE)
_QUICK = 900.0
_PACKAGE = re.compile(r"[A-Za-z0-9_.\-~]+(?:/[A-Za-z0-9_.\-~]+)*")
_SAID = 12
"""Lines of Go's that an error shows."""


def by_source(kubernetes: str, etcd: str, work: Path, news: News) -> tuple[Path, Path]:
    """Return both programs, built in the folder `work`. Raises LabError; the next call goes on from there."""
    go = find(work, news)
    news.say(
        f"kube-apiserver {kubernetes} and etcd {etcd} are built by {go.version}: about 5 minutes on two cores where "
        "nothing was built before, and 3 GB of disk until it is done. Ctrl-C stops it; the same command goes on."
    )
    minor = kubernetes.removeprefix("v1.")
    stamp = "-s -w"
    for package in ("k8s.io/component-base", "k8s.io/client-go/pkg"):
        at = f"-X {package}/version"
        stamp += f" {at}.gitVersion={kubernetes} {at}.gitTreeState=clean"
        stamp += f" {at}.gitMajor=1 {at}.gitMinor={minor.partition('.')[0]}"
    apiserver = _built(
        _Module(
            go, work / "kubernetes", f"kube-apiserver {kubernetes}", _SERVER, "k8s.io/kubernetes", kubernetes, news
        ),
        stamp,
        work / APISERVER,
    )
    return apiserver, _built(
        _Module(go, work / "etcd-module", f"etcd {etcd}", _ETCD, _ETCD, etcd, news), "-s -w", work / ETCD
    )


class _Module:
    """A module of ours whose only use is to build one package of another."""

    def __init__(self, go: Go, folder: Path, label: str, package: str, module: str, version: str, news: News) -> None:
        self.go, self.folder, self.label, self.package = go, folder, label, package
        self._module, self._version = module, version
        self.news = news

    def prepare(self) -> None:
        """Write go.mod, by what the other module's says. Raises LabError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Where there is no go.mod yet, `go mod download` would look for one in the folders above.
        empty = "module cks-lab.setup\n"
        if not (self.folder / "go.mod").exists():
            (self.folder / "go.mod").write_text(empty)
        self.news.say(f"{self.label}: its module and what it needs come from Go's module proxy.")
        said = self.run(["mod", "download", "-json", f"{self._module}@{self._version}"])
        theirs = Path(json.loads(said)["GoMod"]).read_text()
        (self.folder / "go.mod").write_text(go_mod(self._module, self._version, theirs))
        (self.folder / "needed.go").write_text(f'//go:build needed\n\npackage main\n\nimport _ "{self.package}"\n')

    def packages(self) -> list[str]:
        """Return every package that goes into it. Raises LabError."""
        return self.run(["list", "-deps", self.package]).splitlines()

    def run(self, words: Sequence[str]) -> str:
        """Run go in the module's folder and return what it printed. Raises LabError in its words."""
        done = procs.run([self.go.path, *words], timeout=_QUICK, env=self.go.env, cwd=self.folder, check=False)
        if done.exit_code:
            raise _failed(self.label, [*done.text.splitlines(), *done.stderr.decode("utf-8", "replace").splitlines()])
        return done.text


def go_mod(module: str, version: str, theirs: str) -> str:
    """Return the go.mod of a module that needs this one, whose own go.mod is `theirs`."""
    go = _GO.search(theirs)
    lines = ["module cks-lab.setup", "", f"go {go[1] if go else '1.24.0'}"]
    if debug := _GODEBUG.search(theirs):
        lines += ["", f"godebug default={debug[1]}"]
    lines += ["", f"require {module} {version}", ""]
    # k8s.io/kubernetes v1.34.4 goes with k8s.io/api v0.34.4.
    twin = "v0." + version.removeprefix("v1.")
    lines += [f"replace {name} => {name} {twin}" for name in _REPLACED.findall(theirs)]
    return "\n".join(lines) + "\n"


def _built(module: _Module, stamp: str, target: Path) -> Path:
    """Build one program, unless an earlier run has. Raises LabError."""
    if target.exists():
        return target
    module.prepare()
    packages = set(module.packages())
    notes = module.folder / "compiled"
    before = packages & set(notes.read_text().split()) if notes.exists() else set()
    part = target.with_name(target.name + ".part")
    argv = [module.go.path, "build", "-v", "-ldflags", stamp, "-o", str(part), module.package]
    process = procs.start(argv, stderr=procs.PIPE, env=module.go.env, cwd=module.folder, preexec=_politely)
    other: list[str] = []
    try:
        with notes.open("a") as noted, module.news.work(module.label, len(packages), "packages", len(before)) as told:
            for line in procs.lines(process, of="stderr"):
                if line in packages:
                    noted.write(f"{line}\n")
                    noted.flush()
                    if line not in before:
                        before.add(line)
                        told(1)
                elif not _PACKAGE.fullmatch(line):
                    other.append(line)
            code = process.wait()
            told(len(packages) - len(before))
    except BaseException:
        procs.kill_group(process)
        raise
    if code:
        raise _failed(module.label, other)
    return part.replace(target)


def _politely() -> None:
    os.nice(5)


def _failed(label: str, said: Iterable[str]) -> LabError:
    lines = [line for line in said if line.strip() and not line.startswith(("go: downloading", "go: finding"))]
    words = "\n".join(lines[-_SAID:]) or "go said nothing"
    if "unknown revision" in words or "404 Not Found" in words:
        return LabError(f"{label} is not there:\n{words}", "another --kubernetes-version?")
    if "no space left" in words:
        return LabError(
            f"{label} cannot be built, the disk is full:\n{words}", "make room, then the same command goes on"
        )
    return LabError(f"{label} cannot be built:\n{words}", "cks-lab setup goes on from there; a network is needed")
