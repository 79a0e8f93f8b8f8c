"""crictl, journalctl, systemctl and sudo on a node: what they print, and how they refuse."""

from __future__ import annotations

import json
import os
import re
import socketserver
import sys
import threading
from pathlib import Path

import pytest

import lab
from lab import procs
from lab.drivers.sandbox.tools import TOOLS, crictl, journalctl, launcher, printing, systemctl
from lab.drivers.sandbox.tools.crilog import follow


@pytest.fixture
def tools(node, manifest, tmp_path, monkeypatch):
    """A node with a running and a dead API server container, and the socket that its tools speak to."""
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.runtime.kill("kube-apiserver")
    node.run(130)
    lock = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            request = json.loads(self.rfile.readline())
            with lock:
                answer = node.kubelet.handle(request)
                node.kubelet.tick()
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    path = str(tmp_path / "s")
    server = socketserver.ThreadingUnixStreamServer(path, Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("CKS_LAB_NODE_SOCKET", path)
    monkeypatch.setenv("CKS_LAB_JOURNAL", str(node.root / "var/log/journal/units.log"))
    yield node
    server.shutdown()
    server.server_close()


def run(tool, *words):
    try:
        return tool.main(list(words))
    except SystemExit as end:
        return end.code


def out(capfd, tool, *words):
    code = run(tool, *words)
    captured = capfd.readouterr()
    assert code in (0, None), captured.err
    return captured.out


def refusal(capfd, tool, *words):
    code = run(tool, *words)
    return code, capfd.readouterr().err


# crictl


def test_ps_prints_the_table_that_everybody_knows(tools, capfd):
    header, row = out(capfd, crictl, "ps").splitlines()
    assert re.split(r"\s{3,}", header.strip()) == [
        *("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE")
    ]
    cells = re.split(r"\s{3,}", row)
    assert cells[2:6] == ["2 minutes ago", "Running", "kube-apiserver", "1"]
    assert cells[7:] == ["kube-apiserver-cks-control-plane", "kube-system"]
    assert len(cells[0]) == len(cells[1]) == len(cells[6]) == 13
    assert header.index("IMAGE") == row.index(cells[1])


def test_ps_a_shows_dead_containers_too_the_newest_first(tools, capfd):
    rows = out(capfd, crictl, "ps", "-a").splitlines()[1:]
    assert [re.split(r"\s{3,}", row)[3] for row in rows] == ["Running", "Exited"]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["-a", "--name", "kube-api"], 2),
        (["-a", "--name=^kube-apiserver$"], 2),
        (["--name", "etcd"], 0),
        (["-a", "--state", "exited"], 1),
        (["-s", "Running"], 1),
        (["-l"], 1),
        (["-n", "5"], 2),
        (["-a", "--label", "io.kubernetes.container.name=kube-apiserver"], 2),
        (["-a", "--namespace", "default"], 0),
    ],
)
def test_ps_filters(tools, capfd, words, count):
    assert len(out(capfd, crictl, "ps", "-q", *words).split()) == count


def test_ps_as_json_has_the_fields_of_the_cri(tools, capfd):
    told = json.loads(out(capfd, crictl, "ps", "-a", "-o", "json"))
    newest = told["containers"][0]
    assert newest["state"] == "CONTAINER_RUNNING"
    assert newest["metadata"] == {"name": "kube-apiserver", "attempt": 1}
    assert newest["labels"]["io.kubernetes.pod.name"] == "kube-apiserver-cks-control-plane"
    assert newest["createdAt"].isdigit()
    assert newest["podSandboxId"] == json.loads(out(capfd, crictl, "pods", "-o", "json"))["items"][0]["id"]


def test_inspect_takes_the_beginning_of_an_id(tools, capfd):
    identifier = out(capfd, crictl, "ps", "-q").strip()
    told = json.loads(out(capfd, crictl, "inspect", identifier[:6]))
    status = told["status"]
    assert (status["id"], status["state"], status["exitCode"]) == (identifier, "CONTAINER_RUNNING", 0)
    assert status["mounts"][0]["hostPath"] == status["mounts"][0]["containerPath"] == "/etc/kubernetes/pki"
    assert status["mounts"][0]["readonly"] is True
    assert told["info"]["pid"] == 4242
    assert told["info"]["runtimeSpec"]["process"]["args"] == ["kube-apiserver", "--secure-port=6443"]
    assert status["finishedAt"] == "0001-01-01T00:00:00Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", status["startedAt"])
    dead = json.loads(out(capfd, crictl, "inspect", out(capfd, crictl, "ps", "-aqs", "exited").strip()))["status"]
    assert (dead["exitCode"], dead["reason"], dead["state"]) == (137, "Error", "CONTAINER_EXITED")


