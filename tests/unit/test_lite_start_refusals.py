"""What the lite API server cannot start with beside its policy: files for others, no etcd, a bad range, a poor user."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from checkers.kube.server.flags import parse_flags
from checkers.kube.static_pod import load_pod
from lab.drivers.sandbox.kubelet.pod_spec import static_pod
from lab.drivers.sandbox.lite import files
from lab.drivers.sandbox.lite.klog import Klog
from lab.drivers.sandbox.lite.server import StartError, serve, start
from tests.lite_cluster import CATCH_ALL
from tests.unit.test_lite_core_server import command, pki, started

__all__ = ["pki"]
NODE = "https://127.0.0.1:2379,https://172.18.0.2:2379"
STORAGE = "Error creating leases: error creating storage factory: "
DEADLINE = f"{STORAGE}context deadline exceeded"


def fate(pki: Path, *flags: str, log: StringIO | None = None) -> str | None:
    """Return what a server is refused with, None where it starts."""
    try:
        with started(pki, *flags, log=log):
            return None
    except StartError as error:
        return str(error)


@pytest.mark.parametrize(
    "flag",
    [
        *("etcd-certfile", "etcd-keyfile", "etcd-cafile", "requestheader-client-ca-file"),
        *("kubelet-client-certificate", "kubelet-client-key", "kubelet-certificate-authority"),
        *("proxy-client-cert-file", "proxy-client-key-file"),
    ],
)
def test_a_certificate_for_others_that_is_missing_or_a_folder_is_refused(pki: Path, flag: str) -> None:
    good = [
        f"--{kind}={pki}/bob.{end}"
        for kind, end in (
            *(("etcd-certfile", "crt"), ("etcd-keyfile", "key")),
            *(("kubelet-client-certificate", "crt"), ("kubelet-client-key", "key")),
            *(("proxy-client-cert-file", "crt"), ("proxy-client-key-file", "key")),
        )
    ]
    assert fate(pki, *good) is None
    before = {"etcd": STORAGE, "kubelet": 'problem initializing API group "": '}.get(flag.partition("-")[0], "")
    assert fate(pki, *good, f"--{flag}=/nope.pem") == f"{before}open /nope.pem: no such file or directory"
    assert fate(pki, *good, f"--{flag}={pki}") == f"{before}read {pki}: is a directory"


def test_half_a_pair_and_a_foreign_key_for_etcd_are_refused(pki: Path) -> None:
    alone = fate(pki, f"--etcd-certfile={pki}/bob.crt")
    assert alone == f"{STORAGE}KeyFile and CertFile must both be present[key: , cert: {pki}/bob.crt]"
    pair = fate(pki, f"--etcd-certfile={pki}/bob.crt", f"--etcd-keyfile={pki}/jane.key")
    assert pair == f"{STORAGE}tls: private key does not match public key"


def test_configurations_that_are_missing_are_refused(pki: Path) -> None:
    missing = "open /nope.yaml: no such file or directory"
    assert fate(pki, "--encryption-provider-config=/nope.yaml") == (
        "error while parsing file: error while loading file: error reading encryption provider configuration file "
        f'"/nope.yaml": {missing}'
    )
    assert fate(pki, "--admission-control-config-file=/nope.yaml") == (
        "failed to apply admission: failed to read plugin config: unable to read admission control configuration from "
        f'"/nope.yaml" [{missing}]'
    )


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        ("https://127.0.0.1:2379", None),
        ("https://localhost:2379", None),
        ("https://172.18.0.2:2379", None),
        ("https://10.0.0.9:2379,https://127.0.0.1:2379", None),
        ("https://127.0.0.1:2380", DEADLINE),
        ("https://10.0.0.9:2379", DEADLINE),
        ("https://127.0.0.1", DEADLINE),
        ("http://127.0.0.1:2379", DEADLINE),
    ],
)
def test_an_etcd_that_is_not_there_is_waited_for_in_vain(
    pki: Path, monkeypatch: pytest.MonkeyPatch, servers: str, words: str | None
) -> None:
    monkeypatch.setenv("CKS_LITE_ETCD", NODE)
    tls = (f"--etcd-cafile={pki}/ca.crt", f"--etcd-certfile={pki}/bob.crt", f"--etcd-keyfile={pki}/bob.key")
    log = StringIO()
    flags = [flag for flag in command(pki, *tls) if not flag.startswith("--etcd-servers")]
    found = None
    try:
        start(parse_flags([*flags, f"--etcd-servers={servers}"]), Klog(log)).listener.close()
    except StartError as error:
        found = str(error)
    assert found == words
    assert ("grpc: addrConn.createTransport failed to connect to {Addr: " in log.getvalue()) is (words is not None)


def test_etcd_does_not_answer_those_who_show_no_certificate(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKS_LITE_ETCD", NODE)
    assert fate(pki) == DEADLINE


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ("10.96.0.0/12", None),
        ("010.096.000.000/12", None),
        ("10.96.0.7/24,fd00::/108", None),
        ("10.96.0.0/99", "service-cluster-ip-range[0] is not a valid cidr"),
        ("10.96.0.0", "service-cluster-ip-range[0] is not a valid cidr"),
        ("10.96.0/12", "service-cluster-ip-range[0] is not a valid cidr"),
        ("10.96.0.0/12,fd00::", "service-cluster-ip-range[1] is not an ip net"),
        (
            "10.96.0.0/30",
            "error determining service IP ranges for primary service cidr: the service cluster IP range must be at "
            "least 8 IP addresses",
        ),
    ],
)
def test_a_service_range_that_is_no_network_is_refused(pki: Path, ranges: str, words: str | None) -> None:
    assert fate(pki, f"--service-cluster-ip-range={ranges}") == words


@pytest.fixture
def nobody(pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server be another user; folders above those of the test are taken as open to everyone."""
    real = files._allow

    def allow(path: str, want: int) -> None:
        if tmp_path.is_relative_to(path):
            return
        real(path, want)

    monkeypatch.setattr(files, "_allow", allow)
    monkeypatch.setenv("CKS_LITE_RUN_AS", "64999")
    pki.chmod(0o755)
    for path in pki.iterdir():
        path.chmod(0o644)


