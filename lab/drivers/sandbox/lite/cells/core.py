"""Owns the cells of the cluster's own things: nodes, namespaces, configuration, quotas, events, leases."""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from .words import NONE, Cells, CellsOf, age, since


def _config_map(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj, now)]


def _secret(obj: Json, now: datetime) -> Cells:
    return [obj.get("type", ""), len(obj.get("data") or {}), age(obj, now)]


def _namespace(obj: Json, now: datetime) -> Cells:
    return [obj.get("status", {}).get("phase", ""), age(obj, now)]


def _service_account(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("secrets") or []), age(obj, now)]


def _node(obj: Json, now: datetime) -> Cells:
    status, spec = obj.get("status", {}), obj.get("spec", {})
    ready = next((c for c in status.get("conditions") or [] if c.get("type") == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if spec.get("unschedulable"):
        words.append("SchedulingDisabled")
    labels = obj["metadata"].get("labels") or {}
    roles = {k.partition("/")[2] for k in labels if k.startswith("node-role.kubernetes.io/")} - {""}
    roles |= {v for k, v in labels.items() if k == "kubernetes.io/role" and v}
    addresses = status.get("addresses") or []
    info = status.get("nodeInfo") or {}

    def address(kind: str) -> str:
        return next((a.get("address", "") for a in addresses if a.get("type") == kind), NONE)

    unknown = "<unknown>"
    return [
        ",".join(words),
        ",".join(sorted(roles)) or NONE,
        age(obj, now),
        info.get("kubeletVersion", ""),
        address("InternalIP"),
        address("ExternalIP"),
        info.get("osImage") or unknown,
        info.get("kernelVersion") or unknown,
        info.get("containerRuntimeVersion") or unknown,
    ]


def _event(obj: Json, now: datetime) -> Cells:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp")
    series = obj.get("series") or {}
    first_seen = since(first, now)
    last_seen = since(last, now) if last else first_seen
    if series:
        last_seen = since(series.get("lastObservedTime"), now)
    about = obj.get("involvedObject") or {}
    target = about.get("kind", "").lower() + (f"/{about['name']}" if about.get("name") else "")
    source = obj.get("source") or {}
    who = source.get("component") or obj.get("reportingComponent") or ""
    if source.get("host"):
        who = f"{who}, {source['host']}"
    return [
        last_seen,
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        who,
        (obj.get("message") or "").strip(),
        first_seen,
        series.get("count") or obj.get("count") or 1,
        obj["metadata"].get("name", ""),
    ]


def _quota(obj: Json, now: datetime) -> Cells:
    status = obj.get("status", {})
    hard, used = status.get("hard") or obj.get("spec", {}).get("hard") or {}, status.get("used") or {}
    asked: list[str] = []
    limited: list[str] = []
    for name in sorted(hard):
        text = f"{name}: {used.get(name, '0')}/{hard[name]}"
        (limited if name.startswith("limits") else asked).append(text)
    return [", ".join(asked), ", ".join(limited), age(obj, now)]


def _component(obj: Json, now: datetime) -> Cells:
    for condition in obj.get("conditions") or []:
        if condition.get("type") == "Healthy":
            word = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [word, condition.get("message", ""), condition.get("error", "")]
    return ["Unknown", "", ""]


def _lease(obj: Json, now: datetime) -> Cells:
    return [obj.get("spec", {}).get("holderIdentity") or "", age(obj, now)]


CELLS: dict[str, CellsOf] = {
    "/componentstatuses": _component,
    "/configmaps": _config_map,
    "/events": _event,
    "/namespaces": _namespace,
    "/nodes": _node,
    "/resourcequotas": _quota,
    "/secrets": _secret,
    "/serviceaccounts": _service_account,
    "coordination.k8s.io/leases": _lease,
}
