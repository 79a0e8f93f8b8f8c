"""Nodes that are no labs of ours, graded as an instructor does it: by docker, by ssh, on the node, by a script."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkers.grade import Report
from checkers.result import Status
from lab import procs
from lab.drivers.base import LabSpec
from lab.drivers.sandbox.driver import SandboxDriver
from lab.drivers.sandbox.handle import SandboxNode
from lab.drivers.sandbox.interpreter import WRAPPER
from lab.errors import LabError
from lab.evidence.capture import About, capture
from lab.grading import grade_bundle
from lab.overlay import ManifestEdits, edit_manifest
from lab.reports import Style, renderer
from lab.session import Session
from tests.given_nodes import NO_PYTHON, entry, fake_docker, own_ssh, ssh_server
from tests.nodes import audit_log, of, told

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxNode]:
    """A node on which the task is solved."""
    driver = SandboxDriver(tmp_path_factory.mktemp("labs"))
    info = driver.probe()
    if not info.available and not os.environ.get("CI"):
        pytest.skip(info.reason)
    lab = driver.create(LabSpec("given", "audit-log", start=audit_log().solution))
    yield driver.node(lab)
    driver.destroy(lab)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the head of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture(params=["python3", "shell"])
def docker(request: pytest.FixtureRequest, programs: Path, node: SandboxNode) -> str:
    """The node as a container, with and without python3 in it."""
    fake_docker(programs, "exam", entry(node, python=request.param == "python3"))
    return "docker://exam"


def passed(report: Report, driver: str, name: str) -> None:
    assert report.verdict is Status.PASS, told(report)
    assert of(report, Status.PASS) == [check.id for check in audit_log().checks], told(report)
    assert (report.node.driver, report.node.name) == (driver, name)
    assert report.node.apiserver == "lite v1.34"


def digest_of(node: SandboxNode) -> str:
    """Say what must not change on a node that is looked at."""
    words = "cat /etc/kubernetes/*.conf /root/.kube/config; find / -xdev -path /proc -prune -o -path /var -prune -o -type f -print"
    return hashlib.sha256(node.run(["sh", "-c", words], timeout=60).stdout).hexdigest()


def members(bundle: bytes) -> dict[str, tuple[object, ...]]:
    """Return the node's files in a bundle; of the logs, which grow, not the content."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            content = file.read() if file else b""
            grows = member.name.startswith("root/var/log")
            kept = () if grows else (member.mtime, content)
            if member.name != "facts.json":
                found[member.name] = (member.type, member.mode, member.uid, member.gid, member.linkname, *kept)
        return found


