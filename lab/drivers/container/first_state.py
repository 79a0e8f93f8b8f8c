"""Owns the node's first state: kept on this machine before the task is laid, laid again with it, put back at the end.

The kubelet is stopped while its manifests change and the API server is ended at once, so that a new one is there within
seconds: left alone, the old one would wait for its watches, and the kubelet look again after a while.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from checkers.evidence import Missing, NotAFile, Unreadable
from checkers.kube.goyaml.nodes import TooBig
from checkers.kube.pods.folder import folder_pods, read_folder

from ...errors import LabError
from ...home import made, write_whole
from ...overlay import MANIFEST, Overlay
from .node import ContainerNode

ROOTS = ("etc/kubernetes", "root")
"""What is put back whole on a node of our own."""
_LEFT = ("var/log/audit",)
"""Where tasks leave things: removed where it was not there at first."""
_FOLDER = MANIFEST.rpartition("/")[0].lstrip("/")
_ASIDE = "/root/cks-lab-left-behind"
"""Where what a learner left among the manifests of a cluster of somebody's own goes: it is not ours to remove."""
_TIMEOUT = 60.0
_READY_LIMIT = 240.0
_CLEAR_LIMIT = 15.0
_POLL = 0.25

_KEEP = r"""
cd / || exit 1
for each in "$@"; do
    if [ -e "$each" ] || [ -h "$each" ]; then there="$there$each
"; fi
done
printf '%s' "$there" | tar -cf - --ignore-failed-read -T -
"""
_LAY = r"""
set -eu
umask 022
stage=/etc/.cks-lab
rm -rf "$stage"
mkdir -m 700 "$stage"
trap 'rm -rf "$stage"' EXIT
tar -C "$stage" -xpf -
folder=$1; aside=$2; prune=$3; absent=$4
same() {
    if [ -h "$1" ] || [ -h "/$1" ]; then
        [ "$(readlink "$1" || :)" = "$(readlink "/$1" || :)" ]
    else
        [ -f "/$1" ] && cmp -s "$1" "/$1"
    fi
}
own() {
    # The kubelet looks at a folder whose mode is set, to what it was as well.
    if [ "$(stat -c '%a %u %g' "$1")" != "$(stat -c '%a %u %g' "/$1")" ]; then
        chown --reference="$1" "/$1"; chmod --reference="$1" "/$1"
    fi
}
changed=
if [ ! -d "/$folder" ]; then changed=yes; fi
cd "$stage"
while IFS= read -r -d '' each; do
    same "$each" || changed=yes
done < <(find "$folder" \( -type f -o -type l \) -print0 2>/dev/null)
while IFS= read -r -d '' each; do
    [ -e "$stage$each" ] || changed=yes
done < <(find "/$folder" -mindepth 1 -print0 2>/dev/null)
if [ -n "$changed" ]; then
    systemctl stop kubelet >&2 || :
fi
for root in $prune; do
    [ -d "/$root" ] || continue
    while IFS= read -r -d '' each; do
        [ -e "$stage$each" ] || [ -h "$stage$each" ] || rm -rf "$each"
    done < <(find "/$root" -mindepth 1 -print0)
done
while IFS= read -r -d '' each; do
    if [ -e "$stage$each" ] || [ -h "$stage$each" ]; then continue; fi
    if [ -n "$aside" ]; then mkdir -p "$aside" && mv -f "$each" "$aside/"; else rm -rf "$each"; fi
done < <(find "/$folder" -mindepth 1 -maxdepth 1 -print0 2>/dev/null)
for each in $absent; do
    if [ -e "$each" ] || [ -h "$each" ]; then continue; fi
    if [ -n "$prune" ]; then rm -rf "/$each"; else rm -f "/$each"; rmdir "/${each%/*}" 2>/dev/null || :; fi
done
while IFS= read -r -d '' each; do
    each=${each#./}
    if [ ! -d "/$each" ]; then rm -rf "/$each"; mkdir -p "/$each"; elif [ -z "$prune" ]; then continue; fi
    case $each in etc/kubernetes*|root*) own "$each" ;; esac
done < <(find . -mindepth 1 -type d -print0 | sort -z)
lay() {
    if same "$1"; then
        [ -h "$1" ] || own "$1"
        return
    fi
    if [ -d "/$1" ] && [ ! -h "/$1" ]; then rm -rf "/$1"; fi
    mv -f "$1" "/$1"
}
while IFS= read -r -d '' each; do
    lay "${each#./}"
done < <(find . \( -type f -o -type l \) -not -path "./$folder/*" -print0)
while IFS= read -r -d '' each; do
    lay "${each#./}"
done < <(find "./$folder" \( -type f -o -type l \) -print0)
if [ -n "$changed" ]; then
    for each in /proc/[0-9]*/comm; do
        if read -r name < "$each" && [ "$name" = kube-apiserver ]; then
            at=${each%/comm}; kill -9 "${at#/proc/}" || :
        fi
    done 2>/dev/null
fi
systemctl start kubelet >&2 || :
echo "changed=$changed"
"""


