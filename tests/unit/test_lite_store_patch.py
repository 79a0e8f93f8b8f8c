"""Patches and field ownership: JSON, merge, strategic merge, server-side apply, managedFields."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.drivers.sandbox.lite import managed
from lab.drivers.sandbox.lite.border import ApiError, Json, Outcome
from lab.drivers.sandbox.lite.patch import go_format, merge_patch, strategic
from lab.drivers.sandbox.lite.registry import Registry, Request
from lab.drivers.sandbox.lite.resources.schema import schema

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def registry() -> Registry:
    made = Registry(None, lambda: NOW)
    made.ensure({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "dev"}})
    send(made, "create", {"metadata": {"name": "a"}, "data": {"k": "v", "x.y": "1"}}, manager="kubectl-create")
    return made


def send(
    registry: Registry, verb: str, body: Any, media: str = "application/json", *, name: str = "", manager: str = "",
    resource: str = "configmaps", now: datetime = NOW, **query: str,
) -> Outcome:  # fmt: skip
    parameters = {k: [v] for k, v in query.items()}
    if manager:
        parameters["fieldManager"] = [manager]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    group = "apps" if resource == "deployments" else ""
    return registry.handle(
        Request(verb, group, "v1", resource, "", "dev", name, parameters, raw, media, user_agent="kubectl/v1", now=now)
    )


def patch(registry: Registry, body: Any, media: str, **options: Any) -> Json:
    return send(registry, "patch", body, media, **{"name": "a", **options}).object


# JSON patch


@pytest.mark.parametrize(
    ("steps", "data"),
    [
        ([{"op": "add", "path": "/data/n", "value": "1"}], {"k": "v", "n": "1", "x.y": "1"}),
        ([{"op": "replace", "path": "/data/x.y", "value": "2"}], {"k": "v", "x.y": "2"}),
        ([{"op": "remove", "path": "/data/k"}], {"x.y": "1"}),
        ([{"op": "test", "path": "/data/k", "value": "v"}, {"op": "remove", "path": "/data/k"}], {"x.y": "1"}),
        ([{"op": "move", "from": "/data/k", "path": "/data/m"}], {"m": "v", "x.y": "1"}),
        ([{"op": "copy", "from": "/data/k", "path": "/data/m"}], {"k": "v", "m": "v", "x.y": "1"}),
    ],
)
def test_json_patch_operations(registry: Registry, steps: list[Json], data: Json) -> None:
    assert patch(registry, steps, JSON_PATCH)["data"] == data


@pytest.mark.parametrize(
    "steps",
    [
        [{"op": "test", "path": "/data/k", "value": "other"}],
        [{"op": "remove", "path": "/data/none"}],
        [{"op": "replace", "path": "/none/k", "value": "1"}],
        [{"op": "dance", "path": "/data/k"}],
        [{"path": "/data/k"}],
        ["x"],
    ],
)
def test_a_json_patch_that_cannot_be_done_is_refused(registry: Registry, steps: list[Any]) -> None:
    with pytest.raises(ApiError) as refusal:
        patch(registry, steps, JSON_PATCH)
    assert refusal.value.code == 422
    assert refusal.value.status["message"] == "the server rejected our request due to an error in our request"
    assert json.dumps(refusal.value.audit_object) == json.dumps(steps)


def test_json_patch_on_lists() -> None:
    registry = Registry(None, lambda: NOW)
    registry.ensure({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "dev"}})
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1", "args": ["a", "c"]}]}}
    send(registry, "create", body, resource="pods")
    steps = [
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "add", "path": "/metadata/labels/x~1y", "value": "b"},
        {"op": "replace", "path": "/spec/containers/0/image", "value": "i:2"},
    ]
    pod = patch(registry, steps, JSON_PATCH, name="p", resource="pods")
    assert (pod["metadata"]["labels"], pod["spec"]["containers"][0]["image"]) == ({"x/y": "b"}, "i:2")


# merge and strategic merge


def test_merge_patch_drops_what_is_null() -> None:
    assert merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"a": None, "b": {"c": None}, "e": [1]}) == {
        "b": {"d": 2},
        "e": [1],
    }


def containers(*items: Json) -> Json:
    return {"containers": list(items)}


@pytest.mark.parametrize(
    ("document", "want"),
    [
        (containers({"name": "b", "image": "2"}), [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]),
        (containers({"name": "a", "image": "9"}), [{"name": "a", "image": "9"}]),
        (containers({"name": "a", "$patch": "delete"}), []),
        (containers({"$patch": "replace"}, {"name": "z"}), [{"name": "z"}]),
        (
            {**containers({"name": "b"}), "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
            [{"name": "b"}, {"name": "a", "image": "1"}],
        ),
    ],
)
def test_strategic_merge_of_a_list_with_a_merge_key(document: Json, want: list[Json]) -> None:
    old = containers({"name": "a", "image": "1"})
    assert strategic(old, deepcopy(document), schema("core/v1.PodSpec"))["containers"] == want


def test_strategic_merge_replaces_lists_without_a_key_and_merges_sets() -> None:
    old = {"finalizers": ["a"], "x": 1}
    assert strategic(old, {"finalizers": ["b"]}, schema("meta/v1.ObjectMeta"))["finalizers"] == ["a", "b"]
    gone = {"$deleteFromPrimitiveList/finalizers": ["a"]}
    assert strategic({"finalizers": ["a", "b"]}, gone, schema("meta/v1.ObjectMeta"))["finalizers"] == ["b"]
    spec = strategic({"command": ["a", "b"]}, {"command": ["c"]}, schema("core/v1.Container"))
    assert spec["command"] == ["c"]


def test_strategic_merge_keeps_only_the_keys_it_is_told_to() -> None:
    old = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    document = {"$retainKeys": ["type"], "type": "Recreate"}
    assert strategic(old, document, schema("apps/v1.DeploymentStrategy")) == {"type": "Recreate"}


def test_an_item_without_its_merge_key_is_refused() -> None:
    with pytest.raises(ValueError, match="does not contain declared merge key: name"):
        strategic(containers(), containers({"image": "x"}), schema("core/v1.PodSpec"))


def test_a_patch_of_the_wrong_type_is_refused_in_the_real_words(registry: Registry) -> None:
    with pytest.raises(ApiError) as refusal:
        patch(registry, {"data": {"a": 1}}, STRATEGIC)
    assert refusal.value.status["message"] == (
        ' "" is invalid: patch: Invalid value: "map[data:map[a:1]]": cannot convert int64 to string'
    )


def test_an_unknown_field_is_a_warning_or_a_refusal(registry: Registry) -> None:
    document = {"datas": {"k": "w"}}
    assert send(registry, "patch", document, STRATEGIC, name="a").warnings == ['unknown field "datas"']
    with pytest.raises(ApiError) as refusal:
        patch(registry, document, STRATEGIC, fieldValidation="Strict")
    assert 'strict decoding error: unknown field "datas"' in refusal.value.status["message"]
    assert send(registry, "patch", document, STRATEGIC, name="a", fieldValidation="Ignore").warnings == []


@pytest.mark.parametrize(
    ("media", "body", "code"),
    [
        ("application/json", b"{}", 415),
        (MERGE, b"{", 400),
        (MERGE, b"[]", 400),
        (STRATEGIC, b"3", 400),
        (JSON_PATCH, b"{}", 400),
        (APPLY, b"a: [", 400),
        (APPLY, b"- x", 400),
    ],
)
def test_patches_that_cannot_be_read_are_refused(registry: Registry, media: str, body: bytes, code: int) -> None:
    with pytest.raises(ApiError) as refusal:
        patch(registry, body, media, manager="m")
    assert refusal.value.code == code


def test_go_writes_maps_with_sorted_keys() -> None:
    assert go_format({"b": None, "a": [1, True, "x"]}) == "map[a:[1 true x] b:<nil>]"


# ownership


def fields(obj: Json) -> dict[str, Json]:
    return {f"{e['manager']}/{e['operation']}": e["fieldsV1"] for e in obj["metadata"]["managedFields"]}


def test_a_manager_owns_what_it_set_until_another_changes_it(registry: Registry) -> None:
    changed = patch(registry, {"data": {"k": "w"}}, MERGE, manager="kubectl-edit")
    assert fields(changed) == {
        "kubectl-create/Update": {"f:data": {".": {}, "f:x.y": {}}},
        "kubectl-edit/Update": {"f:data": {"f:k": {}}},
    }


def test_a_manager_without_fields_left_is_dropped(registry: Registry) -> None:
    changed = patch(registry, {"data": None}, MERGE, manager="m")
    assert changed["metadata"].get("managedFields") is None


def test_list_items_are_owned_by_their_keys() -> None:
    spec = {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}
    entries = managed.updated("core/v1.Pod", None, {"spec": spec}, [], "m", "v1", "", NOW)
    owned = entries[0]["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert owned["f:ports"] == {
        ".": {},
        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
    }


def config(**data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def test_apply_takes_over_only_by_force(registry: Registry) -> None:
    with pytest.raises(ApiError) as refusal:
        patch(registry, config(k="mine"), APPLY, manager="me")
    assert refusal.value.status["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.k'
    )
    assert refusal.value.status["details"]["causes"][0]["field"] == ".data.k"
    forced = patch(registry, config(k="mine"), APPLY, manager="me", force="true")
    assert forced["data"] == {"k": "mine", "x.y": "1"}
    assert fields(forced)["me/Apply"] == {"f:data": {"f:k": {}}}
    assert fields(forced)["kubectl-create/Update"] == {"f:data": {".": {}, "f:x.y": {}}}


def test_several_conflicts_are_listed(registry: Registry) -> None:
    with pytest.raises(ApiError) as refusal:
        patch(registry, {**config(k="1"), "data": {"k": "1", "x.y": "2"}}, APPLY, manager="me")
    assert refusal.value.status["message"] == (
        'Apply failed with 2 conflicts: conflict with "kubectl-create" using v1:\n- .data.k\n- .data.x.y'
    )


def test_what_an_applier_no_longer_asks_for_goes(registry: Registry) -> None:
    patch(registry, config(one="1", two="2"), APPLY, manager="me")
    after = patch(registry, config(two="2"), APPLY, manager="me")
    assert after["data"] == {"k": "v", "two": "2", "x.y": "1"}


def test_what_two_appliers_ask_for_stays_while_one_does(registry: Registry) -> None:
    patch(registry, config(both="1"), APPLY, manager="one")
    patch(registry, config(both="1"), APPLY, manager="two")
    after = patch(registry, config(), APPLY, manager="one")
    assert after["data"]["both"] == "1"


def test_applying_the_same_again_changes_nothing(registry: Registry) -> None:
    first = patch(registry, config(n="1"), APPLY, manager="me")
    again = patch(registry, config(n="1"), APPLY, manager="me", now=NOW + timedelta(hours=1))
    assert again == first


def test_apply_reads_yaml_and_creates_what_is_missing(registry: Registry) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: fresh\ndata:\n  k: v\n"
    outcome = send(registry, "patch", body, APPLY, name="fresh", manager="me")
    assert (outcome.code, outcome.object["data"]) == (201, {"k": "v"})


def test_apply_without_a_manager_is_refused(registry: Registry) -> None:
    with pytest.raises(ApiError) as refusal:
        patch(registry, config(), APPLY)
    assert refusal.value.status["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )


def test_applied_list_items_merge_by_key_and_go_again() -> None:
    registry = Registry(None, lambda: NOW)
    registry.ensure({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "dev"}})

    def deployment(*names: str) -> Json:
        labels = {"app": "w"}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": n, "image": "i:1"} for n in names]},
        }
        spec = {"selector": {"matchLabels": labels}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"}, "spec": spec}

    def names(outcome: Outcome) -> list[str]:
        return [c["name"] for c in outcome.object["spec"]["template"]["spec"]["containers"]]

    options: dict[str, Any] = {"name": "w", "resource": "deployments", "manager": "me"}
    assert names(send(registry, "patch", deployment("a", "b"), APPLY, **options)) == ["a", "b"]
    assert names(send(registry, "patch", deployment("a"), APPLY, **options)) == ["a"]
