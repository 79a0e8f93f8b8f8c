"""Recorded kubectl sessions sent to the lite API server's objects: the same answers, and the same audited bodies.

What differs from run to run (uids, times, versions, addresses) is levelled on both sides; lists are compared by code.
Objects that other clients made before the recording are put in place as the recording shows them first; those that
controllers keep changing (deployments, the node) are brought up to the recording's state at each read of them.
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from lab.drivers.sandbox.lite.convert import Converter
from lab.drivers.sandbox.lite.protobuf import decode_unknown
from lab.drivers.sandbox.lite.reading import key_of
from lab.drivers.sandbox.lite.registry import ApiError, Registry, Request, UserInfo
from lab.drivers.sandbox.lite.resources import ResourceType, lookup

pytestmark = pytest.mark.shared

_ELSEWHERE = {"exec", "log", "attach", "portforward", "token", "proxy"}
_CONTROLLED = {"deployments", "replicasets", "nodes"}
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_LEVELLED = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(r"kube-api-access-\w{5}"), "kube-api-access-<suffix>"),
    (re.compile(r"10\.96\.\d+\.\d+"), "<address>"),
)


class Recording:
    """The recorded exchanges of one kubectl."""

    def __init__(self, golden: Path, kubectl: str) -> None:
        self._golden = golden
        self._kubectl = kubectl

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with gzip.open(self._golden / "exchanges.jsonl.gz", "rt") as file:
            for line in file:
                exchange = json.loads(line)
                if exchange["command"].startswith(f"{self._kubectl}/"):
                    yield exchange

    def bytes_of(self, body: dict[str, Any] | None) -> bytes:
        if body is None:
            return b""
        if "text" in body:
            return str(body["text"]).encode()
        if "sha256" in body:
            return _unzipped(self._golden / "bodies" / f"{body['sha256']}.gz")
        return base64.b64decode(body["b64"])

    def audited(self, exchange: dict[str, Any]) -> dict[str, Any] | None:
        """Return the completion event, its requestObject resolved."""
        for event in exchange["audit"] or []:
            if event["stage"] == "ResponseComplete":
                body = event.get("requestObject")
                if isinstance(body, dict) and "$ref" in body:
                    event["requestObject"] = json.loads(self.bytes_of(body["$ref"]))
                return dict(event)
        return None


@functools.lru_cache(maxsize=512)
def _unzipped(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def parse(path: str) -> tuple[ResourceType, str, str, str] | None:
    """Return (kind, subresource, namespace, name) of a path that is a resource's."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    kind = lookup(group, version, rest[0])
    if kind is None:
        return None
    return kind, rest[2] if len(rest) > 2 else "", namespace, rest[1] if len(rest) > 1 else ""


def levelled(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: levelled(v, k) for k, v in value.items() if k != "columnDefinitions"}
    if isinstance(value, list):
        return [levelled(v, key) for v in value]
    if isinstance(value, str):
        if key in ("resourceVersion", "continue"):
            return f"<{key}>"
        if key == "cells" and re.fullmatch(r"\d+[smh]", value):
            return "<age>"
        for pattern, word in _LEVELLED:
            value = pattern.sub(word, value)
    return value


