"""The lite API server under the recorder's 200 requests: status, stages, bodies and references as on the real one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from checkers.kube.audit_policy import load_policy
from lab.drivers.sandbox.lite.http import Response
from tests.lite_cluster import LiteCluster

# What this server does not have, on purpose.
_ELSEWHERE = {
    "cm-get-protobuf": "answers are JSON or YAML",
    "ns-finalize": "a namespace is gone at once here: the recorder ran without the controller that empties it",
    "svc-proxy": "there is a kube-dns service here, without endpoints",
    "url:/debug/flags/v": "no debugging paths",
}


def _shape(event: dict[str, Any]) -> dict[str, Any]:
    reference = event.get("objectRef")
    return {
        "stage": event["stage"],
        "level": event["level"],
        "req": event.get("req", "requestObject" in event),
        "resp": event.get("resp", "responseObject" in event),
        "ref": reference and {key: value for key, value in reference.items() if key not in ("uid", "resourceVersion")},
        "code": event.get("code", event.get("responseStatus", {}).get("code")),
        "annotations": sorted(event.get("annotations") or ()),
    }


async def send(cluster: LiteCluster, row: dict[str, Any]) -> Response:
    """Send one request of the battery."""
    headers = {"Accept": "application/json", "User-Agent": "recorder", "Audit-Id": row["id"], **row["headers"]}
    if row["contentType"]:
        headers["Content-Type"] = row["contentType"]
    user = row["as"]
    if user == "badtoken":
        user, headers["Authorization"] = None, "Bearer nobody.issued.this"
    return await cluster.ask(row["method"], row["path"], user, row["body"] or b"", **headers)


async def test_every_request_of_the_battery_is_answered_and_recorded_as_on_the_real_server(
    shared: Path, tmp_path: Path
) -> None:
    cluster = LiteCluster(tmp_path)
    differences = []
    for row in json.loads((shared / "golden/policy/battery.json").read_text()):
        response = await send(cluster, row)
        got, wanted = [_shape(event) for event in cluster.events], [_shape(event) for event in row["catchAll"]]
        if row["id"] in _ELSEWHERE:
            continue
        if (response.status, got) != (row["status"], wanted):
            differences.append(
                f"{row['id']}: {row['method']} {row['path']}\n  wanted {row['status']} {wanted}"
                f"\n  got    {response.status} {got}"
                f"\n  {response.body[:300]!r}"
            )
    assert not differences, "\n".join(differences)


def _with_managed(event: dict[str, Any]) -> dict[str, Any]:
    """Return what an event tells, and whether its bodies hold managedFields."""
    shape = _shape(event)
    for short, name in (("req", "requestObject"), ("resp", "responseObject")):
        held = '"managedFields"' in json.dumps(event[name]) if name in event else False
        shape[f"{short}Managed"] = event.get(f"{short}Managed", held) or False
    return shape


async def test_a_choice_of_policies_is_followed_through_the_whole_server(shared: Path, tmp_path: Path) -> None:
    """Source: golden/policy/truth.jsonl.gz; every twentieth policy, all 200 requests under each."""
    golden = shared / "golden/policy"
    battery = json.loads((golden / "battery.json").read_text())
    with gzip.open(golden / "truth.jsonl.gz", "rt") as lines:
        truth = [json.loads(line) for line in lines][::20]
    differences = []
    for row in truth:
        rules = load_policy((golden / f"policies/{row['policy']}.yaml").read_bytes())
        cluster = LiteCluster(tmp_path, rules)
        for request in battery:
            await send(cluster, request)
            if request["id"] in _ELSEWHERE:
                continue
            got = [_with_managed(event) for event in cluster.events]
            wanted = [_with_managed(event) for event in row["results"][request["id"]]]
            if got != wanted:
                differences.append(f"{row['policy']} {request['id']}\n  wanted {wanted}\n  got    {got}")
    assert not differences, f"{len(differences)}\n" + "\n".join(differences)
