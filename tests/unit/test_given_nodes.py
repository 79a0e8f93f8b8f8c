"""How nodes that are no labs of ours are named and reached, and the words where they are not."""

from __future__ import annotations

import ast
import gzip
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkers.evidence import Evidence, NodeFiles
from checkers.registry import outcome
from checkers.result import CheckResult, Status
from lab.cli.run import run
from lab.errors import LabError
from lab.evidence import collector
from lab.evidence.collector.files import collect, utcnow
from lab.evidence.collector.host import Host, Stat, Unreadable
from lab.evidence.directory import DirectoryFiles
from lab.evidence.settle import REAL, settle_looks
from lab.session import Session
from tests.given_nodes import program
from tests.nodes import audit_log, lay, write_log


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def refused(url: str) -> LabError:
    with pytest.raises(LabError) as error:
        Session().grade_node(url, "audit-log")
    return error.value


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("podman://x", "no node is reached by 'podman://x'"),
        ("exam", "no node is reached by 'exam'"),
        ("", "no node is reached by ''"),
        ("local://", "no node is reached by"),
        ("docker://", "'' cannot name a container"),
        ("docker://-it", "'-it' cannot name a container"),
        ("docker://a/b", "cannot name a container"),
        ("docker://a b", "cannot name a container"),
        ("ssh://", "names no host"),
        ("ssh://-oProxyCommand=reboot", "names no host"),
        ("ssh://-l@host", "names no host"),
        ("ssh://host:99999999", "names no host"),
        ("ssh://host/path", "names no host"),
        ("ssh://a b", "names no host"),
    ],
)
def test_a_way_that_is_none_is_refused_with_the_known_ones(programs: Path, url: str, says: str) -> None:
    for name in ("docker", "ssh"):
        program(programs, name, "#!/bin/sh\necho it was run >&2; exit 99\n")
    error = refused(url)
    assert says in error.message
    assert "--node" in error.hint or "docker ps" in error.hint


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    error = refused("ssh://root:hunter2@host")
    assert "could be read by everybody" in error.message
    assert "hunter2" not in str(error)


# What docker 28.2 says, on stderr, with exit status 1.
_NO_DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
_DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        ("Error response from daemon: No such container: exam", "there is no container 'exam'", "docker ps"),
        (_NO_DAEMON, _NO_DAEMON, "start Docker"),
        (_DENIED, "permission denied", "usermod -aG docker"),
        ("something new", "something new", "docker container inspect"),
    ],
)
def test_what_docker_says_is_told_with_the_next_command(programs: Path, words: str, says: str, hint: str) -> None:
    program(programs, "docker", f"#!/bin/sh\necho '{words}' >&2; exit 1\n")
    error = refused("docker://exam")
    assert says in error.message
    assert hint in error.hint


@pytest.mark.parametrize(("state", "again"), [("exited", "start"), ("created", "start"), ("paused", "unpause")])
def test_a_container_that_does_not_run_is_told_how_to_start_it(programs: Path, state: str, again: str) -> None:
    program(programs, "docker", f"#!/bin/sh\necho {state}\n")
    error = refused("docker://exam")
    assert (error.message, error.hint) == (
        f"the container exam does not run: it is {state}",
        f"docker {again} exam",
    )


def test_a_container_without_a_shell_is_told(programs: Path) -> None:
    words = "OCI runtime exec failed: exec failed: unable to start container process: exec: sh: not found"
    program(programs, "docker", f"#!/bin/sh\n[ $1 = container ] && echo running && exit\necho '{words}'; exit 126\n")
    assert "has no sh" in refused("docker://exam").message


@pytest.mark.parametrize("name", ["docker", "ssh"])
def test_a_program_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(f"{name}://exam")
    assert f"reached with the {name} program" in error.message
    assert error.hint


