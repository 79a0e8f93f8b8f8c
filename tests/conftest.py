"""What every test gets: a home of its own, and the door to the recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_KEPT = ("CKS_LAB_SHARED", "CKS_LAB_E2E_")
"""What the tests themselves are told by."""


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a HOME in which nothing of the person's is found, and where nothing of theirs can be changed."""
    home = tmp_path_factory.mktemp("home")
    for name in [n for n in os.environ if n.startswith(("XDG_", "CKS_LAB_")) and not n.startswith(_KEPT)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CKS_LAB_HOME", str(home / "cks-lab"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return home


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recordings. Where CI is set a missing one fails; elsewhere the test is skipped."""
    folder = Path(os.environ.get("CKS_LAB_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder}: the recordings are missing; CKS_LAB_SHARED names their folder")
        pytest.skip(f"{folder}: no recordings here; CKS_LAB_SHARED names their folder")
    return folder
