"""Owns the validation of where a pod may run and how names are looked up in it: affinity, tolerations, spread, DNS.

Source: Kubernetes 1.34, pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from checkers.kube.pods.decode import Path
from checkers.kube.pods.field_errors import FieldErrors, Named
from checkers.kube.pods.names import is_ip, label_problems, label_value_problems, length, qualified_name_problems

_AFFINITY = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
_IP_WORDS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_POLICIES = ("Honor", "Ignore")


def check_affinity(out: FieldErrors, affinity: Mapping[str, Any] | None) -> None:
    """Check spec.affinity: validateAffinity."""
    required, preferred = _AFFINITY
    for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity"):
        wish = (affinity or {}).get(kind)
        if wish is None:
            continue
        at: Path = ("spec", "affinity", kind)
        if kind == "nodeAffinity":
            if required in wish:
                _node_selector(out, wish[required], (*at, required, "nodeSelectorTerms"))
            for index, term in enumerate(wish.get(preferred) or ()):
                here: Path = (*at, preferred, index)
                _weight(out, term, here)
                _node_term(out, term.get("preference") or {}, (*here, "preference"), values=False)
            continue
        for index, term in enumerate(wish.get(required) or ()):
            _pod_term(out, term, (*at, required, index))
        for index, term in enumerate(wish.get(preferred) or ()):
            here = (*at, preferred, index)
            _weight(out, term, here)
            _pod_term(out, term.get("podAffinityTerm") or {}, (*here, "podAffinityTerm"))


def _weight(out: FieldErrors, term: Mapping[str, Any], at: Path) -> None:
    weight = term.get("weight", 0)
    if not 0 < weight <= 100:
        out.invalid((*at, "weight"), weight, "must be in the range 1-100")


def _node_selector(out: FieldErrors, selector: Mapping[str, Any], at: Path) -> None:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        out.required(at, "must have at least one node selector term")
    for index, term in enumerate(terms):
        _node_term(out, term, (*at, index), values=True)


def _node_term(out: FieldErrors, term: Mapping[str, Any], at: Path, *, values: bool) -> None:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        here: Path = (*at, "matchExpressions", index)
        out.operator(here, expression, numeric=True)
        out.qualified((*here, "key"), expression.get("key", ""))
        if values:
            out.label_values(here, expression.get("values") or ())
    for index, field in enumerate(term.get("matchFields") or ()):
        here = (*at, "matchFields", index)
        operator, wanted = field.get("operator", ""), field.get("values") or ()
        if operator not in ("In", "NotIn"):
            out.invalid((*here, "operator"), Named(operator), "not a valid selector operator")
        elif len(wanted) != 1:
            words = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            out.required((*here, "values"), words)
        if field.get("key", "") != "metadata.name":
            out.invalid((*here, "key"), field.get("key", ""), "not a valid field selector key")
            continue
        for number, name in enumerate(wanted):
            out.subdomain((*here, "values", number), name)


def _pod_term(out: FieldErrors, term: Mapping[str, Any], at: Path) -> None:
    selector = term.get("labelSelector")
    out.selector((*at, "labelSelector"), selector)
    out.selector((*at, "namespaceSelector"), term.get("namespaceSelector"))
    for index, name in enumerate(term.get("namespaces") or ()):
        out.each((*at, "namespace"), name, label_problems(name), at=(*at, "namespaces", index))
    match, mismatch = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            out.forbidden((*at, field), "must not be specified when labelSelector is not set")
            continue
        for index, key in enumerate(keys):
            out.qualified((*at, field, index), key)
    seen = set((selector or {}).get("matchLabels") or ())
    for expression in (selector or {}).get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in match and key in seen:
            index = len(match) - 1 - list(reversed(match)).index(key)
            words = "exists in both matchLabelKeys and labelSelector"
            out.invalid((*at[:-1], f"{at[-1]}[{index}]") if isinstance(at[-1], str) else (*at, index), key, words)
        seen.add(key)
    for index, key in enumerate(match):
        if key in mismatch:
            words = "exists in both matchLabelKeys and mismatchLabelKeys"
            out.invalid((*at, "matchLabelKeys", index), key, words)
    topology = term.get("topologyKey", "")
    if not topology:
        out.required((*at, "topologyKey"), "can not be empty")
    out.qualified((*at, "topologyKey"), topology)


def check_dns(out: FieldErrors, spec: Mapping[str, Any]) -> None:
    """Check spec.dnsConfig: validatePodDNSConfig."""
    config, at = spec.get("dnsConfig"), ("spec", "dnsConfig")
    servers: list[str] = (config or {}).get("nameservers") or []
    if spec["dnsPolicy"] == "None":
        if config is None:
            out.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not servers:
            words = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            out.required((*at, "nameservers"), words)
            return
    if len(servers) > 3:
        out.invalid((*at, "nameservers"), servers, "must not have more than 3 nameservers")
    for index, server in enumerate(servers):
        _ip(out, server, (*at, "nameservers", index))
    searches: list[str] = (config or {}).get("searches") or []
    if len(searches) > 32:
        out.invalid((*at, "searches"), searches, "must not have more than 32 search paths")
    if length(" ".join(searches)) > 2048:
        words = "must not have more than 2048 characters (including spaces) in the search list"
        out.invalid((*at, "searches"), searches, words)
    for index, search in enumerate(searches):
        out.subdomain((*at, "searches", index), search.removesuffix("."))
    for index, option in enumerate((config or {}).get("options") or ()):
        if not option.get("name"):
            out.required((*at, "options", index), "must not be empty")


def _ip(out: FieldErrors, text: str, at: Path) -> None:
    if not is_ip(text):
        out.invalid(at, text, _IP_WORDS)


def check_host_aliases(out: FieldErrors, aliases: Sequence[Mapping[str, Any]]) -> None:
    """Check spec.hostAliases: ValidateHostAliases."""
    for index, alias in enumerate(aliases):
        at: Path = ("spec", "hostAliases", index)
        _ip(out, alias.get("ip", ""), (*at, "ip"))
        for number, name in enumerate(alias.get("hostnames") or ()):
            out.subdomain((*at, "hostnames", number), name)


def check_gates(out: FieldErrors, spec: Mapping[str, Any]) -> None:
    """Check the gates of readiness and scheduling."""
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        at: Path = ("spec", "readinessGates", index, "conditionType")
        out.each(at, kind, qualified_name_problems(kind))
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name", "")
        at = ("spec", "schedulingGates", index)
        out.each(at, name, qualified_name_problems(name))
        if name in seen:
            out.duplicate(at, name)
        seen.add(name)


def check_spread(out: FieldErrors, constraints: Sequence[Mapping[str, Any]]) -> None:
    """Check spec.topologySpreadConstraints: validateTopologySpreadConstraints."""
    pairs = [(one.get("topologyKey", ""), one.get("whenUnsatisfiable", "")) for one in constraints]
    for index, constraint in enumerate(constraints):
        at: Path = ("spec", "topologySpreadConstraints", index)
        key, action = pairs[index]
        skew = constraint.get("maxSkew", 0)
        if skew <= 0:
            out.invalid((*at, "maxSkew"), skew, "must be greater than zero")
        if not key:
            out.required((*at, "topologyKey"), "can not be empty")
        out.choice((*at, "whenUnsatisfiable"), action, ("DoNotSchedule", "ScheduleAnyway"))
        if pairs[index] in pairs[index + 1 :]:
            out.duplicate((*at, "{topologyKey, whenUnsatisfiable}"), f"{{{key}, {action}}}")
        domains = constraint.get("minDomains")
        if domains is not None and domains <= 0:
            out.invalid((*at, "minDomains"), domains, "must be greater than zero")
        if domains is not None and action != "DoNotSchedule":
            words = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            out.invalid((*at, "minDomains"), domains, words)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if field in constraint:
                out.choice((*at, field), constraint[field], _POLICIES)
        _spread_keys(out, constraint, at)
        out.selector((*at, "labelSelector"), constraint.get("labelSelector"))


def _spread_keys(out: FieldErrors, constraint: Mapping[str, Any], at: Path) -> None:
    keys, selector = constraint.get("matchLabelKeys") or (), constraint.get("labelSelector")
    if not keys:
        return
    if selector is None:
        out.forbidden((*at, "matchLabelKeys"), "must not be specified when labelSelector is not set")
    selected = set((selector or {}).get("matchLabels") or ())
    selected |= {expression.get("key", "") for expression in (selector or {}).get("matchExpressions") or ()}
    for index, key in enumerate(keys):
        out.qualified((*at, "matchLabelKeys", index), key)
        if key in selected:
            words = "exists in both matchLabelKeys and labelSelector"
            out.invalid((*at, "matchLabelKeys", index), key, words)


def check_tolerations(
    out: FieldErrors, tolerations: Sequence[Mapping[str, Any]], path: Path = ("spec", "tolerations")
) -> None:
    """Check tolerations: ValidateTolerations."""
    for index, toleration in enumerate(tolerations):
        at: Path = (*path, index)
        key, operator, value, effect = (toleration.get(name, "") for name in ("key", "operator", "value", "effect"))
        if key:
            out.qualified((*at, "key"), key)
        elif operator != "Exists":
            words = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            out.invalid((*at, "operator"), Named(operator), words)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            words = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            out.invalid((*at, "effect"), Named(effect), words)
        if operator in ("", "Equal"):
            problems = label_value_problems(value)
            if problems:
                out.invalid((*at, "operator"), value, ";".join(problems))
        elif operator == "Exists":
            if value:
                out.invalid((*at, "operator"), value, "value must be empty when `operator` is 'Exists'")
        else:
            out.choice((*at, "operator"), operator, ("Equal", "Exists"))
        if effect:
            out.choice((*at, "effect"), effect, ("NoSchedule", "PreferNoSchedule", "NoExecute"))
