"""Owns static pods as the kubelet reads them: a manifest's bytes become a Pod, or a refusal in the kubelet's words.

The door to what the other rooms hold: `pods.model` (the words), `decode` (types), `defaults`, `validation`
(rules), `command` (what runs), `container_view` (paths and mounts), `folder` (several files).
Source: pkg/kubelet/config/{file,common}.go of 1.34; golden/static-pods, tests/golden/static_pod_decoding.jsonl.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, Final

from checkers.kube.gotext import quote
from checkers.kube.goyaml import Document, YAMLError, decode
from checkers.kube.pods.command import api_server, argv, environment, expand, program
from checkers.kube.pods.decode import DecodeError, Decoder, UnknownField, dotted, go_json, json_text, kind_and_version
from checkers.kube.pods.defaults import default_pod, forbidden_reference
from checkers.kube.pods.metadata import drop_old_annotations
from checkers.kube.pods.model import Container, Env, Mount, Pod, Volume, make_pod
from checkers.kube.pods.validation import validate_pod

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
    "expand",
    "load_pod",
    "program",
]

#: The kubelet reads no more of a manifest.
MANIFEST_LIMIT: Final = 10 << 20
_REMEMBERED: Final = 64 << 10

_SCHEME: Final = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'
# Kinds of v1 beside Pod that the kubelet's decoder knows, those of other groups it does not: they decode, and are then
# no pod.
_OTHER_KINDS: Final = frozenset((
    "Binding", "ComponentStatus", "ComponentStatusList", "ConfigMap", "ConfigMapList", "Endpoints", "EndpointsList",
    "Event", "EventList", "LimitRange", "LimitRangeList", "List", "Namespace", "NamespaceList", "Node", "NodeList",
    "NodeProxyOptions", "PersistentVolume", "PersistentVolumeClaim", "PersistentVolumeClaimList",
    "PersistentVolumeList", "PodAttachOptions", "PodExecOptions", "PodList", "PodLogOptions",
    "PodPortForwardOptions", "PodProxyOptions", "PodStatusResult", "PodTemplate", "PodTemplateList",
    "RangeAllocation", "ReplicationController", "ReplicationControllerList", "ResourceQuota", "ResourceQuotaList",
    "Secret", "SecretList", "SerializedReference", "Service", "ServiceAccount", "ServiceAccountList", "ServiceList",
    "ServiceProxyOptions",
))  # fmt: skip
_META_KINDS: Final = frozenset(("APIGroup", "APIGroupList", "APIResourceList", "Status"))
_OPTION_KINDS: Final = frozenset(f"{verb}Options" for verb in ("Create", "Delete", "Get", "List", "Patch", "Update"))


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


def load_pod(data: bytes, file: str, node: str) -> Pod:
    """Read a manifest as the kubelet does: `file` is its path on the node, `node` the node's name.

    Raises ManifestError. Only the first YAML document counts; unknown fields are in `warnings`.
    """
    if len(data) >= MANIFEST_LIMIT:
        raise ManifestError("the read limit is reached")
    try:
        document = _document(data)
        _refuse_other_kinds(document, data)
        decoder = Decoder(document.root)
    except DecodeError as error:
        words = f"{file}: couldn't parse as pod({error.text}), please check config file"
        raise ManifestError(words, error.line) from None
    raw = decoder.value
    name = raw.get("metadata", {}).get("name", "")
    if not name:
        raise ManifestError(
            "invalid pod: name is needed for the pod", decoder.lines.get(("metadata",)), "metadata.name"
        )
    default_pod(raw)
    drop_old_annotations(raw["metadata"])
    # A uid in the file would be taken as it is; it names folders of the node, and is not to lead anywhere.
    uid = _uid(raw, file, node)
    raw["metadata"]["name"] = f"{name}-{node.lower()}"
    raw["metadata"].setdefault("namespace", "default")
    pod = make_pod(raw, file, node, uid, decoder, document.duplicates)
    errors = validate_pod(raw, node)
    if errors:
        words = f"invalid pod: [{' '.join(error.text for error in errors)}]"
        raise ManifestError(words, pod.line(errors[0].path), dotted(errors[0].path), pod.warnings, pod)
    forbidden = forbidden_reference(raw)
    if forbidden is not None:
        words, path = forbidden
        raise ManifestError(words, pod.line(path), dotted(path), pod.warnings, pod)
    return pod


# The nodes of a class differ in the API server's manifest alone; the same bytes are the same document.
_decode_once = lru_cache(maxsize=32)(decode)


def _document(data: bytes) -> Document:
    try:
        return (_decode_once if len(data) <= _REMEMBERED else decode)(data)
    except YAMLError as error:
        is_json = not error.text.startswith(("yaml:", "json:", "unsupported map key"))
        before = "couldn't get version/kind; json parse error: " if is_json else ""
        raise DecodeError(f"{before}{error.text}", error.line) from None


def _refuse_other_kinds(document: Document, data: bytes) -> None:
    """Raise DecodeError for everything that is no Pod of v1."""
    version, kind = kind_and_version(
        document.root, lambda: data.decode("utf-8", "replace") if document.is_json else json_text(document.value)
    )
    if (version, kind) == ("v1", "Pod"):
        return
    line = document.line(("kind",) if version == "v1" else ("apiVersion",))
    if version == "v1" and kind in _OPTION_KINDS:
        words = f'no kind "{kind}" is registered for the internal version of group "" {_SCHEME}'
    elif version == "v1" and (kind in _OTHER_KINDS or kind in _META_KINDS):
        words = f"invalid pod: &{'core' if kind in _OTHER_KINDS else 'v1'}.{kind}{{…}}"
    else:
        words = f"no kind {quote(kind)} is registered for version {quote(version)} {_SCHEME}"
    raise DecodeError(words, line)


def _uid(raw: dict[str, Any], file: str, node: str) -> str:
    seed = f"{go_json(raw)}host:{node}file:{file}".encode("utf-8", "surrogatepass")
    return hashlib.md5(seed, usedforsecurity=False).hexdigest()
