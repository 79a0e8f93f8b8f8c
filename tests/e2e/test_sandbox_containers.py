"""Containers on a real node: what they see, how they end, and containerd's words where they cannot start.

The runtime is driven by a program that runs on the node, as init does it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from lab.drivers.base import LabSpec
from lab.drivers.sandbox.driver import SandboxDriver
from lab.drivers.sandbox.handle import SandboxNode

pytestmark = pytest.mark.sandbox

RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)

_PRELUDE = """
import ctypes, dataclasses, json, os, select, signal, sys, time
from pathlib import Path
from lab.drivers.sandbox.containers import Containers
from lab.drivers.sandbox.runtime import ContainerError, ContainerSpec, Mount

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
runtime = Containers()

def spec(*argv, image="registry.k8s.io/etcd:3.6", **more):
    return ContainerSpec("uid", "pod", "kube-system", "c", 0, image, argv or ("etcd",), **more)

def start(*argv, **more):
    made = runtime.create(spec(*argv, **more))
    try:
        runtime.start(made)
    except ContainerError as error:
        return {"error": str(error).replace(made, "<id>"), **status(made)}
    return {"id": made, **status(made)}

def status(made):
    found = next(c for c in runtime.list() if c.id == made)
    return {key: getattr(found, key) for key in ("state", "pid", "exit_code", "reason")}

def end(made):
    limit = time.monotonic() + 120
    while status(made)["state"] == "running" and time.monotonic() < limit:
        runtime.tick()
        for fd in runtime.fds():
            if select.select([fd], [], [], 0)[0]:
                runtime.ready(fd)
        pid, code = os.waitpid(-1, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(code)
            runtime.reaped(pid, code if code >= 0 else 128 - code)
        time.sleep(0.005)
    return status(made)

def heard(made):
    select.select(runtime.fds(), [], [], 10)

def inside(pid, path):
    return Path(f"/proc/{pid}/root{path}")

out = {}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxNode]:
    driver = SandboxDriver(tmp_path_factory.mktemp("labs"))
    info = driver.probe()
    if not info.available and not os.environ.get("CI"):
        pytest.skip(info.reason)
    lab = driver.create(LabSpec("containers", "audit-log"))
    yield driver.node(lab)
    driver.destroy(lab)


def on(node: SandboxNode, script: str) -> Any:
    said = node.run(
        ["/opt/cks-lab/python", "-c", f"{_PRELUDE}\n{script}\nprint(json.dumps(out))"],
        timeout=30,
    )
    assert said.exit_code == 0, said.stderr.decode()
    return json.loads(said.text)


def test_a_program_that_the_image_lacks_is_a_start_error(node: SandboxNode) -> None:
    out = on(node, 'out = start("kube-apiserver", image="registry.k8s.io/pause:3.10.1")')
    assert out == {
        "error": f'{RUNC}exec: "kube-apiserver": executable file not found in $PATH: unknown',
        "state": "exited",
        "pid": None,
        "exit_code": 128,
        "reason": "StartError",
    }


def test_a_relative_host_path_fails_as_under_runc(node: SandboxNode) -> None:
    # golden/static-pods, wrong-host-path-relative [R 1.34 kubelet]
    out = on(node, 'out = start(mounts=(Mount("var/log/audit", "/var/log/audit"),))')
    bundle = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/<id>"
    assert out["error"] == (
        f'{RUNC}error during container init: error mounting "{bundle}/var/log/audit" to rootfs at "/var/log/audit": '
        f"stat {bundle}/var/log/audit: no such file or directory: unknown"
    )


def test_a_file_cannot_be_mounted_where_a_folder_is(node: SandboxNode) -> None:
    out = on(node, 'out = start(mounts=(Mount("/etc/hostname", "/etc"),))')
    assert "not a directory: unknown" in out["error"]
    assert out["state"] == "exited"


def test_mounts_are_real_whatever_their_order(node: SandboxNode) -> None:
    out = on(
        node,
        """
folder = Path("/srv/mounts"); (folder / "below").mkdir(parents=True, exist_ok=True)
(folder / "file").write_text("one"); (folder / "below/file").write_text("two")
os.symlink("file", folder / "link") if not (folder / "link").is_symlink() else None
made = start(mounts=(
    Mount("/srv/mounts/below", "/data/inner", read_only=True),
    Mount("/srv/mounts", "/data"),
    Mount("/srv/mounts/link", "relative/../one-file"),
))
pid = made["pid"]
names = ["below", "file", "inner", "link"]
out["names"] = [name for name in names if name in os.listdir(inside(pid, "/data"))]
out["inner"] = os.listdir(inside(pid, "/data/inner"))
out["file"] = inside(pid, "/one-file").read_text()
inside(pid, "/data/new").write_text("x")
out["seen"] = (folder / "new").read_text()
try:
    inside(pid, "/data/inner/new").write_text("x")
except OSError as error:
    out["refused"] = error.strerror
out["etc"] = sorted(os.listdir(inside(pid, "/etc")))
out["home"] = inside(pid, "/root").exists()
runtime.remove(made["id"])
""",
    )
    assert out["names"] == ["below", "file", "inner", "link"]
    assert out["inner"] == ["file"]
    assert out["file"] == "one"
    assert out["seen"] == "x"
    assert out["refused"] == "Read-only file system"
    assert "kubernetes" not in out["etc"]
    assert not out["home"]


