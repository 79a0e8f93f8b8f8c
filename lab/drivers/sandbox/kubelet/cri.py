"""Owns what crictl is told: containers, pods and images in the shape of the CRI.

Requests are `cri.ps`, `cri.pods`, `cri.images`, `cri.inspect`, `cri.inspectp`, `cri.stop`, `cri.rm`, `cri.version`;
the tool filters and prints. Names and shapes: k8s.io/cri-api v1, crictl 1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..runtime import ContainerSpec, ContainerStatus, Runtime
from .clock import Clock, rfc3339_nano
from .config import Config
from .images import PAUSE, Image, find, images
from .pod_worker import Sandbox, image_id

Json = dict[str, Any]
_STATES = {"created": "CONTAINER_CREATED", "running": "CONTAINER_RUNNING", "exited": "CONTAINER_EXITED"}
_NEVER = "0001-01-01T00:00:00Z"


class Cri:
    """Answers by looking at the runtime; it keeps nothing."""

    def __init__(self, runtime: Runtime, clock: Clock, config: Config, sandboxes: Callable[[], list[Sandbox]]) -> None:
        self._runtime = runtime
        self._clock = clock
        self._config = config
        self._sandboxes = sandboxes

    def handle(self, verb: str, request: Mapping[str, Any]) -> Json:
        """Answer one request. `id` in it may be the beginning of an id. Raises KeyError on a malformed one."""
        if verb == "ps":
            return {"containers": [self._container(status) for status in self._all()], "now": self._clock.wall()}
        if verb == "pods":
            return {"items": [self._pod(sandbox) for sandbox in self._pods()], "now": self._clock.wall()}
        if verb == "images":
            return {"images": [_image(image) for image in images(self._config.version)]}
        if verb == "version":
            return {"runtimeName": "containerd", "runtimeVersion": "v2.1.5", "runtimeApiVersion": "v1"}
        if verb in ("inspect", "stop", "rm"):
            return self._of_container(verb, str(request["id"]), request)
        if verb == "inspectp":
            return self._of_pod(str(request["id"]))
        return {"error": f"unknown operation {verb!r}"}

    def _all(self) -> list[ContainerStatus]:
        return sorted(self._runtime.list(), key=lambda status: status.created, reverse=True)

    def _pods(self) -> list[Sandbox]:
        found = {sandbox.id: sandbox for sandbox in self._sandboxes()}
        for status in self._all():
            spec = status.spec
            if spec.sandbox_id and spec.sandbox_id not in found:
                found[spec.sandbox_id] = Sandbox(
                    spec.sandbox_id, spec.pod_uid, spec.pod_name, spec.namespace, status.created
                )
        return sorted(found.values(), key=lambda sandbox: sandbox.created, reverse=True)

    def _of_container(self, verb: str, beginning: str, request: Mapping[str, Any]) -> Json:
        found = [status for status in self._all() if status.id.startswith(beginning)]
        if not found or not beginning:
            return {"missing": beginning}
        if len(found) > 1:
            return {"ambiguous": [status.id for status in found]}
        status = found[0]
        if verb == "stop":
            self._runtime.stop(status.id, float(request.get("timeout", 0)))
            return {"id": status.id}
        if verb == "rm":
            if status.state == "running" and not request.get("force"):
                return {"running": status.id}
            self._runtime.stop(status.id, 0)
            self._runtime.remove(status.id)
            return {"id": status.id}
        return self._inspect(status)

    def _of_pod(self, beginning: str) -> Json:
        found = [sandbox for sandbox in self._pods() if sandbox.id.startswith(beginning)]
        if not found or not beginning:
            return {"missing": beginning}
        sandbox = found[0]
        pod = self._pod(sandbox)
        pod["createdAt"] = rfc3339_nano(sandbox.created)
        pod["network"] = {"additionalIps": [], "ip": self._config.node_ip}
        pod["linux"] = {"namespaces": {"options": {"ipc": "POD", "network": "NODE", "pid": "CONTAINER"}}}
        return {"status": pod, "info": {"pid": self._config.pid, "image": PAUSE.reference}}

    def _pod(self, sandbox: Sandbox) -> Json:
        return {
            "id": sandbox.id,
            "metadata": {"name": sandbox.name, "uid": sandbox.uid, "namespace": sandbox.namespace, "attempt": 0},
            "state": "SANDBOX_READY" if sandbox.ready else "SANDBOX_NOTREADY",
            "createdAt": str(int(sandbox.created * 1e9)),
            "labels": {
                "io.kubernetes.pod.name": sandbox.name,
                "io.kubernetes.pod.namespace": sandbox.namespace,
                "io.kubernetes.pod.uid": sandbox.uid,
            },
            "annotations": {
                "kubernetes.io/config.hash": sandbox.uid,
                "kubernetes.io/config.source": "file",
            },
            "runtimeHandler": "",
        }

    def _image_id(self, spec: ContainerSpec) -> str:
        return image_id(spec.image, self._config.version)

    def _container(self, status: ContainerStatus) -> Json:
        spec = status.spec
        return {
            "id": status.id,
            "podSandboxId": spec.sandbox_id,
            "metadata": {"name": spec.name, "attempt": spec.attempt},
            "image": {"image": self._image_id(spec), "annotations": {}, "userSpecifiedImage": spec.image},
            "imageRef": self._image_id(spec),
            "state": _STATES[status.state],
            "createdAt": str(int(status.created * 1e9)),
            "labels": self._labels(status),
            "annotations": self._annotations(status),
        }

    def _labels(self, status: ContainerStatus) -> Json:
        spec = status.spec
        return {
            "io.kubernetes.container.name": spec.name,
            "io.kubernetes.pod.name": spec.pod_name,
            "io.kubernetes.pod.namespace": spec.namespace,
            "io.kubernetes.pod.uid": spec.pod_uid,
        }

    def _annotations(self, status: ContainerStatus) -> Json:
        return {
            "io.kubernetes.container.restartCount": str(status.spec.attempt),
            "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
            "io.kubernetes.container.terminationMessagePolicy": "File",
            "io.kubernetes.pod.terminationGracePeriod": "30",
        }

    def _inspect(self, status: ContainerStatus) -> Json:
        spec = status.spec
        reason = status.reason
        if status.state == "exited" and not reason:
            reason = "Error" if status.exit_code else "Completed"
        image = find(spec.image, self._config.version)
        mounts = [
            {
                "containerPath": mount.container,
                "gidMappings": [],
                "hostPath": mount.host,
                "propagation": "PROPAGATION_PRIVATE",
                "readonly": mount.read_only,
                "selinuxRelabel": False,
                "uidMappings": [],
            }
            for mount in spec.mounts
        ]
        told: Json = {
            "annotations": self._annotations(status),
            "createdAt": rfc3339_nano(status.created),
            "exitCode": status.exit_code or 0,
            "finishedAt": rfc3339_nano(status.finished) if status.finished else _NEVER,
            "id": status.id,
            "image": {"annotations": {}, "image": spec.image, "runtimeHandler": "", "userSpecifiedImage": ""},
            "imageId": self._image_id(spec),
            "imageRef": image.digest if image else spec.image,
            "labels": self._labels(status),
            "logPath": spec.log_path,
            "message": status.message,
            "metadata": {"attempt": spec.attempt, "name": spec.name},
            "mounts": mounts,
            "reason": reason,
            "startedAt": rfc3339_nano(status.started) if status.started else _NEVER,
            "state": _STATES[status.state],
        }
        process = {
            "args": list(spec.argv),
            "cwd": spec.working_dir or "/",
            "env": [f"{name}={value}" for name, value in spec.env.items()],
        }
        bound = [
            {
                "destination": mount.container,
                "options": ["rbind", "rprivate", "ro" if mount.read_only else "rw"],
                "source": mount.host,
                "type": "bind",
            }
            for mount in spec.mounts
        ]
        info: Json = {
            "sandboxID": spec.sandbox_id,
            "pid": status.pid or 0,
            "removing": False,
            "snapshotKey": status.id,
            "snapshotter": "overlayfs",
            "runtimeType": "io.containerd.runc.v2",
            "runtimeSpec": {
                "ociVersion": "1.2.1",
                "process": process,
                "root": {"path": "rootfs", "readonly": spec.read_only_root},
                "mounts": bound,
            },
        }
        return {"status": told, "info": info}


def _image(image: Image) -> Json:
    return {
        "id": f"sha256:{image.id}",
        "repoTags": [image.reference],
        "repoDigests": [image.digest],
        "size": str(image.size),
        "uid": None,
        "username": "",
        "pinned": image.name.endswith("/pause"),
    }
