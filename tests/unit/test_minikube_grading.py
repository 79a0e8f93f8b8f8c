"""A node of minikube as its recordings show it: certificates elsewhere, port 8443, flags that kubeadm puts last."""

from __future__ import annotations

import base64
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checkers.result import Status
from lab.drivers.sandbox import pki
from lab.evidence.collector.host import Host, Missing, NoAnswer, Stat
from lab.evidence.collector.kube_api import KubeApi
from lab.overlay import MANIFEST, ManifestEdits, edit_manifest
from tests.nodes import LOG, POLICY, audit_log, grade, of, told

pytestmark = pytest.mark.shared

LIVE = {"apiserver.running", "live.probe"}


@pytest.fixture
def recordings(shared: Path) -> Path:
    return shared / "recordings/minikube"


def write(root: Path, path: str, content: bytes) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


@pytest.fixture
def node(tmp_path: Path, recordings: Path) -> Path:
    write(tmp_path, MANIFEST, (recordings / "kube-apiserver.yaml").read_bytes())
    (tmp_path / "var/log").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def solved(tmp_path: Path, recordings: Path) -> Path:
    write(tmp_path, MANIFEST, (recordings / "kube-apiserver.audit.yaml").read_bytes())
    write(tmp_path, POLICY, (recordings / "policy.yaml").read_bytes())
    write(tmp_path, LOG, (recordings / "audit-events.jsonl").read_bytes())
    return tmp_path


def test_an_untouched_node_earns_nothing(node: Path) -> None:
    report = grade(node)
    assert report.points == 0, told(report)
    assert of(report, Status.ERROR) == []


def test_the_start_earns_nothing_and_fails_as_it_does_on_other_nodes(node: Path) -> None:
    for path, content in audit_log().start.files.items():
        write(node, path, content)
    report = grade(node)
    assert report.points == 0, told(report)
    assert "flags.policy-file" in of(report)


def test_the_recorded_answer_has_full_marks_but_for_what_only_a_live_node_can_show(solved: Path) -> None:
    report = grade(solved)
    assert report.points == report.possible > 0, told(report)
    assert of(report) == []
    assert set(of(report, Status.SKIP)) == LIVE, told(report)


def test_our_own_solution_fits_its_manifest(node: Path, recordings: Path) -> None:
    text = (recordings / "kube-apiserver.yaml").read_text()
    for edits in audit_log().solution.edits:
        text = edit_manifest(text, edits)
    write(node, MANIFEST, text.encode())
    for path, content in audit_log().solution.files.items():
        write(node, path, content)
    write(node, LOG, (recordings / "audit-events.jsonl").read_bytes())
    report = grade(node)
    assert report.points == report.possible, told(report)


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (ManifestEdits(drop_flags=("audit-log-path",)), "flags.log-path"),
        (ManifestEdits(set_flags={"audit-policy-file": "/etc/kubernetes/pki/policy.yaml"}), "flags.policy-file"),
        (
            ManifestEdits(replace=(("      name: audit-policy\n      readOnly", "      name: nope\n      readOnly"),)),
            "manifest.valid",
        ),
        (
            ManifestEdits(replace=(("    - mountPath: /var/log/audit\n", "    - mountPath: /var/log/elsewhere\n"),)),
            "mounts.log",
        ),
    ],
)
def test_mistakes_are_seen_there_as_anywhere(solved: Path, edit: ManifestEdits, failed: str) -> None:
    manifest = solved / MANIFEST.lstrip("/")
    manifest.write_text(edit_manifest(manifest.read_text(), edit))
    report = grade(solved)
    assert failed in of(report), told(report)


class Node(Host):
    """A node's files, by path."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str, limit: int) -> bytes:
        """Return a file's first bytes."""
        if path not in self.files:
            raise Missing(path)
        return self.files[path][:limit]

    def stat(self, path: str) -> Stat:
        """Say what is at the path."""
        return Stat("file", 0o600, 0, 0, len(self.read(path, 1 << 20)), 0, None)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        return sorted(name.removeprefix(f"{path}/") for name in self.files if name.startswith(f"{path}/"))


@pytest.mark.parametrize("lost", [(), ("/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf")])
def test_the_collector_finds_the_api_server_at_its_port_with_certificates_that_lie_elsewhere(
    recordings: Path, lost: tuple[str, ...]
) -> None:
    _, admin = pki.make("cks", "192.168.49.2", datetime.now(UTC))
    held = {"certificate-authority": admin.ca, "client-certificate": admin.certificate, "client-key": admin.key}
    server = "    server: https://control-plane.minikube.internal:8443\n"
    inside = "".join(f"    {name}-data: {base64.b64encode(pem).decode()}\n" for name, pem in held.items())
    beside = "".join(f"    {name}: /var/lib/minikube/certs/{name}.pem\n" for name in held)
    files = {
        "/etc/kubernetes/admin.conf": (server + inside).encode(),
        "/etc/kubernetes/super-admin.conf": (server + inside).encode(),
        "/var/lib/minikube/kubeconfig": (
            server.replace("control-plane.minikube.internal", "localhost") + beside
        ).encode(),
        MANIFEST: (recordings / "kube-apiserver.yaml").read_bytes(),
        **{f"/var/lib/minikube/certs/{name}.pem": pem for name, pem in held.items()},
    }
    tried: list[tuple[str, int]] = []

    def connect(address: str, port: int, timeout: float) -> socket.socket:
        tried.append((address, port))
        raise ConnectionRefusedError("nobody here")

    api = KubeApi(Node({p: c for p, c in files.items() if p not in lost}), "/etc/kubernetes/manifests", connect)
    with pytest.raises(NoAnswer, match="nobody here"):
        api.request("GET", "/readyz", None, {}, 1.0)
    assert tried[0] == ("127.0.0.1", 8443)
