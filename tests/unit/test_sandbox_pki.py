"""The node's certificates: they are what kubeadm's are, as far as anybody can tell by looking at them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.drivers.sandbox import pki

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
FILES, ADMIN = pki.make("cks-control-plane", "172.30.0.2", NOW)


def certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(FILES[f"etc/kubernetes/pki/{name}.crt"].content)


@pytest.mark.parametrize(
    ("name", "issuer", "subject"),
    [
        ("apiserver", "ca", "CN=kube-apiserver"),
        ("apiserver-kubelet-client", "ca", "CN=kube-apiserver-kubelet-client,O=kubeadm:cluster-admins"),
        ("front-proxy-client", "front-proxy-ca", "CN=front-proxy-client"),
        ("apiserver-etcd-client", "etcd/ca", "CN=kube-apiserver-etcd-client"),
        ("etcd/healthcheck-client", "etcd/ca", "CN=kube-etcd-healthcheck-client"),
        ("etcd/server", "etcd/ca", "CN=cks-control-plane"),
        ("etcd/peer", "etcd/ca", "CN=cks-control-plane"),
        ("ca", "ca", "CN=kubernetes"),
    ],
)
def test_each_certificate_has_kubeadms_subject_and_comes_from_its_authority(
    name: str, issuer: str, subject: str
) -> None:
    found = certificate(name)
    assert found.subject.rfc4514_string() == subject
    found.verify_directly_issued_by(certificate(issuer))


def test_the_api_server_is_trusted_by_all_its_names() -> None:
    names = certificate("apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {
        "10.96.0.1",
        "172.30.0.2",
        "127.0.0.1",
    }
    assert set(names.get_values_for_type(x509.DNSName)) >= {
        "cks-control-plane",
        "kubernetes",
        "kubernetes.default.svc.cluster.local",
    }
    usage = certificate("apiserver").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_certificates_hold_a_year_and_authorities_ten() -> None:
    assert certificate("apiserver").not_valid_after_utc - NOW == timedelta(days=365)
    assert certificate("ca").not_valid_after_utc - NOW == timedelta(days=3650)


@pytest.mark.parametrize(
    ("file", "user", "subject"),
    [
        ("admin", "kubernetes-admin", "CN=kubernetes-admin,O=kubeadm:cluster-admins"),
        ("super-admin", "kubernetes-super-admin", "CN=kubernetes-super-admin,O=system:masters"),
        ("controller-manager", "system:kube-controller-manager", "CN=system:kube-controller-manager"),
        ("scheduler", "system:kube-scheduler", "CN=system:kube-scheduler"),
    ],
)
def test_each_kubeconfig_carries_its_user(file: str, user: str, subject: str) -> None:
    config = yaml.safe_load(FILES[f"etc/kubernetes/{file}.conf"].content)
    assert config["current-context"] == f"{user}@kubernetes"
    assert config["clusters"][0]["cluster"]["server"] == "https://172.30.0.2:6443"
    credentials = config["users"][0]["user"]
    found = x509.load_pem_x509_certificate(base64.b64decode(credentials["client-certificate-data"]))
    assert found.subject.rfc4514_string() == subject
    key = serialization.load_pem_private_key(base64.b64decode(credentials["client-key-data"]), None)
    assert key.public_key() == found.public_key()


def test_the_kubelet_uses_the_certificate_that_it_rotates() -> None:
    config = yaml.safe_load(FILES["etc/kubernetes/kubelet.conf"].content)
    path = config["users"][0]["user"]["client-certificate"]
    assert path == "/var/lib/kubelet/pki/kubelet-client-current.pem"
    pem = FILES[path.lstrip("/")].content
    found = x509.load_pem_x509_certificate(pem)
    assert found.subject.rfc4514_string() == "CN=system:node:cks-control-plane,O=system:nodes"
    assert b"PRIVATE KEY" in pem


def test_keys_and_kubeconfigs_are_for_root_only() -> None:
    secret = [name for name in FILES if name.endswith((".key", ".conf", "sa.pub", ".kube/config", "current.pem"))]
    assert len(secret) > 15
    assert {name: FILES[name].mode for name in secret} == dict.fromkeys(secret, 0o600)


def test_root_has_the_administrators_kubeconfig_and_the_program_its_own_copy() -> None:
    assert FILES["root/.kube/config"] == FILES["etc/kubernetes/admin.conf"]
    assert ADMIN.ca == FILES["etc/kubernetes/pki/ca.crt"].content
    assert b"EC PRIVATE KEY" in ADMIN.key
