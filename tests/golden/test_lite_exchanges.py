"""The lite API server under what two kubectls sent to a real one: status and audit events, exchange by exchange.

Compared: HTTP status; of every event its stage, level, verb, object reference, code, annotations, whether it has a
responseObject, and its requestObject to the byte but for uids, versions and times. Of answers, every JSON Status to
the byte likewise; what other answers hold is another test's business.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lite_cluster import USERS, LiteCluster

_REASON = "authorization.k8s.io/reason"
_TOKEN_ID = "authentication.kubernetes.io/issued-credential-id"
_ELSEWHERE = {
    ("055-describe-node", "/leases/"): "the node has a lease here",
    ("055-describe-node", "/resourceslices"): "slices have no field spec.nodeName here",
    ("079-rollout-undo", "/deployments/"): "no controller made the replica sets that it goes back to",
    ("158-jane-get-ok", "/configmaps/"): "two bindings allow it; the real server names any",
    ("165-as-jane", "/configmaps"): "two bindings allow it; the real server names any",
    ("227-delete-ns", "/namespaces/"): "a namespace is gone at once here",
    ("229-watch-server-dies", "/configmaps"): "the recorder killed the server",
}
"""Commands (by the end of their id) and parts of paths that are answered in another way, and why."""
_REMEMBERED = {"etag": "if-none-match", "last-modified": "if-modified-since"}
_BY_NAME = {user.name: key for key, user in USERS.items()}


def rows(golden: Path, kubectl: str) -> Iterator[dict[str, Any]]:
    with gzip.open(golden / "exchanges.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["kubectl"] == kubectl:
                yield row


def body_of(golden: Path, body: dict[str, Any] | None) -> bytes:
    if body is None:
        return b""
    if "text" in body:
        return str(body["text"]).encode()
    if "b64" in body:
        return base64.b64decode(body["b64"])
    return gzip.decompress((golden / f"bodies/{body['sha256']}.gz").read_bytes())


def whole(golden: Path, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event's requestObject where the recording keeps it apart."""
    body = event.get("requestObject")
    return {"requestObject": json.loads(body_of(golden, body["$ref"]))} if body and "$ref" in body else {}


def status_of(body: bytes) -> str:
    """Return a Status as text, "" for any other body. The kubelet's address is the node's."""
    text = plain(body.decode("utf-8", "replace"))
    return re.sub(r"[\d.]+:10250", "node:10250", text) if body.startswith(b'{"kind":"Status"') else ""


class Numbers:
    """What the real server's uids and resourceVersions are called here, as far as answers told."""

    def __init__(self) -> None:
        self._ours: dict[bytes, bytes] = {}

    def learn(self, theirs: bytes, ours: bytes) -> None:
        try:
            told = json.loads(theirs)["metadata"], json.loads(ours)["metadata"]
        except (ValueError, KeyError, TypeError):
            return
        for key in ("uid", "resourceVersion"):
            if all(metadata.get(key) for metadata in told):
                self._ours[f'"{key}":"{told[0][key]}"'.encode()] = f'"{key}":"{told[1][key]}"'.encode()

    def translate(self, body: bytes) -> bytes:
        return re.sub(rb'"(?:uid|resourceVersion)":"[^"]*"', lambda found: self._ours.get(found[0], found[0]), body)


def plain(body: Any) -> str:
    """Return a body as text, without what differs from run to run."""
    text = json.dumps(body)
    for pattern in (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"20\d\d-\d\d-\d\dT[\d:.]+Z", r'(?<=Version": ")\d+'):
        text = re.sub(pattern, "…", text)
    return text


def shape(event: dict[str, Any]) -> dict[str, Any]:
    reference = event.get("objectRef")
    annotations = dict(event.get("annotations") or {})
    if _TOKEN_ID in annotations:
        annotations[_TOKEN_ID] = "JTI"
    if annotations.get(_REASON, "").startswith("RBAC: allowed by ClusterRoleBinding"):
        # Of several bindings that allow it, the real server names any.
        annotations[_REASON] = "RBAC: allowed by ClusterRoleBinding"
    return {
        "stage": event["stage"],
        "verb": event["verb"],
        "as": event.get("impersonatedUser"),
        "ref": reference and {key: value for key, value in reference.items() if key not in ("uid", "resourceVersion")},
        "code": event.get("responseStatus", {}).get("code"),
        "req": plain(event.get("requestObject")),
        "resp": "responseObject" in event,
        "annotations": annotations,
    }


@pytest.mark.parametrize("kubectl", ["1.34", "1.37"])
async def test_every_exchange_is_answered_and_recorded_as_on_the_real_server(
    shared: Path, tmp_path: Path, kubectl: str
) -> None:
    golden = shared / "golden"
    cluster = LiteCluster(tmp_path)
    differences, total = [], 0
    seen: dict[str, str] = {}
    numbers = Numbers()
    for row in rows(golden, kubectl):
        headers = {name: value for name, value in row["request_headers"].items() if name != "accept-encoding"}
        for asked in _REMEMBERED.values():
            if asked in headers:
                headers[asked] = seen.get(headers[asked], headers[asked])
        name = (row["audit"] or [{}])[0].get("user", {}).get("username", "")
        user: str | None = _BY_NAME.get(name)
        response = await cluster.ask(
            row["method"], row["path"], user, numbers.translate(body_of(golden, row["request_body"])), **headers
        )
        numbers.learn(body_of(golden, row["response_body"]), response.body)
        total += 1
        ours = {name.lower(): value for name, value in response.headers}
        seen |= {
            row["response_headers"][key]: ours[key]
            for key in _REMEMBERED
            if key in ours and key in row["response_headers"]
        }
        got = [shape(event) for event in cluster.events]
        wanted = [shape({**event, **whole(golden, event)}) for event in row["audit"]]
        if any(row["command"].endswith(command) and part in row["path"] for command, part in _ELSEWHERE):
            continue
        if row["path"].startswith("/openapi/") and {response.status, row["status"]} == {200, 304}:
            continue  # The real server made the document again meanwhile.
        theirs = status_of(body_of(golden, row["response_body"]))
        if theirs and status_of(response.body) != theirs:
            differences.append(f"{row['command']} {row['path']}: wanted {theirs}\n  got {response.body!r}")
        if (response.status, got) != (row["status"], wanted):
            pairs = [f"\n  wanted {w}\n  got    {g}" for w, g in zip(wanted, got, strict=False) if w != g]
            differences.append(
                f"{row['command']} {row['method']} {row['path']}: wanted {row['status']} ({len(wanted)} events), "
                f"got {response.status} ({len(got)}){''.join(pairs[-1:])}\n  {response.body[:200]!r}"
            )
    assert not differences, f"{len(differences)} of {total}\n" + "\n".join(differences)
