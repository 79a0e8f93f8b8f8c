"""Owns the kubelet's view of a static pod: the fields that decide what runs, read from the decoded manifest.

The manifest was decoded and validated by `checkers.kube.static_pod`; nothing is checked a second time here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from checkers.kube.pods.quantity import quantity
from checkers.kube.static_pod import Pod, expand

Object = Mapping[str, Any]


class Decode(Protocol):
    """Decodes a manifest; raises ValueError with the kubelet's words."""

    def __call__(self, data: bytes, file: str, node: str) -> Pod: ...


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """One entry of volumeMounts."""

    name: str
    path: str
    read_only: bool = False
    sub_path: str = ""
    sub_path_expr: str = ""
    recursive_read_only: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume; `kind` is its source's field (`hostPath`, `emptyDir`, …)."""

    name: str
    kind: str
    path: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe; `kind` is `httpGet`, `tcpSocket`, `exec` or `grpc`. Times in seconds."""

    kind: str
    scheme: str = "HTTP"
    host: str = ""
    port: int = 0
    path: str = "/"
    delay: float = 0
    period: float = 10
    timeout: float = 1
    failures: int = 3
    successes: int = 1


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod.

    `sidecar`: an init container that is to be restarted always; `memory_limit` in bytes; `root_refused`: why it may not
    run as root, which it would, else "".
    """

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[Object, ...]
    mounts: tuple[VolumeMount, ...]
    ports: tuple[Object, ...]
    probes: Mapping[str, Probe]
    working_dir: str
    pull_policy: str
    read_only_root: bool
    cpu_request: float
    run_as_user: int = 0
    memory_limit: int = 0
    root_refused: str = ""
    sidecar: bool = False


@dataclass(frozen=True, slots=True)
class StaticPod:
    """A pod that a file asks for. `uid`: 32 hex digits, another one for any real change of the pod or its file."""

    uid: str
    name: str
    namespace: str
    file: str
    raw: Object = field(repr=False)
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    host_network: bool = False
    restart_policy: str = "Always"
    grace: float = 30
    seen: float = 0

    @property
    def full_name(self) -> str:
        """The name under which only one pod can be: `name_namespace`."""
        return f"{self.name}_{self.namespace}"

    @property
    def reference(self) -> str:
        """The pod as log lines name it: `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def mounted_volumes(self) -> list[Volume]:
        """Return the volumes that a container mounts, in the order of the pod: only these are set up."""
        names = {mount.name for container in (*self.init_containers, *self.containers) for mount in container.mounts}
        return [volume for volume in self.volumes.values() if volume.name in names]

    def host_ports(self) -> set[int]:
        """Return the ports of the node that the pod takes; with the node's network, those are all that it lists."""
        ports = (port for container in self.containers for port in container.ports)
        found = (port.get("hostPort") or (port.get("containerPort") if self.host_network else 0) for port in ports)
        return {int(port) for port in found if port}


def static_pod(decoded: Pod, seen: float) -> StaticPod:
    """Return what runs of a decoded pod, first seen at `seen` (seconds since the epoch)."""
    spec = decoded.raw["spec"]
    ports = {
        port["name"]: int(port["containerPort"])
        for container in decoded.containers
        for port in container.ports
        if port.get("name")
    }
    security = spec.get("securityContext") or {}
    grace = spec.get("terminationGracePeriodSeconds")
    return StaticPod(
        uid=decoded.identity,
        name=decoded.name,
        namespace=decoded.namespace,
        file=decoded.file,
        raw=decoded.raw,
        containers=tuple(_container(item.raw, ports, security) for item in decoded.containers),
        init_containers=tuple(_container(item.raw, ports, security) for item in decoded.init_containers),
        volumes={v.name: Volume(v.name, v.kind, v.host_path or "", v.type) for v in decoded.volumes},
        host_network=decoded.host_network,
        restart_policy=decoded.restart_policy,
        grace=float(30 if grace is None else grace),
        seen=seen,
    )


