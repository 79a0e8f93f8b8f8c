"""Owns what in a request that a person wrote down no real request has, and what is likely meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from checkers.kube.audit_policy import Attributes
from checkers.kube.policy.identity import ANONYMOUS, AUTHENTICATED, SERVICE_ACCOUNT, UNAUTHENTICATED, service_account
from checkers.kube.policy.universe import is_non_resource
from checkers.kube.request_info import UnreadableUrl, parse

_VERSION = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")


def as_meant(attributes: Attributes) -> Attributes:
    """Return the request with its subresource where that belongs: `pods/log` as a resource is no request's."""
    resource, slash, subresource = attributes.resource.partition("/")
    if not slash or attributes.subresource:
        return attributes
    return replace(attributes, resource=resource, subresource=subresource)


def oddities(given: Attributes) -> Iterator[str]:
    """Yield what is odd about a request as it was given, each with what to write."""
    meant = as_meant(given)
    if meant != given:
        apart = f'"resource": {json.dumps(meant.resource)}, "subresource": {json.dumps(meant.subresource)}'
        yield f"the resource {given.resource!r} is read as {apart}"
    elif "/" in given.resource:
        yield f"no request has the resource {given.resource!r}: it has a slash"
    if given.verb != given.verb.lower():
        yield f"no request has the verb {given.verb!r}: verbs are in lower case (get, list, create, …)"
    group, _, version = given.group.rpartition("/")
    if _VERSION.fullmatch(version) or given.group == "core":
        yield f'no API group is called {given.group!r}: write "group": {json.dumps(group)}'
    if given.resource and given.path:
        yield f"the path {given.path!r} does not count beside a resource"
    elif given.path and not given.path.startswith("/"):
        yield f"no request has the path {given.path!r}: a path starts with /"
    elif given.path and not is_non_resource(given.path):
        yield f"{given.path!r} is the path of a request for a resource: write {_of_path(given.path)}"


def _of_path(path: str) -> str:
    """Return the fields of the request that a path means, as they are written."""
    try:
        info = parse("GET", path, {})
    except UnreadableUrl:
        return '"resource" in place of "path"'
    fields = ("group", "resource", "subresource", "namespace", "name")
    written = [f"{json.dumps(f)}: {json.dumps(value)}" for f in fields if (value := getattr(info, f))]
    return f'{", ".join(written)} in place of "path"' if written else '"resource" in place of "path"'


def with_usual_groups(attributes: Attributes) -> Attributes:
    """Return the request with the groups that the API server puts its user into."""
    user = attributes.user
    if user is None or UNAUTHENTICATED in attributes.groups:
        return attributes
    usual: tuple[str, ...] = (AUTHENTICATED,)
    if user == ANONYMOUS:
        usual = (UNAUTHENTICATED,)
    elif user.startswith(SERVICE_ACCOUNT) and user.count(":") == 3:
        usual = service_account(user).groups
    missing = tuple(group for group in usual if group not in attributes.groups)
    return replace(attributes, groups=(*attributes.groups, *missing))
