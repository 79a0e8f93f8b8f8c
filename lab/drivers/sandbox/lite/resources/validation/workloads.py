"""Owns the mistakes in what makes pods or counts them: apps, batch, autoscaling, policy."""

from __future__ import annotations

import re

from ...border import Json
from ...status import FieldError, invalid_value, required, unsupported
from .fields import IMMUTABLE, Check, UpdateCheck, check_count, check_labels
from .pods import validate_pod_spec


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


def _workload(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = check_count(spec.get("replicas"), "spec.replicas") + _selected(obj)
    template = spec.get("template") or {}
    errors += _template(template)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in (None, "Always"):
        errors.append(unsupported("spec.template.spec.restartPolicy", policy, ["Always"]))
    return errors


def _template(template: Json, path: str = "spec.template") -> list[FieldError]:
    labels = (template.get("metadata") or {}).get("labels")
    return check_labels(labels, f"{path}.labels") + validate_pod_spec(template.get("spec") or {}, f"{path}.spec")


def _workload_update(obj: Json, old: Json) -> list[FieldError]:
    if obj["spec"].get("selector") == old["spec"].get("selector"):
        return []
    return [invalid_value("spec.selector", obj["spec"].get("selector"), IMMUTABLE)]


def _job(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = [
        e
        for part in ("parallelism", "completions", "backoffLimit")
        for e in check_count(spec.get(part), f"spec.{part}")
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
            errors.append(invalid_value(f"spec.{part}", obj["spec"].get(part), IMMUTABLE))
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


CHECKS: dict[tuple[str, str], Check] = {
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "daemonsets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("policy", "poddisruptionbudgets"): _disruption_budget,
}
UPDATES: dict[tuple[str, str], UpdateCheck] = {
    ("apps", "deployments"): _workload_update,
    ("apps", "replicasets"): _workload_update,
    ("apps", "daemonsets"): _workload_update,
    ("batch", "jobs"): _job_update,
}
