"""Owns the cells of what makes pods, and of what counts them: apps, batch, autoscaling, policy."""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from .words import NONE, Cells, CellsOf, age, duration, first, labels_text, names_and_images, selector_text, since


def _containers_and_selector(spec: Json) -> Cells:
    return [*names_and_images(spec.get("template")), selector_text(spec.get("selector"))]


def _deployment(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(obj, now),
        *_containers_and_selector(spec),
    ]


def _replica_set(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    selector = spec.get("selector")
    shown = labels_text(selector) if obj.get("kind") == "ReplicationController" else selector_text(selector)
    return [
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(obj, now),
        *names_and_images(spec.get("template")),
        shown,
    ]


def _daemon_set(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        labels_text(((spec.get("template") or {}).get("spec") or {}).get("nodeSelector")),
        age(obj, now),
        *_containers_and_selector(spec),
    ]


def _stateful_set(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [ready, age(obj, now), *names_and_images(spec.get("template"))]


def _controller_revision(obj: Json, now: datetime) -> Cells:
    owner = next((o for o in obj["metadata"].get("ownerReferences") or [] if o.get("controller")), None)
    who = NONE
    if owner:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        who = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return [who, obj.get("revision", 0), age(obj, now)]


def _job(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    wanted, done = spec.get("completions"), status.get("succeeded", 0)
    if wanted is not None:
        completions = f"{done}/{wanted}"
    else:
        parallelism = spec.get("parallelism") or 0
        completions = f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"
    took = ""
    if status.get("startTime"):
        end = datetime.fromisoformat(status["completionTime"]) if status.get("completionTime") else now
        took = duration(int((end - datetime.fromisoformat(status["startTime"])).total_seconds()))
    held = {c.get("type") for c in status.get("conditions") or [] if c.get("status") == "True"}
    if "Complete" in held:
        word = "Complete"
    elif "Failed" in held:
        word = "Failed"
    elif obj["metadata"].get("deletionTimestamp"):
        word = "Terminating"
    elif "Suspended" in held:
        word = "Suspended"
    elif "FailureTarget" in held:
        word = "FailureTarget"
    elif "SuccessCriteriaMet" in held:
        word = "SuccessCriteriaMet"
    else:
        word = "Running"
    return [word, completions, took, age(obj, now), *_containers_and_selector(spec)]


def _cron_job(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        bool(spec.get("suspend")),
        len(status.get("active") or []),
        since(last, now) if last else NONE,
        age(obj, now),
        *_containers_and_selector(inner),
    ]


def _pod_template(obj: Json, now: datetime) -> Cells:
    template = obj.get("template") or {}
    return [*names_and_images(template), labels_text((template.get("metadata") or {}).get("labels"))]


def _autoscaler(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    target = spec.get("scaleTargetRef") or {}
    parts: list[str] = []
    current = status.get("currentMetrics") or []
    metrics = spec.get("metrics") or []
    if "targetCPUUtilizationPercentage" in spec:
        percent = status.get("currentCPUUtilizationPercentage")
        seen = f"{percent}%" if percent is not None else "<unknown>"
        parts.append(f"cpu: {seen}/{spec['targetCPUUtilizationPercentage']}%")
    for number, metric in enumerate(metrics):
        resource = metric.get("resource") or {}
        wanted = resource.get("target") or {}
        now_value = (current[number].get("resource") or {}).get("current", {}) if number < len(current) else {}
        if wanted.get("averageUtilization") is not None:
            percent = now_value.get("averageUtilization")
            seen = f"{percent}%" if percent is not None else "<unknown>"
            parts.append(f"{resource.get('name')}: {seen}/{wanted['averageUtilization']}%")
        else:
            seen = now_value.get("averageValue") or "<unknown>"
            parts.append(f"{resource.get('name', metric.get('type'))}: {seen}/{wanted.get('averageValue', '<auto>')}")
    minimum = spec.get("minReplicas")
    return [
        f"{target.get('kind', '')}/{target.get('name', '')}",
        first(parts, 2, ", ") or NONE,
        str(minimum) if minimum is not None else "<unset>",
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(obj, now),
    ]


def _disruption_budget(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        str(least) if least is not None else "N/A",
        str(most) if most is not None else "N/A",
        obj.get("status", {}).get("disruptionsAllowed", 0),
        age(obj, now),
    ]


CELLS: dict[str, CellsOf] = {
    "/podtemplates": _pod_template,
    "/replicationcontrollers": _replica_set,
    "apps/controllerrevisions": _controller_revision,
    "apps/daemonsets": _daemon_set,
    "apps/deployments": _deployment,
    "apps/replicasets": _replica_set,
    "apps/statefulsets": _stateful_set,
    "autoscaling/horizontalpodautoscalers": _autoscaler,
    "batch/cronjobs": _cron_job,
    "batch/jobs": _job,
    "policy/poddisruptionbudgets": _disruption_budget,
}