def _container(item: Object, ports: Mapping[str, int], pod_security: Object) -> Container:
    resources: Object = item.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    security = {**pod_security, **(item.get("securityContext") or {})}
    user = security.get("runAsUser")
    refused = "container's runAsUser breaks non-root policy"
    if user is None:
        refused = "container has runAsNonRoot and image will run as root"
    return Container(
        name=item.get("name", ""),
        image=item.get("image", ""),
        command=tuple(item.get("command") or ()),
        args=tuple(item.get("args") or ()),
        env=tuple(item.get("env") or ()),
        mounts=tuple(_mount(mount) for mount in item.get("volumeMounts") or ()),
        ports=tuple(item.get("ports") or ()),
        probes={kind: _probe(item[f"{kind}Probe"], ports) for kind in PROBES if item.get(f"{kind}Probe")},
        working_dir=item.get("workingDir", ""),
        pull_policy=item["imagePullPolicy"],
        read_only_root=bool((item.get("securityContext") or {}).get("readOnlyRootFilesystem")),
        cpu_request=cpu(str(requests.get("cpu", "0"))),
        run_as_user=int(user or 0),
        memory_limit=int(quantity(str(limits.get("memory", "0")))),
        root_refused=refused if security.get("runAsNonRoot") and not user else "",
        sidecar=item.get("restartPolicy") == "Always",
    )


PROBES = ("startup", "liveness", "readiness")


def _mount(item: Object) -> VolumeMount:
    return VolumeMount(
        name=item.get("name", ""),
        path=item.get("mountPath", ""),
        read_only=bool(item.get("readOnly")),
        sub_path=item.get("subPath") or "",
        sub_path_expr=item.get("subPathExpr") or "",
        recursive_read_only=item.get("recursiveReadOnly") or "",
    )


def _probe(item: Object, ports: Mapping[str, int]) -> Probe:
    kind = next((key for key in ("httpGet", "tcpSocket", "exec", "grpc") if item.get(key) is not None), "exec")
    action: Object = item.get(kind) or {}
    port = action.get("port", 0)
    return Probe(
        kind=kind,
        scheme=(action.get("scheme") or "HTTP").upper(),
        host=action.get("host") or "",
        port=ports.get(port, 0) if isinstance(port, str) and not port.isdigit() else int(port or 0),
        path=action.get("path") or "/",
        delay=float(item.get("initialDelaySeconds") or 0),
        period=float(item.get("periodSeconds") or 10),
        timeout=float(item.get("timeoutSeconds") or 1),
        failures=int(item.get("failureThreshold") or 3),
        successes=int(item.get("successThreshold") or 1),
    )


def cpu(quantity: str) -> float:
    """Return a CPU quantity (`250m`, `2`, `1.5`) in cores; what is no quantity counts nothing."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(m?)", quantity)
    return float(match[1]) / (1000 if match[2] else 1) if match else 0.0


def environment(pod: StaticPod, container: Container, node: str, node_ip: str) -> dict[str, str]:
    """Return the variables that the manifest gives the container, references expanded."""
    values: dict[str, str] = {}
    for entry in container.env:
        source = entry.get("valueFrom")
        if source:
            path = (source.get("fieldRef") or {}).get("fieldPath") or ""
            values[entry["name"]] = _field(pod, path, node, node_ip)
        else:
            values[entry["name"]] = expand(entry.get("value") or "", values)[0]
    return values


def _field(pod: StaticPod, path: str, node: str, node_ip: str) -> str:
    key = re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path)
    if key:
        return str((pod.raw["metadata"].get(key[1]) or {}).get(key[2], ""))
    return {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": node,
        "status.hostIP": node_ip,
        "status.podIP": node_ip,
        "status.hostIPs": node_ip,
        "status.podIPs": node_ip,
    }.get(path, "")


def argv(container: Container, entrypoint: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the process's argument list; the image's entry point stands in for a missing command."""
    command = [expand(word, values)[0] for word in container.command] or list(entrypoint)
    return (*command, *(expand(word, values)[0] for word in container.args))
