"""What kube-apiserver v1.34.4 says when a file or etcd is not as its flags say, and what it answers to probes, foretold.

Recorded from the released server with a real etcd beside it, which asks for certificates at https://127.0.0.1:2379; each
row changes some of kubeadm's flags. Rows of files with nonsense in them are left out: certificates are not read here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from checkers.kube.server.forecast import Forecast, Server, foretell
from tests.golden.test_static_pods import NODE, POLICY, Node

HERE = Path(__file__).parent
STARTS = [json.loads(line) for line in (HERE / "server_start_files.jsonl").read_text().splitlines()]
PROBES = [json.loads(line) for line in (HERE / "server_probes.jsonl").read_text().splitlines()]
PKI = "/etc/kubernetes/pki"
FLAGS = {
    "authorization-mode": "Node,RBAC",
    "client-ca-file": f"{PKI}/ca.crt",
    "etcd-cafile": f"{PKI}/etcd/ca.crt",
    "etcd-certfile": f"{PKI}/apiserver-etcd-client.crt",
    "etcd-keyfile": f"{PKI}/apiserver-etcd-client.key",
    "etcd-servers": "https://127.0.0.1:2379",
    "kubelet-client-certificate": f"{PKI}/apiserver-kubelet-client.crt",
    "kubelet-client-key": f"{PKI}/apiserver-kubelet-client.key",
    "proxy-client-cert-file": f"{PKI}/front-proxy-client.crt",
    "proxy-client-key-file": f"{PKI}/front-proxy-client.key",
    "requestheader-client-ca-file": f"{PKI}/front-proxy-ca.crt",
    "secure-port": "6443",
    "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
    "service-account-key-file": f"{PKI}/sa.pub",
    "service-account-signing-key-file": f"{PKI}/sa.key",
    "service-cluster-ip-range": "10.96.0.0/16",
    "tls-cert-file": f"{PKI}/apiserver.crt",
    "tls-private-key-file": f"{PKI}/apiserver.key",
}
ETCD = ["etcd", "--cert-file=/x.crt", "--client-cert-auth=true", "--listen-client-urls=https://127.0.0.1:2379"]


def pod(name: str, command: list[str], **container: Any) -> dict[str, Any]:
    folders = [PKI, "/srv"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {
            "hostNetwork": True,
            "containers": [
                {
                    "name": name,
                    "image": f"registry.k8s.io/{name}:v1.34.4",
                    "command": command,
                    "volumeMounts": [{"name": path.rpartition("/")[2], "mountPath": path} for path in folders],
                    **container,
                }
            ],
            "volumes": [{"name": path.rpartition("/")[2], "hostPath": {"path": path}} for path in folders],
        },
    }


def foretold(changes: dict[str, str | None], etcd: list[str] | None = ETCD, **container: Any) -> Forecast:
    flags = {name: value for name, value in {**FLAGS, **changes}.items() if value is not None}
    command = ["kube-apiserver", *(f"--{name}={value}" for name, value in flags.items())]
    pods = {"kube-apiserver.yaml": pod("kube-apiserver", command, **container)}
    if etcd is not None:
        pods["etcd.yaml"] = pod("etcd", etcd)
    node = Node(POLICY, {name: yaml.safe_dump(one).encode() for name, one in pods.items()})
    for name in ("front-proxy-client.crt", "front-proxy-client.key"):
        node.write(f"{PKI}/{name}", b"")
    node.mkdir("/srv/dir")
    node.write("/srv/policy.yaml", POLICY.encode())
    return foretell(node.manifests(), node, NODE)


@pytest.mark.parametrize("row", STARTS, ids=lambda row: json.dumps(row["flags"]))
def test_a_start_ends_with_the_servers_own_words(row: dict[str, Any]) -> None:
    fate = foretold(row["flags"])
    assert fate.message == row.get("says")
    assert fate.server is (Server.CRASHES if "says" in row else Server.RUNS)


def test_every_flag_with_a_file_is_recorded() -> None:
    assert len(STARTS) > 90
    assert sum("says" not in row for row in STARTS) > 10


def test_an_etcd_that_nobody_knows_is_taken_as_good() -> None:
    assert foretold({"etcd-servers": "https://127.0.0.1:2"}, etcd=None).server is Server.RUNS
    assert foretold({"etcd-servers": "https://10.0.0.7:2379"}).server is Server.RUNS


def test_a_pair_of_certificates_that_nobody_has_looked_at_is_taken_as_good() -> None:
    path = f"{PKI}/aggregator.crt"
    changes: dict[str, str | None] = {"proxy-client-cert-file": path, "proxy-client-key-file": f"{PKI}/aggregator.key"}
    assert foretold(changes).server is Server.RUNS
    assert foretold({"proxy-client-cert-file": path}).message == f"open {path}: no such file or directory"


@pytest.mark.parametrize("row", PROBES, ids=lambda row: " ".join(map(str, row.values())))
def test_a_probe_that_gets_a_bad_answer_is_foretold_to_kill(row: dict[str, Any]) -> None:
    probe = {"httpGet": {"path": row["path"], "port": 6443, "scheme": row["scheme"]}, "failureThreshold": 8}
    fate = foretold(row["flags"], livenessProbe=probe)
    killed = [note for note in fate.notes if note.startswith("the liveness probe fails")]
    assert bool(killed) == (row["status"] >= 400)
    assert all("about every 80 s" in note for note in killed)


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        ({"httpGet": {"path": "/livez", "port": 6444, "scheme": "HTTPS"}}, "nothing listens at port 6444"),
        ({"tcpSocket": {"port": 6443}}, None),
        ({"httpGet": {"path": "/livez", "port": "no-such-name", "scheme": "HTTPS"}}, None),
        ({"exec": {"command": ["true"]}}, None),
    ],
)
def test_only_probes_whose_answer_is_certain_are_told(probe: dict[str, Any], why: str | None) -> None:
    notes = foretold({}, startupProbe=probe).notes
    assert [note.partition("(")[2].partition(")")[0] for note in notes] == ([why] if why else [])


def test_a_server_that_listens_at_loopback_only_is_killed_by_a_probe_of_the_nodes_address() -> None:
    probe = {"httpGet": {"host": "172.18.0.2", "path": "/livez", "port": 6443, "scheme": "HTTPS"}}
    assert foretold({"bind-address": "127.0.0.1"}, livenessProbe=probe).notes != ()
    assert foretold({"bind-address": "0.0.0.0"}, livenessProbe=probe).notes == ()
