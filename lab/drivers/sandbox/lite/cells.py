"""Owns what stands in the cells of Tables: one function a resource (Source: kubectl's output in the recordings)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .border import Json
from .resources import ResourceType

Cells = list[Any]
_NONE = "<none>"


def cells_of(kind: ResourceType, obj: Json, now: datetime) -> Cells:
    """Return the cells of an object's row, the name first."""
    name = obj["metadata"].get("name", "")
    function = _CELLS.get(kind.stored_as)
    if function is None:
        return [name, obj["metadata"].get("creationTimestamp") or "<unknown>"]
    return [name, *function(obj, now)] if kind.stored_as != "/events" else function(obj, now)


def duration(seconds: int) -> str:
    """Render a duration as kubectl does: `59s`, `2m3s`, `3h`, `2d4h`."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        rest = seconds % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = seconds // 3600
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        rest = hours % 24
        return f"{hours // 24}d{rest}h" if rest else f"{hours // 24}d"
    days = hours // 24
    if days < 730:
        return f"{days}d"
    if days < 2920:
        rest = days % 365
        return f"{days // 365}y{rest}d" if rest else f"{days // 365}y"
    return f"{days // 365}y"


def since(stamp: str | None, now: datetime) -> str:
    """Render how long ago a timestamp was."""
    if not stamp:
        return "<unknown>"
    moment = datetime.fromisoformat(stamp)
    return duration(int((now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds()))


def _age(obj: Json, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _selector(selector: Json | None) -> str:
    if selector is None:
        return _NONE
    parts = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or []:
        values = ",".join(sorted(term.get("values") or []))
        key = term.get("key", "")
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }.get(term.get("operator", ""), key)
        )
    return ",".join(parts) or _NONE


def _labels(labels: Json | None) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or _NONE


def _images(template: Json | None) -> tuple[str, str]:
    containers = ((template or {}).get("spec") or {}).get("containers") or []
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)


def _config_map(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), _age(obj, now)]


def _secret(obj: Json, now: datetime) -> Cells:
    return [obj.get("type", ""), len(obj.get("data") or {}), _age(obj, now)]


def _namespace(obj: Json, now: datetime) -> Cells:
    return [obj.get("status", {}).get("phase", ""), _age(obj, now)]


def _service_account(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("secrets") or []), _age(obj, now)]


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
        return next((a.get("address", "") for a in addresses if a.get("type") == kind), _NONE)

    unknown = "<unknown>"
    return [
        ",".join(words),
        ",".join(sorted(roles)) or _NONE,
        _age(obj, now),
        info.get("kubeletVersion", ""),
        address("InternalIP"),
        address("ExternalIP"),
        info.get("osImage") or unknown,
        info.get("kernelVersion") or unknown,
        info.get("containerRuntimeVersion") or unknown,
    ]


def _pod(obj: Json, now: datetime) -> Cells:
    status, spec, meta = obj.get("status", {}), obj.get("spec", {}), obj["metadata"]
    statuses = status.get("containerStatuses") or []
    total = len(spec.get("containers") or [])
    reason = status.get("reason") or status.get("phase", "")
    restarts = 0
    last: str | None = None
    starting = False
    inits = spec.get("initContainers") or []
    for number, container in enumerate(status.get("initContainerStatuses") or []):
        restarts += container.get("restartCount", 0)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if ended is not None:
            word = ended.get("reason") or (
                f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}"
            )
            reason = f"Init:{word}"
        elif waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{number}/{len(inits)}"
        starting = True
        break
    ready = 0
    if not starting:
        restarts = 0
        running = False
        for container in reversed(statuses):
            restarts += container.get("restartCount", 0)
            before = (container.get("lastState") or {}).get("terminated") or {}
            if before.get("finishedAt") and (last is None or before["finishedAt"] > last):
                last = before["finishedAt"]
            state = container.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated")
            if waiting.get("reason"):
                reason = waiting["reason"]
            elif ended is not None:
                signal = ended.get("signal")
                reason = ended.get("reason") or (
                    f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}"
                )
            elif container.get("ready") and "running" in state:
                running = True
                ready += 1
        if reason == "Completed" and running:
            conditions = status.get("conditions") or []
            is_ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
            reason = "Running" if is_ready else "NotReady"
    if meta.get("deletionTimestamp"):
        reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    count = f"{restarts} ({since(last, now)} ago)" if restarts and last else str(restarts)
    gates = spec.get("readinessGates") or []
    fulfilled = sum(
        any(
            c.get("type") == g.get("conditionType") and c.get("status") == "True"
            for c in status.get("conditions") or []
        )
        for g in gates
    )
    return [
        f"{ready}/{total}",
        reason,
        count,
        _age(obj, now),
        status.get("podIP") or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        f"{fulfilled}/{len(gates)}" if gates else _NONE,
    ]


def _service(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    kind = spec.get("type", "")
    balancer = [i.get("ip") or i.get("hostname") or "" for i in (status.get("loadBalancer") or {}).get("ingress") or []]
    external = list(spec.get("externalIPs") or [])
    if kind == "LoadBalancer":
        outside = ",".join([*balancer, *external]) or "<pending>"
    elif kind == "ExternalName":
        outside = spec.get("externalName", "")
    else:
        outside = ",".join(external) or _NONE
    ports = [
        f"{p.get('port')}:{p['nodePort']}/{p.get('protocol')}"
        if p.get("nodePort")
        else f"{p.get('port')}/{p.get('protocol')}"
        for p in spec.get("ports") or []
    ]
    return [
        kind,
        spec.get("clusterIP") or _NONE,
        outside,
        ",".join(ports) or _NONE,
        _age(obj, now),
        _labels(spec.get("selector")),
    ]


def _endpoints(obj: Json, now: datetime) -> Cells:
    found: list[str] = []
    for subset in obj.get("subsets") or []:
        addresses = subset.get("addresses") or []
        ports = subset.get("ports") or []
        found += [f"{a['ip']}:{p['port']}" for p in ports for a in addresses] if ports else [a["ip"] for a in addresses]
    text = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [text or _NONE, _age(obj, now)]


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


def _deployment(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    names, images = _images(spec.get("template"))
    return [
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj, now),
        names,
        images,
        _selector(spec.get("selector")),
    ]


def _replica_set(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    names, images = _images(spec.get("template"))
    selector = spec.get("selector")
    shown = _labels(selector) if obj.get("kind") == "ReplicationController" else _selector(selector)
    return [
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age(obj, now),
        names,
        images,
        shown,
    ]


def _daemon_set(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    names, images = _images(spec.get("template"))
    return [
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        _labels(((spec.get("template") or {}).get("spec") or {}).get("nodeSelector")),
        _age(obj, now),
        names,
        images,
        _selector(spec.get("selector")),
    ]


def _stateful_set(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    names, images = _images(spec.get("template"))
    return [f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}", _age(obj, now), names, images]


def _controller_revision(obj: Json, now: datetime) -> Cells:
    owner = next((o for o in obj["metadata"].get("ownerReferences") or [] if o.get("controller")), None)
    who = _NONE
    if owner:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        who = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return [who, obj.get("revision", 0), _age(obj, now)]


def _job(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    names, images = _images(spec.get("template"))
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
    return [word, completions, took, _age(obj, now), names, images, _selector(spec.get("selector"))]


def _cron_job(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    names, images = _images(inner.get("template"))
    last = status.get("lastScheduleTime")
    return [
        spec.get("schedule", ""),
        spec.get("timeZone") or _NONE,
        bool(spec.get("suspend")),
        len(status.get("active") or []),
        since(last, now) if last else _NONE,
        _age(obj, now),
        names,
        images,
        _selector(inner.get("selector")),
    ]


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
        _age(obj, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]


def _lease(obj: Json, now: datetime) -> Cells:
    return [obj.get("spec", {}).get("holderIdentity") or "", _age(obj, now)]


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
    text = ", ".join(parts[:2]) + (f" + {len(parts) - 2} more..." if len(parts) > 2 else "")
    minimum = spec.get("minReplicas")
    return [
        f"{target.get('kind', '')}/{target.get('name', '')}",
        text or _NONE,
        str(minimum) if minimum is not None else "<unset>",
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        _age(obj, now),
    ]


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _access(modes: list[str] | None) -> str:
    return ",".join(_MODES[m] for m in _MODES if m in (modes or []))


def _volume(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    claim = spec.get("claimRef") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        (spec.get("capacity") or {}).get("storage", ""),
        _access(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim['name']}" if claim.get("name") else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        _age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _claim(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    return [
        phase,
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _access(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        _age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _quota(obj: Json, now: datetime) -> Cells:
    status = obj.get("status", {})
    hard, used = status.get("hard") or obj.get("spec", {}).get("hard") or {}, status.get("used") or {}
    asked: list[str] = []
    limited: list[str] = []
    for name in sorted(hard):
        text = f"{name}: {used.get(name, '0')}/{hard[name]}"
        (limited if name.startswith("limits") else asked).append(text)
    return [", ".join(asked), ", ".join(limited), _age(obj, now)]


def _pod_template(obj: Json, now: datetime) -> Cells:
    template = obj.get("template") or {}
    names, images = _images(template)
    return [names, images, _labels((template.get("metadata") or {}).get("labels"))]


def _storage_class(obj: Json, now: datetime) -> Cells:
    return [
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "<unset>"),
        bool(obj.get("allowVolumeExpansion")),
        _age(obj, now),
    ]


def _ingress(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    hosts = [rule.get("host") or "*" for rule in spec.get("rules") or []]
    shown = ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")
    where = [i.get("ip") or i.get("hostname") or "" for i in (status.get("loadBalancer") or {}).get("ingress") or []]
    return [
        spec.get("ingressClassName") or _NONE,
        shown or "*",
        ",".join(where),
        "80, 443" if spec.get("tls") else "80",
        _age(obj, now),
    ]


def _network_policy(obj: Json, now: datetime) -> Cells:
    return [_selector(obj.get("spec", {}).get("podSelector")), _age(obj, now)]


def _disruption_budget(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        str(least) if least is not None else "N/A",
        str(most) if most is not None else "N/A",
        obj.get("status", {}).get("disruptionsAllowed", 0),
        _age(obj, now),
    ]


def _priority_class(obj: Json, now: datetime) -> Cells:
    return [
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        _age(obj, now),
        obj.get("preemptionPolicy", ""),
    ]


def _endpoint_slice(obj: Json, now: datetime) -> Cells:
    ports = [str(p.get("port", "*")) for p in obj.get("ports") or []]
    addresses = [a for e in obj.get("endpoints") or [] for a in e.get("addresses") or []]

    def few(values: list[str]) -> str:
        return ",".join(values[:3]) + (f" + {len(values) - 3} more..." if len(values) > 3 else "") or "<unset>"

    return [obj.get("addressType", ""), few(ports), few(addresses), _age(obj, now)]


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
        _age(obj, now),
        spec.get("signerName") or _NONE,
        spec.get("username", ""),
        duration(seconds) if seconds else _NONE,
        ",".join(words),
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
    return [where, word, _age(obj, now)]


def _component(obj: Json, now: datetime) -> Cells:
    for condition in obj.get("conditions") or []:
        if condition.get("type") == "Healthy":
            word = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [word, condition.get("message", ""), condition.get("error", "")]
    return ["Unknown", "", ""]


def _webhooks(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("webhooks") or []), _age(obj, now)]


def _admission_policy(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    kind = spec.get("paramKind") or {}
    shown = f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else "<unset>"
    return [len(spec.get("validations") or []), shown, _age(obj, now)]


def _admission_binding(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    reference = spec.get("paramRef") or {}
    namespace = reference.get("namespace")
    name = reference.get("name")
    shown = (f"{namespace}/{name}" if namespace else name) or "<unset>"
    return [spec.get("policyName", ""), shown, _age(obj, now)]


def _ingress_class(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    parameters = spec.get("parameters")
    shown = _NONE
    if parameters:
        group = parameters.get("apiGroup")
        shown = f"{parameters.get('kind')}{'.' + group if group else ''}/{parameters.get('name')}"
    return [spec.get("controller", ""), shown, _age(obj, now)]


def _ip_address(obj: Json, now: datetime) -> Cells:
    parent = obj.get("spec", {}).get("parentRef") or {}
    parts = (parent.get("group"), parent.get("resource"), parent.get("namespace"), parent.get("name"))
    return ["/".join(p for p in parts if p)]


def _service_cidr(obj: Json, now: datetime) -> Cells:
    return [",".join(obj.get("spec", {}).get("cidrs") or []), _age(obj, now)]


def _csi_driver(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    modes = spec.get("volumeLifecycleModes") or []
    tokens = spec.get("tokenRequests") or []
    return [
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        ",".join(t.get("audience", "") for t in tokens) or "<unset>",
        bool(spec.get("requiresRepublish")),
        ",".join(modes) or _NONE,
        _age(obj, now),
    ]


def _csi_node(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("spec", {}).get("drivers") or []), _age(obj, now)]


def _attachment(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    source = spec.get("source") or {}
    return [
        spec.get("attacher", ""),
        source.get("persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool(obj.get("status", {}).get("attached")),
        _age(obj, now),
    ]


def _flow_schema(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    missing: Json = next((c for c in obj.get("status", {}).get("conditions") or [] if c.get("type") == "Dangling"), {})
    return [
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type", _NONE),
        _age(obj, now),
        missing.get("status", "?"),
    ]


def _priority_level(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    limited = spec.get("limited") or spec.get("exempt") or {}
    response = limited.get("limitResponse") or {}
    queuing = response.get("queuing") or {}
    return [
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", _NONE),
        queuing.get("queues", _NONE),
        queuing.get("handSize", _NONE),
        queuing.get("queueLengthLimit", _NONE),
        _age(obj, now),
    ]


def _of_field(*path: str) -> Callable[[Json, datetime], Cells]:
    def cells(obj: Json, now: datetime) -> Cells:
        value: Any = obj
        for part in path:
            value = value.get(part, {}) if isinstance(value, dict) else ""
        return [value if isinstance(value, str) else "", _age(obj, now)]

    return cells


def _only_age(obj: Json, now: datetime) -> Cells:
    return [_age(obj, now)]


def _claim_state(obj: Json, now: datetime) -> Cells:
    status = obj.get("status", {})
    words = []
    if obj["metadata"].get("deletionTimestamp"):
        words.append("deleted")
    words.append("allocated" if status.get("allocation") else "pending")
    if status.get("reservedFor"):
        words.append("reserved")
    return [",".join(words), _age(obj, now)]


def _resource_slice(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    pool = (spec.get("pool") or {}).get("name", "")
    return [spec.get("nodeName", ""), spec.get("driver", ""), pool, _age(obj, now)]


_RBAC = "rbac.authorization.k8s.io"
_CELLS: dict[str, Callable[[Json, datetime], Cells]] = {
    "/componentstatuses": _component,
    "/configmaps": _config_map,
    "/endpoints": _endpoints,
    "/events": _event,
    "/namespaces": _namespace,
    "/nodes": _node,
    "/persistentvolumeclaims": _claim,
    "/persistentvolumes": _volume,
    "/pods": _pod,
    "/podtemplates": _pod_template,
    "/replicationcontrollers": _replica_set,
    "/resourcequotas": _quota,
    "/secrets": _secret,
    "/serviceaccounts": _service_account,
    "/services": _service,
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": _webhooks,
    "admissionregistration.k8s.io/validatingadmissionpolicies": _admission_policy,
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": _admission_binding,
    "admissionregistration.k8s.io/validatingwebhookconfigurations": _webhooks,
    "apiregistration.k8s.io/apiservices": _api_service,
    "apps/controllerrevisions": _controller_revision,
    "apps/daemonsets": _daemon_set,
    "apps/deployments": _deployment,
    "apps/replicasets": _replica_set,
    "apps/statefulsets": _stateful_set,
    "autoscaling/horizontalpodautoscalers": _autoscaler,
    "batch/cronjobs": _cron_job,
    "batch/jobs": _job,
    "certificates.k8s.io/certificatesigningrequests": _signing_request,
    "coordination.k8s.io/leases": _lease,
    "discovery.k8s.io/endpointslices": _endpoint_slice,
    "flowcontrol.apiserver.k8s.io/flowschemas": _flow_schema,
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": _priority_level,
    "networking.k8s.io/ingressclasses": _ingress_class,
    "networking.k8s.io/ingresses": _ingress,
    "networking.k8s.io/ipaddresses": _ip_address,
    "networking.k8s.io/networkpolicies": _network_policy,
    "networking.k8s.io/servicecidrs": _service_cidr,
    "node.k8s.io/runtimeclasses": _of_field("handler"),
    "policy/poddisruptionbudgets": _disruption_budget,
    f"{_RBAC}/clusterrolebindings": _binding,
    f"{_RBAC}/rolebindings": _binding,
    "resource.k8s.io/deviceclasses": _only_age,
    "resource.k8s.io/resourceclaims": _claim_state,
    "resource.k8s.io/resourceclaimtemplates": _only_age,
    "resource.k8s.io/resourceslices": _resource_slice,
    "scheduling.k8s.io/priorityclasses": _priority_class,
    "storage.k8s.io/csidrivers": _csi_driver,
    "storage.k8s.io/csinodes": _csi_node,
    "storage.k8s.io/storageclasses": _storage_class,
    "storage.k8s.io/volumeattachments": _attachment,
    "storage.k8s.io/volumeattributesclasses": _of_field("driverName"),
}