class FirstState:
    """The first state of one node, in a folder of its lab."""

    def __init__(self, folder: Path, lab: str) -> None:
        self._folder = folder
        self._lab = lab

    @property
    def kept(self) -> bool:
        """Whether it was kept: nothing is laid before."""
        return (self._folder / "state.json").exists()

    @property
    def _tar(self) -> Path:
        return self._folder / "files.tar"

    def keep(self, node: ContainerNode, start: Overlay, address: str, *, whole: bool) -> None:
        """Copy what the task may change, once. `whole`: the node is ours, and is put back whole. Raises LabError.

        `address` is the node's own, which its files name.
        """
        laid = sorted(path.lstrip("/") for path in start.files)
        paths = [*(ROOTS if whole else ()), _FOLDER, *laid]
        done = node.run(["sh", "-c", _KEEP, "sh", *paths], timeout=_TIMEOUT)
        names = self._names(done.stdout)
        if MANIFEST.lstrip("/") not in names:
            raise LabError(
                f"the node of {self._lab} has no {MANIFEST}: {_last(done.stderr)}",
                "a task is laid on the node that runs the API server",
            )
        left = [path for path in _LEFT if node.run(["test", "-e", f"/{path}"], timeout=_TIMEOUT).exit_code]
        state = {
            "whole": whole,
            "address": address,
            "namespaces": _namespaces(node),
            "absent": [path for path in laid if path not in names] + (left if whole else []),
        }
        made(self._folder)
        self._tar.touch(mode=0o600)
        write_whole(self._tar, done.stdout)
        write_whole(self._folder / "state.json", json.dumps(state, indent=1).encode())

    def lay(self, node: ContainerNode, start: Overlay, address: str) -> bool:
        """Put the first state back with the start files on top; say whether the API server was ended for it.

        What is in the manifests' folder beside is put aside. `address` is the node's own now: another one may be its
        since. Raises LabError; ValueError where the manifest has no place for an edit.
        """
        state, files = self._read()
        return self._send(node, self._with(files, start, str(state["address"]), address), state)

    def clear_cluster(self, node: ContainerNode) -> None:
        """Remove the namespaces that came since; what of them is slow to go is left to go. Raises LabError."""
        first = self._read()[0]["namespaces"]
        assert isinstance(first, list)
        for name in set(_namespaces(node)) - set(first):
            node.api.request("DELETE", f"/api/v1/namespaces/{name}", timeout=10.0)
        deadline = time.monotonic() + _CLEAR_LIMIT
        while set(_namespaces(node)) - set(first) and time.monotonic() < deadline:
            time.sleep(_POLL)

    def _send(self, node: ContainerNode, content: bytes, state: dict[str, object]) -> bool:
        prune = " ".join(ROOTS) if state["whole"] else ""
        absent = state["absent"]
        assert isinstance(absent, list)
        done = node.run(
            ["bash", "-c", _LAY, "bash", _FOLDER, "" if prune else _ASIDE, prune, " ".join(absent)],
            timeout=_TIMEOUT,
            stdin=content,
        )
        if done.exit_code:
            said = _last(done.stderr) or f"exit status {done.exit_code}"
            full = "No space left" in said
            raise LabError(
                f"the files of {self._lab} could not be laid on its node: {said}",
                "make room, then the same again: df -h" if full else f"cks-lab stop --lab {self._lab}",
            )
        return "changed=yes" in done.text

    def _with(self, files: bytes, start: Overlay, was: str, address: str) -> bytes:
        """Return the first state with the start on top, as one tar, by the node's address of now."""
        if was and address and was != address:
            files = _readdressed(files, was, address)
        out = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(files)) as first, tarfile.open(fileobj=out, mode="w") as both:
            manifest = first.extractfile(MANIFEST.lstrip("/"))
            assert manifest is not None
            text = manifest.read().decode("utf-8", "surrogateescape")
            with tarfile.open(fileobj=io.BytesIO(start.tar(text))) as on_top:
                over = {entry.name for entry in on_top}
                for archive, skipped in ((first, over), (on_top, frozenset[str]())):
                    for entry in archive:
                        if entry.name not in skipped and not entry.isdev() and entry.type != tarfile.FIFOTYPE:
                            both.addfile(entry, archive.extractfile(entry) if entry.isreg() else None)
        return out.getvalue()

    def _read(self) -> tuple[dict[str, object], bytes]:
        try:
            return json.loads((self._folder / "state.json").read_bytes()), self._tar.read_bytes()
        except (OSError, ValueError) as error:
            raise LabError(
                f"the copy of the first state of {self._lab} cannot be read: {error}", f"cks-lab stop --lab {self._lab}"
            ) from error

    def _names(self, content: bytes) -> set[str]:
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                return set(archive.getnames())
        except tarfile.TarError as error:
            raise LabError(
                f"the node of {self._lab} sent no tar: {error}", f"cks-lab stop --lab {self._lab}"
            ) from error


