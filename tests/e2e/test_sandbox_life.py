"""A sandbox lab through what happens to it: restarts, kills, crowds, other users; and that nothing of it stays."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import procs
from lab.drivers.base import Lab, LabSpec
from lab.drivers.sandbox.driver import SandboxDriver
from lab.drivers.sandbox.handle import SandboxNode
from lab.drivers.sandbox.state import ProcessId, StateFolder
from lab.errors import LabError

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[SandboxDriver]:
    made = SandboxDriver(tmp_path / "labs")
    info = made.probe()
    if not info.available and not os.environ.get("CI"):
        pytest.skip(info.reason)
    yield made
    for lab in made.find():
        made.destroy(lab)


@pytest.fixture
def lab(driver: SandboxDriver) -> Lab:
    return driver.create(LabSpec("one", "audit-log"))


@pytest.fixture
def node(driver: SandboxDriver, lab: Lab) -> SandboxNode:
    return driver.node(lab)


def sh(node: SandboxNode, script: str) -> str:
    said = node.run(["sh", "-c", script], timeout=20)
    assert said.exit_code == 0, said.stderr.decode()
    return said.text


def until(condition: Callable[[], object], what: str, limit: float = 150) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit} s: {what}"
        time.sleep(0.02)


def state_of(driver: SandboxDriver, name: str = "one") -> StateFolder:
    return StateFolder(driver._labs / name)


def init_of(driver: SandboxDriver, name: str = "one") -> ProcessId:
    process = state_of(driver, name).process()
    assert process is not None
    return process


def processes_of(init: ProcessId) -> set[int]:
    """Return init and all processes below it."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {init.pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def test_nothing_of_a_removed_lab_stays(driver: SandboxDriver, lab: Lab, node: SandboxNode) -> None:
    shell = procs.start(node.shell_argv(["sleep", "300"]))
    sh(node, "setsid sleep 300 >/dev/null 2>&1 & chmod 000 /etc/kubernetes; ln -s / /root/everything")
    mounts = Path("/proc/self/mounts").read_text()
    init = init_of(driver)
    below = [ProcessId.of(pid) for pid in processes_of(init)]
    assert len(below) > 4
    driver.destroy(lab)
    until(lambda: not any(process and process.alive for process in below), "its processes end")
    assert shell.wait(10) != 0
    assert not init.alive
    assert list(driver._labs.iterdir()) == []
    assert Path("/proc/self/mounts").read_text() == mounts
    assert str(driver._labs) not in mounts


def test_a_restarted_machine_leaves_a_lab_that_starts_again_with_its_files(
    driver: SandboxDriver, lab: Lab, node: SandboxNode
) -> None:
    sh(node, "echo mine > /root/notes; mkdir -p /etc/kubernetes/audit; echo p > /etc/kubernetes/audit/policy.yaml")
    sh(node, "kubectl create configmap kept --from-literal=a=b")
    init = init_of(driver)
    os.kill(init.pid, signal.SIGKILL)
    until(lambda: not init.alive, "init ends")
    [stopped] = driver.find()
    assert (stopped.state, stopped.name, stopped.scenario) == ("stopped", "one", "audit-log")
    with pytest.raises(LabError, match="does not run"):
        node.run(["true"], timeout=5)

    again = driver.create(LabSpec("one", "audit-log"))
    assert again.state == "running"
    assert sh(node, "cat /root/notes /etc/kubernetes/audit/policy.yaml") == "mine\np\n"
    assert sh(node, "kubectl get configmap kept -o jsonpath={.data.a}") == "b"


def test_labs_beside_each_other_do_not_meet(driver: SandboxDriver, node: SandboxNode) -> None:
    other = driver.node(driver.create(LabSpec("two", "audit-log")))
    sh(node, "kubectl create configmap mine --from-literal=a=b; touch /root/mine")
    assert "mine" not in sh(other, "kubectl get configmaps -o name; ls /root")
    assert {found.name: found.state for found in driver.find()} == {"one": "running", "two": "running"}
    driver.destroy(driver.find()[1])
    assert "mine" in sh(node, "kubectl get configmaps -o name")


_CREATE = """
import os, sys
from pathlib import Path
from lab.drivers.base import LabSpec
from lab.drivers.sandbox.driver import SandboxDriver
def progress(step):
    print(step.title, flush=True)
    if step.title == sys.argv[2]:
        sys.stdin.read()
SandboxDriver(Path(sys.argv[1])).create(LabSpec("one", "audit-log"), progress)
print("created", flush=True)
"""


@pytest.mark.parametrize(
    "step", ["namespaces", "files and certificates", "kubelet", "kube-apiserver", "kubectl answers"]
)
def test_a_program_killed_while_it_makes_a_lab_leaves_one_that_is_found_and_removed(
    driver: SandboxDriver, step: str
) -> None:
    waits, hold = os.pipe()
    tells, said = os.pipe()
    process = procs.start([sys.executable, "-c", _CREATE, str(driver._labs), step], stdin=waits, stdout=said)
    os.close(waits)
    os.close(said)
    with os.fdopen(tells) as titles:
        for title in titles:
            if title.strip() == step:
                break
    [seen] = driver.find()
    assert seen.state == "starting"
    with pytest.raises(LabError, match="another program"):
        driver.destroy(seen)
    process.kill()
    process.wait()
    os.close(hold)

    begun = step in ("kube-apiserver", "kubectl answers")
    if not begun:
        until(lambda: not (found := state_of(driver).process()) or not found.alive, "init ends without its creator")
    [left] = driver.find()
    assert left.name == "one"
    assert left.state == {"kube-apiserver": "running", "kubectl answers": "running", "kubelet": "stopped"}.get(
        step, "broken"
    )
    if step != "kubelet":
        driver.destroy(left)
        assert driver.find() == []
        assert not state_of(driver).path.exists()
    else:
        assert driver.create(LabSpec("one", "audit-log")).state == "running"


