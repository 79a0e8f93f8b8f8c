"""The policies that a real kube-apiserver loaded or refused: every level, stage, body, warning and error text."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkers.kube.audit_policy import (
    Attributes,
    EventShape,
    Level,
    Policy,
    PolicyError,
    evaluate,
    expected_events,
    load_policy,
)

# Artefact of the build that was recorded: a release names pkg/audit/scheme.go:30.
SCHEME = "pkg/runtime/scheme.go:110"


def lines(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    yield from map(json.loads, (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines())


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden" / "policy"


@pytest.fixture(scope="module")
def battery(golden: Path) -> dict[str, dict[str, Any]]:
    return {request["id"]: request for request in json.loads((golden / "battery.json").read_text())}


def attributes(recorded: dict[str, Any]) -> Attributes:
    return Attributes(
        user=recorded["user"],
        groups=tuple(recorded["groups"] or ()),
        verb=recorded["verb"],
        group=recorded.get("apiGroup", ""),
        resource=recorded.get("resource", ""),
        subresource=recorded.get("subresource", ""),
        namespace=recorded.get("namespace", ""),
        name=recorded.get("name", ""),
        path=recorded["path"],
        resource_request=recorded["resourceRequest"],
    )


def shape(event: dict[str, Any]) -> EventShape:
    return EventShape(
        event["stage"],
        Level.parse(event["level"]),
        event["req"],
        event["resp"],
        bool(event.get("reqManaged")) if event["req"] else None,
        bool(event.get("respManaged")) if event["resp"] else None,
    )


def differences(policy: Policy, results: dict[str, Any], battery: dict[str, dict[str, Any]]) -> list[str]:
    found = []
    for request_id, events in results.items():
        request = battery[request_id]
        asked = attributes(request["attributes"])
        everything = [shape(e) for e in request["catchAll"]]
        lost = request_id == "cm-patch-apply-yaml"
        if lost:
            # The catch-all has lost this completion itself.
            everything.append(EventShape("ResponseComplete", Level.REQUEST_RESPONSE, True, True, False, True))
        expected = expected_events(
            evaluate(policy, asked),
            everything,
            verb=asked.verb,
            lost_with_body=lost,
        )
        recorded = tuple(shape(e) for e in events)
        if expected != recorded:
            found.append(f"{request_id}: expected {expected}, recorded {recorded}")
    return found


def test_every_policy_records_what_the_real_server_recorded(golden: Path, battery: dict[str, dict[str, Any]]) -> None:
    found = []
    rows = 0
    for row in lines(golden / "truth.jsonl.gz"):
        policy = load_policy((golden / "policies" / f"{row['policy']}.yaml").read_bytes())
        rows += len(row["results"])
        found += [f"{row['policy']} {d}" for d in differences(policy, row["results"], battery)]
    assert found == []
    assert rows > 20_000


def test_every_policy_gives_the_warnings_of_the_real_server(golden: Path) -> None:
    for row in lines(golden / "truth.jsonl.gz"):
        policy = load_policy((golden / "policies" / f"{row['policy']}.yaml").read_bytes())
        logged = tuple(line.partition("] ")[2] for line in row["log"])
        assert policy.warnings == logged, row["policy"]


def test_every_refused_policy_is_refused_in_the_same_words(golden: Path) -> None:
    for row in lines(golden / "refused.jsonl"):
        text = row.get("policy")
        data = text.encode() if text is not None else base64.b64decode(row["policyBase64"])
        with pytest.raises(PolicyError) as refusal:
            load_policy(data, scheme=SCHEME)
        assert refusal.value.text == row["message"], row["id"]


def test_every_scalar_is_read_as_by_the_real_server(golden: Path) -> None:
    for row in lines(golden / "scalars.jsonl"):
        data = f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{row['yaml']}\n".encode()
        try:
            load_policy(data)
            said = None
        except PolicyError as error:
            said = error.text
        assert said == row.get("message"), row["scalar"]


def test_group_star_is_a_wildcard_from_1_36(golden: Path, battery: dict[str, dict[str, Any]]) -> None:
    found = []
    for row in lines(golden / "star-1.36.jsonl.gz"):
        data = row["policy"].encode()
        if "results" in row:
            found += differences(load_policy(data, version=(1, 36)), row["results"], battery)
            with pytest.raises(PolicyError, match="a lowercase RFC 1123 subdomain"):
                load_policy(data, version=(1, 35))
        else:
            said = row["stderr"][-1].partition('err="')[2].rpartition('"')[0].replace('\\"', '"')
            with pytest.raises(PolicyError) as refusal:
                load_policy(data, version=(1, 36))
            assert said == f"loading audit policy file: {refusal.value.text}: from file <dir>/policy.yaml"
    assert found == []
