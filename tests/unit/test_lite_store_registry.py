"""Requests for objects of the lite API server: create to delete, watches, pages, selectors, namespaces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox.lite.border import Json
from lab.drivers.sandbox.lite.registry import ApiError, Cluster, Outcome, Registry, Request, UserInfo

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Client:
    """Sends requests as kubectl would."""

    def __init__(self, storage: Path | None = None) -> None:
        self.registry = Registry(storage, lambda: NOW)
        self.registry.ensure_bootstrap()

    def request(
        self, verb: str, resource: str, name: str = "", body: Any = None, *, namespace: str = "default",
        group: str = "", version: str = "v1", sub: str = "", media: str = "application/json", accept: str = "",
        **query: str,
    ) -> Request:  # fmt: skip
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return Request(
            verb, group, version, resource, sub, namespace, name, {k: [v] for k, v in query.items()}, raw, media, accept,
            UserInfo("admin"), "kubectl/v1.37.1 (linux/amd64)", NOW,
        )  # fmt: skip

    def do(self, verb: str, resource: str, name: str = "", body: Any = None, **options: Any) -> Outcome:
        return self.registry.handle(self.request(verb, resource, name, body, **options))

    def refused(self, verb: str, resource: str, name: str = "", body: Any = None, **options: Any) -> ApiError:
        with pytest.raises(ApiError) as refusal:
            self.do(verb, resource, name, body, **options)
        return refusal.value


@pytest.fixture
def client() -> Client:
    return Client()


def config_map(name: str, labels: Json | None = None, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **({"labels": labels} if labels else {})},
            "data": data}  # fmt: skip


def test_a_created_object_is_read_back_and_listed(client: Client) -> None:
    made = client.do("create", "configmaps", body=config_map("a", k="v"))
    assert made.code == 201
    assert made.object_name == "a"
    read = client.do("get", "configmaps", "a").object
    assert read == made.object
    assert list(read["metadata"])[:5] == ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"]
    names = [item["metadata"]["name"] for item in client.do("list", "configmaps").object["items"]]
    assert names == ["a", "kube-root-ca.crt"]


def test_a_generated_name_is_not_the_audited_one(client: Client) -> None:
    body = {"metadata": {"generateName": "x-"}, "data": {}}
    made = client.do("create", "configmaps", body=body)
    assert made.object["metadata"]["name"].startswith("x-")
    assert len(made.object["metadata"]["name"]) == 7
    assert made.object_name == ""


def test_secret_text_is_audited_as_data(client: Client) -> None:
    made = client.do("create", "secrets", body={"metadata": {"name": "s"}, "stringData": {"p": "hunter2"}})
    assert made.audit_object == {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "s"},
        "data": {"p": "aHVudGVyMg=="},
        "type": "Opaque",
    }


def test_a_refusal_after_decoding_carries_the_audited_body(client: Client) -> None:
    client.do("create", "configmaps", body=config_map("a"))
    refusal = client.refused("create", "configmaps", body=config_map("a"))
    assert (refusal.code, refusal.status["reason"]) == (409, "AlreadyExists")
    assert refusal.audit_object is not None
    assert refusal.object_name == "a"


def test_an_update_with_an_old_version_is_a_conflict(client: Client) -> None:
    old = client.do("create", "configmaps", body=config_map("a", k="1")).object
    client.do("update", "configmaps", "a", {**old, "data": {"k": "2"}})
    refusal = client.refused("update", "configmaps", "a", {**old, "data": {"k": "3"}})
    assert refusal.code == 409
    assert "the object has been modified" in refusal.status["message"]


def test_a_write_that_changes_nothing_keeps_the_version(client: Client) -> None:
    made = client.do("create", "configmaps", body=config_map("a", k="1")).object
    again = client.do("patch", "configmaps", "a", {"data": {"k": "1"}}, media="application/merge-patch+json").object
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_dry_run_keeps_nothing(client: Client) -> None:
    made = client.do("create", "configmaps", body=config_map("a"), dryRun="All")
    assert "resourceVersion" not in made.object["metadata"]
    assert client.refused("get", "configmaps", "a").code == 404
    client.do("create", "configmaps", body=config_map("b"))
    client.do("delete", "configmaps", "b", {"dryRun": ["All"]})
    assert client.do("get", "configmaps", "b").code == 200


def test_delete_options_are_audited_in_the_internal_version(client: Client) -> None:
    client.do("create", "configmaps", body=config_map("a"))
    gone = client.do("delete", "configmaps", "a", {"propagationPolicy": "Background"})
    assert gone.audit_object == {
        "kind": "DeleteOptions",
        "apiVersion": "meta.k8s.io/__internal",
        "propagationPolicy": "Background",
    }
    assert gone.object["status"] == "Success"
    client.do("create", "configmaps", body=config_map("b"))
    assert client.do("delete", "configmaps", "b").audit_object is None


def test_a_finalizer_holds_an_object_until_it_is_taken_off(client: Client) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    client.do("create", "configmaps", body=body)
    client.do("delete", "configmaps", "a")
    held = client.do("get", "configmaps", "a").object
    assert held["metadata"]["deletionTimestamp"] == "2026-11-24T04:00:00Z"
    client.do("patch", "configmaps", "a", {"metadata": {"finalizers": None}}, media="application/merge-patch+json")
    assert client.refused("get", "configmaps", "a").code == 404


def test_deletecollection_takes_what_the_selector_picks(client: Client) -> None:
    client.do("create", "configmaps", body=config_map("a", {"app": "x"}))
    client.do("create", "configmaps", body=config_map("b", {"app": "y"}))
    client.do("deletecollection", "configmaps", labelSelector="app=x")
    names = [item["metadata"]["name"] for item in client.do("list", "configmaps").object["items"]]
    assert names == ["b", "kube-root-ca.crt"]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=x", ["a"]),
        ("app!=x", ["b", "c"]),
        ("app in (x, y)", ["a", "b"]),
        ("app notin (x)", ["b", "c"]),
        ("app", ["a", "b"]),
        ("!app", ["c"]),
        ("app=y,tier", []),
        ("app==x", ["a"]),
        ("n>3", ["c"]),
        ("app=", []),
    ],
)
def test_label_selectors_pick(client: Client, selector: str, names: list[str]) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y"}), ("c", {"n": "5"})):
        client.do("create", "secrets", body={"metadata": {"name": name, "labels": labels}})
    found = client.do("list", "secrets", labelSelector=selector).object["items"]
    assert [item["metadata"]["name"] for item in found] == names


@pytest.mark.parametrize("selector", ["=x", "a in", "a in (x", "a,,b", "(", "a b"])
def test_a_broken_label_selector_is_a_bad_request(client: Client, selector: str) -> None:
    assert client.refused("list", "secrets", labelSelector=selector).code == 400


def test_field_selectors_pick_and_unknown_fields_are_refused(client: Client) -> None:
    found = client.do(
        "list", "pods", namespace="", fieldSelector="spec.nodeName=cks-control-plane,status.phase!=Failed"
    )
    assert len(found.object["items"]) == 2
    refusal = client.refused("list", "pods", fieldSelector="spec.x=v")
    assert refusal.status["message"] == "field label not supported: spec.x"
    refusal = client.refused("list", "configmaps", fieldSelector="data.k=v")
    assert refusal.status["message"] == (
        '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


def test_a_list_comes_in_pages(client: Client) -> None:
    for number in range(5):
        client.do("create", "secrets", body={"metadata": {"name": f"s{number}"}})
    first = client.do("list", "secrets", limit="2").object
    assert first["metadata"]["remainingItemCount"] == 3
    second = client.do("list", "secrets", limit="2", **{"continue": first["metadata"]["continue"]}).object
    third = client.do("list", "secrets", limit="2", **{"continue": second["metadata"]["continue"]}).object
    pages = [[item["metadata"]["name"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    assert "continue" not in third["metadata"]
    assert client.refused("list", "secrets", **{"continue": "nonsense"}).code == 400


def test_a_watch_sees_what_comes_into_and_leaves_its_selection(client: Client) -> None:
    start = client.do("list", "configmaps").object["metadata"]["resourceVersion"]
    watch = client.registry.watch(
        client.request("watch", "configmaps", labelSelector="app=x", resourceVersion=start, allowWatchBookmarks="true")
    )
    client.do("create", "configmaps", body=config_map("a", {"app": "x"}))
    client.do("patch", "configmaps", "a", {"metadata": {"labels": {"app": "y"}}}, media="application/merge-patch+json")
    client.do("create", "configmaps", body=config_map("other"))
    client.do("create", "configmaps", body=config_map("elsewhere", {"app": "x"}), namespace="kube-public")
    events = [watch.queue.get_nowait() for _ in range(watch.queue.qsize())]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in events if e] == [("ADDED", "a"), ("DELETED", "a")]
    bookmark = watch.bookmark()
    assert bookmark is not None
    assert bookmark["object"]["metadata"] == {"resourceVersion": str(client.registry.store.revision)}
    watch.close()
    client.do("create", "configmaps", body=config_map("late", {"app": "x"}))
    assert watch.queue.empty()


def test_a_watch_without_a_version_starts_with_what_is_there(client: Client) -> None:
    watch = client.registry.watch(client.request("watch", "configmaps", "kube-root-ca.crt"))
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in watch.initial] == [("ADDED", "kube-root-ca.crt")]


def test_initial_events_end_with_a_marked_bookmark(client: Client) -> None:
    watch = client.registry.watch(
        client.request("watch", "configmaps", sendInitialEvents="true", allowWatchBookmarks="true",
                       resourceVersionMatch="NotOlderThan")
    )  # fmt: skip
    assert [e["type"] for e in watch.initial] == ["ADDED", "BOOKMARK"]
    assert watch.initial[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_from_before_the_history_is_gone(tmp_path: Path) -> None:
    Client(tmp_path)
    again = Client(tmp_path)
    with pytest.raises(ApiError) as refusal:
        again.registry.watch(again.request("watch", "configmaps", resourceVersion="1"))
    assert (refusal.value.code, refusal.value.status["reason"]) == (410, "Expired")


def test_only_the_first_row_of_a_watched_table_has_columns(client: Client) -> None:
    watch = client.registry.watch(client.request("watch", "configmaps", accept=TABLE, resourceVersion="0"))
    client.do("create", "configmaps", body=config_map("a"))
    later = watch.queue.get_nowait()
    assert later is not None
    assert watch.initial[0]["object"]["columnDefinitions"]
    assert later["object"]["columnDefinitions"] is None
    assert later["object"]["rows"][0]["cells"] == ["a", 0, "0s"]


def test_a_new_namespace_has_its_account_and_the_ca(client: Client) -> None:
    client.registry.ca_bundle = "PEM"
    client.do("create", "namespaces", body={"metadata": {"name": "shop"}}, namespace="")
    assert client.do("get", "serviceaccounts", "default", namespace="shop").code == 200
    bundle = client.do("get", "configmaps", "kube-root-ca.crt", namespace="shop").object
    assert bundle["data"] == {"ca.crt": "PEM"}
    client.do("delete", "configmaps", "kube-root-ca.crt", namespace="shop")
    assert client.do("get", "configmaps", "kube-root-ca.crt", namespace="shop").code == 200


def test_a_deleted_namespace_takes_its_content_along(client: Client) -> None:
    client.do("create", "namespaces", body={"metadata": {"name": "shop"}}, namespace="")
    client.do("create", "configmaps", body=config_map("a"), namespace="shop")
    answer = client.do("delete", "namespaces", "shop", namespace="shop").object
    assert answer["status"]["phase"] == "Terminating"
    assert client.refused("get", "namespaces", "shop", namespace="shop").code == 404
    assert client.do("list", "configmaps", namespace="shop").object["items"] == []
    refusal = client.refused("create", "configmaps", body=config_map("a"), namespace="shop")
    assert refusal.status["message"] == 'namespaces "shop" not found'


def test_a_namespace_that_is_being_deleted_takes_nothing_new(client: Client) -> None:
    body = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    client.do("create", "namespaces", body=body, namespace="")
    client.do("delete", "namespaces", "held", namespace="held")
    refusal = client.refused("create", "configmaps", body=config_map("a"), namespace="held")
    assert refusal.code == 403
    assert refusal.status["message"] == (
        'configmaps "a" is forbidden: unable to create new content in namespace held because it is being terminated'
    )


def test_a_pod_is_pending_with_its_token_mounted(client: Client) -> None:
    body = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    pod = client.do("create", "pods", body=body).object
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"].endswith("/serviceaccount")
    assert client.do("delete", "pods", "web").object["metadata"]["deletionGracePeriodSeconds"] == 0
    assert client.refused("get", "pods", "web").code == 404


def test_scale_is_a_view_of_the_deployment(client: Client) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    client.do("create", "deployments", body=body, group="apps")
    merge = "application/merge-patch+json"
    scaled = client.do("patch", "deployments", "web", {"spec": {"replicas": 3}}, group="apps", sub="scale", media=merge)
    assert scaled.object["kind"] == "Scale"
    assert scaled.object["spec"] == {"replicas": 3}
    whole = client.do("get", "deployments", "web", group="apps").object
    assert (whole["spec"]["replicas"], whole["metadata"]["generation"]) == (3, 2)


def test_status_is_written_apart_from_the_object(client: Client) -> None:
    node = client.do("get", "nodes", "cks-control-plane", namespace="").object
    changed = json.loads(json.dumps(node))
    changed["status"]["phase"] = "Running"
    changed["spec"]["unschedulable"] = True
    client.do("update", "nodes", "cks-control-plane", changed, namespace="", sub="status")
    after = client.do("get", "nodes", "cks-control-plane", namespace="").object
    assert after["status"]["phase"] == "Running"
    assert "unschedulable" not in after["spec"]


def test_both_event_groups_show_the_same_events(client: Client) -> None:
    body = {
        "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
        "reason": "Pulled", "message": "done", "type": "Normal", "source": {"component": "kubelet"},
    }  # fmt: skip
    client.do("create", "events", body=body)
    seen = client.do("get", "events", "e", group="events.k8s.io").object
    assert (seen["note"], seen["regarding"]["name"]) == ("done", "web")
    row = client.do("list", "events", accept=TABLE).object["rows"][0]
    assert row["cells"][3] == "pod/web"


@pytest.mark.parametrize(
    ("verb", "resource", "name", "namespace", "code"),
    [
        ("deletecollection", "configmaps", "", "", 405),
        ("create", "configmaps", "", "", 405),
        ("create", "componentstatuses", "", "", 405),
        ("get", "widgets", "x", "default", 404),
    ],
)
def test_verbs_that_a_resource_lacks_are_refused(
    client: Client, verb: str, resource: str, name: str, namespace: str, code: int
) -> None:
    assert client.refused(verb, resource, name, {}, namespace=namespace).code == code


def test_an_accept_header_that_cannot_be_served_is_refused(client: Client) -> None:
    assert client.refused("list", "configmaps", accept="application/vnd.kubernetes.protobuf").code == 406
    both = "application/vnd.kubernetes.protobuf,application/json"
    assert client.do("list", "configmaps", accept=both).object["kind"] == "ConfigMapList"


def test_metadata_only_is_served(client: Client) -> None:
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    found = client.do("list", "configmaps", accept=accept).object
    assert found["kind"] == "PartialObjectMetadataList"
    assert list(found["items"][0]) == ["metadata"]


def test_a_fresh_cluster_is_made_once_and_what_was_deleted_stays_deleted(tmp_path: Path) -> None:
    client = Client(tmp_path)
    client.do("delete", "deployments", "coredns", group="apps", namespace="kube-system")
    revision = client.registry.store.revision
    again = Client(tmp_path)
    assert again.registry.store.revision == revision
    assert again.refused("get", "deployments", "coredns", group="apps", namespace="kube-system").code == 404


def test_a_fresh_cluster_has_its_node_roles_and_bindings(client: Client) -> None:
    node = client.do("get", "nodes", "cks-control-plane", namespace="", accept=TABLE).object["rows"][0]["cells"]
    assert node[1:3] == ["Ready", "control-plane"]
    rbac = "rbac.authorization.k8s.io"
    admins = client.do("get", "clusterrolebindings", "kubeadm:cluster-admins", namespace="", group=rbac).object
    assert admins["subjects"][0]["name"] == "kubeadm:cluster-admins"
    view = client.do("get", "clusterroles", "view", namespace="", group=rbac).object
    assert not any("secrets" in rule["resources"] for rule in view["rules"])


def test_the_status_of_the_nodes_own_pods_is_kept_as_reported(client: Client) -> None:
    pod: Json = {
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "etcd-n", "namespace": "kube-system", "annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"containers": [{"name": "etcd", "image": "etcd:1"}]}, "status": {"phase": "Running"},
    }  # fmt: skip
    client.registry.put_status(pod)
    client.registry.put_status({**pod, "status": {"phase": "Failed"}})
    found = client.do("get", "pods", "etcd-n", namespace="kube-system").object
    assert found["status"]["phase"] == "Failed"
    assert "volumes" not in found["spec"]
    assert client.registry.discard("", "v1", "pods", "kube-system", "etcd-n")


def test_caches_can_tell_when_a_resource_was_written(client: Client) -> None:
    rbac = "rbac.authorization.k8s.io"
    before = client.registry.changed(rbac, "roles")
    client.do("create", "configmaps", body=config_map("a"))
    assert client.registry.changed(rbac, "roles") == before
    body = {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}
    client.do("create", "roles", body=body, group=rbac)
    assert client.registry.changed(rbac, "roles") > before
    assert Cluster().node == "cks-control-plane"
