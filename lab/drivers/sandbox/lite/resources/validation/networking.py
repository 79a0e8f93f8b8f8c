"""Owns the mistakes in services, ingresses and network policies."""

from __future__ import annotations

from typing import Any

from ...border import Json
from ...status import FieldError, duplicate, invalid_value, required, unsupported
from .fields import Check, UpdateCheck, check_labels


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
    return errors + check_labels(spec.get("selector"), "spec.selector")


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


CHECKS: dict[tuple[str, str], Check] = {
    ("", "services"): _service,
    ("networking.k8s.io", "ingresses"): _ingress,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
}
UPDATES: dict[tuple[str, str], UpdateCheck] = {
    ("", "services"): _service_update,
}
