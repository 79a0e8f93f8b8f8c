"""Owns the objects of a fresh cluster: namespaces, the node, roles, and what kubeadm leaves in kube-system.

There is no controller behind them: they are what `kubectl get` finds on a control plane that has just come up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

from .border import Json
from .convert import stamp

_RBAC = "rbac.authorization.k8s.io"
_VERBS = {"R": "get,list,watch", "W": "create,delete,deletecollection,patch,update"}
_AGGREGATED = ("admin", "edit", "view")
_DEFAULTS = {"kubernetes.io/bootstrapping": "rbac-defaults"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the objects are made for. `address` is the node's InternalIP; `ca_bundle` the cluster CA in PEM."""

    node: str = "cks-control-plane"
    address: str = "172.18.0.2"
    port: int = 6443
    version: str = "v1.34.4"
    ca_bundle: str = ""


def fresh_cluster(cluster: Cluster, now: datetime) -> Iterator[Json]:
    """Yield the objects that every cluster starts with, in the order they are made."""
    for name in ("kube-system", "kube-public", "kube-node-lease", "default"):
        yield _object("Namespace", "v1", name)
    yield from _priority_classes()
    yield from _roles()
    yield from _bindings()
    yield _node(cluster, now)
    yield from _services(cluster)
    yield from _leases(cluster, now)
    for name in ("scheduler", "controller-manager", "etcd-0"):
        healthy = {"type": "Healthy", "status": "True", "message": "ok"}
        yield _object("ComponentStatus", "v1", name, conditions=[healthy])
    yield from _config_maps(cluster)
    for account in ("coredns", "kube-proxy"):
        yield _object("ServiceAccount", "v1", account, "kube-system")
    yield from _coredns(cluster, now)
    yield _kube_proxy(cluster)


def _object(kind: str, api_version: str, name: str, namespace: str = "", **rest: object) -> Json:
    meta: Json = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    for part in ("labels", "annotations"):
        if rest.get(part):
            meta[part] = rest.pop(part)
    return {"kind": kind, "apiVersion": api_version, "metadata": meta, **rest}


# roles


def _role_rules() -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    rules: list[Json] = []
    for line in resources.files(f"{__package__}.resources").joinpath("roles.txt").read_text().splitlines():
        if line.startswith("= "):
            rules = found[line[2:]] = []
        elif line and not line.startswith("#"):
            rules.append(_rule(line))
    return found


def _rule(line: str) -> Json:
    verbs, what, *names = line.split(" ")
    groups, _, things = what.partition(":")
    rule: Json = {"verbs": _VERBS.get(verbs, verbs).split(",")}
    if groups == "urls":
        return {**rule, "nonResourceURLs": things.split(",")}
    rule["apiGroups"] = ["" if g == "core" else g for g in groups.split(",")]
    rule["resources"] = things.split(",")
    if names:
        rule["resourceNames"] = names[0].removeprefix("names=").split(",")
    return rule


def _roles() -> Iterator[Json]:
    found = _role_rules()
    updated = {f"{_RBAC.replace('.k8s', '.kubernetes')}/autoupdate": "true"}
    for name, rules in found.items():
        labels = dict(_DEFAULTS)
        if name.startswith("system:aggregate-to-"):
            labels[f"rbac.authorization.k8s.io/aggregate-to-{name.removeprefix('system:aggregate-to-')}"] = "true"
        own = name.startswith("kubeadm:") or name == "system:coredns"
        given: Json = {} if own else {"labels": labels, "annotations": updated}
        yield _object("ClusterRole", f"{_RBAC}/v1", name, rules=rules, **given)
    lower = {"view": ["view"], "edit": ["edit", "view"], "admin": ["admin", "edit", "view"]}
    for name in _AGGREGATED:
        rules = [rule for part in lower[name] for rule in found[f"system:aggregate-to-{part}"]]
        label = f"rbac.authorization.k8s.io/aggregate-to-{name}"
        above = {"view": "edit", "edit": "admin"}.get(name)
        labels = {**_DEFAULTS, **({f"rbac.authorization.k8s.io/aggregate-to-{above}": "true"} if above else {})}
        chosen: Json = {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}
        yield _object(
            "ClusterRole", f"{_RBAC}/v1", name, labels=labels, annotations=updated, aggregationRule=chosen, rules=rules
        )


