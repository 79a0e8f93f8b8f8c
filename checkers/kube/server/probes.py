"""Owns what the kubelet's probes do to an API server that runs: a liveness or startup probe that fails kills it.

Told only of probes whose answer is certain: a port or address nobody listens at, HTTP where TLS is spoken, a path that
is not there or that nobody may read without a certificate. Source: pkg/probe and pkg/kubelet/prober of 1.34;
kube-apiserver v1.34.4 asked without a certificate: tests/golden/server_probes.jsonl.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.kube.server.flags import Flags
from checkers.kube.static_pod import Container, Pod

# What RBAC lets everybody read: ClusterRole system:public-info-viewer.
_PUBLIC: Final = ("/livez", "/readyz", "/healthz", "/version", "/version/")
# Those that ask nobody else; none of them but RBAC lets everybody read anything.
_OWN_MODES: Final = frozenset(("AlwaysDeny", "Node", "RBAC"))
_LOOPBACK: Final = ("127.0.0.1", "::1")
_NAMES: Final = {"livenessProbe": "liveness", "startupProbe": "startup"}


def deadly_probe(pod: Pod, container: Container, flags: Flags) -> str | None:
    """Say which probe kills the server again and again, after how many seconds, and why; None where none does."""
    for field in ("startupProbe", "livenessProbe"):
        probe = container.raw.get(field)
        if probe is None:
            continue
        why = _why(probe, pod, container, flags)
        if why is not None and pod.restart_policy != "Never":
            after = probe.get("initialDelaySeconds", 0) + probe["failureThreshold"] * probe["periodSeconds"]
            return f"the {_NAMES[field]} probe fails ({why}): the kubelet kills the server about every {after} s"
    return None


def _why(probe: Mapping[str, Any], pod: Pod, container: Container, flags: Flags) -> str | None:
    """Return why a probe gets a bad answer; None where it gets a good one, or where that is not known."""
    action = probe.get("httpGet") or probe.get("tcpSocket")
    if action is None or not pod.host_network:
        return None
    port = _port(action.get("port", 0), container)
    if port is None:
        return None
    if port != flags.get_int("secure-port"):
        # Another program of the node may listen there, with answers of its own.
        return f"nothing listens at port {port}" if _is_free(port) else None
    if flags.get("bind-address").strip() in _LOOPBACK and action.get("host", "") not in (*_LOOPBACK, "localhost"):
        return f"the server listens at {flags.get('bind-address').strip()} only"
    if "httpGet" not in probe:
        return None
    if action["scheme"] != "HTTPS":
        return "Client sent an HTTP request to an HTTPS server"
    if any(header.get("name", "").lower() == "authorization" for header in action.get("httpHeaders") or ()):
        return None
    path = "/" + action["path"].partition("?")[0].removeprefix("/")
    modes = flags.get_list("authorization-mode") or ("AlwaysAllow",)
    if flags.get("authentication-config") or flags.get("authorization-config"):
        return None
    if not flags.get_bool("anonymous-auth"):
        return f"{path} answers 401: --anonymous-auth is false"
    if "AlwaysAllow" in modes:
        return f"{path} answers 401: nobody is anonymous with --authorization-mode=AlwaysAllow"
    if set(modes) <= _OWN_MODES and not ("RBAC" in modes and path in _PUBLIC):
        return f"{path} answers 403 to who shows no certificate"
    return None


def _port(port: int | str, container: Container) -> int | None:
    """Return a port's number; None for a name that no port of the container has: such a probe is thrown away."""
    if isinstance(port, int):
        return port
    return next((one.get("containerPort") for one in container.ports if one.get("name") == port), None)


def _is_free(port: int) -> bool:
    """Whether nothing of a control-plane node listens at a port, as kubeadm sets one up."""
    return port not in (22, 2379, 2380, 2381, 6443, 10248, 10249, 10250, 10256, 10257, 10259) and port < 30000
