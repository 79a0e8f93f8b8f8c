"""Owns /healthz, /livez and /readyz: the checks that the real server lists, and whether they pass.

Source: golden/exchanges (get --raw /readyz?verbose) and golden/discovery/root-paths.json.gz.
"""

from __future__ import annotations

from .answers import page_not_found, text
from .http import HttpRequest, Response

_HOOKS = [
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
]
_OPENAPI = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")


def _checks(*first: str) -> tuple[str, ...]:
    hooks = (f"poststarthook/{hook}" for hook in _HOOKS)
    return (*first, *hooks, "autoregister-completion", *(f"poststarthook/{hook}" for hook in _OPENAPI))


CHECKS = {
    "healthz": _checks("ping", "log", "etcd"),
    "livez": _checks("ping", "log", "etcd"),
    "readyz": (*_checks("ping", "log", "etcd", "etcd-readiness", "informer-sync"), "shutdown"),
}


class Health:
    """Says that all is well, until the server has been told to stop."""

    def __init__(self) -> None:
        self.stopping = False

    def answer(self, request: HttpRequest) -> Response | None:
        """Answer for a path under /healthz, /livez or /readyz; None for any other path."""
        group, slash, check = request.path.strip("/").partition("/")
        if group not in CHECKS or request.path.endswith("/"):
            return None
        if slash:
            if check not in CHECKS[group]:
                return page_not_found()
            if check in self._failing(group):
                return text(500, "internal server error: process is shutting down\n")
            return text(200, "ok")
        return self._all(group, request)

    def paths(self) -> list[str]:
        """Return every path that is served here."""
        return [
            f"/{group}{check}" for group, checks in CHECKS.items() for check in ("", *(f"/{name}" for name in checks))
        ]

    def _failing(self, group: str) -> tuple[str, ...]:
        return ("shutdown",) if self.stopping and group == "readyz" else ()

    def _all(self, group: str, request: HttpRequest) -> Response:
        excluded = set(request.query.get("exclude", ()))
        failing = [check for check in self._failing(group) if check not in excluded]
        lines = []
        for check in CHECKS[group]:
            if check in excluded:
                lines.append(f"[+]{check} excluded: ok")
            elif check in failing:
                lines.append(f"[-]{check} failed: reason withheld")
            else:
                lines.append(f"[+]{check} ok")
        unknown = sorted(excluded - set(CHECKS[group]))
        if unknown:
            names = ",".join(f'"{name}"' for name in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
        if failing:
            return text(500, "\n".join([*lines, f"{group} check failed", ""]))
        if "verbose" not in request.query:
            return text(200, "ok")
        return text(200, "\n".join([*lines, f"{group} check passed", ""]))
