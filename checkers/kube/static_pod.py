"""Owns static pods as the kubelet reads them: a manifest's bytes become a Pod, or a refusal in the kubelet's words.

The door to what the other rooms hold: pod_decode (types), pod_validation (defaults, rules), container_view (paths and
mounts), pod_folder (several files). Source: pkg/kubelet/config/{file,common}.go of 1.34; golden/static-pods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .goyaml import YAMLError, decode_yaml
from .pod_decode import DecodeError, Decoder, Path, UnknownField, dotted, go_json, kind_and_version
from .pod_defaults import default_pod, forbidden_reference
from .pod_validation import validate_pod

__all__ = [
    "Container",
    "Env",
    "ManifestError",
    "Mount",
    "Pod",
    "UnknownField",
    "Volume",
    "api_server",
    "argv",
    "environment",
    "load_pod",
    "program",
]

#: The kubelet reads no more of a manifest.
MANIFEST_LIMIT: Final = 10 << 20

# Kinds that the kubelet's decoder knows: they decode, and are then no pod.
_OTHER_KINDS: Final = {
    ("v1", kind): f"core.{kind}"
    for kind in (
        "PodList", "ConfigMap", "Secret", "Service", "Namespace", "Node", "ServiceAccount", "PodTemplate",
        "ReplicationController", "Endpoints", "Event", "LimitRange", "ResourceQuota", "PersistentVolume",
        "PersistentVolumeClaim", "ConfigMapList", "ServiceList",
    )
} | {
    ("v1", "List"): "core.List",
    ("apps/v1", "Deployment"): "apps.Deployment",
    ("apps/v1", "DaemonSet"): "apps.DaemonSet",
    ("apps/v1", "StatefulSet"): "apps.StatefulSet",
    ("apps/v1", "ReplicaSet"): "apps.ReplicaSet",
    ("batch/v1", "Job"): "batch.Job",
    ("batch/v1", "CronJob"): "batch.CronJob",
}  # fmt: skip


class ManifestError(ValueError):
    """A manifest that the kubelet refuses.

    `text` is what it logs as `err=…`; `line` is the line of the file to look at, `path` the field, where there is one.
    `warnings` are the unknown fields, often the cause (`specs:`). `pod` is what it decodes to, where it was refused for
    what it says and not for how it is written: no kubelet runs it, but its flags can be read.
    """

    def __init__(
        self,
        text: str,
        line: int | None = None,
        path: str | None = None,
        warnings: tuple[UnknownField, ...] = (),
        pod: Pod | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.line = line
        self.path = path
        self.warnings = warnings
        self.pod = pod
        self.pod = pod


@dataclass(frozen=True, slots=True)
class Env:
    """One environment variable: a value with `$(NAME)` in it, or a field of the pod (`field_path`)."""

    name: str
    value: str
    field_path: str | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of volumeMounts."""

    name: str
    mount_path: str
    read_only: bool
    sub_path: str
    sub_path_expr: str
    propagation: str | None
    recursive_read_only: str | None
    path: Path


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume: `kind` is the name of its source (emptyDir where none was given: `defaulted`).

    `host_path` and `type` speak of a hostPath; type "" is unset.
    """

    name: str
    kind: str
    host_path: str | None
    type: str
    defaulted: bool
    path: Path


@dataclass(frozen=True, slots=True)
class Container:
    """One container. `path` is where it stands in the pod: ("spec", "containers", 0)."""

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[Env, ...]
    mounts: tuple[Mount, ...]
    ports: tuple[Mapping[str, Any], ...]
    working_dir: str
    pull_policy: str
    restart_policy: str | None
    init: bool
    path: Path
    raw: Mapping[str, Any] = field(repr=False)

    def word_path(self, index: int) -> Path:
        """Return the path of the entry of `command` or `args` that the index in the argv stands for."""
        if index < len(self.command):
            return (*self.path, "command", index)
        return (*self.path, "args", index - len(self.command))


@dataclass(frozen=True, slots=True)
class Pod:
    """A static pod as the kubelet would run it. `raw` is the decoded, defaulted pod; `name` carries the node's name.

    `warnings` are fields it ignores, `duplicates` keys that are there twice (the last counts), in go-yaml's words.
    """

    name: str
    namespace: str
    file: str
    node: str
    uid: str
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    host_network: bool
    restart_policy: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    warnings: tuple[UnknownField, ...]
    duplicates: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)
    lines: Mapping[Path, int] = field(repr=False)

    @property
    def identity(self) -> str:
        """The UID: a hash of decoded pod, node and file path. Another one makes the kubelet restart the pod."""
        return self.uid

    @property
    def full_name(self) -> str:
        """`namespace/name`: two files of the same one stand for the same pod."""
        return f"{self.namespace}/{self.name}"

    def all_containers(self) -> Iterator[Container]:
        yield from self.init_containers
        yield from self.containers

    def volume(self, name: str) -> Volume | None:
        return next((volume for volume in self.volumes if volume.name == name), None)

    def line(self, path: Path) -> int | None:
        """Return the 1-based line of a field, or of the nearest thing around it that the file holds."""
        for length in range(len(path), -1, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return None


def load_pod(data: bytes, file: str, node: str) -> Pod:
    """Read a manifest as the kubelet does: `file` is its path on the node, `node` the node's name.

    Raises ManifestError. Only the first YAML document counts; unknown fields are in `warnings`.
    """
    if len(data) >= MANIFEST_LIMIT:
        raise ManifestError("the read limit is reached")
    try:
        document = decode_yaml(data)
        version, kind = kind_and_version(document.root)
        if (version, kind) in _OTHER_KINDS:
            raise DecodeError(f"invalid pod: &{_OTHER_KINDS[version, kind]}{{…}}", document.line(("kind",)))
        if (version, kind) != ("v1", "Pod"):
            scheme = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'
            line = document.line(("kind",) if version == "v1" else ("apiVersion",))
            raise DecodeError(f'no kind "{kind}" is registered for version "{version}" {scheme}', line)
        decoder = Decoder(document.root)
    except (YAMLError, DecodeError) as error:
        words = f"{file}: couldn't parse as pod({error.text}), please check config file"
        raise ManifestError(words, error.line) from None
    raw = decoder.value
    name = raw.get("metadata", {}).get("name", "")
    if not name:
        raise ManifestError(
            "invalid pod: name is needed for the pod", decoder.lines.get(("metadata",)), "metadata.name"
        )
    default_pod(raw)
    uid = _uid(raw, file, node)
    raw["metadata"]["name"] = f"{name}-{node.lower()}"
    raw["metadata"].setdefault("namespace", "default")
    pod = _pod(raw, file, node, uid, decoder, document.duplicates)
    errors = validate_pod(raw)
    if errors:
        words = f"invalid pod: [{' '.join(error.text for error in errors)}]"
        raise ManifestError(words, pod.line(errors[0].path), dotted(errors[0].path), pod.warnings, pod)
    for volume in pod.volumes:
        if any(not part for part in raw["spec"]["volumes"][volume.path[-1]].get("projected", {}).get("sources", ())):
            words = f'unknown source for projected volume "{volume.name}"'
            raise ManifestError(words, pod.line(volume.path), dotted(volume.path), pod.warnings, pod)
    forbidden = forbidden_reference(raw)
    if forbidden:
        resource, path = forbidden
        words = f"static pods may not reference {resource}"
        raise ManifestError(words, pod.line(path), dotted(path), pod.warnings, pod)
    return pod


def _uid(raw: dict[str, Any], file: str, node: str) -> str:
    seed = f"{go_json(raw)}host:{node}file:{file}".encode("utf-8", "surrogatepass")
    return hashlib.md5(seed, usedforsecurity=False).hexdigest()


def _pod(raw: dict[str, Any], file: str, node: str, uid: str, decoder: Decoder, duplicates: tuple[str, ...]) -> Pod:
    meta, spec = raw["metadata"], raw["spec"]
    return Pod(
        name=meta["name"],
        namespace=meta["namespace"] or "default",
        file=file,
        node=node,
        uid=uid,
        containers=_containers(spec, "containers"),
        init_containers=_containers(spec, "initContainers"),
        volumes=tuple(
            _volume(volume, ("spec", "volumes", index), decoder) for index, volume in enumerate(spec.get("volumes", ()))
        ),
        host_network=bool(spec.get("hostNetwork")),
        restart_policy=spec["restartPolicy"],
        labels=meta.get("labels", {}),
        annotations=meta.get("annotations", {}),
        warnings=tuple(decoder.unknown),
        duplicates=duplicates,
        raw=raw,
        lines=decoder.lines,
    )


def _volume(volume: dict[str, Any], path: Path, decoder: Decoder) -> Volume:
    kind = next((key for key in volume if key != "name"), "emptyDir")
    host_path = volume.get("hostPath")
    return Volume(
        name=volume.get("name", ""),
        kind="hostPath" if host_path is not None else kind,
        host_path=host_path.get("path", "") if host_path is not None else None,
        type=host_path.get("type", "") if host_path is not None else "",
        defaulted=kind == "emptyDir" and (*path, "emptyDir") not in decoder.lines,
        path=path,
    )


def _containers(spec: dict[str, Any], group: str) -> tuple[Container, ...]:
    return tuple(
        _container(container, ("spec", group, index), init=group == "initContainers")
        for index, container in enumerate(spec.get(group, ()))
    )


def _container(raw: dict[str, Any], path: Path, *, init: bool) -> Container:
    return Container(
        name=raw.get("name", ""),
        image=raw.get("image", ""),
        command=tuple(raw.get("command", ())),
        args=tuple(raw.get("args", ())),
        env=tuple(
            Env(
                variable.get("name", ""),
                variable.get("value", ""),
                (variable.get("valueFrom") or {}).get("fieldRef", {}).get("fieldPath"),
            )
            for variable in raw.get("env", ())
        ),
        mounts=tuple(
            Mount(
                name=mount.get("name", ""),
                mount_path=mount.get("mountPath", ""),
                read_only=mount.get("readOnly", False),
                sub_path=mount.get("subPath", ""),
                sub_path_expr=mount.get("subPathExpr", ""),
                propagation=mount.get("mountPropagation"),
                recursive_read_only=mount.get("recursiveReadOnly"),
                path=(*path, "volumeMounts", index),
            )
            for index, mount in enumerate(raw.get("volumeMounts", ()))
        ),
        ports=tuple(raw.get("ports", ())),
        working_dir=raw.get("workingDir", ""),
        pull_policy=raw["imagePullPolicy"],
        restart_policy=raw.get("restartPolicy"),
        init=init,
        path=path,
        raw=raw,
    )


def environment(pod: Pod, container: Container) -> dict[str, str]:
    """Return the variables that the manifest gives the container; a later one may use an earlier one."""
    env: dict[str, str] = {}
    for variable in container.env:
        if variable.field_path is not None:
            env[variable.name] = _field(pod, variable.field_path)
        else:
            env[variable.name], _ = expand(variable.value, env)
    return env


def _field(pod: Pod, field_path: str) -> str:
    if field_path.startswith(("metadata.labels['", "metadata.annotations['")):
        kind, _, key = field_path.removeprefix("metadata.").partition("['")
        return (pod.labels if kind == "labels" else pod.annotations).get(key.removesuffix("']"), "")
    known = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": pod.node,
        "spec.serviceAccountName": "",
    }
    return known.get(field_path, "")


def expand(text: str, env: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Expand `$(NAME)` and `$$` as Kubernetes does; a name that is not there stays as it is.

    Returns the text, and the names that were missing. Source: third_party/forked/golang/expansion.
    """
    if "$" not in text:
        return text, ()
    out: list[str] = []
    missing: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        follows = text[at + 1 : at + 2]
        if char != "$" or not follows:
            out.append(char)
            at += 1
        elif follows == "$":
            out.append("$")
            at += 2
        elif follows == "(" and (end := text.find(")", at)) >= 0:
            name = text[at + 2 : end]
            if name not in env:
                missing.append(name)
            out.append(env.get(name, f"$({name})"))
            at = end + 1
        else:
            out.append(char + follows)
            at += 2
    return "".join(out), tuple(missing)


def argv(pod: Pod, container: Container) -> list[str]:
    """Return the command line that the manifest makes: command and args with the variables put in.

    Without a command the image's own entrypoint comes before the args: what that is, the manifest does not say.
    """
    env = environment(pod, container)
    return [expand(word, env)[0] for word in (*container.command, *container.args)]


def program(words: list[str]) -> int | None:
    """Return which word of a command line is kube-apiserver, None where none is.

    It may stand behind go-runner, env and the like, but not inside a shell's script.
    """
    for index, word in enumerate(words[:8]):
        if word.rpartition("/")[2] == "kube-apiserver":
            return index
    return None


def api_server(pod: Pod) -> Container | None:
    """Return the container that runs kube-apiserver, whatever the file, the pod and the container are called.

    Where none does, the one of kube-apiserver's image: its command is wrong (a shell's script, say).
    """
    for container in pod.containers:
        if program(argv(pod, container)) is not None:
            return container
    for container in pod.containers:
        image = container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
        if image.startswith("kube-apiserver"):
            return container
    return None
