"""Owns how a counterexample is told: the sentence that describes a request, and the command that sends it."""

from __future__ import annotations

import json
import re
import shlex

from checkers.kube.audit_policy import Attributes, Decision, Level
from checkers.kube.builtin_resources import builtin_resources

_CONFIGS = {
    "system:kube-scheduler": "/etc/kubernetes/scheduler.conf",
    "system:kube-controller-manager": "/etc/kubernetes/controller-manager.conf",
    "kubernetes-super-admin": "/etc/kubernetes/super-admin.conf",
}
_ANONYMOUS = "system:anonymous"
_AUTHENTICATED = "system:authenticated"
_UNAUTHENTICATED = "system:unauthenticated"
_CA = "/etc/kubernetes/pki/ca"
_IMAGE = "registry.k8s.io/pause:3.10"
_METHODS = {
    "create": "POST",
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
    "": "OPTIONS",
}
_CREATE = {
    "configmaps": "create configmap {} --from-literal=a=b",
    "secrets": "create secret generic {} --from-literal=a=b",
    "namespaces": "create namespace {}",
    "serviceaccounts": "create serviceaccount {}",
    "deployments": f"create deployment {{}} --image={_IMAGE}",
    "services": "create service clusterip {} --tcp=80",
    "pods": f"run {{}} --image={_IMAGE}",
}


def describe(attributes: Attributes, decision: Decision, least: Level | None, most: Level | None) -> str:
    """Say in one sentence what becomes of a request that is not treated as wished."""
    said = request_words(attributes)
    if decision.rule is None:
        return f"{said}: not recorded, no rule matches"
    by = f"rule {decision.rule.index} (line {decision.rule.line}) matches first"
    if decision.level is Level.NONE:
        return f"{said}: not recorded, {by}"
    if least is not None and decision.level >= least and "ResponseComplete" not in decision.stages:
        return f"{said}: recorded at {decision.level}, but not at the stage ResponseComplete; {by}"
    if most is not None and decision.level > most:
        return f"{said}: recorded at {decision.level}, more than {most}; {by}"
    return f"{said}: recorded at {decision.level}, {by}"


def request_words(attributes: Attributes) -> str:
    """Name a request: who, what, where."""
    user = attributes.user or "somebody unauthenticated"
    if not attributes.is_resource:
        return f"{attributes.verb} {attributes.path} by {user}"
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    if attributes.group:
        resource = f"{resource} ({attributes.group})"
    verb = attributes.verb or "OPTIONS on"
    where = ""
    if attributes.namespace and attributes.resource != "namespaces":
        where = f" in namespace {attributes.namespace}"
    elif attributes.verb in ("list", "watch") and _is_namespaced(attributes):
        where = " in all namespaces"
    named = f" {attributes.name}" if attributes.name else ""
    return f"{verb} {resource}{named}{where} by {user}"


def _is_namespaced(attributes: Attributes) -> bool:
    builtin = builtin_resources().get((attributes.group, attributes.resource))
    return builtin is not None and builtin.namespaced


def command_for(
    attributes: Attributes, *, server: str = "https://127.0.0.1:6443", node: str = "cks-control-plane"
) -> str:
    """Return a command line for a control-plane node that sends this request, as this user."""
    user = attributes.user or ""
    if user == _ANONYMOUS:
        return _curl(attributes, server, "-k")
    if user == "system:apiserver":
        return "grep -m1 system:apiserver /var/log/audit/audit.log  # the API server sends it to itself"
    prefix, kubectl = _as_user(attributes, server, node)
    if not attributes.is_resource:
        return prefix + _other(attributes, kubectl)
    return prefix + (_kubectl(attributes, kubectl) or _proxied(attributes, kubectl))


def command_with_managed_fields(
    attributes: Attributes, *, server: str = "https://127.0.0.1:6443", node: str = "cks-control-plane"
) -> str:
    """Return a command line that creates or replaces, as this user, with managed fields in what is sent."""
    body = shlex.quote(managed_fields_body(attributes))
    if attributes.user == _ANONYMOUS:
        method = _METHODS[attributes.verb]
        return f"curl -k -X {method} -H 'Content-Type: application/json' -d {body} {server}{_path(attributes)}"
    prefix, kubectl = _as_user(attributes, server, node)
    how = "create" if attributes.verb == "create" else "replace"
    return f"{prefix}echo {body} | {kubectl} {how} --raw {_path(attributes)} -f -"


