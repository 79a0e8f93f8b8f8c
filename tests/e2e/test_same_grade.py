"""One learner's answers on every kind of node: the sandbox with lite and with real API server, kind and minikube.

The grades are the same, check by check, but for what the nodes truly differ in.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkers.grade import Report
from lab.catalog import load
from lab.drivers.base import Driver, LabSpec
from lab.drivers.kind.driver import KindDriver
from lab.drivers.minikube.driver import MinikubeDriver
from lab.drivers.sandbox.driver import SandboxDriver
from lab.evidence.capture import About, capture
from lab.evidence.settle import settle
from lab.grading import grade_bundle
from lab.home import Home
from lab.overlay import MANIFEST, Overlay
from tests.nodes import of, told

pytestmark = pytest.mark.cluster

TASK = load("audit-log")
MISTAKES = {mistake.name: mistake for mistake in TASK.mistakes}
ANSWERS = {"start": Overlay(), "solution": TASK.solution, **{name: each.overlay for name, each in MISTAKES.items()}}
IMAGE = os.environ.get("CKS_LAB_E2E_IMAGE")

_LAY = """set -e
systemctl stop kubelet
cd /etc/kubernetes/manifests
for each in * .[!.]*; do
    case $each in etcd.yaml | kube-apiserver.yaml | kube-controller-manager.yaml | kube-scheduler.yaml) ;;
    *) rm -rf "$each" ;; esac
done
rm -rf /etc/kubernetes/audit /var/log/audit
tar -xpf - -C / --ignore-zeros
pkill -9 kube-apiserver || :
systemctl start kubelet"""
"""An answer in the place of another one, without the half minute that a real kubelet gives the old API server to end."""


class Desk:
    """One node, and an answer after the other on it."""

    def __init__(self, driver: Driver, spec: LabSpec, folder: Path) -> None:
        self._driver = driver
        self._folder = folder
        self._lab = driver.create(spec)
        self._manifest = driver.node(self._lab).files.read(MANIFEST).decode()

    def grade(self, answer: Overlay) -> Report:
        """Lay an answer over the start, wait for the node, and grade."""
        node = self._driver.node(self._lab)
        archive = _plain(self._manifest) + TASK.start.tar(self._manifest) + answer.tar(self._manifest)
        done = node.run(["sh", "-c", _LAY], stdin=archive, timeout=60)
        assert done.exit_code == 0, done.stderr
        settle(node, TASK.wants, patience=node.patience)
        bundle = self._folder / "bundle.tar.gz"
        capture(node, About(TASK.id, self._lab.driver, self._lab.node, {"seed": None}), TASK.wants, bundle)
        return grade_bundle(bundle)

    def close(self) -> None:
        """Remove the lab."""
        self._driver.destroy(self._lab)


def _plain(manifest: str) -> bytes:
    """Return a tar with the node's own manifest."""
    content = manifest.encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(MANIFEST.lstrip("/"))
        entry.size, entry.mode = len(content), 0o600
        tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("lite")
    desk = Desk(
        SandboxDriver(folder / "labs"), LabSpec("same-lite", TASK.id, start=TASK.start, apiserver="lite"), folder
    )
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def expected(lite: Desk) -> dict[str, Report]:
    """Return the lite sandbox's grade of each answer, as they are asked for."""
    return {}


def _real_sandbox(folder: Path) -> Desk:
    for name in ("KUBE_APISERVER", "ETCD"):
        program = os.environ.get(f"CKS_LAB_E2E_{name}")
        if program is None:
            pytest.fail(f"CKS_LAB_E2E_{name} names no program: `make e2e` sets it")
        os.environ[f"CKS_LAB_{name}"] = program
    spec = LabSpec("same-real", TASK.id, start=TASK.start, apiserver="real")
    return Desk(SandboxDriver(folder / "labs"), spec, folder)


def _kind(folder: Path) -> Desk:
    return Desk(KindDriver(Home(folder, folder)), LabSpec("same", TASK.id, start=TASK.start, image=IMAGE), folder)


def _minikube(folder: Path) -> Desk:
    return Desk(MinikubeDriver(Home(folder, folder)), LabSpec("same-mk", TASK.id, start=TASK.start), folder)


NODES = {"sandbox, real API server": _real_sandbox, "kind": _kind, "minikube": _minikube}


TOLD_APART_BY_MINIKUBE = (
    "start",
    "solution",
    "backup-in-manifests",
    "catch-all-first",
    "log-elsewhere",
    "log-not-mounted",
    "mount-without-volume",
    "no-policy-flag",
    "published-answer",
    "response-bodies-too",
    "singular",
)
"""Its kubelet and API server are kind's: answers that its manifest could have a say in, and policies of each kind."""
PAIRS = [
    pytest.param(node, answer, id=f"{node}-{answer}")
    for node in NODES
    for answer in (TOLD_APART_BY_MINIKUBE if node == "minikube" else ANSWERS)
]


@pytest.fixture(scope="module")
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if request.param == "minikube":
        request.getfixturevalue("minikube")
    desk = NODES[request.param](tmp_path_factory.mktemp("desk"))
    yield desk
    desk.close()


DIFFERS: dict[tuple[str, str], str] = {}
"""(answer, check) -> what the nodes truly differ in there."""


@pytest.mark.parametrize(("desk", "answer"), PAIRS, indirect=["desk"], scope="module")
def test_an_answer_gets_the_same_grade_as_on_the_lite_sandbox(
    desk: Desk, lite: Desk, expected: dict[str, Report], answer: str
) -> None:
    if answer not in expected:
        expected[answer] = lite.grade(ANSWERS[answer])
    report = desk.grade(ANSWERS[answer])
    assert _lines(report, answer) == _lines(expected[answer], answer), told(report)
    fails = set(TASK.start_fails) if answer == "start" else set(MISTAKES[answer].fails) if answer in MISTAKES else set()
    assert set(of(report)) == fails, told(report)
    assert report.percent == {"start": 0, "solution": 100}.get(answer, report.percent)


def _lines(report: Report, answer: str) -> dict[str, tuple[str, int, int]]:
    return {
        line.id: (line.result.status.value, line.points, line.possible)
        for line in report.lines
        if (answer, line.id) not in DIFFERS
    }