def test_inspect_as_yaml_and_by_template(tools, capfd):
    identifier = out(capfd, crictl, "ps", "-q").strip()
    assert f"  id: {json.dumps(identifier) if identifier[0].isdigit() else identifier}\n" in out(
        capfd, crictl, "inspect", "-o", "yaml", identifier
    )
    words = ("-o", "go-template", "--template", "{{.info.pid}} {{ .status.metadata.name }}")
    assert out(capfd, crictl, "inspect", *words, identifier) == "4242 kube-apiserver\n"


def test_pods_images_version_and_info(tools, capfd):
    assert "kube-apiserver-cks-control-plane   kube-system   0         (default)" in out(capfd, crictl, "pods")
    assert out(capfd, crictl, "pods", "--state", "NotReady", "-q") == ""
    assert "registry.k8s.io/kube-apiserver" in out(capfd, crictl, "images")
    assert "RuntimeName:  containerd\n" in out(capfd, crictl, "version")
    assert json.loads(out(capfd, crictl, "info"))["status"]["conditions"][0]["type"] == "RuntimeReady"
    pod = out(capfd, crictl, "pods", "-q").strip()
    assert json.loads(out(capfd, crictl, "inspectp", pod[:8]))["status"]["state"] == "SANDBOX_READY"
    assert "kube-apiserver:v1.34.4" in out(capfd, crictl, "inspecti", "registry.k8s.io/kube-apiserver:v1.34.4")


def test_logs_go_to_the_stream_they_came_from(tools, capfd):
    identifier = out(capfd, crictl, "ps", "-q").strip()
    log = Path(tools.running().spec.log_path)
    stamp = "2026-11-24T03:00:00.000000000Z"
    log.write_text(f"{stamp} stderr F one\n{stamp} stdout P tw\n{stamp} stdout F o\n{stamp} stderr F three\n")
    assert run(crictl, "logs", identifier) == 0
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("two\n", "one\nthree\n")
    run(crictl, "logs", "--tail", "1", identifier[:5])
    assert capfd.readouterr() == ("", "three\n")
    run(crictl, "logs", "--tail=1", "-t", identifier)
    assert capfd.readouterr().err == f"{stamp} three\n"


def test_logs_are_followed_until_the_container_ends(tmp_path, capfd):
    log = tmp_path / "0.log"
    log.write_text("t stdout F one\n")
    alive = iter([True, False])

    def runs():
        with log.open("a") as file:
            file.write("t stdout F more\n")
        return next(alive)

    follow(str(log), tail=-1, stamps=False, wait=True, runs=runs)
    assert capfd.readouterr().out == "one\nmore\n"


def test_stop_lets_the_kubelet_start_it_again(tools, capfd):
    identifier = out(capfd, crictl, "ps", "-q").strip()
    assert out(capfd, crictl, "stop", identifier[:9]) == f"{identifier[:9]}\n"
    tools.run(20)
    assert tools.running().spec.attempt == 2


def test_rm_refuses_a_running_container_without_force(tools, capfd):
    identifier = out(capfd, crictl, "ps", "-q").strip()
    code, words = refusal(capfd, crictl, "rm", identifier)
    assert code == 1
    assert "is running, please stop it first" in words
    assert out(capfd, crictl, "rm", "-f", identifier) == f"{identifier}\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing"], 3, "No help topic for 'nothing'"),
        (["inspect", "feed"], 1, 'desc = an error occurred when try to find container \\"feed\\": not found'),
        (["logs"], 1, "ID cannot be empty"),
        (["ps", "--nope"], 1, "flag provided but not defined: -nope"),
        (["ps", "-o", "xml"], 1, 'unsupported output format \\"xml\\"'),
        (["ps", "--name", "["], 1, "failed to compile regular expression"),
        (["ps", "--state", "dead"], 1, "--state should be one of created, running, exited or unknown"),
    ],
)
def test_wrong_usage_is_refused_in_crictls_words(tools, capfd, words, code, said):
    found, printed = refusal(capfd, crictl, *words)
    assert found == code
    assert said in printed