def test_a_container_ends_by_signal_or_by_itself_and_its_words_are_kept(node: SandboxNode) -> None:
    out = on(
        node,
        """
Path("/tmp/log").mkdir(exist_ok=True)
gentle = start(log_path="/tmp/log/0.log"); heard(gentle); runtime.stop(gentle["id"], 10); out["gentle"] = end(gentle["id"])
hard = start(); runtime.stop(hard["id"], 0); out["hard"] = end(hard["id"])
early = start(); runtime.stop(early["id"], 10); out["early"] = end(early["id"])
deaf = start(image="registry.k8s.io/kube-scheduler:v1", *("kube-scheduler",))
os.kill(deaf["pid"], signal.SIGSTOP); runtime.stop(deaf["id"], 0.2); out["deaf"] = end(deaf["id"])
failing = start("kube-apiserver", "--no-such-flag", image="kube-apiserver:v1", log_path="/tmp/log/1.log")
out["failing"] = end(failing["id"])
out["log"] = Path("/tmp/log/0.log").read_text()
out["words"] = Path("/tmp/log/1.log").read_text()
""",
    )
    assert out["gentle"]["exit_code"] == 0
    assert out["early"]["exit_code"] in (0, 143)
    assert out["hard"]["exit_code"] == 137
    assert out["deaf"]["exit_code"] == 137
    assert out["failing"]["exit_code"] == 1
    assert "Error: unknown flag: --no-such-flag" in out["words"]
    stamp, stream, tag, message = out["log"].splitlines()[0].split(" ", 3)
    assert stamp.endswith("Z")
    assert (stream, tag) == ("stderr", "F")
    assert message.startswith("etcd (stand-in): ")


def test_a_pod_without_the_nodes_network_has_its_own(node: SandboxNode) -> None:
    out = on(
        node,
        """
here = os.readlink("/proc/self/ns/net")
shared, own = start(), start(host_network=False)
out["shared"] = os.readlink(f"/proc/{shared['pid']}/ns/net") == here
out["own"] = os.readlink(f"/proc/{own['pid']}/ns/net") == here
out["name"] = inside(own["pid"], "/etc/hostname").read_text()
lines = Path(f"/proc/{own['pid']}/status").read_text().splitlines()
out["pid"] = [line.split()[-1] for line in lines if "NSpid" in line]
runtime.remove(shared["id"]); runtime.remove(own["id"])
out["left"] = runtime.list()
""",
    )
    assert out == {"shared": True, "own": False, "name": "pod\n", "pid": ["1"], "left": []}


def test_a_read_only_root_is_read_only_and_its_mounts_are_not(node: SandboxNode) -> None:
    out = on(
        node,
        """
Path("/srv/rw").mkdir(exist_ok=True)
made = start(read_only_root=True, mounts=(Mount("/srv/rw", "/data"),), working_dir="/data")
inside(made["pid"], "/data/x").write_text("x")
try:
    inside(made["pid"], "/var").mkdir()
except OSError as error:
    out["refused"] = error.strerror
out["cwd"] = os.readlink(f"/proc/{made['pid']}/cwd")
runtime.remove(made["id"])
""",
    )
    assert out["refused"] == "Read-only file system"
    assert out["cwd"] == "/data"


def test_a_container_cannot_be_told_from_a_program_of_that_name(node: SandboxNode) -> None:
    out = on(
        node,
        """
made = start("etcd", "--name=x", env={"GREETING": "hi"})
out["comm"] = Path(f"/proc/{made['pid']}/comm").read_text().strip()
out["title"] = Path(f"/proc/{made['pid']}/cmdline").read_bytes().rstrip(b"\\0").decode()
out["fds"] = sorted(int(name) for name in os.listdir(f"/proc/{made['pid']}/fd"))
runtime.remove(made["id"])
""",
    )
    assert out == {"comm": "etcd", "title": "etcd --name=x", "fds": [0, 1, 2]}
