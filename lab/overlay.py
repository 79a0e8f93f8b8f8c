"""Owns what is laid over a node: whole files, and edits to the API server's own manifest.

Manifests differ between kubeadm, kind, minikube and the sandbox, so a scenario says what to change in the node's own
and never ships one.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


@dataclass(frozen=True, slots=True)
class ManifestEdits:
    """Changes to kube-apiserver.yaml.

    `set_flags`: name without dashes -> value; a flag that is there is changed, else added at the end of the command.
    `drop_flags`: names. `volumes`, `mounts`: YAML mappings added to the lists as they are written here.
    `replace`: (old, new) texts, each of which has to be there. `backup`: the name of a copy of the untouched manifest
    in the manifests folder. `raw`: text that replaces the whole manifest, as it is.
    """

    set_flags: Mapping[str, str] = field(default_factory=dict)
    drop_flags: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    replace: tuple[tuple[str, str], ...] = ()
    backup: str | None = None
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Overlay:
    """Files by absolute path (bytes; mode 0644, directories 0755), and edits to the manifest, made in their order."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    edits: tuple[ManifestEdits, ...] = ()

    def then(self, other: Overlay) -> Overlay:
        """Return this overlay with another one laid on top of it."""
        return Overlay({**self.files, **other.files}, (*self.edits, *other.edits))

    def tar(self, manifest: str | None = None) -> bytes:
        """Return everything as a tar to be unpacked at /, the manifest last, so that it is read when all is there.

        `manifest` is the node's own text that the edits apply to; None leaves it alone.
        """
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, content in sorted(self.files.items()):
                _add(tar, path, content, 0o644)
            if manifest is not None and self.edits:
                text = manifest
                for edits in self.edits:
                    if edits.backup is not None:
                        _add(tar, f"{MANIFEST.rpartition('/')[0]}/{edits.backup}", manifest.encode(), 0o600)
                    text = edit_manifest(text, edits)
                _add(tar, MANIFEST, text.encode(), 0o600)
        return out.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def edit_manifest(text: str, edits: ManifestEdits) -> str:
    """Return the manifest with the edits made as a careful person would: only the lines concerned change.

    Raises ValueError where the manifest has no place for an edit (no command, no volumes list).
    """
    if edits.raw is not None:
        return edits.raw
    lines = text.splitlines()
    for name in edits.drop_flags:
        lines = [line for line in lines if not _is_flag(line, name)]
    for name, value in edits.set_flags.items():
        entry = f"    - --{name}={value}"
        at = next((n for n, line in enumerate(lines) if _is_flag(line, name)), None)
        if at is None:
            last = max((n for n, line in enumerate(lines) if line.strip().startswith("- --")), default=None)
            if last is None:
                raise ValueError("the manifest has no line that starts with `- --`")
            lines.insert(last + 1, entry)
        else:
            lines[at] = entry
    for key, indent, items in (("volumeMounts:", 4, edits.mounts), ("volumes:", 2, edits.volumes)):
        for item in reversed(items):
            at = next((n for n, line in enumerate(lines) if line.strip() == key), None)
            if at is None:
                raise ValueError(f"the manifest has no line `{key}`")
            body = item.rstrip("\n").splitlines()
            lines[at + 1 : at + 1] = [" " * indent + ("- " if n == 0 else "  ") + line for n, line in enumerate(body)]
    out = "\n".join(lines) + "\n"
    for old, new in edits.replace:
        if old not in out:
            raise ValueError(f"the manifest has no text {old!r}")
        out = out.replace(old, new)
    return out


def _is_flag(line: str, name: str) -> bool:
    entry = line.strip().removeprefix("- ").strip("\"'")
    return entry == f"--{name}" or entry.startswith(f"--{name}=")