def command_on_existing(
    attributes: Attributes, *, server: str = "https://127.0.0.1:6443", node: str = "cks-control-plane"
) -> str:
    """Return a command line that sends this request, for an object that the administrator makes before, if need be."""
    create = _CREATE.get(attributes.resource) if attributes.group in ("", "apps") else None
    command = command_for(attributes, server=server, node=node)
    if create is None or attributes.subresource or attributes.verb not in ("get", "delete"):
        return command
    return f"kubectl {create.format(shlex.quote(attributes.name or 'x'))}{_place(attributes)}; {command}"


def managed_fields_body(attributes: Attributes) -> str:
    """Return an object with managed fields, which is whatever kind its URL says."""
    manager = {"manager": "me", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}
    return json.dumps({"metadata": {"name": attributes.name or "x", "managedFields": [manager]}})


def _as_user(attributes: Attributes, server: str, node: str) -> tuple[str, str]:
    """Return what has to be done before, and how kubectl is called, for requests to be this user's."""
    user = attributes.user or ""
    if user == "kubernetes-admin" and set(attributes.groups) <= {"kubeadm:cluster-admins", "system:authenticated"}:
        return "", "kubectl"
    config = _CONFIGS.get(user)
    if user == f"system:node:{node}" and set(attributes.groups) <= {"system:nodes", "system:authenticated"}:
        config = "/etc/kubernetes/kubelet.conf"
    if config:
        return "", f"kubectl --kubeconfig {config}"
    bare = f"kubectl --kubeconfig /dev/null --server {server} --certificate-authority {_CA}.crt"
    if user.startswith("system:serviceaccount:") and user.count(":") == 3:
        return "", f'{bare} --token "$({_token(user)})"'
    return _certificate(attributes), f"{bare} --client-certificate /tmp/who.crt --client-key /tmp/who.key"


def _token(user: str) -> str:
    _, _, namespace, name = user.split(":")
    return f"kubectl create token {shlex.quote(name)} -n {shlex.quote(namespace)}"


def _certificate(attributes: Attributes) -> str:
    """Return the command that makes a certificate for this user in these groups."""
    groups = set(attributes.groups)
    if attributes.user != _ANONYMOUS and _UNAUTHENTICATED not in groups:
        # Everybody else is put into it.
        groups.discard(_AUTHENTICATED)
    names = [*(("O", group) for group in attributes.groups if group in groups), ("CN", attributes.user or "")]
    subject = "".join(f"/{key}=" + re.sub(r"([\\/+])", r"\\\1", name) for key, name in names)
    return (
        f"openssl req -x509 -CA {_CA}.crt -CAkey {_CA}.key -newkey rsa:2048 -nodes -days 1 "
        f"-subj {shlex.quote(subject)} -keyout /tmp/who.key -out /tmp/who.crt 2>/dev/null; "
    )


def client_options(attributes: Attributes) -> tuple[str, str]:
    """Return what has to be done before, and the options with which curl is this user; None is one with a bad token."""
    user, groups = attributes.user, attributes.groups
    if user is None:
        return "", "-k -H 'Authorization: Bearer nobody'"
    if user == _ANONYMOUS and groups == (_UNAUTHENTICATED,):
        return "", "-k"
    if user.startswith("system:serviceaccount:") and user.count(":") == 3 and "system:serviceaccounts" in groups:
        return "", f'--cacert {_CA}.crt -H "Authorization: Bearer $({_token(user)})"'
    return _certificate(attributes), f"--cacert {_CA}.crt --cert /tmp/who.crt --key /tmp/who.key"


def _place(attributes: Attributes) -> str:
    if not attributes.namespace or attributes.namespace == "default" or attributes.resource == "namespaces":
        return ""
    return f" -n {shlex.quote(attributes.namespace)}"


