"""Owns what a control plane that has just come up has of itself: its node, services, leases, configuration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..border import Json
from ..convert import stamp
from .cluster import Cluster, new_object


def node_object(cluster: Cluster, now: datetime) -> Json:
    """Return the node."""
    at = stamp(now)
    amounts = {"cpu": "2", "ephemeral-storage": "61202244Ki", "memory": "4026832Ki", "pods": "110"}

    def condition(kind: str, holds: bool, reason: str, message: str) -> Json:
        return {
            "type": kind, "status": str(holds), "lastHeartbeatTime": at, "lastTransitionTime": at, "reason": reason,
            "message": message,
        }  # fmt: skip

    return new_object(
        "Node",
        "v1",
        cluster.node,
        labels={
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": cluster.node,
            "kubernetes.io/os": "linux",
            "node-role.kubernetes.io/control-plane": "",
            "node.kubernetes.io/exclude-from-external-load-balancers": "",
        },
        annotations={
            "node.alpha.kubernetes.io/ttl": "0",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        },
        spec={
            "podCIDR": "10.244.0.0/24",
            "podCIDRs": ["10.244.0.0/24"],
            "taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
        },
        status={
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [
                condition(
                    "MemoryPressure", False, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"
                ),
                condition("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", True, "KubeletReady", "kubelet is posting ready status"),
            ],
            "addresses": [
                {"type": "InternalIP", "address": cluster.address},
                {"type": "Hostname", "address": cluster.node},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                "systemUUID": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
                "bootID": "00112233-4455-6677-8899-aabbccddeeff",
                "kernelVersion": "6.1.0-13-amd64",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "containerRuntimeVersion": "containerd://2.1.3",
                "kubeletVersion": cluster.version,
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    )


def services(cluster: Cluster) -> Iterator[Json]:
    """Yield the API server's service and the cluster's DNS, with what stands behind the first."""
    own = {"component": "apiserver", "provider": "kubernetes"}
    https = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": cluster.port}
    yield new_object(
        "Service", "v1", "kubernetes", "default", labels=own,
        spec={"ports": [https], "clusterIP": "10.96.0.1", "type": "ClusterIP"},
    )  # fmt: skip
    ports = [{"name": "https", "port": cluster.port, "protocol": "TCP"}]
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subset = {"addresses": [{"ip": cluster.address}], "ports": ports}
    yield new_object("Endpoints", "v1", "kubernetes", "default", labels=mirrored, subsets=[subset])
    yield new_object(
        "EndpointSlice", "discovery.k8s.io/v1", "kubernetes", "default",
        labels={"kubernetes.io/service-name": "kubernetes"}, addressType="IPv4",
        endpoints=[{"addresses": [cluster.address], "conditions": {"ready": True}}], ports=ports,
    )  # fmt: skip
    dns = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    yield new_object(
        "Service", "v1", "kube-dns", "kube-system",
        labels={"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        annotations={"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
        spec={"ports": dns, "selector": {"k8s-app": "kube-dns"}, "clusterIP": "10.96.0.10", "type": "ClusterIP"},
    )  # fmt: skip


def leases(cluster: Cluster, now: datetime) -> Iterator[Json]:
    """Yield the leases of the node, the controller manager and the scheduler."""
    at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    leader = f"{cluster.node}_6f2b8c14-9d3e-4a57-8f01-2c4d6e8fa0b3"
    holders = (
        ("kube-node-lease", cluster.node, cluster.node, 40),
        ("kube-system", "kube-controller-manager", leader, 15),
        ("kube-system", "kube-scheduler", leader, 15),
    )
    for namespace, name, holder, seconds in holders:
        spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": at}
        yield new_object("Lease", "coordination.k8s.io/v1", name, namespace, spec=spec)


def config_maps(cluster: Cluster) -> Iterator[Json]:
    """Yield what kubeadm keeps in config maps."""
    corefile = (
        ".:53 {\n    errors\n    health {\n       lameduck 5s\n    }\n    ready\n"
        "    kubernetes cluster.local in-addr.arpa ip6.arpa {\n       pods insecure\n"
        "       fallthrough in-addr.arpa ip6.arpa\n       ttl 30\n    }\n    prometheus :9153\n"
        "    forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }\n    cache 30\n    loop\n    reload\n"
        "    loadbalance\n}\n"
    )
    configuration = (
        "apiVersion: kubeadm.k8s.io/v1beta4\ncertificatesDir: /etc/kubernetes/pki\nclusterName: kubernetes\n"
        "etcd:\n  local:\n    dataDir: /var/lib/etcd\nkind: ClusterConfiguration\n"
        f"kubernetesVersion: {cluster.version}\nnetworking:\n  dnsDomain: cluster.local\n"
        "  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/16\n"
    )
    for name, content in (
        ("coredns", {"Corefile": corefile}),
        ("kubeadm-config", {"ClusterConfiguration": configuration}),
        ("extension-apiserver-authentication", {"client-ca-file": cluster.ca_bundle}),
    ):
        yield new_object("ConfigMap", "v1", name, "kube-system", data=content)
    kubeconfig = (
        "apiVersion: v1\nclusters:\n- cluster:\n    server: "
        f'https://{cluster.node}:{cluster.port}\n  name: ""\nkind: Config\n'
    )
    yield new_object("ConfigMap", "v1", "cluster-info", "kube-public", data={"kubeconfig": kubeconfig})


def priority_classes() -> Iterator[Json]:
    """Yield the priority classes that every cluster has."""
    for name, value in (("system-cluster-critical", 2000000000), ("system-node-critical", 2000001000)):
        words = f"Used for system critical pods that must {'' if 'node' in name else 'run in the cluster, but can be '}"
        words += "not be moved from their current node." if "node" in name else "moved to another node if necessary."
        yield new_object("PriorityClass", "scheduling.k8s.io/v1", name, value=value, description=words)
