"""Owns the cells of services, of what stands behind them, and of networking.k8s.io."""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from .words import NONE, Cells, CellsOf, age, first, labels_text, selector_text


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
        outside = ",".join(external) or NONE
    ports = [
        f"{p.get('port')}:{p['nodePort']}/{p.get('protocol')}"
        if p.get("nodePort")
        else f"{p.get('port')}/{p.get('protocol')}"
        for p in spec.get("ports") or []
    ]
    return [
        kind,
        spec.get("clusterIP") or NONE,
        outside,
        ",".join(ports) or NONE,
        age(obj, now),
        labels_text(spec.get("selector")),
    ]


def _endpoints(obj: Json, now: datetime) -> Cells:
    found: list[str] = []
    for subset in obj.get("subsets") or []:
        addresses = subset.get("addresses") or []
        ports = subset.get("ports") or []
        found += [f"{a['ip']}:{p['port']}" for p in ports for a in addresses] if ports else [a["ip"] for a in addresses]
    return [first(found) or NONE, age(obj, now)]


def _endpoint_slice(obj: Json, now: datetime) -> Cells:
    ports = [str(p.get("port", "*")) for p in obj.get("ports") or []]
    addresses = [a for e in obj.get("endpoints") or [] for a in e.get("addresses") or []]
    return [obj.get("addressType", ""), first(ports) or "<unset>", first(addresses) or "<unset>", age(obj, now)]


def _ingress(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    hosts = [rule.get("host") or "*" for rule in spec.get("rules") or []]
    where = [i.get("ip") or i.get("hostname") or "" for i in (status.get("loadBalancer") or {}).get("ingress") or []]
    return [
        spec.get("ingressClassName") or NONE,
        first(hosts) or "*",
        ",".join(where),
        "80, 443" if spec.get("tls") else "80",
        age(obj, now),
    ]


def _ingress_class(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    parameters = spec.get("parameters")
    shown = NONE
    if parameters:
        group = parameters.get("apiGroup")
        shown = f"{parameters.get('kind')}{'.' + group if group else ''}/{parameters.get('name')}"
    return [spec.get("controller", ""), shown, age(obj, now)]


def _network_policy(obj: Json, now: datetime) -> Cells:
    return [selector_text(obj.get("spec", {}).get("podSelector")), age(obj, now)]


def _ip_address(obj: Json, now: datetime) -> Cells:
    parent = obj.get("spec", {}).get("parentRef") or {}
    parts = (parent.get("group"), parent.get("resource"), parent.get("namespace"), parent.get("name"))
    return ["/".join(p for p in parts if p)]


def _service_cidr(obj: Json, now: datetime) -> Cells:
    return [",".join(obj.get("spec", {}).get("cidrs") or []), age(obj, now)]


CELLS: dict[str, CellsOf] = {
    "/endpoints": _endpoints,
    "/services": _service,
    "discovery.k8s.io/endpointslices": _endpoint_slice,
    "networking.k8s.io/ingressclasses": _ingress_class,
    "networking.k8s.io/ingresses": _ingress,
    "networking.k8s.io/ipaddresses": _ip_address,
    "networking.k8s.io/networkpolicies": _network_policy,
    "networking.k8s.io/servicecidrs": _service_cidr,
}
