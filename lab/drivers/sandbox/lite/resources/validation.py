"""Owns validation of objects: the mistakes people make, in the API server's words (Source: Kubernetes 1.34)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..border import Json
from ..status import FieldError, duplicate, forbidden_field, invalid_value, required, unsupported
from . import ResourceType
from .pod_validation import validate_pod_spec, validate_pod_update

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_LABEL}(\\.{_LABEL})*')"
)
DNS_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_IMMUTABLE = "field is immutable"
_MEBIBYTE = 1024 * 1024

_RBAC = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
_LABELLED = frozenset({"namespaces"})
_SERVICES = frozenset({"services"})


def validate_name(kind: ResourceType, meta: Json) -> list[FieldError]:
    """Return what is wrong with an object's name, labels and annotations."""
    name = meta.get("name", "")
    errors: list[FieldError] = []
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid_value("metadata.name", name, text) for text in name_problems(kind, name)]
    return errors + _labels(meta.get("labels"), "metadata.labels") + _annotations(meta.get("annotations"))


def name_problems(kind: ResourceType, name: str) -> list[str]:
    """Return the words for what a name of this kind may not be."""
    if kind.name in _RBAC:
        if name in (".", ".."):
            return [f"may not be '{name}'"]
        return [f"may not contain '{letter}'" for letter in "/%" if letter in name]
    if kind.name in _LABELLED:
        return dns_label(name)
    if kind.name in _SERVICES:
        return [] if re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name) and len(name) <= 63 else [DNS_1035]
    return subdomain(name)


