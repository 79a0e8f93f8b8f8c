"""Owns objects that two groups or versions show: events of core and events.k8s.io, autoscalers of v1 and v2."""

from __future__ import annotations

from ..border import Json
from . import ResourceType


def convert(obj: Json, kind: ResourceType) -> Json:
    """Return a stored object as another group or version has it."""
    if kind.group == "events.k8s.io":
        return _event_to_new(obj)
    if kind.group == "autoscaling" and kind.version == "v1":
        return _autoscaler_to_v1(obj)
    return obj


def to_stored(obj: Json, kind: ResourceType) -> Json:
    """Return an object in the version it is kept in."""
    if kind.group == "events.k8s.io":
        return _event_to_core(obj)
    if kind.group == "autoscaling" and kind.version == "v1":
        return _autoscaler_to_v2(obj)
    return obj


def _event_to_new(obj: Json) -> Json:
    new: Json = {"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": obj["metadata"]}
    new["eventTime"] = obj.get("eventTime")
    for theirs, ours in _EVENT_FIELDS.items():
        if obj.get(ours) is not None:
            new[theirs] = obj[ours]
    return new


_EVENT_FIELDS = {
    "series": "series", "reportingController": "reportingComponent", "reportingInstance": "reportingInstance",
    "action": "action", "reason": "reason", "regarding": "involvedObject", "related": "related", "note": "message",
    "type": "type", "deprecatedSource": "source", "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp", "deprecatedCount": "count",
}  # fmt: skip


def _event_to_core(obj: Json) -> Json:
    core: Json = {"kind": "Event", "apiVersion": "v1", "metadata": obj["metadata"], "eventTime": obj.get("eventTime")}
    for theirs, ours in _EVENT_FIELDS.items():
        if obj.get(theirs) is not None:
            core[ours] = obj[theirs]
    return core


def _autoscaler_to_v1(obj: Json) -> Json:
    spec = dict(obj.get("spec", {}))
    for metric in spec.pop("metrics", None) or []:
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            spec["targetCPUUtilizationPercentage"] = resource.get("target", {}).get("averageUtilization")
    spec.pop("behavior", None)
    status = {k: v for k, v in obj.get("status", {}).items() if k not in ("currentMetrics", "conditions")}
    return {**obj, "apiVersion": "autoscaling/v1", "spec": spec, "status": {"currentReplicas": 0, **status}}


def _autoscaler_to_v2(obj: Json) -> Json:
    spec = dict(obj.get("spec", {}))
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {**obj, "apiVersion": "autoscaling/v2", "spec": spec}
