"""The control plane's static pods are those that kubeadm writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from checkers.kube.static_pod import load_pod
from lab.drivers.sandbox import manifests

ADDRESS = "172.18.0.2"
FOLDERS = ("/etc/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/ca-certificates")
PODS = manifests.make("cks-control-plane", ADDRESS, FOLDERS)


def pod(name: str) -> Any:
    return yaml.safe_load(PODS[f"etc/kubernetes/manifests/{name}.yaml"].content)


# What the recorded manifest has beside kubeadm's own: the edits for the audit log, and kind's.
EDITS = (
    "    - --audit-log-path=/var/log/audit/audit.log\n",
    "    - --audit-policy-file=/etc/kubernetes/audit/policy.yaml\n",
    "    - --runtime-config=\n",
    "    - mountPath: /etc/kubernetes/audit/policy.yaml\n      name: audit-policy\n      readOnly: true\n",
    "    - mountPath: /var/log/audit\n      name: audit-logs\n",
    "  - hostPath:\n      path: /etc/kubernetes/audit/policy.yaml\n      type: File\n    name: audit-policy\n",
    "  - hostPath:\n      path: /var/log/audit\n      type: DirectoryOrCreate\n    name: audit-logs\n",
)


@pytest.mark.shared
def test_the_api_servers_manifest_is_a_recorded_one_line_by_line(shared: Path) -> None:
    with (shared / "golden/static-pods/truth.jsonl").open() as lines:
        rows = (json.loads(line) for line in lines)
        recorded = next(row["files"]["kube-apiserver.yaml"] for row in rows if row["how"] == "save")
    for text in EDITS:
        assert text in recorded
        recorded = recorded.replace(text, "")
    # kind also has a smaller range of service addresses.
    expected = recorded.replace("10.96.0.0/16", "10.96.0.0/12")
    assert PODS["etc/kubernetes/manifests/kube-apiserver.yaml"].content.decode() == expected


@pytest.mark.parametrize("name", ["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"])
def test_the_kubelet_takes_each_of_them(name: str) -> None:
    path = f"etc/kubernetes/manifests/{name}.yaml"
    found = load_pod(PODS[path].content, f"/{path}", "cks-control-plane")
    assert found.name == f"{name}-cks-control-plane"
    assert PODS[path].mode == 0o600


def test_folders_of_certificates_are_mounted_only_where_the_node_has_them() -> None:
    bare = manifests.make("n", ADDRESS)["etc/kubernetes/manifests/kube-apiserver.yaml"].content.decode()
    names = [volume["name"] for volume in yaml.safe_load(bare)["spec"]["volumes"]]
    assert names == ["ca-certs", "k8s-certs"]
    assert "usr-share-ca-certificates" in {volume["name"] for volume in pod("kube-apiserver")["spec"]["volumes"]}


def test_etcd_keeps_its_data_on_the_node() -> None:
    mounts = {mount["mountPath"]: mount for mount in pod("etcd")["spec"]["containers"][0]["volumeMounts"]}
    assert "readOnly" not in mounts["/var/lib/etcd"]