class Replay:
    """Sends a recording's requests to a registry and remembers what came out differently."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.registry = Registry()
        self.compared = 0
        self.differences: list[str] = []

    def run(self) -> None:
        self.registry.ensure({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "dev"}})
        for exchange in self.recording:
            self._one(exchange)

    def _one(self, exchange: dict[str, Any]) -> None:
        url = urlsplit(exchange["path"])
        found = parse(url.path)
        query = parse_qs(url.query, keep_blank_values=True)
        event = self.recording.audited(exchange)
        if found is None or event is None or exchange["status"] in (401, 403) or "watch" in query:
            return
        kind, part, namespace, name = found
        if part in _ELSEWHERE or kind.kind.endswith("Review"):
            return
        method = exchange["method"]
        verb = _VERBS.get(method) or {
            "GET": "get" if name else "list",
            "DELETE": "delete" if name else "deletecollection",
        }.get(method, "")
        want = self._answer(exchange, kind, verb)
        if want is None:
            return
        now = datetime.fromisoformat(event["requestReceivedTimestamp"])
        body = self.recording.bytes_of(exchange["request_body"])
        self._prepare(kind, part, namespace, name, verb, want, now)
        current = self.registry.store.get(key_of(kind, namespace, name))
        if current and verb in ("patch", "update"):
            version = f'"resourceVersion":"{current["metadata"]["resourceVersion"]}"'.encode()
            body = re.sub(rb'"resourceVersion":"\d+"', version, body)
        headers = {k.lower(): v for k, v in exchange["request_headers"].items()}
        request = Request(
            verb,
            kind.group,
            kind.version,
            kind.name,
            part,
            namespace,
            name,
            query,
            body or None,
            headers.get("content-type", ""),
            headers.get("accept", ""),
            UserInfo("kubernetes-admin"),
            headers.get("user-agent", ""),
            now,
        )
        try:
            outcome = self.registry.handle(request)
            code, got, audited, warned = outcome.code, outcome.object, outcome.audit_object, bool(outcome.warnings)
        except ApiError as error:
            code, got, audited, warned = error.code, error.status, error.audit_object, bool(error.warnings)
        self.compared += 1
        label = f"{exchange['command']} {method} {exchange['path']}"
        if code != exchange["status"]:
            self.differences.append(f"{label}: {exchange['status']} became {code}: {got.get('message', '')}")
            return
        if verb != "list" and json.dumps(levelled(want)) != json.dumps(levelled(got)):
            self.differences.append(f"{label}:\n  {json.dumps(levelled(want))}\n  {json.dumps(levelled(got))}")
        if levelled(event.get("requestObject")) != levelled(audited):
            self.differences.append(f"{label}: audited\n  {event.get('requestObject')}\n  {audited}")
        if any(k.lower() == "warning" for k in exchange["response_headers"]) != warned:
            self.differences.append(f"{label}: a warning on one side only")

    def _answer(self, exchange: dict[str, Any], kind: ResourceType, verb: str) -> dict[str, Any] | None:
        body = self.recording.bytes_of(exchange["response_body"])
        if not body.startswith(b"k8s\0"):
            return dict(json.loads(body))
        if verb == "list":
            return {}
        is_status = b"\x06Status\x12" in body[:24]
        type_name = "meta/v1.Status" if is_status else kind.schema
        return Converter().object(decode_unknown(body, type_name), type_name)

    def _prepare(
        self,
        kind: ResourceType,
        part: str,
        namespace: str,
        name: str,
        verb: str,
        want: dict[str, Any],
        now: datetime,
    ) -> None:
        """Put in place what the recording shows to have been there before."""
        store = self.registry.store
        if verb == "get" and not part and want.get("kind") == kind.kind:
            key = key_of(kind, namespace, name)
            if not store.exists(key) or kind.name in _CONTROLLED or key.name == "dev":
                store.put(key, json.loads(json.dumps(want)))


@pytest.mark.parametrize(("kubectl", "least"), [("1.34", 280), ("1.37", 280)])
def test_a_recorded_session_gets_the_recorded_answers(shared: Path, kubectl: str, least: int) -> None:
    golden = shared / "golden"
    replay = Replay(Recording(golden, kubectl))
    replay.registry.ca_bundle = _recorded_bundle(golden, kubectl)
    replay.run()
    assert replay.compared >= least
    assert not replay.differences, "\n".join(replay.differences[:8])


def _recorded_bundle(golden: Path, kubectl: str) -> str:
    recording = Recording(golden, kubectl)
    for exchange in recording:
        if exchange["path"].endswith("/configmaps/kube-root-ca.crt") and exchange["method"] == "GET":
            return str(json.loads(recording.bytes_of(exchange["response_body"]))["data"]["ca.crt"])
    raise AssertionError("the recording has no CA bundle")