@pytest.mark.usefixtures("nobody")
def test_another_user_cannot_read_the_keys_of_root(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pki / "sa.key").chmod(0o600)
    words = f"open {pki}/sa.key: permission denied"
    assert fate(pki) == f"failed to parse service-account-issuer-key-file: {words}"
    (pki / "sa.key").chmod(0o644)
    (pki / "server.key").chmod(0o600)
    assert fate(pki) == f"open {pki}/server.key: permission denied"
    (pki / "server.key").chmod(0o644)
    pki.chmod(0o700)
    assert fate(pki) == f"failed to parse service-account-issuer-key-file: {words}"
    monkeypatch.setenv("CKS_LITE_RUN_AS", "0")
    assert fate(pki) is None


@pytest.mark.usefixtures("nobody")
def test_another_user_cannot_read_a_closed_policy_nor_make_a_log(pki: Path, tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text(CATCH_ALL)
    policy.chmod(0o640)
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={log}")
    denied = f"open {policy}: permission denied"
    assert fate(pki, *flags) == f'loading audit policy file: failed to read file path "{policy}": {denied}'
    policy.chmod(0o644)
    assert fate(pki, *flags) == f"ensureLogFile: open {log}: permission denied"
    assert not log.exists()
    log.touch(0o666)
    log.chmod(0o666)
    assert fate(pki, *flags) is None
    deeper = tmp_path / "new" / "audit.log"
    assert fate(pki, *flags, f"--audit-log-path={deeper}") == f"ensureLogFile: mkdir {deeper.parent}: permission denied"


def test_a_server_without_room_ends_as_one_that_was_killed(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKS_LITE_MEMORY", str(10 << 20))
    ended: list[int] = []

    def end(code: int) -> None:
        ended.append(code)
        raise OSError("killed")

    monkeypatch.setattr("os._exit", end)
    assert serve(command(pki)) == 1
    assert ended == [137]


def test_the_kubelet_reads_user_and_limit_of_pod_and_container() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: kube-system}\nspec:\n  securityContext: "
        "{runAsUser: 65534}\n  containers:\n  - {name: a, image: i}\n  - {name: b, image: i, securityContext: "
        "{runAsUser: 0}, resources: {limits: {memory: 10Mi}}}\n"
    )
    pod = static_pod(load_pod(text.encode(), "/etc/kubernetes/manifests/p.yaml", "node"), 0)
    assert [(c.run_as_user, c.memory_limit) for c in pod.containers] == [(65534, 0), (0, 10 << 20)]


def test_the_kubelet_refuses_root_to_a_container_that_may_not_be_it() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: kube-system}\nspec:\n  securityContext: "
        "{runAsNonRoot: true}\n  containers:\n  - {name: a, image: i}\n  - {name: b, image: i, securityContext: "
        "{runAsUser: 0}}\n  - {name: c, image: i, securityContext: {runAsUser: 1}}\n  - {name: d, image: i, "
        "securityContext: {runAsNonRoot: false}}\n"
    )
    pod = static_pod(load_pod(text.encode(), "/etc/kubernetes/manifests/p.yaml", "node"), 0)
    assert [container.root_refused for container in pod.containers] == [
        "container has runAsNonRoot and image will run as root",
        "container's runAsUser breaks non-root policy",
        "",
        "",
    ]
