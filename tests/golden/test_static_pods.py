"""Static pods as a real kubelet 1.34 took them: refusals word for word, and what became of the API server."""

from __future__ import annotations

import json
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from checkers.evidence import FileKind, Missing
from checkers.kube.pods.folder import folder_pods
from checkers.kube.pods.host_tree import Entry, clean, follow
from checkers.kube.server.forecast import Forecast, Server, Surroundings, foretell

NODE = "cks-control-plane"
MANIFESTS = "/etc/kubernetes/manifests"
POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Request
  resources:
  - group: ""
    resources: ["configmaps"]
- level: Metadata
"""

# The testbed's node: two cores less what the other pods ask for, no way to a registry, containerd 1.6.
AROUND = Surroundings(
    images=frozenset(("registry.k8s.io/kube-apiserver:v1.34.4", "registry.k8s.io/pause:3.10.1")),
    can_pull=False,
    cpus=Decimal("1.8"),
    recursive_read_only=False,
    labels={"kubernetes.io/os": "linux", "kubernetes.io/hostname": "cks-control-plane"},
    port=6443,
)

# Rows that the forecast does not get right, with the reason; a test holds that none of them is stale.
NOT_FORETOLD: dict[str, str] = {}


class Node:
    """The files of the testbed's node, and the few shell commands that the recordings' set-up used."""

    def __init__(self, policy: str, manifests: dict[str, bytes]) -> None:
        self.entries: dict[str, Entry] = {"/": Entry(FileKind.DIRECTORY)}
        self.contents: dict[str, bytes] = {}
        self.touched: list[str] = []
        self.folder = "/"
        for path in (
            "/etc/ssl/certs",
            "/etc/ca-certificates",
            "/usr/share/ca-certificates",
            "/var/log",
            "/opt",
            "/srv",
        ):
            self.mkdir(path)
        self.mkdir("/usr/local/share/ca-certificates")
        self.mkdir("/root/x")
        for name in ("ca", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-ca"):
            self.write(f"/etc/kubernetes/pki/{name}.crt", b"")
            self.write(f"/etc/kubernetes/pki/{name}.key", b"", 0o600)
        for name, mode in (("sa.pub", 0o644), ("sa.key", 0o600), ("etcd/ca.crt", 0o644)):
            self.write(f"/etc/kubernetes/pki/{name}", b"", mode)
        self.write("/etc/kubernetes/audit/policy.yaml", policy.encode())
        self.mkdir(MANIFESTS)
        for name, data in manifests.items():
            self.write(f"{MANIFESTS}/{name}", data)

    def entry(self, path: str) -> Entry | None:
        return self.entries.get(path)

    def read(self, path: str) -> bytes:
        if path not in self.contents:
            raise Missing(path)
        return self.contents[path]

    def is_known(self, path: str) -> bool:
        return any(other.startswith(path + "/") for other in self.entries)

    def mkdir(self, path: str) -> None:
        parts = path.strip("/").split("/")
        for length in range(1, len(parts) + 1):
            self.entries.setdefault("/" + "/".join(parts[:length]), Entry(FileKind.DIRECTORY))

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self.mkdir(path.rpartition("/")[0] or "/")
        real = follow(self, path).path
        self.entries[real] = self.entries.get(real) or Entry(FileKind.FILE, mode=mode)
        self.contents[real] = data
        self.touched.append(path)

    def remove(self, path: str) -> tuple[Entry, bytes | None]:
        return self.entries.pop(path), self.contents.pop(path, None)

    def move(self, source: str, target: str) -> None:
        found = follow(self, target)
        if found.entry is not None and found.entry.kind is FileKind.DIRECTORY:
            target += "/" + source.rpartition("/")[2]
        entry, data = self.remove(source)
        self.entries[target] = entry
        if data is not None:
            self.contents[target] = data
        self.touched.append(target)

    def shell(self, script: str) -> None:
        script = script.replace(">/dev/null 2>&1 &", "").replace("(", "").replace(")", "")
        for command in script.split(";"):
            self.run(shlex.split(command, comments=False, posix=True))

    def run(self, words: list[str]) -> None:
        if not words or words[0] in ("sleep", "pkill", "systemctl", "kubectl"):
            return
        name, *rest = words
        if ">" in rest:
            at = rest.index(">")
            data = self.read(self.path(rest[0])) if name == "cat" else b"old\n"
            self.write(self.path(rest[at + 1]), data)
            return
        paths = [self.path(word) for word in rest if not word.startswith("-")]
        match name:
            case "cd":
                self.folder = paths[0]
            case "mkdir":
                self.mkdir(paths[0])
            case "touch":
                path = self.path(rest[-1])
                self.write(path, self.contents.get(path, b""))
            case "rm":
                self.remove(paths[0])
            case "mv":
                self.move(*paths)
            case "cp":
                target = paths[1]
                if self.entries.get(target, Entry(FileKind.FILE)).kind is FileKind.DIRECTORY:
                    target += "/" + paths[0].rpartition("/")[2]
                self.write(target, self.read(paths[0]))
            case "ln":
                self.entries[paths[1]] = Entry(FileKind.SYMLINK, rest[-2])
            case "chmod":
                old = self.entries[paths[1]]
                self.entries[paths[1]] = Entry(old.kind, old.target, int(rest[0], 8), old.uid)
            case "sed":
                _, before, after, _ = rest[1].split("/")
                path = self.path(rest[2])
                self.write(path, self.read(path).replace(before.encode(), after.encode(), 1))
            case _:
                raise AssertionError(f"the recordings' set-up has a command that this test does not know: {words}")

    def path(self, word: str) -> str:
        return clean(word if word.startswith("/") else f"{self.folder}/{word}")

    def manifests(self) -> dict[str, bytes | None]:
        files: dict[str, bytes | None] = {}
        for path in self.entries:
            name = path.removeprefix(MANIFESTS + "/")
            if path == MANIFESTS or name == path or "/" in name:
                continue
            found = follow(self, path)
            files[name] = self.contents.get(found.path) if found.entry is not None else None
        return files


def rows(shared: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shared / "golden/static-pods/truth.jsonl").read_text().splitlines()]


def node_of(row: dict[str, Any]) -> Node:
    encoding = "latin-1" if row["id"] == "refused-latin1" else "utf-8"
    node = Node(row.get("policy", POLICY), {name: text.encode(encoding) for name, text in row["files"].items()})
    if row["id"] == "right-huge-comment":
        path = f"{MANIFESTS}/kube-apiserver.yaml"
        node.write(path, (b"# " + b"." * 64 + b"\n") * 46000 + node.read(path))
    else:
        node.shell(row.get("setup") or "")
    for name, text in (row.get("parts") or {}).items():
        node.write(f"/root/x/{name}", text.encode())
    if row["how"] == "save":
        node.folder = MANIFESTS
        node.shell(row["action"])
    return node


def summary_of(forecast: Forecast) -> dict[str, Any]:
    return {
        "server": str(forecast.server),
        "auditing": None if forecast.auditing is None else str(forecast.auditing),
        "requestObject": forecast.request_object,
    }


def recorded_summary(row: dict[str, Any]) -> dict[str, Any]:
    """What was seen, in the words of a forecast: a save row tells how it went on, a forecast what it comes to."""
    summary = dict(row["summary"])
    if row["how"] == "save":
        same = {"stopped, no pod": Server.NO_POD, "exits": Server.CRASHES}
        summary["server"] = str(same.get(summary["server"], summary["server"]))
    return summary


def forecast_of(row: dict[str, Any]) -> Forecast:
    node = node_of(row)
    return foretell(node.manifests(), node, NODE, around=AROUND)


def refusals(row: dict[str, Any]) -> dict[str, str]:
    """What the kubelet said about each file it refused, where the recording has the whole text."""
    found = {}
    for line in row["observed"].get("kubelet_log", []):
        if "Could not process manifest file" in line and '" path="' in line:
            words = line.split(' err="', 1)[1].rsplit('" path=', 1)[0]
            path = line.rsplit(' path="', 1)[1].split('"')[0]
            # A released kubelet names another place than the recorded build.
            text = json.loads(f'"{words}"').replace("pkg/runtime/scheme.go:110", "pkg/api/legacyscheme/scheme.go:30")
            found[path.rpartition("/")[2]] = text
    return found


def test_every_refusal_of_the_kubelet_is_made_in_its_words(shared: Path) -> None:
    compared = 0
    differences = []
    for row in rows(shared):
        words = refusals(row)
        folder = folder_pods(node_of(row).manifests(), NODE)
        ours = {entry.name: entry.error.text for entry in folder.refused if entry.error is not None}
        if not words:
            continue
        compared += len(words)
        if ours != words:
            differences.append((row["id"], words, ours))
    assert differences == []
    assert compared >= 20


def test_the_fate_of_every_recorded_folder_is_foretold(shared: Path) -> None:
    wrong = {}
    for row in rows(shared):
        ours = summary_of(forecast_of(row))
        if ours != recorded_summary(row):
            wrong[row["id"]] = (recorded_summary(row), ours)
    assert {id: difference for id, difference in wrong.items() if id not in NOT_FORETOLD} == {}
    assert sorted(set(NOT_FORETOLD) - set(wrong)) == []


def test_the_reason_of_every_crash_is_the_servers_own_last_line(shared: Path) -> None:
    compared = 0
    differences = []
    for row in rows(shared):
        if row["how"] == "save" or row["id"] in NOT_FORETOLD or not row["summary"]["server"].startswith("exits"):
            continue
        container = next(c for c in row["observed"]["containers"] if c["name"] == "kube-apiserver")
        if not container.get("log"):
            continue
        last = container["log"][-1]
        marker = 'E run.go:72] "command failed" err='
        words = json.loads(last.removeprefix(marker)) if last.startswith(marker) else last
        compared += 1
        if forecast_of(row).message != words:
            differences.append((row["id"], words, forecast_of(row).message))
    assert differences == []
    assert compared >= 30


@pytest.mark.parametrize(
    "id", ["wrong-policy-missing-file", "wrong-log-host-path-is-file", "wrong-log-dir-type-directory-absent"]
)
def test_a_type_check_that_fails_is_told_in_the_kubelets_words(shared: Path, id: str) -> None:
    row = next(row for row in rows(shared) if row["id"] == id)
    message = forecast_of(row).message
    assert message is not None
    assert message.startswith("hostPath type check failed: ")
    assert message in "\n".join(row["observed"]["kubelet_log"])