def _namespaces(node: ContainerNode) -> list[str]:
    answer = node.api.request("GET", "/api/v1/namespaces", timeout=10.0)
    return [str(item["metadata"]["name"]) for item in json.loads(answer.body).get("items", [])]


def _readdressed(files: bytes, was: str, address: str) -> bytes:
    """Return a tar of a node's files with its address replaced, as kind does when a restart gave it another one."""
    pattern = re.compile(rb"(?<![0-9.])" + re.escape(was.encode()) + rb"(?![0-9.])")
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(files)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for entry in old:
            file = old.extractfile(entry) if entry.isreg() else None
            content = b"" if file is None else file.read()
            if entry.name.endswith((".yaml", ".conf")):
                content = pattern.sub(address.encode(), content)
                entry.size = len(content)
            new.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return out.getvalue()


def await_api(
    node: ContainerNode, lab: str, say: Callable[[str], None] = lambda text: None, *, limit: float | None = None
) -> None:
    """Wait until the API server answers that it is ready. Raises LabError, with its last words, when it does not."""
    limit = _READY_LIMIT if limit is None else limit
    began = time.monotonic()
    said = ""
    while True:
        try:
            answer = node.api.request("GET", "/readyz", timeout=3.0)
            if answer.status == 200:
                return
            said = f"/readyz says {answer.status}"
        except LabError as error:
            said = error.message.rpartition(": ")[2]
        waited = time.monotonic() - began
        if waited > limit:
            raise LabError(
                f"the API server of {lab} is not ready after {waited:.0f} s: {_last_words(node) or said}",
                f"cks-lab shell --lab {lab} -- crictl ps -a",
            )
        say(said)
        time.sleep(_POLL)


def comes_up(node: ContainerNode) -> bool:
    """Say whether the manifests have an API server that the kubelet takes: else none is to be waited for."""
    folder = MANIFEST.rpartition("/")[0]
    try:
        return bool(folder_pods(read_folder(node.files, folder), "node", path=folder).api_servers())
    except (Missing, NotAFile, Unreadable, TooBig):
        return False


def _last_words(node: ContainerNode) -> str:
    """Return the last line of the API server's newest log."""
    script = "ls -t /var/log/pods/kube-system_kube-apiserver-*/*/*.log 2>/dev/null | head -n 1 | xargs -r tail -n 1"
    try:
        return node.run(["sh", "-c", script], timeout=10.0).text.strip()[-300:]
    except LabError:
        return ""


def _last(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
