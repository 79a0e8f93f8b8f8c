"""Owns who sends a request: a user with the groups that one called so is in, named so that people know who it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ANONYMOUS = "system:anonymous"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ADMIN = "kubernetes-admin"
ADMINS = "kubeadm:cluster-admins"
SUPER_ADMIN = "kubernetes-super-admin"
SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request, None for nobody known (401); `cost` says how unusual that is."""

    user: str | None
    groups: tuple[str, ...]
    cost: int


# The groups that a well-known user is in, and how unusual a request of theirs is.
_USUAL_GROUPS = {ADMIN: (ADMINS, 0), SUPER_ADMIN: ("system:masters", 4), "system:node": ("system:nodes", 5)}


def person(user: str, chosen: tuple[str, ...], free: Sequence[str]) -> Identity:
    """Return a user with the chosen ones of the named groups, and with the unnamed ones that the user is known for."""
    kind = "system:node" if user.startswith("system:node:") else user
    if kind in _USUAL_GROUPS:
        group, cost = _USUAL_GROUPS[kind]
        if group not in free:
            groups = (*chosen, group, AUTHENTICATED)
            return Identity(user, groups, cost if not chosen else cost + 6 + 4 * len(chosen))
        if chosen == (group,):
            return Identity(user, (*chosen, AUTHENTICATED), cost)
        return Identity(user, (*chosen, AUTHENTICATED), cost + 6 + 4 * len(chosen))
    cost = 6 if user in ("system:kube-scheduler", "system:kube-controller-manager") else 8
    return Identity(user, (*chosen, AUTHENTICATED), cost + 4 * len(chosen))


def service_account(user: str) -> Identity:
    """Return a service account with the groups that it is in."""
    namespace = user.split(":")[2]
    return Identity(user, ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED), 7)