def _kubectl(attributes: Attributes, kubectl: str) -> str | None:
    """Return the kubectl command that a person would type; None where there is none."""
    builtin = builtin_resources().get((attributes.group, attributes.resource))
    if builtin is None:
        return None
    name, verb = shlex.quote(attributes.name or "x"), attributes.verb
    place = _place(attributes)
    plain = attributes.resource
    if attributes.group not in ("", "apps", "batch"):
        plain = f"{attributes.resource}.{attributes.group}"
    if attributes.subresource:
        return _on_subresource(attributes, kubectl, name, place, plain)
    create = _CREATE.get(attributes.resource) if attributes.group in ("", "apps") else None
    if verb == "create":
        return f"{kubectl} {create.format(name)}{place}" if create else None
    if verb in ("list", "watch"):
        everywhere = " -A" if builtin.namespaced and not attributes.namespace else place
        by_name = f" --field-selector metadata.name={name}" if attributes.name else ""
        listed = f"{kubectl} get {plain}{everywhere}{by_name}"
        return listed if verb == "list" else f"timeout 3 {listed} --watch-only"
    if verb == "get":
        return f"{kubectl} get {plain} {name}{place}"
    if verb == "delete":
        return f"{kubectl} delete {plain} {name}{place}"
    if create and attributes.resource != "namespaces" and verb in ("patch", "update"):
        made = f"{kubectl} {create.format(name)}{place}; "
        if verb == "update":
            return f"{made}{kubectl} get {plain} {name}{place} -o yaml | {kubectl} replace -f -"
        change = '{"data":{"a":"c"}}' if attributes.resource == "configmaps" else '{"metadata":{"labels":{"a":"b"}}}'
        return f"{made}{kubectl} patch {plain} {name}{place} --type=merge -p '{change}'"
    return None


def _on_subresource(attributes: Attributes, kubectl: str, name: str, place: str, plain: str) -> str | None:
    kind = (attributes.resource, attributes.subresource, attributes.verb)
    if kind == ("pods", "log", "get"):
        return f"{kubectl} get --raw {_path(attributes)}"
    if kind == ("serviceaccounts", "token", "create"):
        return f"{kubectl} create token {name}{place}"
    if attributes.verb == "get":
        return f"{kubectl} get --raw {_path(attributes)}"
    if attributes.verb == "create":
        return f"echo '{{}}' | {kubectl} create --raw {_path(attributes)} -f -"
    return None


def _path(attributes: Attributes) -> str:
    """Return the URL's path, and query where the request needs one, quoted for a shell."""
    builtin = builtin_resources().get((attributes.group, attributes.resource))
    version = builtin.version if builtin else "v1"
    path = f"/apis/{attributes.group}/{version}" if attributes.group else f"/api/{version}"
    if attributes.namespace and (attributes.group, attributes.resource) != ("", "namespaces"):
        path += f"/namespaces/{attributes.namespace}"
    path += f"/{attributes.resource}"
    if attributes.verb in ("list", "watch"):
        queries = ["watch=true&timeoutSeconds=1"] if attributes.verb == "watch" else []
        if attributes.name:
            queries.append(f"fieldSelector=metadata.name%3D{attributes.name}")
        return shlex.quote(path + ("?" + "&".join(queries) if queries else ""))
    if attributes.name:
        path += f"/{attributes.name}"
    if attributes.subresource:
        path += f"/{attributes.subresource}"
    if attributes.verb == "deletecollection":
        # Nothing has this label, so nothing is deleted.
        path += "?labelSelector=nothing%3Dhere"
    return shlex.quote(path)


def _body(verb: str) -> str:
    if verb == "patch":
        return " -H 'Content-Type: application/merge-patch+json' -d '{}'"
    if verb in ("create", "update", "post", "put"):
        return " -H 'Content-Type: application/json' -d '{}'"
    return ""


def _curl(attributes: Attributes, server: str, options: str) -> str:
    if attributes.is_resource:
        method, path = _METHODS.get(attributes.verb, "OPTIONS"), _path(attributes)
    else:
        method, path = attributes.verb.upper(), shlex.quote(attributes.path)
    if method == "HEAD":
        return f"curl {options} -I {server}{path}"
    chosen = "" if method == "GET" else f" -X {method}"
    if path.startswith("'"):
        return f"curl {options}{chosen}{_body(attributes.verb)} '{server}{path[1:]}"
    return f"curl {options}{chosen}{_body(attributes.verb)} {server}{path}"


def _proxied(attributes: Attributes, kubectl: str) -> str:
    """Return a request that kubectl has no command for, through its proxy."""
    sent = _curl(attributes, "http://127.0.0.1:8009", "-s")
    return f"{kubectl} proxy --port=8009 >/dev/null & sleep 1; {sent}; kill $!"


def _other(attributes: Attributes, kubectl: str) -> str:
    if attributes.verb == "get":
        return f"{kubectl} get --raw {shlex.quote(attributes.path)}"
    return _proxied(attributes, kubectl)
