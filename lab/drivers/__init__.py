"""Owns the table of drivers: a name -> the class, imported when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from ..errors import LabError
from .base import Driver

DRIVERS: dict[str, str] = {
    "kind": "lab.drivers.kind.driver:KindDriver",
    "minikube": "lab.drivers.minikube.driver:MinikubeDriver",
    "sandbox": "lab.drivers.sandbox.driver:SandboxDriver",
}


def driver(name: str) -> Driver:
    """Return the driver of that name. Raises LabError, with the known names, for any other."""
    if name not in DRIVERS:
        raise LabError(f"no driver {name!r}", f"known: {', '.join(DRIVERS)}")
    module, attribute = DRIVERS[name].split(":")
    return cast(Driver, getattr(import_module(module), attribute)())