def _bindings() -> Iterator[Json]:
    updated = {f"{_RBAC.replace('.k8s', '.kubernetes')}/autoupdate": "true"}

    def binding(name: str, role: str, *subjects: Json, own: bool = False) -> Json:
        given: Json = {} if own else {"labels": dict(_DEFAULTS), "annotations": updated}
        reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
        return _object("ClusterRoleBinding", f"{_RBAC}/v1", name, subjects=list(subjects), roleRef=reference, **given)

    def group(name: str) -> Json:
        return {"kind": "Group", "apiGroup": _RBAC, "name": name}

    def user(name: str) -> Json:
        return {"kind": "User", "apiGroup": _RBAC, "name": name}

    def account(name: str) -> Json:
        return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}

    yield binding("cluster-admin", "cluster-admin", group("system:masters"))
    yield binding("system:discovery", "system:discovery", group("system:authenticated"))
    yield binding("system:basic-user", "system:basic-user", group("system:authenticated"))
    public = (group("system:authenticated"), group("system:unauthenticated"))
    yield binding("system:public-info-viewer", "system:public-info-viewer", *public)
    yield binding("system:monitoring", "system:monitoring", group("system:monitoring"))
    issuer = "system:service-account-issuer-discovery"
    yield binding(issuer, issuer, group("system:serviceaccounts"))
    yield binding("system:node", "system:node")
    yield binding("system:node-proxier", "system:node-proxier", user("system:kube-proxy"))
    for name in ("system:kube-controller-manager", "system:kube-scheduler"):
        yield binding(name, name, user(name))
    yield binding("system:volume-scheduler", "system:volume-scheduler", user("system:kube-scheduler"))
    yield binding("system:kube-dns", "system:kube-dns", account("kube-dns"))
    yield binding("kubeadm:cluster-admins", "cluster-admin", group("kubeadm:cluster-admins"), own=True)
    bootstrappers = group("system:bootstrappers:kubeadm:default-node-token")
    yield binding("kubeadm:get-nodes", "kubeadm:get-nodes", bootstrappers, own=True)
    yield binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", bootstrappers, own=True)
    requests = "system:certificates.k8s.io:certificatesigningrequests"
    yield binding("kubeadm:node-autoapprove-bootstrap", f"{requests}:nodeclient", bootstrappers, own=True)
    rotation = "kubeadm:node-autoapprove-certificate-rotation"
    yield binding(rotation, f"{requests}:selfnodeclient", group("system:nodes"), own=True)
    yield binding("kubeadm:node-proxier", "system:node-proxier", account("kube-proxy"), own=True)
    yield binding("system:coredns", "system:coredns", account("coredns"), own=True)


def _priority_classes() -> Iterator[Json]:
    for name, value in (("system-cluster-critical", 2000000000), ("system-node-critical", 2000001000)):
        words = f"Used for system critical pods that must {'' if 'node' in name else 'run in the cluster, but can be '}"
        words += "not be moved from their current node." if "node" in name else "moved to another node if necessary."
        yield _object("PriorityClass", "scheduling.k8s.io/v1", name, value=value, description=words)


# the node


