"""Owns where the real kube-apiserver and etcd lie on this machine: named by the environment, or put there by `setup`.

    <cache>/control-plane/v1.34.4/kube-apiserver
    <cache>/control-plane/v1.34.4/etcd

A version is there when both of its files are; each is put there whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ... import procs
from ...errors import LabError
from ...home import Home
from .rootfs import OPT

APISERVER = "kube-apiserver"
ETCD = "etcd"
APISERVER_VARIABLE = "CKS_LAB_KUBE_APISERVER"
ETCD_VARIABLE = "CKS_LAB_ETCD"
SHOWN = f"{OPT}/control-plane"
"""Where the node shows them; it is in nobody's PATH."""

_ASK_LIMIT = 30.0
_VERSION = re.compile(r"v\d+\.\d+\.\d+\S*")
_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A real kube-apiserver, its version ("v1.34.4"), and the etcd that goes with it."""

    version: str
    apiserver: Path
    etcd: Path

    def binds(self) -> tuple[tuple[str, str], ...]:
        """Return (path here, path on the node) of each program."""
        return (
            (str(self.apiserver.resolve()), f"{SHOWN}/{APISERVER}"),
            (str(self.etcd.resolve()), f"{SHOWN}/{ETCD}"),
        )


def folder(cache: Path) -> Path:
    """Return the folder that holds a folder for each version."""
    return cache / "control-plane"


def installed(cache: Path) -> list[ControlPlane]:
    """Return what `setup` has put there, the newest version last."""
    found: list[tuple[tuple[int, ...], ControlPlane]] = []
    try:
        places = list(folder(cache).iterdir())
    except OSError:
        return []
    for place in places:
        number = _RELEASE.fullmatch(place.name)
        whole = at(place.name, str(place / APISERVER), str(place / ETCD))
        if number and whole:
            found.append((tuple(int(part) for part in number.groups()), whole))
    return [whole for _, whole in sorted(found, key=lambda pair: pair[0])]


def at(version: str, apiserver: str, etcd: str) -> ControlPlane | None:
    """Return the control plane that was at these two places, None where it is not there any more."""
    found = ControlPlane(version, Path(apiserver), Path(etcd))
    return found if os.access(found.apiserver, os.X_OK) and os.access(found.etcd, os.X_OK) else None


def find(version: str | None = None, environ: Mapping[str, str] | None = None) -> ControlPlane | None:
    """Return the real control plane to use: of that version, else the environment's, else the newest installed.

    `version`: "v1.34.4", or "1.34" for any of it. None where there is none. Raises LabError where the environment
    names something that is not what it says.
    """
    env = os.environ if environ is None else environ
    there = installed(Home.of(env).cache)
    apiserver, etcd = env.get(APISERVER_VARIABLE), env.get(ETCD_VARIABLE)
    newest = there[-1] if there else None
    if apiserver:
        server = _program(apiserver, APISERVER_VARIABLE)
        given = ControlPlane(version_of(server), server, _etcd(etcd, newest))
        if _is(given.version, version):
            return given
    for one in reversed(there):
        if _is(one.version, version):
            return ControlPlane(one.version, one.apiserver, _other_etcd(etcd)) if etcd else one
    return None


def _etcd(given: str | None, newest: ControlPlane | None) -> Path:
    if given:
        return _other_etcd(given)
    if newest is None:
        raise LabError(f"{APISERVER_VARIABLE} names an API server, and there is no etcd for it", f"set {ETCD_VARIABLE}")
    return newest.etcd


def _is(version: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    wanted = "v" + wanted.removeprefix("v")
    return version == wanted or version.startswith(wanted + ".")


def _other_etcd(given: str) -> Path:
    path = _program(given, ETCD_VARIABLE)
    version_of(path)
    return path


def _program(given: str, variable: str) -> Path:
    path = Path(given).expanduser().absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise LabError(f"{variable} names {given}, which is no program", f"unset {variable}, or: ls -l {given}")
    return path


def version_of(program: Path) -> str:
    """Ask a kube-apiserver or an etcd for its version, "v1.34.4". Raises LabError where it does not say one."""
    try:
        said = procs.run([str(program), "--version"], timeout=_ASK_LIMIT).text
    except LabError as error:
        raise LabError(f"{program} does not run here: {error.message}", f"file {program}") from error
    first = said.partition("\n")[0]
    found = _VERSION.search(first)
    if found:
        return found[0]
    number = re.fullmatch(r"etcd Version: (\d+\.\d+\.\d+\S*)", first)
    if number:
        return f"v{number[1]}"
    raise LabError(f"{program} does not say which version it is: {first[:80]!r}", f"{program} --version")