def test_a_node_of_another_kind_is_told_apart(programs: Path) -> None:
    def answers(root: str, manifests: str, lacks: str = "") -> LabError:
        lines = f"cks-lab:root={root}\\ncks-lab:python=\\ncks-lab:lacks={lacks}\\ncks-lab:manifests={manifests}\\n"
        text = f"#!/bin/sh\n[ $1 = container ] && echo running && exit\nprintf '{lines}'\n"
        program(programs, "docker", text)
        return refused("docker://exam")

    assert answers("", "").message.startswith("exam is no control-plane node: /etc/kubernetes/manifests")
    assert "without root" in answers("no", "").message
    assert answers("", "yes", " stat tail").message == "exam has neither python3 nor stat, tail"


def test_a_node_that_hangs_is_given_up(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.evidence.given._LOOK_TIMEOUT", 0.3)
    program(programs, "docker", "#!/bin/sh\n[ $1 = container ] && echo running && exit\nexec sleep 60\n")
    error = refused("docker://exam")
    assert error.message == "exam gave no answer within 0.3 s"
    assert error.hint.endswith("docker exec --user 0 exam true")


def test_who_is_not_root_there_is_told_how_to_be(programs: Path) -> None:
    lines = "cks-lab:root=no\\ncks-lab:python=/usr/bin/python3\\ncks-lab:lacks=\\ncks-lab:manifests=yes\\n"
    said = "collect.py: cannot look at /x: Permission denied; run it as root: sudo python3 collect.py"
    text = f"case $* in *' -I -') echo '{said}' >&2; exit 2 ;; *) printf '{lines}' ;; esac"
    program(programs, "docker", f"#!/bin/sh\n[ $1 = container ] && echo running && exit\n{text}\n")
    error = refused("docker://exam")
    assert error.message == "cannot look at /x: Permission denied, on exam without being root"
    assert "--user 0" in error.hint


def test_where_sudo_asks_nothing_it_is_used(programs: Path) -> None:
    lines = "cks-lab:root=sudo -n\\ncks-lab:python=/usr/bin/python3\\ncks-lab:lacks=\\ncks-lab:manifests=yes\\n"
    text = f"case $* in *' -I -') echo \"$*\" >&2; exit 3 ;; *) printf '{lines}' ;; esac"
    program(programs, "docker", f"#!/bin/sh\n[ $1 = container ] && echo running && exit\n{text}\n")
    assert "exam sudo -n /usr/bin/python3 -I -" in refused("docker://exam").message


# The command line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("grade", "--node", "local"), "--node needs the task"),
        (("grade", "audit-log", "--node", "local", "--root", "/"), "exclude each other"),
        (("grade", "audit-log", "--node", "local", "--lab", "x"), "exclude each other"),
        (("grade", "audit-log", "--node", "nope"), "docker://NAME"),
        (("grade", "nope", "--node", "local"), "no scenario 'nope'"),
        (("collect",), "-o"),
        (("collect", "nope", "--script"), "no scenario 'nope'"),
        (("collect", "--script", "--node", "local"), "exclude each other"),
        (("collect", "--seed", "1", "-o", "x"), "--seed goes with"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert (said.out, says in said.err) == ("", True), said.err


def test_the_script_is_data_and_can_go_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["collect", "--script"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("#!/usr/bin/env python3\n")
    assert run(["collect", "audit-log", "--script", "-o", str(tmp_path / "c.py")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "c.py").read_text() == printed.out


# The collector


def test_the_collector_needs_nothing_but_python_3_6() -> None:
    text = Session().collector("audit-log", 7)
    tree = ast.parse(text, feature_version=(3, 6))
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    inside = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.level]
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    names |= {str(n.module) for n in nodes if isinstance(n, ast.ImportFrom) and not n.level}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names) - {"__future__", "dataclasses"}
    # What its parts import of each other is for the package only.
    guarded = [
        n for i in ast.walk(tree) if isinstance(i, ast.If) and ast.unparse(i.test) == "__package__" for n in i.body
    ]
    assert inside
    assert set(map(id, inside)) <= set(map(id, guarded))
    assert '"seed": 7' in text


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9", "3.10"])
def test_an_old_python_runs_it(version: str, tmp_path: Path) -> None:
    name = f"python{version}"
    candidates = [*map(str, Path(sys.base_prefix).parent.glob(f"{version}.*/bin/{name}")), shutil.which(name)]
    found = next(
        (c for c in candidates if c and not subprocess.run([c, "-c", ""], capture_output=True).returncode), None
    )
    if found is None:
        pytest.skip(f"there is no {name} here")
    program = collector.script({**_TASK, "manifests": "/nonexistent"}).encode()
    done = subprocess.run([found, "-I", "-"], input=program, capture_output=True, timeout=60, check=False)
    assert done.stderr == b"collect.py: /nonexistent: no such directory: this is no control-plane node\n"
    assert (done.returncode, done.stdout) == (2, b"")
    program = collector.script({**_TASK, "manifests": str(tmp_path)}).encode()
    done = subprocess.run([found, "-I", "-"], input=program, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert gzip.decompress(done.stdout)


_TASK = {
    "scenario": "audit-log",
    "variant": {"seed": None},
    "driver": "local",
    "node": "n",
    "policy_file": "/etc/kubernetes/audit/policy.yaml",
    "log_file": "/var/log/audit/audit.log",
    "manifests": "/etc/kubernetes/manifests",
}


class Barred(Host):
    """A node that lets nobody see one of its paths."""

    def __init__(self, barred: str) -> None:
        self._barred = barred

    def stat(self, path: str) -> Stat:
        return Stat("directory" if "." not in path else "file", 0o755, 0, 0, 0, 0)

    def names(self, path: str) -> list[str]:
        if path == self._barred:
            raise Unreadable(path, "Permission denied")
        return ["kube-apiserver.yaml"] if path == _TASK["manifests"] else []

    def read(self, path: str, limit: int) -> bytes:
        if path == self._barred:
            raise Unreadable(path, "Permission denied")
        return b""

    def run(self, argv: object, timeout: float) -> Any:
        raise AssertionError

    def request(self, *arguments: object) -> Any:
        raise AssertionError


@pytest.mark.parametrize("path", ["/etc/kubernetes/manifests", "/etc/kubernetes/manifests/kube-apiserver.yaml"])
def test_what_may_not_be_read_is_an_error_and_not_an_empty_folder(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.evidence.collector.files.live_facts", lambda host, task: {})
    with (tmp_path / "b").open("wb") as out, pytest.raises(Unreadable, match="Permission denied"):
        collect(Barred(path), _TASK, out, utcnow)


# The wait


class Looked:
    """A node as one look sees it."""

    def __init__(self, files: NodeFiles, containers: list[dict[str, Any]] | None, now: float, ready: bool) -> None:
        self.files = files
        self._containers = containers
        self._now = now
        self._ready = ready

    def containers(self) -> list[dict[str, Any]] | None:
        return self._containers

    def ready(self) -> bool:
        return self._ready

    def now(self) -> float:
        return self._now


def container(argv: list[str] | None, state: str = "running", attempt: int = 0) -> dict[str, Any]:
    return {
        "name": "kube-apiserver",
        "state": state,
        "attempt": attempt,
        "argv": argv,
        "mounts": [],
        "last_lines": ["E"],
        "created": "2020-01-01T00:00:00Z",
        "started": "2020-01-01T00:00:00Z",
        "finished": None,
    }


OLD = container(["old"])
ENDED = container(["old"], "exited")
OWN = container(None)


@pytest.mark.parametrize(
    ("looks", "state", "seconds"),
    [
        ([[OWN]], "running", 0),
        ([[OLD], [ENDED], [], [OWN]], "running", 3),
        ([[OLD]], "over", 90),
        ([[]], "refused", 61),
        ([[container(None, "exited", 1)]], "crashing", 0),
        ([[container(None, "exited")]], "crashing", 61),
        ([None], "over", 0),
    ],
)
def test_an_edit_is_waited_for_as_long_as_it_can_come(
    tmp_path: Path, looks: list[Any], state: str, seconds: float
) -> None:
    assert waited(tmp_path, looks)[:2] == (state, seconds)


@pytest.mark.parametrize(
    ("looks", "ready", "state", "seconds"),
    [
        ([[]], True, "refused", 0),
        ([[ENDED]], True, "refused", 0),
        ([[container(None, "exited")]], True, "crashing", 0),
        ([[OWN]], False, "over", 0),
        # `cp -p` gives an edit an old time: what still runs may be about to be stopped.
        ([[OLD]], True, "over", 90),
    ],
)
def test_what_has_been_so_for_long_is_not_waited_for(
    tmp_path: Path, looks: list[Any], ready: bool, state: str, seconds: float
) -> None:
    assert waited(tmp_path, looks, age=3600.0, ready=ready)[:2] == (state, seconds)


def test_the_wait_says_for_what_how_long_already_and_how_long_it_usually_takes(tmp_path: Path) -> None:
    said = waited(tmp_path, [[OLD], [ENDED], [], [OWN]])[2]
    assert said == [
        "the kubelet takes your edit (0 s, usually 15 to 50 s)",
        "the kubelet takes your edit (1 s, usually 15 to 50 s)",
        "the kubelet makes the API server's container (2 s, usually 15 to 50 s)",
    ]


def waited(folder: Path, looks: list[Any], *, age: float = 0.0, ready: bool = True) -> tuple[str, float, list[str]]:
    """Return how the wait for a node ended, after how long, and what was said; `age`: of the edit before, in seconds."""
    files = DirectoryFiles(lay(folder, audit_log().solution))
    # All of one moment: how long this machine took to write them must not count.
    edited = 1_700_000_000.0
    for path in folder.rglob("*"):
        os.utime(path, (edited, edited))
    began = edited + age
    now = [0.0]
    said: list[str] = []

    def sleep(pause: float) -> None:
        now[0] += pause

    def look() -> Iterator[Looked]:
        for seen in itertools.chain(looks, itertools.repeat(looks[-1])):
            yield Looked(files, seen, began + now[0], ready)

    each = look()
    settled = settle_looks(
        lambda: next(each),
        audit_log().wants,
        patience=90,
        pace=REAL,
        say=said.append,
        clock=lambda: now[0],
        sleep=sleep,
    )
    return settled.state, settled.seconds, said


# The judge, where something could not be asked


def judged(root: Path, check: str, **facts: object) -> CheckResult:
    return outcome(check, Evidence(DirectoryFiles(root), {"node": {"name": "n"}, **facts}), audit_log().wants)


_UNASKED = {"apiserver": None, "probe": None, "unknown": {"apiserver": "no admin.conf", "containers": "no crictl"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_log(lay(tmp_path, audit_log().solution))


@pytest.mark.parametrize("check", ["apiserver.running", "live.probe"])
def test_an_api_server_that_nobody_could_ask_costs_nothing(root: Path, check: str) -> None:
    result = judged(root, check, containers=[container(None)], **_UNASKED)
    assert (result.status, result.knowable) == (Status.SKIP, False)
    assert "no admin.conf" in result.found


def test_an_api_server_that_is_seen_to_have_ended_fails_whether_it_can_be_asked_or_not(root: Path) -> None:
    seen = [container(None, "exited", 2)]
    assert judged(root, "apiserver.running", containers=seen, **_UNASKED).status is Status.FAIL
    assert judged(root, "live.probe", containers=seen, **_UNASKED).knowable


def test_a_crictl_that_does_not_answer_is_our_fault_and_costs_nothing(root: Path) -> None:
    result = judged(root, "apiserver.running", containers=None, **_UNASKED)
    assert (result.status, result.found) == (Status.ERROR, "no crictl")
    assert not judged(root, "live.probe", containers=None, **_UNASKED).knowable


def test_a_server_seen_only_by_its_process_is_the_manifests(root: Path) -> None:
    api = {"version": "v1.34.4", "readyz": {"status": 200}}
    seen = [container(None) | {"name": None}]
    assert judged(root, "apiserver.running", containers=seen, apiserver=api).status is Status.PASS
