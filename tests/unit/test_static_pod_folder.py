"""A folder of static pods: which file wins, who is a twin, what is not read; and what the node makes of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from checkers.evidence import FileKind
from checkers.kube.pods.folder import folder_pods, same_pod
from checkers.kube.pods.host_tree import Entry
from checkers.kube.server.forecast import Auditing, Forecast, Server, Surroundings, foretell

POLICY = b"""apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Request
  resources: [{resources: [configmaps]}]
- level: Metadata
"""
FLAGS = (
    "--audit-policy-file=/etc/kubernetes/audit/policy.yaml",
    "--audit-log-path=/var/log/audit/audit.log",
    "--etcd-servers=https://127.0.0.1:2379",
    "--service-account-issuer=https://kubernetes.default.svc",
    "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
    "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
    "--authorization-mode=Node,RBAC",
)
MOUNTS = (("/etc/kubernetes/audit", "policy"), ("/var/log/audit", "log"), ("/etc/kubernetes/pki", "pki"))


def manifest(
    *,
    name: str = "kube-apiserver",
    flags: tuple[str, ...] = FLAGS,
    container: str = "",
    spec: str = "  hostNetwork: true\n",
    image: str = "registry.k8s.io/kube-apiserver:v1.34.4",
) -> bytes:
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: kube-system}}\nspec:\n  containers:\n"
    text += f"  - name: kube-apiserver\n    image: {image}\n    command:\n    - kube-apiserver\n"
    text += "".join(f'    - "{flag}"\n' for flag in flags)
    text += "    ports: [{containerPort: 6443}]\n    volumeMounts:\n"
    text += "".join(f"    - {{mountPath: {path}, name: {volume}}}\n" for path, volume in MOUNTS)
    text += container + spec + "  volumes:\n"
    text += "".join(f"  - {{name: {volume}, hostPath: {{path: {path}}}}}\n" for path, volume in MOUNTS)
    return text.encode()


class Tree:
    def __init__(self) -> None:
        folders = ("/", "/etc", "/etc/kubernetes", "/etc/kubernetes/audit", "/etc/kubernetes/pki", "/var", "/var/log")
        self.entries = {path: Entry(FileKind.DIRECTORY) for path in (*folders, "/var/log/audit")}
        self.entries["/etc/kubernetes/audit/policy.yaml"] = Entry(FileKind.FILE, mode=0o600)
        self.entries["/etc/kubernetes/pki/sa.pub"] = Entry(FileKind.FILE, mode=0o644)
        self.entries["/etc/kubernetes/pki/sa.key"] = Entry(FileKind.FILE, mode=0o600)
        self.policy = POLICY

    def entry(self, path: str) -> Entry | None:
        return self.entries.get(path)

    def read(self, path: str) -> bytes:
        return self.policy

    def is_known(self, path: str) -> bool:
        return any(other.startswith(path + "/") for other in self.entries)


def fate(data: bytes, tree: Tree | None = None, around: Surroundings | None = None) -> Forecast:
    return foretell({"kube-apiserver.yaml": data}, tree or Tree(), "cks", around=around)


def test_the_last_in_order_wins_at_the_relist_and_the_last_written_until_then() -> None:
    folder = folder_pods(
        {"kube-apiserver.yaml": manifest(), "kube-apiserver.yaml.bak": manifest(flags=FLAGS[2:])}, "cks"
    )
    assert [entry.name for entry in folder.after_relist()] == ["kube-apiserver.yaml.bak"]
    assert [entry.name for entry in folder.after_touching(["kube-apiserver.yaml"])] == ["kube-apiserver.yaml"]
    assert [entry.name for entry in folder.api_servers()] == ["kube-apiserver.yaml.bak"]
    right = folder.entry("kube-apiserver.yaml")
    assert right is not None
    (twin,) = folder.twins(right)
    assert twin.pod is not None
    assert right.pod is not None
    assert not same_pod(right.pod, twin.pod)


def test_a_twin_with_the_same_text_does_no_harm() -> None:
    folder = folder_pods({"a.yaml": manifest(), "a.yaml~": b"# copy\n" + manifest()}, "cks")
    one, other = folder.pods
    assert one.pod is not None
    assert other.pod is not None
    assert same_pod(one.pod, other.pod)
    assert one.pod.uid != other.pod.uid


def test_what_the_kubelet_does_not_read() -> None:
    folder = folder_pods(
        {".kube-apiserver.yaml.swp": manifest(), "backup/kube-apiserver.yaml": manifest(), "old": None, "README": b"x"},
        "cks",
        kinds={"old": FileKind.DIRECTORY},
    )
    assert folder.pods == ()
    assert [entry.name for entry in folder.refused] == ["README"]
    assert [entry.ignored for entry in folder.entries if entry.ignored] == [
        "its name begins with a dot",
        "it lies in a folder below",
        "it is a directory",
    ]
    assert fate(b"").server is Server.NO_POD


def test_the_reference_is_foretold_as_right() -> None:
    right = fate(manifest())
    assert (right.server, right.auditing, right.request_object) == (Server.RUNS, Auditing.ON_THE_NODE, True)
    assert right.message is None
    assert right.log_place is not None
    assert right.log_place.host_path == "/var/log/audit/audit.log"


@pytest.mark.parametrize(
    ("change", "server", "message"),
    [
        ({"flags": (*FLAGS, "RBAC")}, Server.CRASHES, 'Error: "kube-apiserver" does not take any arguments, got ["RBAC"]'),
        ({"flags": (*FLAGS, "--audit-log-maxage=-1")}, Server.CRASHES, "--audit-log-maxage -1 can't be a negative number"),
        ({"flags": FLAGS[:2]}, Server.CRASHES, "[--etcd-servers must be specified, service-account-issuer is a required flag, either `--service-account-key-file` or `--service-account-signing-endpoint` must be set, --service-account-signing-key-file and --service-account-issuer are required flags]"),
        ({"flags": (*FLAGS, "--audit-webhook-config-file=/nope")}, Server.CRASHES, "initializing audit webhook: stat /nope: no such file or directory"),
        ({"flags": (*FLAGS, "--client-ca-file=/etc/kubernetes/pki/no.crt")}, Server.CRASHES, "open /etc/kubernetes/pki/no.crt: no such file or directory"),
        ({"spec": "  hostNetwork: true\n  restartPolicy: Never\n", "flags": (*FLAGS, "x")}, Server.EXITS, None),
        ({"spec": ""}, Server.UNREACHABLE, "hostNetwork is not set"),
        ({"flags": (*FLAGS, "--secure-port=6444")}, Server.UNREACHABLE, "it listens on port 6444"),
        ({"flags": (*FLAGS, "--bind-address=172.18.0.2")}, Server.UNREACHABLE, "it listens on 172.18.0.2 only"),
        ({"container": "    securityContext: {runAsUser: 65534}\n"}, Server.CRASHES, "failed to parse service-account-issuer-key-file: open /etc/kubernetes/pki/sa.key: permission denied"),
        ({"container": "    securityContext: {runAsNonRoot: true}\n"}, Server.NOT_CREATED, "CreateContainerConfigError: container has runAsNonRoot and image will run as root"),
        ({"container": "    resources: {limits: {memory: 64Mi}}\n"}, Server.CRASHES, "OOMKilled"),
        ({"container": "    resources: {requests: {memory: 1Ti}}\n"}, Server.NOT_CREATED, "UnexpectedAdmissionError: Unexpected error while attempting to recover from admission failure"),
        ({"container": '    lifecycle: {postStart: {exec: {command: [sh, -c, "true"]}}}\n'}, Server.CRASHES, 'FailedPostStartHook: exec: "sh": executable file not found in $PATH'),
        ({"spec": "  hostNetwork: true\n  nodeSelector: {disk: ssd}\n"}, Server.NOT_CREATED, "Predicate NodeAffinity failed"),
        ({"spec": "  hostNetwork: true\n  runtimeClassName: gvisor\n"}, Server.NOT_CREATED, 'failed to get sandbox runtime: runtimeclass.node.k8s.io "gvisor" not found'),
        ({"spec": "  hostNetwork: true\n  initContainers: [{name: i, image: x/pause:3}]\n"}, Server.NOT_RUNNING, "init container i does not end"),
        ({"image": "registry.k8s.io/pause:3"}, Server.CRASHES, 'exec: "kube-apiserver": executable file not found in $PATH'),
    ],
)  # fmt: skip
def test_what_keeps_the_server_from_running(change: dict[str, str], server: Server, message: str | None) -> None:
    around = Surroundings(cpus=Decimal(2), memory=Decimal(1 << 34), labels={}, port=6443)
    found = fate(manifest(**change), around=around)  # type: ignore[arg-type]
    assert found.server is server
    if message is not None:
        assert found.message == message


def test_what_is_not_known_of_the_node_is_taken_as_good() -> None:
    text = manifest(spec="  hostNetwork: true\n  nodeSelector: {disk: ssd}\n", container="    imagePullPolicy: Never\n")
    assert fate(text).server is Server.RUNS


@pytest.mark.parametrize(
    ("path", "auditing"),
    [
        ("var/log/audit/audit.log", Auditing.ON_THE_NODE),
        ("/var/log/audit/../audit/audit.log", Auditing.ON_THE_NODE),
        ("/var/log/audit/other.log", Auditing.ELSEWHERE),
        ("/srv/deep/audit.log", Auditing.ELSEWHERE),
        ("-", Auditing.ELSEWHERE),
        ("", Auditing.NONE),
    ],
)
def test_where_the_log_goes(path: str, auditing: Auditing) -> None:
    found = fate(manifest(flags=(*FLAGS, f"--audit-log-path={path}")))
    assert (found.server, found.auditing) == (Server.RUNS, auditing)


def test_a_log_that_is_a_link_out_of_the_mount_cannot_be_opened() -> None:
    tree = Tree()
    tree.entries["/var/log/audit/audit.log"] = Entry(FileKind.SYMLINK, "/srv/audit.log")
    found = fate(manifest(), tree)
    assert found.server is Server.CRASHES
    assert found.message == "ensureLogFile: open /var/log/audit/audit.log: no such file or directory"


def test_a_policy_that_does_not_record_bodies_shows_in_the_forecast() -> None:
    tree = Tree()
    tree.policy = b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"
    assert fate(manifest(), tree).request_object is False
    tree.policy = b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n"
    assert fate(manifest(), tree).auditing is Auditing.NONE
    tree.policy = b"rules: []\n"
    found = fate(manifest(), tree)
    assert found.server is Server.CRASHES
    assert found.message is not None
    assert found.message.startswith("loading audit policy file: ")


def test_two_pods_of_different_names_want_one_port() -> None:
    files: dict[str, bytes | None] = {
        "a.yaml": manifest(),
        "b.yaml": manifest(name="other", flags=FLAGS[2:]),
    }
    found = foretell(files, Tree(), "cks")
    assert found.server is Server.RUNS
    assert found.notes == (
        "a.yaml and b.yaml are pods of different names that want the same port: which one gets it is luck",
    )


def test_the_field_to_blame_leads_to_a_line() -> None:
    text = manifest(flags=(*FLAGS, "--audit-log-maxage=7d"))
    found = fate(text)
    assert found.entry is not None
    assert found.entry.pod is not None
    assert found.path is not None
    line = found.entry.pod.line(found.path)
    assert line is not None
    assert "maxage=7d" in text.decode().splitlines()[line - 1]