def test_a_runtime_that_does_not_answer(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("CKS_LAB_NODE_SOCKET", str(tmp_path / "nobody"))
    code, words = refusal(capfd, crictl, "ps")
    assert code == 1
    assert "dial unix /run/containerd/containerd.sock: connect: no such file or directory" in words


def test_a_file_in_the_working_directory_cannot_take_a_tools_place(tools, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    script = tmp_path / "crictl"
    script.write_text(launcher("crictl", sys.executable, str(Path(lab.__file__).parent.parent)))
    script.chmod(0o755)
    done = procs.run([str(script), "ps", "-q"], timeout=20, cwd=tmp_path, env=dict(os.environ))
    assert re.fullmatch(r"[0-9a-f]{64}\n", done.text)


# journalctl


def test_the_kubelets_journal_in_every_format(tools, capfd):
    host = os.uname().nodename
    first = out(capfd, journalctl, "-u", "kubelet", "--no-pager").splitlines()[:2]
    assert re.fullmatch(rf"\w{{3}} \d\d \d\d:\d\d:\d\d {host} systemd\[1\]: Started kubelet\.service - .*", first[0])
    assert re.fullmatch(rf'.* {host} kubelet\[812\]: I\d{{4}} .* +812 server\.go:529\] "Kubelet version" .*', first[1])
    plain = out(capfd, journalctl, "-u", "kubelet.service", "-o", "cat").splitlines()
    assert re.match(r"I\d{4} \d\d:\d\d:\d\d\.\d{6}     812 server\.go", plain[1])
    fields = json.loads(out(capfd, journalctl, "-u", "kubelet", "-o", "json", "-n", "1"))
    assert (fields["_PID"], fields["_SYSTEMD_UNIT"]) == ("812", "kubelet.service")
    assert re.match(r"\d{4}-\d\d-\d\dT", out(capfd, journalctl, "-u", "kubelet", "-o", "short-iso", "-n1"))


def test_letters_in_a_row_and_counts(tools, capfd):
    assert out(capfd, journalctl, "-xeu", "kubelet")
    assert len(out(capfd, journalctl, "-u", "kubelet", "-n", "3", "--no-pager").splitlines()) == 3
    assert len(out(capfd, journalctl, "-u", "kubelet", "-n3").splitlines()) == 3
    assert out(capfd, journalctl, "-u", "kubelet", "-n", "0", "-q") == ""
    assert "server.go" in out(capfd, journalctl, "-u", "kubelet", "-g", "started KUBELET".lower())


def test_nothing_found_is_said(tools, capfd):
    assert out(capfd, journalctl, "-u", "nginx") == "-- No entries --\n"
    assert out(capfd, journalctl, "-u", "kubelet", "--since", "2030-01-01") == "-- No entries --\n"
    assert out(capfd, journalctl, "-u", "kubelet", "--until", "2001-01-01 10:00:00") == "-- No entries --\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "soon"], "Failed to parse timestamp: soon\n"),
        (["-n", "many"], "Failed to parse lines 'many'\n"),
        (["-o", "xml"], "Unknown output format 'xml'.\n"),
        (["--nope"], "journalctl: unrecognized option '--nope'\n"),
        (["-u"], "journalctl: option requires an argument -- 'u'\n"),
        (["kubelet"], "Failed to add match 'kubelet': Invalid argument\n"),
    ],
)
def test_wrong_usage_is_refused_in_journalctls_words(tools, capfd, words, said):
    assert refusal(capfd, journalctl, *words) == (1, said)


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("5 min ago", 300),
        ("10m ago", 600),
        ("-1h", 3600),
        ("1 hour ago", 3600),
        ("2 days ago", 172800),
        ("1h 30min ago", 5400),
        ("now", 0),
    ],
)
def test_times_as_people_write_them(text, back):
    assert journalctl.moment(text, 1_000_000.0) == 1_000_000.0 - back


def test_absolute_times():
    now = 1_795_000_000.0
    assert journalctl.moment("2026-11-24 03:52:22", now) == 1795492342.0
    assert journalctl.moment("today", now) == now - now % 86400
    assert journalctl.moment("03:52", now) == now - now % 86400 + 3 * 3600 + 52 * 60


def test_following_prints_what_is_new(tools, tmp_path):
    script = tmp_path / "journalctl"
    script.write_text(launcher("journalctl", sys.executable, str(Path(lab.__file__).parent.parent)))
    script.chmod(0o755)
    read, write = os.pipe()
    process = procs.start([str(script), "-fu", "kubelet", "-n", "1", "-o", "cat"], stdout=write)
    os.close(write)
    with os.fdopen(read) as lines:
        assert lines.readline()
        tools.kubelet.journal.write("kubelet", "kubelet", 812, "a new line")
        assert lines.readline() == "a new line\n"
        procs.kill_group(process)


def test_a_journal_that_is_cut_or_full_harms_nothing(tools, capfd):
    path = tools.root / "var/log/journal/units.log"
    with path.open("ab") as file:
        file.write(b"\xff\xfe rubbish\n\x00\n2026 kubelet")
    assert "Kubelet version" in out(capfd, journalctl, "-u", "kubelet")
    path.unlink()
    path.mkdir()
    tools.write("other.yaml", "broken: [")
    tools.run(10)
    assert tools.running() is not None


