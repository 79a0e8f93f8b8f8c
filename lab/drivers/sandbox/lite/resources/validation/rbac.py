"""Owns the mistakes in roles and their bindings."""

from __future__ import annotations

from checkers.kube.pods.names import subdomain_problems

from ...border import Json
from ...status import FieldError, invalid_value, required, unsupported
from .fields import Check, UpdateCheck


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
            problems = subdomain_problems(subject.get("name") or "x")
            errors += [invalid_value(f"{path}.name", subject["name"], text) for text in problems]
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


CHECKS: dict[tuple[str, str], Check] = {
    ("rbac.authorization.k8s.io", "roles"): _rules,
    ("rbac.authorization.k8s.io", "clusterroles"): _rules,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
}
UPDATES: dict[tuple[str, str], UpdateCheck] = {
    ("rbac.authorization.k8s.io", "rolebindings"): _binding_update,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding_update,
}
