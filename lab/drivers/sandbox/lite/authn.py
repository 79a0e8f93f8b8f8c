"""Owns authentication: who sends a request, by certificate, by token or as nobody; and on whose behalf.

Source: kube-apiserver 1.34, and the users in golden/exchanges.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from .border import UserInfo
from .http import HttpRequest
from .tls import credential_id
from .tokens import Claims, InvalidToken, Tokens

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
MASTERS = "system:masters"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_ACCOUNT = "system:serviceaccount:"

Find = Callable[[str, str, str, str], Mapping[str, Any] | None]
"""Looks an object up by group, resource, namespace, name."""


class Unauthorized(Exception):
    """Credentials that are no good."""


class Authenticator:
    """Finds out who sends a request. `find` says whether a token's service account still exists."""

    def __init__(self, tokens: Tokens, find: Find, now: Callable[[], float], *, anonymous: bool = True) -> None:
        self._tokens = tokens
        self._find = find
        self._now = now
        self._anonymous = anonymous

    def authenticate(self, request: HttpRequest) -> UserInfo:
        """Return the user, raise Unauthorized where the credentials are bad, or missing and needed."""
        name = next((value for key, value in request.subject if key == "commonName"), "")
        if request.certificate is not None and name:
            groups = tuple(value for key, value in request.subject if key == "organizationName")
            return UserInfo(
                name, "", with_authenticated(groups), {CREDENTIAL_ID: (credential_id(request.certificate),)}
            )
        scheme, _, token = request.header("authorization").strip().partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return self.user_of_token(token.strip())[0]
        if self._anonymous:
            return UserInfo(ANONYMOUS, "", (UNAUTHENTICATED,))
        raise Unauthorized

    def user_of_token(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[UserInfo, tuple[str, ...]]:
        """Return whose token it is, and the audiences it is for. Raises Unauthorized."""
        try:
            claims, matching = self._tokens.read(token, now=int(self._now()), audiences=audiences)
        except InvalidToken as error:
            raise Unauthorized(str(error)) from None
        account = self._find("", "serviceaccounts", claims.namespace, claims.name)
        if account is None or account["metadata"].get("uid") != claims.uid:
            raise Unauthorized("service account UID does not match claim")
        return service_account_user(claims), matching


def service_account_user(claims: Claims) -> UserInfo:
    """Return the user that a service account is."""
    extra: dict[str, tuple[str, ...]] = {CREDENTIAL_ID: (f"JTI={claims.token_id}",)} if claims.token_id else {}
    if claims.node:
        extra["authentication.kubernetes.io/node-name"] = (claims.node[0],)
        extra["authentication.kubernetes.io/node-uid"] = (claims.node[1],)
    if claims.pod:
        extra["authentication.kubernetes.io/pod-name"] = (claims.pod[0],)
        extra["authentication.kubernetes.io/pod-uid"] = (claims.pod[1],)
    groups = with_authenticated(service_account_groups(claims.namespace))
    return UserInfo(f"{_ACCOUNT}{claims.namespace}:{claims.name}", claims.uid, groups, extra)


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups of every service account of a namespace."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def with_authenticated(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Add the group of all who have credentials."""
    return groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED)


def split_service_account(user: str) -> tuple[str, str] | None:
    """Return namespace and name of the service account that a user name stands for."""
    namespace, colon, name = user.removeprefix(_ACCOUNT).partition(":")
    return (namespace, name) if user.startswith(_ACCOUNT) and colon and namespace and name and ":" not in name else None


class ImpersonationError(Exception):
    """Impersonation headers that make no sense."""


Wanted = tuple[str, str, str, str, str]
"""What must be allowed with the verb impersonate: group, resource, subresource, namespace, name."""


def impersonation(headers: Mapping[str, list[str]]) -> tuple[UserInfo, list[Wanted]] | None:
    """Return whom a request is made as, and what its sender must be allowed for that; None without such headers.

    Raises ImpersonationError.
    """
    name = next(iter(headers.get("impersonate-user", ())), "")
    uid = next(iter(headers.get("impersonate-uid", ())), "")
    groups = tuple(headers.get("impersonate-group", ()))
    prefix = "impersonate-extra-"
    extra = {
        unquote(key[len(prefix) :]).lower(): tuple(values) for key, values in headers.items() if key.startswith(prefix)
    }
    if not name:
        if groups or extra or uid:
            asked = [f"{{Group  {group}    }}" for group in groups]
            raise ImpersonationError(f"requested [{' '.join(asked)}] without impersonating a user")
        return None
    wanted: list[Wanted] = []
    account = split_service_account(name)
    wanted.append(("", "serviceaccounts", "", *account) if account else ("", "users", "", "", name))
    wanted += [("", "groups", "", "", group) for group in groups]
    for key, values in extra.items():
        wanted += [("authentication.k8s.io", "userextras", key, "", value) for value in values]
    if uid:
        wanted.append(("authentication.k8s.io", "uids", "", "", uid))
    if account and not groups:
        groups = service_account_groups(account[0])
    if name == ANONYMOUS:
        groups = groups if UNAUTHENTICATED in groups else (*groups, UNAUTHENTICATED)
    elif UNAUTHENTICATED not in groups:
        groups = with_authenticated(groups)
    return UserInfo(name, uid, groups, extra), wanted


def source_ips(request: HttpRequest) -> list[str]:
    """Return the addresses a request came by: what proxies say, then the peer's."""
    found = [address for address in map(_address, request.header("x-forwarded-for").split(",")) if address]
    real = _address(request.header("x-real-ip"))
    if real and real not in found:
        found.append(real)
    if request.peer and (not found or found[-1] != request.peer):
        found.append(request.peer)
    return found


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""