def subdomain(name: str) -> list[str]:
    """Return the words for what is wrong with a DNS subdomain."""
    words = ["must be no more than 253 characters"] if len(name) > 253 else []
    return words + ([] if re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", name) else [SUBDOMAIN])


def dns_label(name: str) -> list[str]:
    """Return the words for what is wrong with a DNS label."""
    words = ["must be no more than 63 characters"] if len(name) > 63 else []
    return words + ([] if re.fullmatch(_LABEL, name) else [DNS_LABEL])


def _key_problems(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    words: list[str] = []
    if slash and not prefix:
        words.append("prefix part must be non-empty")
    elif slash:
        words += [f"prefix part {text}" for text in subdomain(prefix)]
    if "/" in prefix:
        return [
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. "
            "'example.com/MyName')"
        ]
    if not name:
        words.append("name part must be non-empty")
    elif len(name) > 63:
        words.append("name part must be no more than 63 characters")
    if not re.fullmatch("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", name):
        words.append(_NAME_PART)
    return words


def _labels(labels: Json | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in sorted(labels or {}):
        errors += [invalid_value(path, key, text) for text in _key_problems(key)]
        value = (labels or {})[key]
        if len(value) > 63:
            errors.append(invalid_value(path, value, "must be no more than 63 characters"))
        if not re.fullmatch("(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", value):
            errors.append(invalid_value(path, value, _LABEL_VALUE))
    return errors


def _annotations(annotations: Json | None) -> list[FieldError]:
    path = "metadata.annotations"
    errors: list[FieldError] = []
    for key in sorted(annotations or {}):
        errors += [invalid_value(path, key, text) for text in _key_problems(key.lower())]
    if sum(len(k.encode()) + len(v.encode()) for k, v in (annotations or {}).items()) > 256 * 1024:
        errors.append(_too_long(path, 256 * 1024))
    return errors


def _too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def validate_create(kind: ResourceType, obj: Json) -> list[FieldError]:
    """Return what is wrong with a new object, apart from its metadata."""
    check = _CHECKS.get((kind.group, kind.name))
    return check(obj) if check else []


def validate_update(kind: ResourceType, obj: Json, old: Json, part: str) -> list[FieldError]:
    """Return what is wrong with a change, the metadata included."""
    meta = obj["metadata"]
    errors = _labels(meta.get("labels"), "metadata.labels") + _annotations(meta.get("annotations"))
    if part:
        return errors
    check = _UPDATES.get((kind.group, kind.name))
    return errors + (check(obj, old) if check else []) + validate_create(kind, obj)


# config maps and secrets


def _keys(obj: Json, *parts: str) -> list[FieldError]:
    errors: list[FieldError] = []
    size = 0
    for part in parts:
        for key, value in sorted((obj.get(part) or {}).items()):
            path = f"{part}[{key}]"
            if len(key) > 253:
                errors.append(invalid_value(path, key, "must be no more than 253 characters"))
            if not re.fullmatch("[-._a-zA-Z0-9]+", key):
                errors.append(invalid_value(path, key, _CONFIG_KEY))
            elif key in (".", ".."):
                errors.append(invalid_value(path, key, f"must not be '{key}'"))
            if len(parts) > 1 and part == parts[1] and key in (obj.get(parts[0]) or {}):
                errors.append(invalid_value(path, key, f"duplicate of key present in {parts[0]}"))
            size += len(value.encode()) if part == "data" and obj["kind"] == "ConfigMap" else len(value) * 3 // 4
    if size > _MEBIBYTE:
        errors.append(FieldError("[]" if obj["kind"] == "ConfigMap" else "data", "FieldValueTooLong", _TOO_BIG))
    return errors


_TOO_BIG = f"Too long: may not be more than {_MEBIBYTE} bytes"


def _config_map(obj: Json) -> list[FieldError]:
    return _keys(obj, "data", "binaryData")


def _frozen(obj: Json, old: Json, *parts: str) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    words = "field is immutable when `immutable` is set"
    errors = [] if obj.get("immutable") else [forbidden_field("immutable", words)]
    return errors + [forbidden_field(part, words) for part in parts if (obj.get(part) or {}) != (old.get(part) or {})]


def _config_map_update(obj: Json, old: Json) -> list[FieldError]:
    return _frozen(obj, old, "data", "binaryData")


_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _secret(obj: Json) -> list[FieldError]:
    errors = _keys(obj, "data")
    data = obj.get("data") or {}
    kind = obj.get("type", "")
    errors += [required(f"data[{key}]") for key in _SECRET_KEYS.get(kind, ()) if key not in data]
    if kind == "kubernetes.io/basic-auth" and not ({"username", "password"} & set(data)):
        errors += [required("data[username]"), required("data[password]")]
    account = "kubernetes.io/service-account.name"
    if kind == "kubernetes.io/service-account-token" and not (obj["metadata"].get("annotations") or {}).get(account):
        errors.append(required(f"metadata.annotations[{account}]"))
    return errors


def _secret_update(obj: Json, old: Json) -> list[FieldError]:
    errors = []
    if obj.get("type") != old.get("type"):
        errors.append(invalid_value("type", obj.get("type", ""), _IMMUTABLE))
    return errors + _frozen(obj, old, "data")


# RBAC


def _rules(obj: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    namespaced = obj["kind"] == "Role"
    for number, rule in enumerate(obj.get("rules") or []):
        path = f"rules[{number}]"
        if not rule.get("verbs"):
            errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if namespaced:
                words = "namespaced rules cannot apply to non-resource URLs"
                errors.append(invalid_value(f"{path}.nonResourceURLs", rule["nonResourceURLs"], words))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                words = "rules cannot apply to both regular resources and non-resource URLs"
                errors.append(invalid_value(f"{path}.nonResourceURLs", rule["nonResourceURLs"], words))
            continue
        if not rule.get("apiGroups"):
            errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


def _binding(obj: Json) -> list[FieldError]:
    reference = obj.get("roleRef") or {}
    namespaced = obj["kind"] == "RoleBinding"
    errors: list[FieldError] = []
    if reference.get("apiGroup") != "rbac.authorization.k8s.io":
        errors.append(unsupported("roleRef.apiGroup", reference.get("apiGroup", ""), ["rbac.authorization.k8s.io"]))
    kinds = ["Role", "ClusterRole"] if namespaced else ["ClusterRole"]
    if reference.get("kind") not in kinds:
        errors.append(unsupported("roleRef.kind", reference.get("kind", ""), sorted(kinds)))
    if not reference.get("name"):
        errors.append(required("roleRef.name"))
    for number, subject in enumerate(obj.get("subjects") or []):
        path = f"subjects[{number}]"
        if not subject.get("name"):
            errors.append(required(f"{path}.name"))
        kind = subject.get("kind")
        if kind == "ServiceAccount":
            errors += [invalid_value(f"{path}.name", subject["name"], t) for t in subdomain(subject.get("name") or "x")]
            if subject.get("apiGroup"):
                errors.append(unsupported(f"{path}.apiGroup", subject["apiGroup"], [""]))
            if not subject.get("namespace"):
                errors.append(required(f"{path}.namespace"))
        elif kind not in ("User", "Group"):
            errors.append(unsupported(f"{path}.kind", kind or "", ["Group", "ServiceAccount", "User"]))
        elif subject.get("apiGroup") != "rbac.authorization.k8s.io":
            known = ["rbac.authorization.k8s.io"]
            errors.append(unsupported(f"{path}.apiGroup", subject.get("apiGroup", ""), known))
    return errors


def _binding_update(obj: Json, old: Json) -> list[FieldError]:
    if obj.get("roleRef") == old.get("roleRef"):
        return []
    return [invalid_value("roleRef", obj.get("roleRef"), "cannot change roleRef")]


# workloads


def _selected(obj: Json, path: str = "spec") -> list[FieldError]:
    spec = obj["spec"]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    errors: list[FieldError] = []
    if not selector:
        errors.append(required(f"{path}.selector"))
    wanted = (selector or {}).get("matchLabels") or {}
    if not wanted and not (selector or {}).get("matchExpressions"):
        words = "empty selector is invalid for deployment"
        if selector is not None and obj["kind"] == "Deployment":
            errors.append(invalid_value(f"{path}.selector", selector, words))
    mismatch = any(labels.get(k) != v for k, v in wanted.items())
    if mismatch or not selector:
        words = "`selector` does not match template `labels`"
        errors.append(invalid_value(f"{path}.template.metadata.labels", labels or None, words))
    return errors


def _count(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int) and value < 0:
        return [invalid_value(path, value, "must be greater than or equal to 0")]
    return []


def _workload(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = _count(spec.get("replicas"), "spec.replicas") + _selected(obj)
    template = spec.get("template") or {}
    errors += _template(template)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in (None, "Always"):
        errors.append(unsupported("spec.template.spec.restartPolicy", policy, ["Always"]))
    return errors


def _template(template: Json, path: str = "spec.template") -> list[FieldError]:
    labels = (template.get("metadata") or {}).get("labels")
    return _labels(labels, f"{path}.labels") + validate_pod_spec(template.get("spec") or {}, f"{path}.spec")


def _workload_update(obj: Json, old: Json) -> list[FieldError]:
    if obj["spec"].get("selector") == old["spec"].get("selector"):
        return []
    return [invalid_value("spec.selector", obj["spec"].get("selector"), _IMMUTABLE)]


def _job(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = [
        e for part in ("parallelism", "completions", "backoffLimit") for e in _count(spec.get(part), f"spec.{part}")
    ]
    return errors + _job_template(spec.get("template") or {}, "spec.template")


def _job_template(template: Json, path: str) -> list[FieldError]:
    errors = _template(template, path)
    policy = (template.get("spec") or {}).get("restartPolicy")
    where = f"{path}.spec.restartPolicy"
    if policy == "Always":
        errors.append(required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(unsupported(where, policy or "", ["OnFailure", "Never"]))
    return errors


def _job_update(obj: Json, old: Json) -> list[FieldError]:
    errors = []
    for part in ("selector", "template", "completionMode"):
        if obj["spec"].get(part) != old["spec"].get(part):
            errors.append(invalid_value(f"spec.{part}", obj["spec"].get(part), _IMMUTABLE))
    return errors


_SCHEDULE = re.compile(
    r"(TZ=\S+ |CRON_TZ=\S+ )?(@(every \S+|yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+( \S+){4})"
)


def _cron_job(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors: list[FieldError] = []
    schedule = spec.get("schedule") or ""
    if not schedule:
        errors.append(required("spec.schedule"))
    elif not _SCHEDULE.fullmatch(" ".join(schedule.split())):
        found = len(schedule.split())
        words = f"expected exactly 5 fields, found {found}: [{schedule}]"
        errors.append(invalid_value("spec.schedule", schedule, words))
    if spec.get("concurrencyPolicy") not in ("Allow", "Forbid", "Replace"):
        known = ["Allow", "Forbid", "Replace"]
        errors.append(unsupported("spec.concurrencyPolicy", spec.get("concurrencyPolicy", ""), known))
    template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    return errors + _job_template(template, "spec.jobTemplate.spec.template")


# services and networking


def _service(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors: list[FieldError] = []
    ports = spec.get("ports") or []
    kind = spec.get("type", "")
    if not ports and spec.get("clusterIP") != "None" and kind != "ExternalName":
        errors.append(required("spec.ports"))
    if kind not in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
        errors.append(unsupported("spec.type", kind, ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]))
    if kind == "ExternalName" and not spec.get("externalName"):
        errors.append(required("spec.externalName"))
    seen: set[Any] = set()
    for number, port in enumerate(ports):
        path = f"spec.ports[{number}]"
        if not port.get("name") and len(ports) > 1:
            errors.append(required(f"{path}.name"))
        elif port.get("name") in seen:
            errors.append(duplicate(f"{path}.name", port["name"]))
        seen.add(port.get("name"))
        if not 1 <= port.get("port", 0) <= 65535:
            errors.append(invalid_value(f"{path}.port", port.get("port", 0), "must be between 1 and 65535, inclusive"))
        target = port.get("targetPort")
        if isinstance(target, int) and not 1 <= target <= 65535:
            errors.append(invalid_value(f"{path}.targetPort", target, "must be between 1 and 65535, inclusive"))
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            errors.append(unsupported(f"{path}.protocol", port.get("protocol", ""), ["SCTP", "TCP", "UDP"]))
        node_port = port.get("nodePort")
        if node_port and not 30000 <= node_port <= 32767:
            words = "provided port is not in the valid range. The range of valid ports is 30000-32767"
            errors.append(invalid_value(f"{path}.nodePort", node_port, words))
    return errors + _labels(spec.get("selector"), "spec.selector")


def _service_update(obj: Json, old: Json) -> list[FieldError]:
    was, now = old["spec"].get("clusterIP"), obj["spec"].get("clusterIP")
    if was and now and was != now and obj["spec"].get("type") != "ExternalName":
        return [invalid_value("spec.clusterIPs[0]", [now], "may not change once set")]
    return []


def _ingress(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    if not spec.get("rules") and not spec.get("defaultBackend"):
        words = "either `defaultBackend` or `rules` must be specified"
        return [invalid_value("spec", [], words)]
    errors: list[FieldError] = []
    for number, rule in enumerate(spec.get("rules") or []):
        for inner, path in enumerate((rule.get("http") or {}).get("paths") or []):
            where = f"spec.rules[{number}].http.paths[{inner}]"
            kinds = ["Exact", "ImplementationSpecific", "Prefix"]
            if not path.get("pathType"):
                errors.append(required(f"{where}.pathType", "pathType must be specified"))
            elif path["pathType"] not in kinds:
                errors.append(unsupported(f"{where}.pathType", path["pathType"], kinds))
    return errors


def _network_policy(obj: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    for number, kind in enumerate(obj["spec"].get("policyTypes") or []):
        if kind not in ("Ingress", "Egress"):
            errors.append(unsupported(f"spec.policyTypes[{number}]", kind, ["Egress", "Ingress"]))
    return errors


def _autoscaler(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors: list[FieldError] = []
    if spec.get("maxReplicas", 0) < 1:
        errors.append(invalid_value("spec.maxReplicas", spec.get("maxReplicas", 0), "must be greater than 0"))
    elif spec.get("maxReplicas", 0) < (spec.get("minReplicas") or 1):
        words = "must be greater than or equal to `minReplicas`"
        errors.append(invalid_value("spec.maxReplicas", spec["maxReplicas"], words))
    target = spec.get("scaleTargetRef") or {}
    errors += [required(f"spec.scaleTargetRef.{part}") for part in ("kind", "name") if not target.get(part)]
    return errors


def _disruption_budget(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = {k: spec[k] for k in ("minAvailable", "maxUnavailable")}
        return [invalid_value("spec", shown, "minAvailable and maxUnavailable cannot be both set")]
    return []


# the rest


def _claim(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = [] if spec.get("accessModes") else [required("spec.accessModes", "at least 1 access mode is required")]
    if not ((spec.get("resources") or {}).get("requests") or {}).get("storage"):
        errors.append(required("spec.resources[storage]"))
    return errors


def _claim_update(obj: Json, old: Json) -> list[FieldError]:
    def fixed(spec: Json) -> Json:
        return {k: v for k, v in spec.items() if k not in ("resources", "volumeName", "volumeAttributesClassName")}

    if fixed(obj["spec"]) == fixed(old["spec"]):
        return []
    words = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
    return [forbidden_field("spec", words)]


_SOURCES = ("hostPath", "local", "nfs", "csi", "iscsi", "fc", "cephfs", "rbd", "awsElasticBlockStore", "azureDisk",
            "azureFile", "cinder", "flexVolume", "flocker", "gcePersistentDisk", "glusterfs", "photonPersistentDisk",
            "portworxVolume", "quobyte", "scaleIO", "storageos", "vsphereVolume")  # fmt: skip


def _volume(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = [] if spec.get("accessModes") else [required("spec.accessModes")]
    if not spec.get("capacity"):
        errors.append(required("spec.capacity"))
    elif set(spec["capacity"]) != {"storage"}:
        errors.append(unsupported("spec.capacity", ",".join(sorted(spec["capacity"])), ["storage"]))
    if not any(spec.get(source) for source in _SOURCES):
        errors.append(required("spec", "must specify a volume type"))
    if spec.get("hostPath") is not None and not spec["hostPath"].get("path"):
        errors.append(required("spec.hostPath.path"))
    return errors


def _storage_class(obj: Json) -> list[FieldError]:
    return [] if obj.get("provisioner") else [required("provisioner")]


def _priority_class(obj: Json) -> list[FieldError]:
    if obj["metadata"].get("name", "").startswith("system-") and obj.get("value", 0) <= 1000000000:
        words = "priority class names with 'system-' prefix are reserved for system use only"
        return [forbidden_field("metadata.name", words)]
    if obj.get("value", 0) > 1000000000 and not obj["metadata"].get("name", "").startswith("system-"):
        words = "maximum allowed value of a user defined priority is 1000000000"
        return [forbidden_field("value", words)]
    return []


def _lease(obj: Json) -> list[FieldError]:
    seconds = (obj.get("spec") or {}).get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        return [invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0")]
    return []


def _pod(obj: Json) -> list[FieldError]:
    return validate_pod_spec(obj["spec"], "spec", alone=True)


def _event(obj: Json) -> list[FieldError]:
    about = obj.get("involvedObject") or {}
    namespace = obj["metadata"].get("namespace", "")
    if about.get("namespace", "") != namespace and not (not about.get("namespace") and namespace == "default"):
        return [invalid_value("involvedObject.namespace", about.get("namespace", ""), "does not match event.namespace")]
    return []


_AUTHORIZATION = "rbac.authorization.k8s.io"
_CHECKS: dict[tuple[str, str], Callable[[Json], list[FieldError]]] = {
    ("", "configmaps"): _config_map,
    ("", "secrets"): _secret,
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "events"): _event,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "daemonsets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    (_AUTHORIZATION, "roles"): _rules,
    (_AUTHORIZATION, "clusterroles"): _rules,
    (_AUTHORIZATION, "rolebindings"): _binding,
    (_AUTHORIZATION, "clusterrolebindings"): _binding,
    ("networking.k8s.io", "ingresses"): _ingress,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("policy", "poddisruptionbudgets"): _disruption_budget,
    ("storage.k8s.io", "storageclasses"): _storage_class,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("coordination.k8s.io", "leases"): _lease,
}
_UPDATES: dict[tuple[str, str], Callable[[Json, Json], list[FieldError]]] = {
    ("", "configmaps"): _config_map_update,
    ("", "secrets"): _secret_update,
    ("", "pods"): validate_pod_update,
    ("", "services"): _service_update,
    ("", "persistentvolumeclaims"): _claim_update,
    ("apps", "deployments"): _workload_update,
    ("apps", "replicasets"): _workload_update,
    ("apps", "daemonsets"): _workload_update,
    ("batch", "jobs"): _job_update,
    (_AUTHORIZATION, "rolebindings"): _binding_update,
    (_AUTHORIZATION, "clusterrolebindings"): _binding_update,
}
