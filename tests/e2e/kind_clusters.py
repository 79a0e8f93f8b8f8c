"""What the tests on real clusters of kind share: the image, a clean-up, and answers laid as a learner would."""

from __future__ import annotations

import os
from pathlib import Path

from lab import procs
from lab.drivers.base import Lab, NodeOptions
from lab.overlay import MANIFEST, Overlay
from lab.session import Session

IMAGE = os.environ.get("CKS_LAB_E2E_IMAGE")
OPTIONS = NodeOptions(image=IMAGE)
TASK = "audit-log"


def kind(*words: str, kubeconfig: Path) -> procs.Completed:
    """Run kind as somebody else would, with a kubeconfig of the test's own."""
    return procs.run(["kind", *words, "--kubeconfig", str(kubeconfig)], timeout=300)


def make_foreign(cluster: str, kubeconfig: Path) -> None:
    """Make a cluster that is no lab."""
    image = ["--image", IMAGE] if IMAGE else []
    kind("create", "cluster", "--name", cluster, *image, "--wait", "120s", kubeconfig=kubeconfig)


def containers() -> set[str]:
    """Return the names of all containers there are, whether they run or not."""
    return set(procs.run(["docker", "ps", "--all", "--format", "{{.Names}}"], timeout=30).text.split())


def answer(session: Session, lab: Lab, overlay: Overlay) -> None:
    """Lay an answer over the node as a learner saves it: nothing is stopped for it."""
    node = session.node(lab)
    archive = overlay.tar(node.files.read(MANIFEST).decode())
    assert node.run(["tar", "-C", "/", "-xf", "-"], timeout=30, stdin=archive).exit_code == 0
