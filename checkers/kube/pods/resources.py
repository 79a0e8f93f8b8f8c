"""Owns the validation of what containers ask for: amounts, huge pages, claims of devices, how they are resized.

Source: Kubernetes 1.34, pkg/apis/core/validation (validateResourceRequirements), pkg/apis/core/helper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.kube.pods.decode import Path
from checkers.kube.pods.field_errors import FieldErrors, Named, keyed
from checkers.kube.pods.names import qualified_name_problems, subdomain_problems
from checkers.kube.pods.quantity import Quantity, QuantityError, parse_quantity

_CONTAINER_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")
_COUNTS: Final = frozenset((
    "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets",
    "services", "services.loadbalancers", "services.nodeports",
))  # fmt: skip
_STANDARD_RESOURCES: Final = frozenset(
    (
        *_CONTAINER_RESOURCES,
        *_COUNTS,
        *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _CONTAINER_RESOURCES),
        "storage",
        "requests.storage",
    )
)


def check_resource_claims(out: FieldErrors, spec: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Check the pod's claims of devices: each names one of two sources."""
    names: set[str] = set()
    for index, claim in enumerate(spec.get("resourceClaims") or ()):
        at: Path = ("spec", "resourceClaims", index)
        if "kubernetes.io/config.mirror" in (meta.get("annotations") or {}):
            out.add(("",), "Forbidden: static pods do not support resource claims", at=at)
            continue
        name = claim.get("name", "")
        if not name:
            out.required((*at, "name"))
        elif name in names:
            out.duplicate((*at, "name"), name)
        else:
            out.label((*at, "name"), name)
            names.add(name)
        sources = ("resourceClaimName", "resourceClaimTemplateName")
        shown = {"Name": name, **{source[0].upper() + source[1:]: claim.get(source) for source in sources}}
        if all(source in claim for source in sources):
            out.invalid(at, shown, f"at most one of `{sources[0]}` or `{sources[1]}` may be specified")
        if not any(source in claim for source in sources):
            out.invalid(at, shown, f"must specify one of: `{sources[0]}`, `{sources[1]}`")
        for source in sources:
            if source in claim:
                out.each((*at, source), claim[source], subdomain_problems(claim[source]))


def check_resources(out: FieldErrors, resources: Mapping[str, Any], at: Path, claims: Sequence[str]) -> None:
    """Check a container's limits and requests; `claims` are the names of the pod's own claims."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, text in sorted(limits.items()):
        _amount(out, name, parse_quantity(text), (*at, "limits"))
    for name, text in sorted(requests.items()):
        amount = parse_quantity(text)
        _amount(out, name, amount, (*at, "requests"), limits.get(name), limits_at=(*at, "limits"))
    names = {*limits, *requests}
    if not names & {"cpu", "memory"} and any(name.startswith("hugepages-") for name in names):
        out.forbidden(at, "HugePages require cpu or memory")
    _claims(out, resources.get("claims") or (), (*at, "claims"), claims)


def _amount(
    out: FieldErrors, name: str, amount: Quantity, group: Path, limit_text: str | None = None, limits_at: Path = ()
) -> None:
    here, where = keyed(group, name), (*group, name)
    for problem in _name_problems(name):
        out.invalid(here, Named(name), problem, at=where)
    if amount.nano < 0:
        out.invalid(here, str(amount), "must be greater than or equal to 0", at=where)
    if (name in _COUNTS or _is_extended(name)) and amount.nano % 10**9:
        out.invalid(here, Named(str(amount)), "must be an integer", at=where)
    huge = name.startswith("hugepages-")
    if limits_at:
        overcommit = _is_native(name) and not huge
        if limit_text is None:
            if not overcommit:
                out.required(limits_at, "Limit must be set for non overcommitable resources", at=where)
        else:
            limit = parse_quantity(limit_text)
            if amount.nano != limit.nano and not overcommit:
                out.invalid(group, str(amount), f"must be equal to {name} limit of {limit}", at=where)
            elif amount.nano > limit.nano:
                out.invalid(group, str(amount), f"must be less than or equal to {name} limit of {limit}", at=where)
    if huge and not _fits_pages(name, amount):
        out.invalid(here, str(amount), f"{amount} is not positive integer multiple of {name}", at=where)


def _fits_pages(name: str, amount: Quantity) -> bool:
    try:
        size = parse_quantity(name.removeprefix("hugepages-"))
    except QuantityError:
        return False
    return size.nano > 0 and size.nano % 10**9 == 0 and amount.value % size.value == 0


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def _is_extended(name: str) -> bool:
    return not _is_native(name) and not name.startswith("requests.") and not qualified_name_problems(f"requests.{name}")


def _name_problems(name: str) -> list[str]:
    problems = qualified_name_problems(name)
    huge = name.startswith(("hugepages-", "requests.hugepages-"))
    if "/" not in name:
        if not problems and name not in _STANDARD_RESOURCES and not huge:
            problems.append("must be a standard resource type or fully qualified")
        if name not in _CONTAINER_RESOURCES and not name.startswith("hugepages-"):
            problems.append("must be a standard resource for containers")
    elif not _is_native(name) and not _is_extended(name):
        problems.append("doesn't follow extended resource name standard")
    return problems


def _claims(out: FieldErrors, claims: Sequence[Mapping[str, Any]], path: Path, of_pod: Sequence[str]) -> None:
    seen: list[str] = []
    for index, claim in enumerate(claims):
        name, request = claim.get("name", ""), claim.get("request", "")
        at: Path = (*path, index)
        if not name:
            out.required(at)
            continue
        if name in seen:
            out.duplicate(at, name)
        else:
            key = name
            if request:
                out.label((*at, "request"), request)
                key = f"{name}/{request}"
            if key in seen:
                out.duplicate(at, key)
            elif not request:
                for _ in [one for one in seen if "/" in one and one.partition("/")[0] == name]:
                    out.duplicate(at, name)
            seen.append(key)
        if name not in of_pod:
            known = f": {', '.join(sorted(set(of_pod)))}" if of_pod else " which is empty"
            out.not_found(at, name, f"must be one of the names in pod.spec.resourceClaims{known}")


def check_resize_policy(out: FieldErrors, policies: Sequence[Mapping[str, Any]], at: Path, pod_policy: str) -> None:
    """Check how a container may be resized: validateResizePolicy."""
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            out.duplicate((*at, index), Named(name))
        seen.add(name)
        out.chosen(at, name, ("cpu", "memory"))
        out.chosen(at, restart, ("NotRequired", "RestartContainer"))
        if pod_policy == "Never" and restart != "NotRequired":
            out.invalid(at, Named(restart), "must be 'NotRequired' when `restartPolicy` is 'Never'")
