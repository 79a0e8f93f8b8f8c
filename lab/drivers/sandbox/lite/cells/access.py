"""Owns the cells of what lets requests in: roles, certificates, admission, flow control, API services."""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from .words import NONE, Cells, CellsOf, age, duration


def _binding(obj: Json, now: datetime) -> Cells:
    role = obj.get("roleRef") or {}
    subjects = obj.get("subjects") or []

    def of(kind: str) -> str:
        chosen = [s for s in subjects if s.get("kind") == kind]
        return ", ".join(
            f"{s.get('namespace', '')}/{s.get('name', '')}" if kind == "ServiceAccount" else s.get("name", "")
            for s in chosen
        )

    return [
        f"{role.get('kind', '')}/{role.get('name', '')}",
        age(obj, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]


def _signing_request(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    conditions = {c.get("type") for c in obj.get("status", {}).get("conditions") or []}
    words = [w for w in ("Denied", "Approved") if w in conditions][:1] or ["Pending"]
    if "Failed" in conditions:
        words.append("Failed")
    if obj.get("status", {}).get("certificate"):
        words.append("Issued")
    seconds = spec.get("expirationSeconds")
    return [
        age(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        duration(seconds) if seconds else NONE,
        ",".join(words),
    ]


def _webhooks(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("webhooks") or []), age(obj, now)]


def _admission_policy(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    kind = spec.get("paramKind") or {}
    shown = f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else "<unset>"
    return [len(spec.get("validations") or []), shown, age(obj, now)]


def _admission_binding(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    reference = spec.get("paramRef") or {}
    namespace = reference.get("namespace")
    name = reference.get("name")
    shown = (f"{namespace}/{name}" if namespace else name) or "<unset>"
    return [spec.get("policyName", ""), shown, age(obj, now)]


def _flow_schema(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    missing: Json = next((c for c in obj.get("status", {}).get("conditions") or [] if c.get("type") == "Dangling"), {})
    return [
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type", NONE),
        age(obj, now),
        missing.get("status", "?"),
    ]


def _priority_level(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    limited = spec.get("limited") or spec.get("exempt") or {}
    response = limited.get("limitResponse") or {}
    queuing = response.get("queuing") or {}
    return [
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", NONE),
        queuing.get("queues", NONE),
        queuing.get("handSize", NONE),
        queuing.get("queueLengthLimit", NONE),
        age(obj, now),
    ]


def _api_service(obj: Json, now: datetime) -> Cells:
    service = obj.get("spec", {}).get("service")
    where = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    available: Json = next(
        (c for c in obj.get("status", {}).get("conditions") or [] if c.get("type") == "Available"), {}
    )
    word = available.get("status", "Unknown")
    if word == "False" and available.get("reason"):
        word = f"False ({available['reason']})"
    return [where, word, age(obj, now)]


CELLS: dict[str, CellsOf] = {
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": _webhooks,
    "admissionregistration.k8s.io/validatingadmissionpolicies": _admission_policy,
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": _admission_binding,
    "admissionregistration.k8s.io/validatingwebhookconfigurations": _webhooks,
    "apiregistration.k8s.io/apiservices": _api_service,
    "certificates.k8s.io/certificatesigningrequests": _signing_request,
    "flowcontrol.apiserver.k8s.io/flowschemas": _flow_schema,
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": _priority_level,
    "rbac.authorization.k8s.io/clusterrolebindings": _binding,
    "rbac.authorization.k8s.io/rolebindings": _binding,
}
