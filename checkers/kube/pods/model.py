"""Owns the words in which a static pod is spoken of: Pod, Container, Mount, Volume, Env, made of a decoded manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from checkers.kube.pods.decode import Decoder, Path, UnknownField


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


def make_pod(raw: dict[str, Any], file: str, node: str, uid: str, decoder: Decoder, duplicates: tuple[str, ...]) -> Pod:
    """Make a Pod of what a manifest decodes to, its defaults filled in and its name made."""
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
