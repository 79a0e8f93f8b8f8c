"""Bodies that cannot be read and objects that may not be, each with the words of a real API server."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.drivers.sandbox.lite.border import ApiError, Json
from lab.drivers.sandbox.lite.convert import Converter, ConvertError, quantity
from lab.drivers.sandbox.lite.registry import Registry, Request

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def registry() -> Registry:
    made = Registry(None, lambda: NOW)
    for name in ("default", "dev"):
        made.ensure({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}})
    return made


def send(
    registry: Registry, resource: str, body: Any, *, group: str = "", verb: str = "create", name: str = "",
    media: str = "application/json", namespace: str = "dev", **query: str,
) -> Json:  # fmt: skip
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    parameters = {"dryRun": ["All"], **{k: [v] for k, v in query.items()}}
    return registry.handle(
        Request(verb, group, "v1", resource, "", namespace, name, parameters, raw, media, user_agent="kubectl/v1")
    ).object


def message(registry: Registry, resource: str, body: Any, **options: Any) -> str:
    with pytest.raises(ApiError) as refusal:
        send(registry, resource, body, **options)
    return str(refusal.value.status["message"])


# bodies


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "unexpected end of JSON input"),
        (b"{x", "invalid character 'x' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        (b'{"a":[1 2]}', "invalid character '2' after array element"),
        (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
        (b"{} x", "invalid character 'x' after top-level value"),
    ],
)
def test_broken_json_is_refused_in_gos_words(registry: Registry, body: bytes, words: str) -> None:
    text = message(registry, "configmaps", body)
    assert text.startswith(
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind;"
    )
    assert words in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": 1}},
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field '
            "ConfigMap.data of type string",
        ),
        (
            {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"labels": {"a": True}}},
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            {"kind": "Secret", "apiVersion": "v1"},
            'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown '
            "conversion",
        ),
        (
            {"kind": "Deployment", "apiVersion": "apps/v1"},
            "the API version in the data (apps/v1) does not match the expected API version (v1)",
        ),
        (
            {"kind": "Widget", "apiVersion": "v1"},
            'no kind "Widget" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "other"}},
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ],
)
def test_bodies_of_the_wrong_shape_are_refused(registry: Registry, body: Json, words: str) -> None:
    assert words in message(registry, "configmaps", body)


def test_a_body_of_another_content_type_is_refused(registry: Registry) -> None:
    assert message(registry, "configmaps", b"x", media="text/plain") == (
        "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf"
    )


def test_yaml_bodies_are_read(registry: Registry) -> None:
    body = b"metadata:\n  name: y\ndata:\n  k: v\n"
    assert send(registry, "configmaps", body, media="application/yaml")["data"] == {"k": "v"}


def test_unknown_fields_are_named_with_their_path(registry: Registry) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i", "imagePullpolicy": "x"}]}}
    text = message(registry, "pods", pod, fieldValidation="Strict")
    assert text.endswith('strict decoding error: unknown field "spec.containers[0].imagePullpolicy"')


def test_claims_of_a_stateful_set_may_say_their_kind(registry: Registry) -> None:
    claim = {
        "kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"name": "d"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    labels = {"app": "w"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {
        "selector": {"matchLabels": labels},
        "template": template,
        "volumeClaimTemplates": [claim],
        "serviceName": "w",
    }
    body = {"metadata": {"name": "w"}, "spec": spec}
    made = send(registry, "statefulsets", body, group="apps", fieldValidation="Strict")
    assert made["spec"]["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"


# values


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("1000m", "1"),
        (0.5, "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("100Ki", "100Ki"),
        (2, "2"),
        ("1e3", "1e3"),
        ("0", "0"),
        ("1000000", "1M"),
        ("0.1", "100m"),
    ],
)
def test_quantities_are_written_in_their_canonical_form(given: Any, canonical: str) -> None:
    assert quantity(given) == canonical


@pytest.mark.parametrize("given", ["1x", "", "Gi", True, [], "1 Gi"])
def test_a_broken_quantity_is_refused(given: Any) -> None:
    with pytest.raises(ConvertError, match="quantities must match the regular expression"):
        quantity(given)


def test_an_empty_object_is_written_as_go_writes_it() -> None:
    assert Converter().object({"kind": "Deployment", "apiVersion": "apps/v1"}, "apps/v1.Deployment") == {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {},
        "spec": {
            "selector": None,
            "template": {"metadata": {}, "spec": {"containers": None}},
            "strategy": {},
        },
        "status": {},
    }


# objects

POD: Json = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def pod(change: str, value: Any) -> Json:
    body = deepcopy(POD)
    place: Any = body
    *parts, last = change.split(".")
    for part in parts:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[last] = value
    return body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (pod("spec.containers", []), "spec.containers: Required value"),
        (
            pod("spec.containers.0.name", "A_b"),
            'spec.containers[0].name: Invalid value: "A_b": a lowercase RFC 1123 label',
        ),
        (pod("spec.containers.0.name", "a.b"), 'spec.containers[0].name: Invalid value: "a.b": must not contain dots'),
        (
            pod("spec.volumes", [{"name": "v" * 64, "emptyDir": {}}]),
            f'spec.volumes[0].name: Invalid value: "{"v" * 64}": must be no more than 63 characters',
        ),
        (
            pod("spec.containers.0.volumeMounts", [{"name": "v", "mountPath": "/v"}]),
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (pod("spec.volumes", [{"hostPath": {"path": "/x"}}]), "spec.volumes[0].name: Required value"),
        (
            pod("spec.volumes", [{"name": "v", "hostPath": {"path": "/x", "type": "Dir"}}]),
            'spec.volumes[0].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", '
            '"Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
        ),
        (
            pod("spec.restartPolicy", "Sometimes"),
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
        (
            pod("spec.containers.0.ports", [{"containerPort": 70000}]),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            pod("spec.containers.0.resources", {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            pod("spec.containers.0.livenessProbe", {}),
            "spec.containers[0].livenessProbe: Required value: must specify a handler",
        ),
        (pod("spec.serviceAccountName", "nobody"), 'serviceaccount "nobody" not found'),
        (pod("spec.priorityClassName", "top"), "no PriorityClass with name top was found"),
    ],
)
def test_pods_that_may_not_be(registry: Registry, body: Json, words: str) -> None:
    assert words in message(registry, "pods", body)


def test_a_namespace_of_more_than_one_label_is_told_of_its_dots(registry: Registry) -> None:
    text = message(registry, "namespaces", {"metadata": {"name": "a.b"}}, namespace="")
    assert text == 'Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": must not contain dots'


def test_several_errors_come_in_one_list(registry: Registry) -> None:
    body = {"metadata": {"name": "Bad"}, "spec": {"containers": [{"name": "c"}]}}
    text = message(registry, "pods", body)
    assert text.startswith('Pod "Bad" is invalid: [metadata.name: Invalid value: "Bad": a lowercase RFC 1123 subdomain')
    assert text.endswith(", spec.containers[0].image: Required value]")


DEPLOYMENT: Json = {
    "metadata": {"name": "w"},
    "spec": {
        "selector": {"matchLabels": {"app": "w"}},
        "template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}


def test_a_deployment_must_select_its_own_pods(registry: Registry) -> None:
    body = deepcopy(DEPLOYMENT)
    body["spec"]["template"]["metadata"]["labels"] = {"app": "x"}
    assert message(registry, "deployments", body, group="apps") == (
        'Deployment.apps "w" is invalid: spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not '
        "match template `labels`"
    )


def test_a_job_must_not_restart_always(registry: Registry) -> None:
    body = {"metadata": {"name": "j"}, "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}
    assert message(registry, "jobs", body, group="batch").endswith(
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    )


@pytest.mark.parametrize(
    ("resource", "group", "body", "words"),
    [
        ("configmaps", "", {"metadata": {}}, "metadata.name: Required value: name or generateName is required"),
        (
            "configmaps",
            "",
            {"metadata": {"name": "a"}, "data": {"a b": "x"}},
            'data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters',
        ),
        (
            "configmaps",
            "",
            {"metadata": {"name": "a", "labels": {"a": "b c"}}},
            'metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of',
        ),
        (
            "configmaps",
            "",
            {"metadata": {"name": "a"}, "data": {"a": "x" * 1048577}},
            "Too long: may not be more than 1048576 bytes",
        ),
        ("secrets", "", {"metadata": {"name": "t"}, "type": "kubernetes.io/tls"}, "data[tls.crt]: Required value"),
        ("secrets", "", {"metadata": {"name": "s"}, "data": {"a": "!"}}, "illegal base64 data at input byte 0"),
        ("services", "", {"metadata": {"name": "s"}, "spec": {}}, "spec.ports: Required value"),
        (
            "services",
            "",
            {"metadata": {"name": "9"}, "spec": {"ports": [{"port": 1}]}},
            "a DNS-1035 label must consist",
        ),
        (
            "services",
            "",
            {"metadata": {"name": "s" * 64}, "spec": {"ports": [{"port": 1}]}},
            f'metadata.name: Invalid value: "{"s" * 64}": must be no more than 63 characters',
        ),
        (
            "configmaps",
            "",
            {"metadata": {"name": "a"}, "data": {"..a": "x"}},
            "data[..a]: Invalid value: \"..a\": must not start with '..'",
        ),
        (
            "roles",
            RBAC,
            {"metadata": {"name": "r"}, "rules": [{"verbs": [], "resources": ["pods"], "apiGroups": [""]}]},
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            "roles",
            RBAC,
            {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "resources": ["pods"]}]},
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        ),
        (
            "rolebindings",
            RBAC,
            {"metadata": {"name": "b"}, "roleRef": {"kind": "Rolle", "name": "r"}},
            'roleRef.kind: Unsupported value: "Rolle": supported values: "ClusterRole", "Role"',
        ),
        (
            "rolebindings",
            RBAC,
            {
                "metadata": {"name": "b"},
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [{"kind": "ServiceAccount", "name": "x"}],
            },
            "subjects[0].namespace: Required value",
        ),
    ],
)
def test_objects_that_may_not_be(registry: Registry, resource: str, group: str, body: Json, words: str) -> None:
    assert words in message(registry, resource, body, group=group)


def test_rbac_names_may_have_colons(registry: Registry) -> None:
    assert send(registry, "roles", {"metadata": {"name": "a:b"}, "rules": []}, group=RBAC)["metadata"]["name"] == "a:b"


def test_what_may_not_change_may_not_change(registry: Registry) -> None:
    live = Registry(None, lambda: NOW)
    live.ensure({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "dev"}})
    sealed = {"metadata": {"name": "a"}, "data": {"k": "1"}, "immutable": True}
    send(live, "configmaps", sealed, dryRun="")
    text = message(live, "configmaps", {**sealed, "data": {"k": "2"}}, verb="update", name="a")
    assert text.endswith("data: Forbidden: field is immutable when `immutable` is set")
    send(live, "deployments", DEPLOYMENT, group="apps", dryRun="")
    other = json.loads(json.dumps(DEPLOYMENT).replace('"app": "w"', '"app": "x"'))
    text = message(live, "deployments", other, group="apps", verb="update", name="w")
    assert text.endswith('spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable')
    binding = {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}}
    send(live, "rolebindings", binding, group=RBAC, dryRun="")
    binding["roleRef"]["name"] = "s"
    assert message(live, "rolebindings", binding, group=RBAC, verb="update", name="b").endswith("cannot change roleRef")
    send(live, "pods", POD, dryRun="")
    running = live.read("", "v1", "pods", "dev", "p")
    assert running is not None
    running["spec"]["hostNetwork"] = True
    assert "spec: Forbidden: pod updates may not change fields other than" in message(
        live, "pods", running, verb="update", name="p"
    )
