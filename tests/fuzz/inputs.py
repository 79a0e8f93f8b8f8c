"""Owns what is thrown: strategies that make bytes, near enough to the real thing to get far, and wrong enough to hurt.

Each input is a good file (of `corpus`) with a few cuts, copies and hostile words in it, or one that is built from
the parts of its own kind, or plain noise.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lab.drivers.sandbox.manifests import make
from tests import nodes

ROOT = Path(__file__).parent.parent.parent
LONGEST = 6 << 20
"""No input is longer, in bytes."""

Edit = tuple[str, int, int, bytes]

_WORDS: tuple[bytes, ...] = (
    b"\t", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"\x1b[31m", b"{", b"}", b"[", b"]", b"'", b'"', b"|", b">", b"? ", b": ", b"- ", b"# ", b"&a ", b"*a", b"<<: *a",
    b"!!binary ", b"!!str ", b"!!map ", b"%YAML 1.1\n", b"---\n", b"...\n", b"\\u0000", b"\\ud800", b"\\x", b"~", b"null",
    b"true", b"yes", b"0x10", b"1e400", b"-0", b"1_000", b".nan", b".inf", b"08", b"1:30", b"2020-01-01", b"=", b"9" * 30,
    b"apiVersion: audit.k8s.io/v1\n", b"kind: Policy\n", b"rules:\n", b"- level: Metadata\n", b"level: None", b"  resources: [{}]\n",
    b"  nonResourceURLs: ['/*']\n", b"  namespaces: [~]\n", b"omitStages: [RequestReceived]\n", b"$(A)", b"$$(A)", b"$(", b"..", b"/",
    b"hostPath: {path: /, type: ''}\n", b"subPath: ../..\n", b"volumeMounts:\n", b"--audit-log-path=", b"--audit-policy-file",
    b'"requestObject":', b'"stage":"Panic"', b'"level":"RequestResponse"', b'"auditID":""', b'"requestReceivedTimestamp":"9999-99-99"',
    b"2026-11-23T02:26:42.934150Z", b"\x1f\x8b", b"=cmd()", b"<script>", b"]]>", b"{{7*7}}", b"%s%n", b"\xe2\x80\xae",
)  # fmt: skip
_ODD_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["", "running", "v1.34.4", "v9", "0001-01-01T00:00:00Z", "2026-11-23T02:26:42Z", 1e308, -1, 2**64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_NAMES = st.sampled_from(
    ("facts.json", "root", "root/", "root/etc", "root/etc/kubernetes/audit/policy.yaml", "root/var/log/audit/audit.log",
     "root/etc/kubernetes/manifests/kube-apiserver.yaml", "root/etc/kubernetes/manifests/.x", "root/var/log", "../x", "/etc/x",
     "root/../../x", "etc/kubernetes/audit/policy.yaml", "root/a/../b", "root/\udcff", "root/\0", "", ".", "root/" + "x/" * 500)
)  # fmt: skip
_KINDS = st.sampled_from(
    (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"S", b"Z")
)


@cache
def recordings() -> Path | None:
    """Return the folder of recordings, where there is one."""
    folder = Path(os.environ.get("CKS_LAB_SHARED", ROOT.parent / "shared"))
    return folder if folder.is_dir() else None


@cache
def corpus(target: str) -> tuple[bytes, ...]:
    """Return good files of a target's kind, and those that once failed."""
    found = list(_own(target))
    kept = Path(__file__).parent / "seeds" / target
    found += [gzip.decompress(path.read_bytes()) for path in sorted(kept.glob("*.gz"))]
    shared = recordings()
    if shared is not None and target in ("policy", "policy-file"):
        found += [
            path.read_bytes() for path in sorted((shared / "golden/policy/policies").glob("*"))[:150] if path.is_file()
        ]
        found = [gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data for data in found]
    if shared is not None and target in ("log", "log-file"):
        found.append((shared / "golden/logs/small.log").read_bytes())
    return tuple(data for data in found if data)


