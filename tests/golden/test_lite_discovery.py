"""Discovery documents of the lite API server against those of a real one, byte for byte; and OpenAPI by its types."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox.lite.discovery import document

pytestmark = pytest.mark.shared


def _unzipped(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def test_every_discovery_document_is_the_real_one_byte_for_byte(shared: Path) -> None:
    folder = shared / "golden" / "discovery"
    entries = [e for e in json.loads((folder / "index.json").read_text()) if e["path"].startswith("/api")]
    assert len(entries) > 40
    for entry in entries:
        want = _unzipped(folder / entry["file"])
        address = "127.0.0.1:6443"
        if entry["file"] == "api-legacy.json.gz":
            address = json.loads(want)["serverAddressByClientCIDRs"][0]["serverAddress"]
        found = document(entry["path"], entry["accept"], address)
        assert found == (entry["contentType"], want), entry["path"]


def test_paths_without_a_document_have_none() -> None:
    for path in (
        "/apis/nope.io",
        "/apis/nope.io/v1",
        "/api/v2",
        "/apis/apps/v9",
        "/openapi/v3/apis/nope.io/v1",
        "/openapi",
    ):
        assert document(path, "application/json") is None, path


def test_the_v2beta1_aggregated_form_is_not_taken_for_v2() -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    found = document("/apis", accept)
    assert found is not None
    assert json.loads(found[1])["kind"] == "APIGroupList"


def _properties(schemas: dict[str, Any]) -> dict[str, dict[str, Any]]:
    kept = ("x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy", "x-kubernetes-list-type", "type")
    return {
        name: {
            field: {k: v for k, v in shape.items() if k in kept}
            for field, shape in schema.get("properties", {}).items()
        }
        for name, schema in schemas.items()
    }


@pytest.mark.parametrize("path", ["api/v1", "apis/apps/v1", "apis/batch/v1", "apis/rbac.authorization.k8s.io/v1"])
def test_openapi_types_have_the_real_fields_and_merge_keys(shared: Path, path: str) -> None:
    name = f"openapi-v3-{path.replace('/', '-')}.json.gz"
    want = _properties(json.loads(_unzipped(shared / "golden" / "discovery" / name))["components"]["schemas"])
    found = document(f"/openapi/v3/{path}", "application/json")
    assert found is not None
    got = _properties(json.loads(found[1])["components"]["schemas"])
    shared_types = set(want) & set(got)
    assert len(shared_types) > len(want) * 0.6
    different = [(t, f) for t in shared_types for f in want[t] if want[t][f] != got[t].get(f)]
    assert not different, different[:10]


def test_openapi_says_that_fields_are_validated_by_the_server() -> None:
    found = document("/openapi/v3/api/v1", "application/json")
    assert found is not None
    patch = json.loads(found[1])["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert {"fieldValidation", "dryRun"} <= {p["name"] for p in patch["parameters"]}
