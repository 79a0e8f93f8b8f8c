"""Owns the answers that nothing stores: access reviews, who-am-I, token reviews and token requests.

Source: golden/exchanges (auth can-i, auth whoami, create token).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from .authn import Authenticator, Unauthorized
from .authz import Access, Authorizer, Objects, Rbac
from .border import Json, Request, UserInfo
from .status import failure, invalid, invalid_value
from .tokens import Claims, Tokens

_SHORTEST = 600
_LONGEST = 1 << 32


class Reviews:
    """Answers reviews from what the server knows: its authorizer, its tokens, its roles."""

    def __init__(
        self, authorizer: Authorizer, rbac: Rbac | None, authenticator: Authenticator, tokens: Tokens, objects: Objects
    ) -> None:
        self._authorizer = authorizer
        self._rbac = rbac
        self._authenticator = authenticator
        self._tokens = tokens
        self._objects = objects

    def answer(self, request: Request, review: Json) -> Json:
        """Return the review with its status filled in. Raises ApiError."""
        if request.resource == "serviceaccounts":
            return self._token(request, review)
        if request.resource == "selfsubjectreviews":
            return {**review, "status": {"userInfo": _user(request.user)}}
        if request.resource == "tokenreviews":
            return {**review, "status": self._token_review(review["spec"])}
        if request.resource == "selfsubjectrulesreviews":
            return self._rules(request, review)
        return self._access(request, review)

    def _access(self, request: Request, review: Json) -> Json:
        spec: Mapping[str, Any] = review.get("spec") or {}
        group = request.group
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if bool(resource) == bool(path):
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise invalid(group, review["kind"], "", [invalid_value("spec.resourceAttributes", None, why)])
        if request.resource == "selfsubjectaccessreviews":
            user = request.user
        else:
            extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
            user = UserInfo(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)
            if not user.name and not user.groups:
                why = "at least one of user or group must be specified"
                raise invalid(group, review["kind"], "", [invalid_value("spec.user", "", why)])
        decision = self._authorizer.decide(_wanted(user, resource, path))
        status: Json = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return {**review, "status": status}

    def _rules(self, request: Request, review: Json) -> Json:
        namespace = (review.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise failure(400, "BadRequest", "no namespace on request")
        resources: list[Json] = []
        paths: list[Json] = []
        for _, rule in self._rbac.rules(request.user, namespace) if self._rbac else ():
            if rule.get("resources"):
                kept = {key: rule[key] for key in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(key)}
                resources.append(kept)
            if rule.get("nonResourceURLs"):
                paths.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
        status = {"resourceRules": resources, "nonResourceRules": paths, "incomplete": self._rbac is None}
        return {**review, "spec": {}, "status": status}

    def _token_review(self, spec: Mapping[str, Any]) -> Json:
        token = spec.get("token", "")
        if not token:
            raise failure(400, "BadRequest", "token is required for TokenReview in authentication")
        try:
            user, audiences = self._authenticator.user_of_token(token, tuple(spec.get("audiences") or ()))
        except Unauthorized as error:
            return {"user": {}, "error": f"[{error}, token lookup failed]" if str(error) else "token lookup failed"}
        return {"authenticated": True, "user": _user(user), "audiences": list(audiences)}

    def _token(self, request: Request, review: Json) -> Json:
        spec: Mapping[str, Any] = review.get("spec") or {}
        seconds = int(spec["expirationSeconds"])
        if not _SHORTEST <= seconds <= _LONGEST:
            why = (
                "may not specify a duration less than 10 minutes"
                if seconds < _SHORTEST
                else "may not specify a duration larger than 2^32 seconds"
            )
            wrong = invalid_value("spec.expirationSeconds", seconds, why)
            raise invalid(request.group or "authentication.k8s.io", "TokenRequest", "", [wrong])
        account = self._objects.get("", "serviceaccounts", request.namespace, request.name)
        if account is None or not self._tokens.can_issue:
            raise failure(
                404,
                "NotFound",
                f'serviceaccounts "{request.name}" not found',
                {"name": request.name, "kind": "serviceaccounts"},
            )
        audiences = list(spec.get("audiences") or self._tokens.audiences)
        pod, node = self._bound(request, spec.get("boundObjectRef"))
        claims = Claims(request.namespace, request.name, account["metadata"]["uid"], str(uuid.uuid4()), pod, node)
        now = int(request.now.timestamp()) if request.now else int(time.time())
        token = self._tokens.issue(claims, audiences=audiences, now=now, seconds=seconds)
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + seconds))
        filled = {**spec, "audiences": audiences, "expirationSeconds": seconds}
        return {**review, "spec": filled, "status": {"token": token, "expirationTimestamp": ends}}

    def _bound(
        self, request: Request, ref: Mapping[str, Any] | None
    ) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
        if not ref or ref.get("kind") != "Pod":
            return None, None
        name = ref.get("name", "")
        pod = self._objects.get("", "pods", request.namespace, name)
        if pod is None:
            raise failure(404, "NotFound", f'pods "{name}" not found', {"name": name, "kind": "pods"})
        found = (name, pod["metadata"]["uid"])
        at = pod["spec"].get("nodeName", "")
        node = self._objects.get("", "nodes", "", at) if at else None
        return found, (at, node["metadata"]["uid"]) if node else None


def _wanted(user: UserInfo, resource: Mapping[str, Any] | None, path: Mapping[str, Any] | None) -> Access:
    if resource is None:
        assert path is not None
        return Access(user, path.get("verb", ""), path=path.get("path", ""))
    keys = ("group", "resource", "subresource", "namespace", "name")
    return Access(user, resource.get("verb", ""), *(resource.get(key, "") for key in keys))


def _user(user: UserInfo) -> Json:
    shown: Json = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {key: list(values) for key, values in sorted(user.extra.items())}
    return shown
