"""Says whether a container that runs is the one that a manifest describes, by its command line and its mounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from checkers.kube.pods.host_tree import clean
from checkers.kube.static_pod import Container, Pod, argv


def differs(pod: Pod, container: Container, running: Mapping[str, Any]) -> str | None:
    """Return what tells a running container from the manifest's, None where nothing does.

    `running` is a container of facts.json: its `argv` and `mounts`; one whose argv is not known differs in nothing.
    """
    words = running.get("argv")
    if not isinstance(words, list):
        return None
    wanted = argv(pod, container)
    if list(words[-len(wanted) :] if container.command else words) != wanted:
        return _words(wanted, words)
    there = {
        (clean(str(mount.get("container"))), bool(mount.get("read_only"))): clean(str(mount.get("host")))
        for mount in running.get("mounts") or []
    }
    for mount in container.mounts:
        volume = pod.volume(mount.name)
        if volume is None or volume.host_path is None or mount.sub_path or mount.sub_path_expr:
            continue
        at = clean(mount.mount_path)
        if (at, mount.read_only) not in there:
            return f"{at} is not mounted {'read-only' if mount.read_only else 'read-write'} in it"
    return None


def _words(wanted: Sequence[str], words: Sequence[str]) -> str:
    lacks = [word for word in wanted if word not in words]
    more = [word for word in words if word not in wanted]
    if lacks:
        return f"it runs without {lacks[0]}"
    return f"it runs with {more[0]}" if more else "its words stand in another order"
