"""The same saves in the manifests folder, over a runtime of objects and over a sandbox's own: the same comes of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from lab.drivers import driver
from lab.drivers.base import LabSpec, NodeHandle
from tests.kubelet_node import FakeNode

FOLDER = "/etc/kubernetes/manifests"
PROBE = """\
apiVersion: v1
kind: Pod
metadata:
  name: probe
  namespace: default
spec:
  containers:
  - name: probe
    image: registry.k8s.io/pause:3.10.1
    command: [/pause, "WORD"]
"""
MOUNTED = (
    PROBE
    + """\
    volumeMounts:
    - {name: data, mountPath: /data}
  volumes:
  - name: data
    hostPath: {path: /srv/probe, type: Directory}
"""
)
LIMIT = 300.0


class Place(Protocol):
    """A node with a kubelet on it; `containers` are those named probe as crictl tells of them, newest first."""

    def shell(self, command: str) -> None: ...
    def write(self, name: str, text: str) -> None: ...
    def kill(self) -> None: ...
    def ask(self, operation: str) -> dict[str, Any]: ...
    def inspect(self, container_id: str) -> dict[str, Any]: ...
    def journal(self) -> str: ...
    def until(self, condition: Callable[[], object]) -> None: ...


class Fake:
    """The runtime of objects; time passes as fast as it is asked for."""

    def __init__(self, root: Path) -> None:
        self.node = FakeNode(root, "fast")
        self.node.kubelet.start()

    def shell(self, command: str) -> None:
        os.system(command.replace(FOLDER, str(self.node.manifests)).replace("/srv", str(self.node.root / "srv")))

    def write(self, name: str, text: str) -> None:
        self.node.write(name, text)

    def kill(self) -> None:
        self.node.runtime.kill("probe")

    def ask(self, operation: str) -> dict[str, Any]:
        return self.node.kubelet.handle({"op": f"cri.{operation}"})

    def inspect(self, container_id: str) -> dict[str, Any]:
        return self.node.kubelet.handle({"op": "cri.inspect", "id": container_id})

    def journal(self) -> str:
        return self.node.journal()

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(int(LIMIT / 0.1)):
            if condition():
                return
            self.node.run(0.1)
        raise AssertionError(self.journal())


class Sandbox:
    """A real node; what is asked goes through its crictl."""

    def __init__(self, node: NodeHandle) -> None:
        self.node = node

    def shell(self, command: str) -> None:
        assert self.node.run(["sh", "-c", command], timeout=20).exit_code == 0

    def write(self, name: str, text: str) -> None:
        done = self.node.run(["sh", "-c", f"cat > {FOLDER}/{name}"], timeout=20, stdin=text.encode())
        assert done.exit_code == 0

    def kill(self) -> None:
        (running,) = [c for c in containers(self) if c["state"] == "CONTAINER_RUNNING"]
        self.shell(f"kill -9 {self.inspect(running['id'])['info']['pid']}")

    def ask(self, operation: str) -> dict[str, Any]:
        words = ["crictl", operation, *(["-a"] if operation == "ps" else []), "-o", "json"]
        found: dict[str, Any] = json.loads(self.node.run(words, timeout=20).stdout)
        return found

    def inspect(self, container_id: str) -> dict[str, Any]:
        done = self.node.run(["crictl", "inspect", container_id], timeout=20)
        found: dict[str, Any] = json.loads(done.stdout) if done.exit_code == 0 else {"missing": container_id}
        return found

    def journal(self) -> str:
        return self.node.run(["journalctl", "-u", "kubelet", "--no-pager"], timeout=20).text

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline, self.journal()[-4000:]
            time.sleep(0.05)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHandle]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CKS_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        found = driver("sandbox")
        info = found.probe()
        if not info.available:
            if os.environ.get("CI"):
                pytest.fail(f"{info.reason}: {info.hint}")
            pytest.skip(info.reason)
        lab = found.create(LabSpec("static-pods", "audit-log"))
        yield found.node(lab)
        found.destroy(lab)


@pytest.fixture(params=["objects", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "objects":
        fake = Fake(tmp_path / "node")
        yield fake
        fake.node.kubelet.stop()
        return
    real = Sandbox(request.getfixturevalue("sandbox"))
    yield real
    real.shell(f"rm -rf {FOLDER}/probe* /srv/probe")
    real.until(lambda: not containers(real))


def containers(place: Place) -> list[dict[str, Any]]:
    return [c for c in place.ask("ps")["containers"] if c["metadata"]["name"] == "probe"]


def words(place: Place) -> list[str]:
    """The last word of each probe that runs."""
    running = [c for c in containers(place) if c["state"] == "CONTAINER_RUNNING"]
    # One that was listed may be gone by now.
    told = [place.inspect(c["id"]) for c in running]
    return [each["info"]["runtimeSpec"]["process"]["args"][-1] for each in told if "info" in each]


def test_a_saved_pod_runs_and_a_changed_one_replaces_it_with_attempt_0(place: Place) -> None:
    place.write("probe.yaml", PROBE)
    place.until(lambda: words(place) == ["WORD"])
    old = containers(place)[0]
    place.write("probe.yaml", PROBE.replace("WORD", "OTHER"))
    place.until(lambda: words(place) == ["OTHER"])
    (new,) = containers(place)
    assert new["metadata"]["attempt"] == 0
    assert new["labels"]["io.kubernetes.pod.uid"] != old["labels"]["io.kubernetes.pod.uid"]
    assert new["labels"]["io.kubernetes.pod.name"].startswith("probe-")


def test_a_comment_restarts_nothing(place: Place) -> None:
    place.write("probe.yaml", PROBE)
    place.until(lambda: words(place) == ["WORD"])
    before = containers(place)
    place.shell(f"echo '# a comment' >> {FOLDER}/probe.yaml; chmod 600 {FOLDER}/probe.yaml")
    place.write("probe-other.yaml", PROBE.replace("name: probe\n  namespace", "name: second\n  namespace"))
    place.until(lambda: len(containers(place)) == 2)
    assert before[0]["id"] in {c["id"] for c in containers(place)}


def test_a_bak_takes_the_pod_over_at_the_relist(place: Place) -> None:
    place.write("probe.yaml", PROBE)
    place.until(lambda: words(place) == ["WORD"])
    place.shell(f"cp {FOLDER}/probe.yaml {FOLDER}/probe.yaml.bak")

    def taken() -> bool:
        # Saved until it is seen: a relist in the same moment takes the edit back before anything comes of it.
        place.write("probe.yaml", PROBE.replace("WORD", "OTHER"))
        return words(place) == ["OTHER"]

    place.until(taken)
    place.until(lambda: words(place) == ["WORD"])


def test_a_broken_manifest_ends_the_pod_at_the_relist_and_the_repaired_one_starts_it(place: Place) -> None:
    place.write("probe.yaml", PROBE)
    place.until(lambda: words(place) == ["WORD"])
    place.write("probe.yaml", "broken: [")
    place.until(lambda: not containers(place))
    assert '"Could not process manifest file"' in place.journal()
    place.write("probe.yaml", PROBE)
    place.until(lambda: words(place) == ["WORD"])


def test_a_killed_process_is_started_again_as_the_next_attempt(place: Place) -> None:
    place.write("probe.yaml", PROBE)
    place.until(lambda: words(place) == ["WORD"])
    place.kill()
    place.until(lambda: words(place) == ["WORD"] and len(containers(place)) == 2)
    newest, oldest = containers(place)
    assert (newest["metadata"]["attempt"], oldest["metadata"]["attempt"]) == (1, 0)
    dead = place.inspect(oldest["id"])["status"]
    assert (dead["state"], dead["exitCode"], dead["reason"]) == ("CONTAINER_EXITED", 137, "Error")
    place.kill()
    place.until(lambda: "back-off 10s restarting failed container=probe" in place.journal())
    place.until(lambda: words(place) == ["WORD"] and containers(place)[0]["metadata"]["attempt"] == 2)


def test_a_host_path_that_is_missing_holds_the_container_back_until_it_is_there(place: Place) -> None:
    place.write("probe.yaml", MOUNTED)
    place.until(lambda: "hostPath type check failed: /srv/probe is not a directory" in place.journal())
    assert not containers(place)
    place.shell("mkdir -p /srv/probe")
    place.until(lambda: words(place) == ["WORD"])
    (mount,) = place.inspect(containers(place)[0]["id"])["status"]["mounts"]
    assert (mount["hostPath"], mount["containerPath"], mount["readonly"]) == ("/srv/probe", "/data", False)
