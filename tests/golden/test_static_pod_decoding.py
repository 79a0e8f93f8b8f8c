"""Odd and broken manifests as a kubelet's file source takes or refuses them: decoding, defaults, validation, expansion.

Recorded from the code of k8s.io/kubernetes v1.34.4 (pkg/kubelet/config: tryDecodeSinglePod, applyDefaults; validation's
ValidatePodCreate; pkg/kubelet/container's expansion): one case for each sentence that it can say, chosen from 30,000
made by mutation and by grammar. The first line has the words that many sentences share. Where Go goes through a map, the
order of its complaints is luck; such cases are left out.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from checkers.kube.pods.container_view import sub_path_of
from checkers.kube.static_pod import ManifestError, Pod, argv, environment, load_pod

FILE, NODE = "/etc/kubernetes/manifests/kube-apiserver.yaml", "cks-control-plane"
HEAD, *ROWS = map(json.loads, (Path(__file__).parent / "static_pod_decoding.jsonl").read_text().splitlines())


def load(row: dict[str, Any]) -> Pod:
    data = row["manifest"].encode() if "manifest" in row else base64.b64decode(row["base64"])
    return load_pod(data, FILE, NODE)


def said(row: dict[str, Any]) -> str | None:
    """The kubelet's words, those of other kinds (`&core.PodList{…`) up to the object that it prints in Go's way."""
    try:
        load(row)
    except ManifestError as error:
        return error.text.partition("{…}")[0] + "{" if "{…}" in error.text else error.text
    return None


def recorded(row: dict[str, Any]) -> str | None:
    text: str | None = row.get("error")
    for name, words in HEAD["words"].items():
        text = text and text.replace(f"«{name}»", words)
    return text


def seen(pod: Pod) -> list[dict[str, Any]]:
    found = []
    for container in pod.containers:
        mounts = []
        for mount in container.mounts:
            sub_path, missing = sub_path_of(pod, container, mount)
            shown = "!" if missing else sub_path
            mounts.append(f"{mount.name}|{mount.mount_path}|{shown}|{str(mount.read_only).lower()}")
        made = {"argv": argv(pod, container), "env": environment(pod, container), "mounts": mounts}
        found.append({key: value for key, value in made.items() if value})
    return found


def test_manifests_are_refused_in_the_kubelets_words_or_taken() -> None:
    differences = [(row, recorded(row), said(row)) for row in ROWS if recorded(row) != said(row)]
    assert differences == []
    assert sum("error" in row for row in ROWS) > 440


def test_what_is_taken_runs_with_the_kubelets_words_variables_and_mounts() -> None:
    taken = [row for row in ROWS if "error" not in row]
    assert [(row, seen(load(row))) for row in taken if seen(load(row)) != row["containers"]] == []
    assert len(taken) > 60


def test_pods_are_told_apart_as_the_kubelets_hash_tells_them() -> None:
    """Go's hash prints lists with blanks between: `["a b"]` and `["a", "b"]` are one pod to it, but not one command."""
    ours: dict[tuple[str, str], set[str]] = {}
    for row in ROWS:
        if "uid" in row:
            pod = load(row)
            lists = json.dumps([[c.command, c.args] for c in pod.containers])
            ours.setdefault((row["uid"], lists), set()).add(pod.identity)
    assert [key for key, found in ours.items() if len(found) != 1] == []
    assert len({next(iter(found)) for found in ours.values()}) == len(ours)
    assert len(ours) < sum("uid" in row for row in ROWS)