def _own(target: str) -> list[bytes]:
    scenario = nodes.audit_log()
    policies = [overlay.files.get("/" + nodes.POLICY, b"") for overlay in (scenario.solution, scenario.start)]
    policies += [mistake.overlay.files.get("/" + nodes.POLICY, b"") for mistake in scenario.mistakes]
    manifest = make(nodes.NAME, "172.30.0.2")["etc/kubernetes/manifests/kube-apiserver.yaml"].content
    text = manifest if isinstance(manifest, str) else manifest.decode()
    with tarfile.open(fileobj=io.BytesIO(scenario.solution.tar(text))) as tar:
        solved = [
            member.read()
            for entry in tar
            if entry.name.endswith("kube-apiserver.yaml") and (member := tar.extractfile(entry))
        ]
    log = "".join(line + "\n" for line in nodes.GOOD_LOG).encode()
    return {
        "policy": policies,
        "policy-file": policies,
        "pod": [text.encode(), *solved],
        "manifest": [text.encode(), *solved],
        "twin": [text.encode(), *solved],
        "log": [log, log * 20, gzip.compress(log)],
        "log-file": [log, log * 20, gzip.compress(log)],
        "bundle": [_tar([("root/" + nodes.POLICY, tarfile.REGTYPE, policies[0], "")], _facts())],
        "scenario": [(ROOT / "scenarios/01-audit-log/scenario.yaml").read_bytes()],
    }[target]


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Return what is thrown at a target."""
    good = corpus(target)
    mutated = st.builds(_edited, st.sampled_from(good), st.lists(_EDITS, min_size=1, max_size=6))
    kinds = [mutated, mutated, mutated, st.binary(max_size=200)]
    if target == "bundle":
        kinds += [_BUNDLES] * 6
    if target in ("log", "log-file"):
        kinds += [_LOGS] * 3
    return st.one_of(kinds)


# A good file with something done to it.

_EDITS = st.tuples(
    st.sampled_from(("insert", "replace", "delete", "double", "many", "cut", "line", "indent") * 60 + ("huge",)),
    st.integers(0, 1 << 20),
    st.integers(0, 40),
    st.sampled_from(_WORDS) | st.binary(max_size=6),
)


def _edited(data: bytes, edits: list[Edit]) -> bytes:
    for what, at, size, word in edits:
        at %= len(data) + 1
        match what:
            case "insert":
                data = data[:at] + word + data[at:]
            case "replace":
                data = data[:at] + word + data[at + size :]
            case "delete":
                data = data[:at] + data[at + size :]
            case "double":
                data = data[:at] + data[max(0, at - size * 8) :]
            case "many":
                data = data[:at] + word * (1 << size // 3) + data[at:]
            case "huge":
                data = data[:at] + word * (LONGEST // max(1, len(word))) + data[at:]
            case "cut":
                data = data[:at]
            case _:
                lines = data.split(b"\n")
                at %= len(lines)
                if what == "line":
                    lines[at] = lines[size % len(lines)]
                else:
                    lines[at] = b" " * (size % 7) + lines[at].lstrip()
                data = b"\n".join(lines)
        data = data[:LONGEST]
    return data


# Logs whose lines are events with odd fields.


def _line(changes: list[tuple[str, Any]]) -> bytes:
    event = json.loads(nodes.GOOD_LOG[0])
    for name, value in changes:
        holder = event
        *path, last = name.split(".")
        for part in path:
            holder = holder.get(part) if isinstance(holder.get(part), dict) else {}
        holder[last] = value
    return json.dumps(event).encode()


_FIELDS = st.sampled_from(
    ("level", "stage", "auditID", "verb", "user", "user.username", "user.groups", "objectRef", "objectRef.resource", "objectRef.namespace",
     "requestObject", "responseObject", "responseStatus", "requestReceivedTimestamp", "stageTimestamp", "annotations", "requestURI", "x")
)  # fmt: skip
_LOGS = st.lists(
    st.builds(_line, st.lists(st.tuples(_FIELDS, _ODD_JSON), max_size=3)) | st.sampled_from(_WORDS), max_size=8
).map(b"\n".join)


# Bundles: tars of odd entries, with facts that are of another shape than they should be.


@cache
def _good_facts() -> str:
    moment = "2026-11-23T02:26:42.934150Z"
    container = {
        "id": "a", "name": "kube-apiserver", "pod": "kube-apiserver-x", "namespace": "kube-system", "uid": "u", "state": "running",
        "attempt": 0, "created": moment, "started": moment, "finished": None, "exit_code": None, "argv": ["kube-apiserver", "--v=1"],
        "mounts": [{"host": "/a", "container": "/a", "read_only": False}], "last_lines": ["x"],
    }  # fmt: skip
    request = {
        "audit_id": "cks-lab-0-0", "method": "POST", "path": "/api/v1/namespaces/default/configmaps", "code": 201, "verb": "create",
        "resource": "configmaps", "group": "", "namespace": "default", "name": "x",
    }  # fmt: skip
    return json.dumps({
        "schema": "cks-lab/facts/v1", "scenario": "audit-log", "variant": {"seed": None}, "node": {"driver": "sandbox", "name": "n"},
        "started": moment, "finished": moment, "cut": {}, "containers": [container], "kubelet_log": ["x"],
        "apiserver": {"version": "v1.34.4", "readyz": {"status": 200}}, "probe": {"nonce": "0", "requests": [request], "error": None},
    })  # fmt: skip


def _facts() -> bytes:
    return _good_facts().encode()


def _with_odd_facts(changes: list[tuple[int, Any]]) -> bytes:
    facts = json.loads(_good_facts())
    for number, value in changes:
        places = list(_places(facts))
        holder, key = places[number % len(places)]
        holder[key] = value
    return json.dumps(facts).encode()


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _tar(entries: list[tuple[str, bytes, bytes, str]], facts: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for name, kind, content, link in [("facts.json", tarfile.REGTYPE, facts, ""), *entries]:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
            try:
                tar.addfile(entry, io.BytesIO(content))
            except (UnicodeError, ValueError):
                continue
    return out.getvalue()


_CONTENTS = st.one_of(
    st.just(b""), st.sampled_from(corpus("policy")[:40] or (b"",)), st.binary(max_size=40), st.just(b"\n" * (1 << 20))
)
_ENTRIES = st.lists(st.tuples(_NAMES, _KINDS, _CONTENTS, _NAMES), max_size=5)
_WHOLE_BUNDLES = st.builds(
    _tar,
    _ENTRIES,
    st.builds(_with_odd_facts, st.lists(st.tuples(st.integers(0, 200), _ODD_JSON), min_size=0, max_size=3)),
)
_BUNDLES = st.one_of(
    _WHOLE_BUNDLES,
    _WHOLE_BUNDLES,
    st.builds(_edited, _WHOLE_BUNDLES, st.lists(_EDITS, max_size=3)),
    st.builds(lambda data, edits: _edited(gzip.decompress(data), edits), _WHOLE_BUNDLES, st.lists(_EDITS, max_size=3)),
)