# systemctl


def test_status_of_the_kubelet(tools, capfd):
    text = out(capfd, systemctl, "status", "kubelet")
    assert text.startswith("● kubelet.service - kubelet: The Kubernetes Node Agent\n     Loaded: loaded (")
    assert "     Active: active (running) since " in text
    assert "   Main PID: 812 (kubelet)\n" in text
    journal = text.partition("\n\n")[2].splitlines()
    assert 1 < len(journal) <= 10
    assert "Started kubelet.service" in journal[0]


def test_stop_start_restart_and_what_is_active(tools, capfd):
    assert out(capfd, systemctl, "is-active", "kubelet") == "active\n"
    assert out(capfd, systemctl, "daemon-reload") == ""
    assert out(capfd, systemctl, "restart", "kubelet.service") == ""
    assert out(capfd, systemctl, "stop", "kubelet") == ""
    assert run(systemctl, "is-active", "kubelet") == 3
    assert capfd.readouterr().out == "inactive\n"
    assert run(systemctl, "status", "kubelet", "--no-pager") == 3
    assert "○ kubelet.service" in capfd.readouterr().out
    assert out(capfd, systemctl, "start", "kubelet") == ""
    assert tools.kubelet.running
    journal = out(capfd, journalctl, "-u", "kubelet", "-o", "cat")
    assert "Stopped kubelet.service - kubelet: The Kubernetes Node Agent." in journal


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["restart", "nginx"], 5, "Failed to restart nginx.service: Unit nginx.service not found.\n"),
        (["status", "nginx"], 4, "Unit nginx.service could not be found.\n"),
        (["restrat", "kubelet"], 1, "Unknown command verb 'restrat'.\n"),
        (["restart"], 1, "Too few arguments.\n"),
        (["enable", "nginx"], 1, "Failed to enable nginx.service: Unit file nginx.service does not exist.\n"),
    ],
)
def test_wrong_usage_is_refused_in_systemctls_words(tools, capfd, words, code, said):
    assert refusal(capfd, systemctl, *words) == (code, said)


def test_both_units_are_listed(tools, capfd):
    text = out(capfd, systemctl)
    assert "containerd.service loaded active" in text
    assert "kubelet.service" in text
    assert "[Service]" in out(capfd, systemctl, "cat", "kubelet")


# sudo and service


def script(tmp_path, name):
    path = tmp_path / name
    path.write_text(launcher(name, sys.executable, ""))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "words", [["echo", "a b"], ["-E", "echo", "a b"], ["-u", "root", "--", "echo", "a b"], ["-i", "echo", "a b"]]
)
def test_sudo_runs_the_command(tmp_path, words):
    assert procs.run([script(tmp_path, "sudo"), *words], timeout=10).text == "a b\n"


def test_sudo_sets_variables_passes_on_the_status_and_says_its_usage(tmp_path):
    sudo = script(tmp_path, "sudo")
    assert procs.run([sudo, "A=1", "sh", "-c", "echo $A"], timeout=10).text == "1\n"
    assert procs.run([sudo, "sh", "-c", "exit 7"], timeout=10, check=False).exit_code == 7
    nothing = procs.run([sudo], timeout=10, check=False)
    assert nothing.exit_code == 1
    assert nothing.stderr.startswith(b"usage: sudo")


def test_service_is_systemctl_the_other_way_round(tmp_path):
    fake = tmp_path / "systemctl"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert (
        procs.run([script(tmp_path, "service"), "kubelet", "restart"], timeout=10, env=env).text == "restart kubelet\n"
    )
    assert procs.run([script(tmp_path, "service")], timeout=10, check=False).exit_code == 1


def test_every_tool_has_a_launcher():
    for name in TOOLS:
        assert launcher(name, "/opt/python", "/a:/b").startswith("#!/bin/sh\n")
    with pytest.raises(KeyError):
        launcher("kubectl", "/opt/python", "/a")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "Less than a second ago"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (61, "About a minute ago"),
        (240, "4 minutes ago"),
        (3600, "About an hour ago"),
        (7200, "2 hours ago"),
        (86400 * 3, "3 days ago"),
        (86400 * 20, "2 weeks ago"),
        (86400 * 90, "3 months ago"),
        (86400 * 900, "2 years ago"),
    ],
)
def test_ages_are_dockers(seconds, words):
    assert printing.ago(seconds) == words


def test_a_tool_runs_by_its_script_with_the_standard_library_alone(tmp_path):
    path = script(tmp_path, "systemctl")
    Path(path).write_text(launcher("systemctl", sys.executable, str(Path(lab.__file__).parent.parent)))
    assert procs.run([path, "daemon-reload"], timeout=20).stdout == b""