def facts(bundle: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as tar:
        file = tar.extractfile("facts.json")
        assert file is not None
        found: dict[str, Any] = json.loads(file.read())
    for request in found["probe"]["requests"]:
        for key in ("audit_id", "path", "name", "namespace"):
            request[key] = request[key].replace(found["probe"]["nonce"], "N")
    for container in found["containers"]:
        container.pop("last_lines")
    for moment in ("started", "finished", "node", "kubelet_log"):
        found.pop(moment)
    found["probe"].pop("nonce")
    return found


def script(node: SandboxNode) -> bytes:
    """Run what `collect --script` prints on the node, with nothing but its python3."""
    done = node.run(["python3", "-I", "-"], timeout=60, stdin=Session().collector().encode())
    assert done.exit_code == 0, done.stderr.decode()
    return done.stdout


def test_a_container_is_graded_as_the_lab_is(docker: str, node: SandboxNode) -> None:
    before = digest_of(node)
    passed(Session().grade_node(docker, "audit-log"), "container", "exam")
    assert digest_of(node) == before
    left = node.run(["kubectl", "get", "configmaps", "-A", "-o", "name"], timeout=20).text
    assert "configmap/" in left
    assert "cks-lab" not in left
    assert b"cks-lab" not in node.run(["ls", "-a", "/tmp", "/dev/shm"], timeout=10).stdout


def test_every_way_gives_the_same_bundle(docker: str, node: SandboxNode, tmp_path: Path) -> None:
    Session().collect_node(docker, "audit-log", tmp_path / "docker.tar.gz")
    wants = audit_log().wants
    capture(node, About("audit-log", "sandbox", "x", wants.variant), wants, tmp_path / "lab.tar.gz")
    ours = (tmp_path / "lab.tar.gz").read_bytes()
    assert len(members(ours)) > 30
    for other in ((tmp_path / "docker.tar.gz").read_bytes(), script(node)):
        assert members(other) == members(ours)
        assert facts(other) == facts(ours)


def test_the_script_makes_a_bundle_where_only_python_is(node: SandboxNode, tmp_path: Path) -> None:
    bundle = tmp_path / "b.tar.gz"
    bundle.write_bytes(script(node))
    passed(grade_bundle(bundle), "local", node.run(["hostname"], timeout=10).text.strip())
    written = [renderer("json")(grade_bundle(bundle), Style(False, 100, True)) for _ in range(2)]
    assert written[0] == written[1]

    program = Session().collector().encode()
    done = node.run(["sh", "-c", "cat > /root/c.py; python3 /root/c.py -o /root/b.tar.gz"], timeout=60, stdin=program)
    assert (done.exit_code, done.stdout) == (0, b""), done.stderr
    bundle.write_bytes(node.files.read("/root/b.tar.gz", 1 << 30))
    node.run(["rm", "/root/c.py", "/root/b.tar.gz"], timeout=10)
    assert grade_bundle(bundle).verdict is Status.PASS
    done = node.run(["python3", "-", "what"], timeout=60, stdin=program)
    assert (done.exit_code, done.stderr.startswith(b"usage: python3 collect.py")) == (2, True)


def test_no_secret_of_the_node_is_in_a_bundle(docker: str, node: SandboxNode, tmp_path: Path) -> None:
    Session().collect_node(docker, "audit-log", tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        everything = b"".join(file.read() for m in tar if m.isreg() and (file := tar.extractfile(m)))
    keys = node.run(["sh", "-c", "cat /etc/kubernetes/pki/*.key /etc/kubernetes/*.conf"], timeout=10).text
    lines = [line.split()[-1] for line in keys.splitlines() if len(line) > 60]
    assert len(lines) > 20
    assert not [line for line in lines if line.encode() in everything]


def test_without_access_to_the_api_server_what_it_would_say_costs_nothing(docker: str, node: SandboxNode) -> None:
    hide = "for f in admin super-admin; do mv /etc/kubernetes/$f.conf /etc/kubernetes/$f.hidden; done"
    node.run(["sh", "-c", hide], timeout=10)
    try:
        report = Session().grade_node(docker, "audit-log")
    finally:
        node.run(
            ["sh", "-c", hide.replace(".conf", ".x").replace(".hidden", ".conf").replace(".x", ".hidden")], timeout=10
        )
    assert of(report, Status.SKIP) == ["apiserver.running", "live.probe"], told(report)
    assert report.verdict is Status.PASS
    assert [line.possible for line in report.lines if line.result.status is Status.SKIP] == [0, 0]
    assert "no /etc/kubernetes/admin.conf" in told(report)


def test_without_crictl_the_server_is_seen_by_its_process(docker: str, programs: Path, node: SandboxNode) -> None:
    path = node.run(["sh", "-c", "echo $PATH"], timeout=10).text.strip()
    hide = "mkdir -p /root/no-crictl; printf '#!/bin/sh\\necho no >&2; exit 1\\n' > /root/no-crictl/crictl; chmod 755 /root/no-crictl/*"
    node.run(["sh", "-c", hide], timeout=10)
    fake_docker(programs, "exam", node.shell_argv(["env", f"PATH=/root/no-crictl:{NO_PYTHON}:{path}"]))
    passed(Session().grade_node(docker, "audit-log"), "container", "exam")


def test_an_edit_of_just_now_is_waited_for(docker: str, node: SandboxNode) -> None:
    text = node.files.read(MANIFEST).decode()
    flag = str(time.monotonic_ns() % 1000 + 100)
    edited = edit_manifest(text, ManifestEdits(set_flags={"max-requests-inflight": flag}))
    node.run(["sh", "-c", f"cat > {MANIFEST}"], timeout=10, stdin=edited.encode())
    passed(Session().grade_node(docker, "audit-log"), "container", "exam")
    [words] = [
        c
        for c in json.loads(node.run(["crictl", "ps", "-o", "json"], timeout=10).stdout)["containers"]
        if c["metadata"]["name"] == "kube-apiserver"
    ]
    argv = json.loads(node.run(["crictl", "inspect", words["id"]], timeout=10).stdout)["info"]["runtimeSpec"][
        "process"
    ]["args"]
    assert f"--max-requests-inflight={flag}" in argv


@pytest.mark.parametrize("python", [True, False], ids=["python3", "shell"])
@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
def test_an_ssh_node_costs_one_connection(node: SandboxNode, programs: Path, isolated_home: Path, python: bool) -> None:
    with ssh_server(isolated_home, entry(node, python=python)) as server:
        own_ssh(programs, isolated_home)
        passed(Session().grade_node("ssh://exam-node", "audit-log"), "ssh", "exam-node")
        assert server.connections == 1
        assert len(server.commands) > 1
        passed(Session().grade_node(f"ssh://someone@127.0.0.1:{server.port}", "audit-log"), "ssh", "127.0.0.1")
        assert server.connections == 2
        deadline = time.monotonic() + 120
        while server.ended < 2:
            assert time.monotonic() < deadline, "the connections are left open"
            time.sleep(0.02)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
def test_an_ssh_that_cannot_connect_is_told_in_its_own_words(programs: Path, isolated_home: Path) -> None:
    def told_of(url: str) -> LabError:
        with pytest.raises(LabError) as error:
            Session().grade_node(url, "audit-log")
        return error.value

    with ssh_server(isolated_home, ["env"]) as server:
        own_ssh(programs, isolated_home)
        known = isolated_home / ".ssh/known_hosts"
        kept = known.read_text()
        known.write_text("")
        unknown = told_of("ssh://exam-node")
        assert "its host key is not known here (Host key verification failed.)" in unknown.message
        assert unknown.hint.endswith("ssh -- exam-node true")
        known.write_text(kept)
        (isolated_home / ".ssh/id").unlink()
        denied = told_of("ssh://exam-node")
        assert "Permission denied" in denied.message
        assert "ssh-add" in denied.hint
    refused = told_of(f"ssh://127.0.0.1:{server.port}")
    assert "Connection refused" in refused.message
    assert f"ssh -v -p {server.port} -- 127.0.0.1 true" in refused.hint


def test_on_the_node_itself_it_is_called_local(node: SandboxNode) -> None:
    packed = procs.run(["tar", "-C", str(ROOT), "-c", "lab", "checkers", "scenarios"], timeout=30).stdout
    node.run(["sh", "-c", "mkdir /root/src; tar -C /root/src -x"], timeout=30, stdin=packed)
    program = "import sys; sys.path.insert(0, '/root/src'); from lab.__main__ import main; main()"
    argv = [WRAPPER, "-c", program, "grade", "audit-log", "--node", "local", "--format", "json"]
    done = node.run(["env", "CKS_LAB_HOME=/root/lab", *argv], timeout=60)
    node.run(["rm", "-r", "/root/src"], timeout=10)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert (done.exit_code, report["verdict"], report["node"]["driver"]) == (0, "pass", "local"), done.stderr
    assert report["node"]["name"] == node.run(["hostname"], timeout=10).text.strip()


def test_a_machine_that_is_no_control_plane_is_refused() -> None:
    if Path("/etc/kubernetes/manifests").exists():
        pytest.skip("this machine is a node of Kubernetes")
    with pytest.raises(LabError, match="is no control-plane node: /etc/kubernetes/manifests is no directory"):
        Session().grade_node("local", "audit-log")