def test_a_lab_whose_start_was_cut_off_is_made_anew_under_its_name(driver: SandboxDriver) -> None:
    (driver._labs / "one" / "root" / "etc").mkdir(parents=True)
    (driver._labs / "one" / "root" / "etc" / "half").touch()
    [left] = driver.find()
    assert left.state == "broken"
    driver.create(LabSpec("one", "audit-log"))
    assert not (driver._labs / "one" / "root" / "etc" / "half").exists()


def test_the_machine_around_the_node_cannot_be_changed_from_it(node: SandboxNode) -> None:
    paths = ["/proc/sys/vm/swappiness", "/usr/bin/new", "/opt/cks-lab/bin/new"]
    if Path("/proc/sysrq-trigger").exists():
        paths.append("/proc/sysrq-trigger")
    for path in paths:
        said = node.run(["sh", "-c", f"echo 1 > {path}"], timeout=10)
        assert b"Read-only file system" in said.stderr, path
    assert node.run(["kill", "-9", "1"], timeout=10).exit_code == 0
    assert node.run(["true"], timeout=10).exit_code == 0
    devices = set(sh(node, "ls /dev").split())
    assert devices == {
        *("fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"),
        *(devices & {"ptys"}),
    }


def test_the_shell_has_a_terminal_a_prompt_and_the_aliases(node: SandboxNode) -> None:
    argv = node.shell_argv()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(argv[0], argv)  # pragma: no cover

    seen = ""

    def says(text: str) -> bool:
        nonlocal seen
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 65536).decode("utf-8", "replace")
        return text in seen

    try:
        until(lambda: says("root@cks-control-plane:~# "), "the prompt")
        os.write(terminal, b"tty; k get nodes -o name; echo $EDITOR$((40+2))\n")
        until(lambda: says("/dev/pts/") and says("node/cks-control-plane") and says("42"), "its answers")
        os.write(terminal, b"stty size; sleep 100\n")
        time.sleep(0.2)
        os.write(terminal, b"\x03")
        os.write(terminal, b"exit 5\n")
        until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), "the shell's end")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    finally:
        os.close(terminal)


def test_a_container_sees_exactly_what_its_manifest_mounts(node: SandboxNode) -> None:
    root = "/proc/$(pgrep -x kube-apiserver)/root"
    assert sh(node, f"ls {root}/etc/kubernetes") == "pki\n"
    assert sh(node, f"ls {root}/etc/kubernetes/pki") == sh(node, "ls /etc/kubernetes/pki")
    assert sh(node, f"ls -d {root}/var {root}/root {root}/home 2>/dev/null || true") == ""
    mounts = sh(node, "cat /proc/$(pgrep -x kube-apiserver)/mounts")
    assert any(" /etc/kubernetes/pki " in line and " ro," in line for line in mounts.splitlines())
    assert sh(node, "grep NSpid /proc/$(pgrep -x kube-apiserver)/status").split()[-1] == "1"


def test_containers_log_as_containerd_does(node: SandboxNode) -> None:
    name = "kube-apiserver-cks-control-plane"
    lines = sh(node, f"cat /var/log/containers/{name}_kube-system_kube-apiserver-*.log").splitlines()
    assert lines
    assert all(line.split(" ")[1:3] == ["stderr", "F"] for line in lines)


_AS_NOBODY = """
import sys
from pathlib import Path
from lab.drivers.base import LabSpec
from lab.drivers.sandbox.driver import SandboxDriver
driver = SandboxDriver(Path(sys.argv[1]))
lab = driver.create(LabSpec("one", "audit-log"))
node = driver.node(lab)
print(node.run(["sh", "-c", "id -un; kubectl get nodes -o name; touch /etc/mine; ls -ln /etc/mine"], timeout=20).text)
print(node.files.list("/etc/kubernetes/manifests"))
node.run(["chmod", "-R", "000", "/etc/kubernetes"], timeout=20)
driver.reset(lab, __import__("lab.overlay").overlay.Overlay())
driver.destroy(lab)
print(driver.find(), list(Path(sys.argv[1]).iterdir()))
"""


def test_another_user_than_root_has_the_same_lab() -> None:
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    sites = [entry for entry in sys.path if entry.endswith("-packages")]
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; everybody else is one already")
    if not Path(python).exists() or not shutil.which("setpriv"):
        pytest.skip(f"{python} or setpriv is missing: our own Python may lie where another user cannot read it")
    home = Path(tempfile.mkdtemp(prefix="cks-lab-nobody-", dir="/tmp"))
    try:
        os.chown(home, 65534, 65534)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sites]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if procs.run([*become, python, "-c", "import lab, yaml"], timeout=10, env=env, check=False).exit_code:
            pytest.skip("another user cannot read this folder")
        said = procs.run([*become, python, "-c", _AS_NOBODY, str(home / "labs")], timeout=60, env=env)
        lines = said.text.splitlines()
        assert lines[:2] == ["root", "node/cks-control-plane"]
        assert lines[2].split()[2:4] == ["0", "0"]
        assert "kube-apiserver.yaml" in said.text
        assert lines[-1] == "[] []"
    finally:
        shutil.rmtree(home)