def _node(cluster: Cluster, now: datetime) -> Json:
    at = stamp(now)
    amounts = {"cpu": "2", "ephemeral-storage": "61202244Ki", "memory": "4026832Ki", "pods": "110"}

    def condition(kind: str, holds: bool, reason: str, message: str) -> Json:
        return {
            "type": kind, "status": str(holds), "lastHeartbeatTime": at, "lastTransitionTime": at, "reason": reason,
            "message": message,
        }  # fmt: skip

    return _object(
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


def _services(cluster: Cluster) -> Iterator[Json]:
    own = {"component": "apiserver", "provider": "kubernetes"}
    https = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": cluster.port}
    yield _object(
        "Service", "v1", "kubernetes", "default", labels=own,
        spec={"ports": [https], "clusterIP": "10.96.0.1", "type": "ClusterIP"},
    )  # fmt: skip
    ports = [{"name": "https", "port": cluster.port, "protocol": "TCP"}]
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subset = {"addresses": [{"ip": cluster.address}], "ports": ports}
    yield _object("Endpoints", "v1", "kubernetes", "default", labels=mirrored, subsets=[subset])
    yield _object(
        "EndpointSlice", "discovery.k8s.io/v1", "kubernetes", "default",
        labels={"kubernetes.io/service-name": "kubernetes"}, addressType="IPv4",
        endpoints=[{"addresses": [cluster.address], "conditions": {"ready": True}}], ports=ports,
    )  # fmt: skip
    dns = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    yield _object(
        "Service", "v1", "kube-dns", "kube-system",
        labels={"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        annotations={"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
        spec={"ports": dns, "selector": {"k8s-app": "kube-dns"}, "clusterIP": "10.96.0.10", "type": "ClusterIP"},
    )  # fmt: skip


def _leases(cluster: Cluster, now: datetime) -> Iterator[Json]:
    at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    leader = f"{cluster.node}_6f2b8c14-9d3e-4a57-8f01-2c4d6e8fa0b3"
    holders = (
        ("kube-node-lease", cluster.node, cluster.node, 40),
        ("kube-system", "kube-controller-manager", leader, 15),
        ("kube-system", "kube-scheduler", leader, 15),
    )
    for namespace, name, holder, seconds in holders:
        spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": at}
        yield _object("Lease", "coordination.k8s.io/v1", name, namespace, spec=spec)


def _config_maps(cluster: Cluster) -> Iterator[Json]:
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
        yield _object("ConfigMap", "v1", name, "kube-system", data=content)
    kubeconfig = (
        "apiVersion: v1\nclusters:\n- cluster:\n    server: "
        f'https://{cluster.node}:{cluster.port}\n  name: ""\nkind: Config\n'
    )
    yield _object("ConfigMap", "v1", "cluster-info", "kube-public", data={"kubeconfig": kubeconfig})


# what runs in kube-system


def _coredns(cluster: Cluster, now: datetime) -> Iterator[Json]:
    labels = {"k8s-app": "kube-dns"}
    spec = {
        "containers": [
            {
                "name": "coredns",
                "image": "registry.k8s.io/coredns/coredns:v1.12.1",
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [
                    {"containerPort": 53, "name": "dns", "protocol": "UDP"},
                    {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
                    {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
                ],
                "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
                "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
            }
        ],
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
        ],
        "volumes": [
            {
                "name": "config-volume",
                "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
            }
        ],
    }
    at = stamp(now)
    counts = {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    conditions = [
        {
            "type": kind,
            "status": "True",
            "lastUpdateTime": at,
            "lastTransitionTime": at,
            "reason": reason,
            "message": words,
        }
        for kind, reason, words in (
            ("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            ("Progressing", "NewReplicaSetAvailable", 'ReplicaSet "coredns-66bc5c9577" has successfully progressed.'),
        )
    ]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": "25%"}}
    yield _object(
        "Deployment", "apps/v1", "coredns", "kube-system", labels=labels,
        annotations={"deployment.kubernetes.io/revision": "1"},
        spec={"replicas": 2, "selector": {"matchLabels": labels}, "strategy": rolling,
              "template": {"metadata": {"labels": labels}, "spec": spec}},
        status={"observedGeneration": 1, "updatedReplicas": 2, **counts, "conditions": conditions},
    )  # fmt: skip
    hashed = {**labels, "pod-template-hash": "66bc5c9577"}
    yield _object(
        "ReplicaSet", "apps/v1", "coredns-66bc5c9577", "kube-system", labels=hashed,
        annotations={"deployment.kubernetes.io/desired-replicas": "2", "deployment.kubernetes.io/max-replicas": "3",
                     "deployment.kubernetes.io/revision": "1"},
        spec={"replicas": 2, "selector": {"matchLabels": hashed},
              "template": {"metadata": {"labels": hashed}, "spec": spec}},
        status={"observedGeneration": 1, "fullyLabeledReplicas": 2, **counts},
    )  # fmt: skip
    for number, suffix in enumerate(("k8x2w", "v5t9m"), 2):
        yield _object(
            "Pod", "v1", f"coredns-66bc5c9577-{suffix}", "kube-system", labels=hashed,
            spec={**spec, "nodeName": cluster.node}, status=_running(cluster, now, f"10.244.0.{number}", "coredns"),
        )  # fmt: skip


def _running(cluster: Cluster, now: datetime, address: str, container: str) -> Json:
    at = stamp(now)
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [{"type": k, "status": "True", "lastProbeTime": None, "lastTransitionTime": at} for k in kinds]
    image = "registry.k8s.io/coredns/coredns:v1.12.1"
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": cluster.address,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": at,
        "containerStatuses": [
            {
                "name": container,
                "state": {"running": {"startedAt": at}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": image,
                "imageID": image,
                "started": True,
            }
        ],
        "qosClass": "Burstable",
    }


def _kube_proxy(cluster: Cluster) -> Json:
    labels = {"k8s-app": "kube-proxy"}
    spec = {
        "containers": [
            {
                "name": "kube-proxy",
                "image": f"registry.k8s.io/kube-proxy:{cluster.version}",
                "command": [
                    "/usr/local/bin/kube-proxy",
                    "--config=/var/lib/kube-proxy/config.conf",
                    "--hostname-override=$(NODE_NAME)",
                ],
                "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                "securityContext": {"privileged": True},
            }
        ],
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "kube-proxy",
        "tolerations": [{"operator": "Exists"}],
    }
    return _object(
        "DaemonSet", "apps/v1", "kube-proxy", "kube-system", labels=labels,
        annotations={"deprecated.daemonset.template.generation": "1"},
        spec={"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
        status={"currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberAvailable": 1, "numberMisscheduled": 0,
                "numberReady": 1, "observedGeneration": 1, "updatedNumberScheduled": 1},
    )  # fmt: skip
