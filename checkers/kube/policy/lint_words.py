"""Owns the lint of a rule's plain words: users, groups, verbs, namespaces and paths that mean nothing, or else.

Sources: kube-apiserver 1.34, pkg/audit/policy/checker.go; golden/policy. A star is a name like any other in users,
userGroups, verbs and namespaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache

from checkers.kube.audit_policy import STAGES, Attributes, GroupResources, Level, Policy, Rule, decision_of
from checkers.kube.builtin_resources import ALL_VERBS, builtin_resources
from checkers.kube.policy.events import alike, events_of
from checkers.kube.policy.finding import Finder, Finding, Path, Severity, flow, listed
from checkers.kube.policy.identity import SERVICE_ACCOUNT
from checkers.kube.policy.lint_reach import covers
from checkers.kube.policy.universe import METHODS, is_non_resource

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_GROUPS = frozenset(
    (
        "system:authenticated",
        "system:unauthenticated",
        "system:masters",
        "system:nodes",
        "system:serviceaccounts",
        "system:bootstrappers",
        "system:monitoring",
        "kubeadm:cluster-admins",
    )
)
_USERS = frozenset(
    (
        "system:anonymous",
        "system:kube-scheduler",
        "system:kube-controller-manager",
        "system:kube-proxy",
        "system:apiserver",
        "kubernetes-admin",
        "kubernetes-super-admin",
    )
)
# What people write for a verb, and the verbs that the API server knows it by.
_MEANT: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "annotate": ("patch",),
    "any": (),
    "apply": ("create", "patch"),
    "attach": ("get", "create"),
    "change": ("update", "patch"),
    "cordon": ("patch",),
    "cp": ("get", "create"),
    "describe": ("get", "list"),
    "drain": ("patch", "create"),
    "edit": ("patch", "update"),
    "exec": ("get", "create"),
    "expose": ("create",),
    "label": ("patch",),
    "log": ("get",),
    "logs": ("get",),
    "modify": ("update", "patch"),
    "port-forward": ("get", "create"),
    "portforward": ("get", "create"),
    "post": ("create",),
    "put": ("update",),
    "head": ("get",),
    "read": ("get", "list", "watch"),
    "remove": ("delete", "deletecollection"),
    "replace": ("update",),
    "rollout": ("get", "patch"),
    "run": ("create",),
    "scale": ("update", "patch"),
    "set": ("patch",),
    "taint": ("patch",),
    "top": ("get", "list"),
    "view": ("get", "list", "watch"),
    "write": ("create", "update", "patch", "delete"),
}
_SUBRESOURCE_OF = {
    "attach": "pods/attach",
    "cp": "pods/exec",
    "exec": "pods/exec",
    "log": "pods/log",
    "logs": "pods/log",
    "port-forward": "pods/portforward",
    "portforward": "pods/portforward",
    "scale": "deployments/scale",
}
_RBAC_ONLY = frozenset(("impersonate", "bind", "escalate", "approve", "sign", "use", "attest", "nonresource"))
_PATH_VERBS = {"list": "get", "watch": "get", "create": "post", "update": "put", "deletecollection": "delete"}
# The path prefix /api/v1/proxy/… makes this verb.
_OLD_VERBS = frozenset(("proxy",))


def word_findings(policy: Policy, find: Finder) -> Iterator[Finding]:
    """Yield what is found in the words of all rules, and in the stages that are left out."""
    for rule in policy.rules:
        at: Path = ("rules", rule.index)
        yield from _users(rule, at, find)
        yield from _verbs(policy, rule, at, find)
        yield from _namespaces(rule, at, find)
        yield from _names(rule, at, find)
        yield from _paths(rule, at, find)
    yield from _stages(policy, find)


def _star(word: str, field: str, path: Path, find: Finder, fix: str) -> Finding:
    said = "a star is no wildcard here" if word == "*" else "a star is no wildcard, not even at the end of a word, here"
    return find("star-is-literal", ERROR, path, f"`{field}` has {word!r}, and {said}: only that very word matches", fix)


# Who


def _users(rule: Rule, at: Path, find: Finder) -> Iterator[Finding]:
    for i, user in enumerate(rule.users):
        path = (*at, "users", i)
        if "*" in user:
            yield _star(user, "users", path, find, _instead_of_star(user))
        elif user in _GROUPS or user.startswith("system:serviceaccounts:"):
            message = f"{user} is a group, and no user is called so: the rule is not about its members"
            yield find("group-in-users", ERROR, path, message, f"userGroups: {flow([user])}")
        elif user == "":
            yield find("empty-word", ERROR, path, "no user has an empty name", "leave `users` out to mean everybody")
        elif user.startswith(SERVICE_ACCOUNT) and (user.count(":") != 3 or "" in user.split(":")):
            message = f"{user!r} is no service account's user name, which has a namespace and a name"
            yield find("bad-service-account", ERROR, path, message, f"{SERVICE_ACCOUNT}NAMESPACE:NAME")
    for i, group in enumerate(rule.user_groups):
        path = (*at, "userGroups", i)
        if "*" in group:
            yield _star(group, "userGroups", path, find, _instead_of_star(group))
        elif group in _USERS or group.startswith((SERVICE_ACCOUNT, "system:node:")):
            message = f"{group} is a user, and no group is called so"
            yield find("user-in-groups", ERROR, path, message, f"users: {flow([group])}")
        elif group == "":
            fix = "leave `userGroups` out to mean everybody"
            yield find("empty-word", ERROR, path, "no group has an empty name", fix)


def _instead_of_star(word: str) -> str:
    if word.startswith("system:node:"):
        return "userGroups: [system:nodes]"
    if word.startswith((SERVICE_ACCOUNT, "system:serviceaccounts:")):
        namespace = word.split(":")[2]
        group = "system:serviceaccounts" if "*" in namespace else f"system:serviceaccounts:{namespace}"
        return f"userGroups: {flow([group])}"
    if word == "*":
        return "leave the field out to mean everybody"
    return "name each, or a group that they are in"


# What they do


def _verbs(policy: Policy, rule: Rule, at: Path, find: Finder) -> Iterator[Finding]:
    about_paths = bool(rule.non_resource_urls)
    about_both = not (rule.resources or rule.namespaces or rule.non_resource_urls)
    known: frozenset[str] = frozenset(METHODS) if about_paths else ALL_VERBS
    if about_both:
        known = ALL_VERBS | frozenset(METHODS)
    for i, verb in enumerate(rule.verbs):
        if verb in known or verb in _OLD_VERBS:
            continue
        path = (*at, "verbs", i)
        if "*" in verb:
            yield _star(verb, "verbs", path, find, "leave `verbs` out to mean every verb")
        elif verb == "":
            fix = "leave `verbs` out to mean every verb"
            message = "the empty verb is that of OPTIONS and of unknown methods alone, not of every request"
            yield find("empty-word", WARNING, path, message, fix)
        elif verb.lower() in known:
            message = f"verbs are in lower case: {verb!r} matches no request"
            yield find("upper-case-verb", ERROR, path, message, f"write {verb.lower()}")
        elif about_paths and verb.lower() in _PATH_VERBS:
            message = f"{verb!r} is a verb of resources; of other paths it is the HTTP method in lower case"
            yield find("api-verb-for-paths", ERROR, path, message, f"write {_PATH_VERBS[verb.lower()]}")
        else:
            yield _unknown_verb(verb, known, path, find)
    if about_both and "post" in rule.verbs and "create" not in rule.verbs:
        message = "`post` is a verb of non-resource paths only; of resources it is `create`"
        yield find("http-verb", NOTE, (*at, "verbs", rule.verbs.index("post")), message, "add create")
    if "create" in rule.verbs and "get" not in rule.verbs:
        yield from _streams(policy, rule, at, find)


def _unknown_verb(verb: str, known: frozenset[str], path: Path, find: Finder) -> Finding:
    lower = verb.lower()
    if lower in ("post", "put", "head"):
        message = f"{verb!r} is an HTTP method; the verb of a request for a resource is another word"
        return find("http-verb", ERROR, path, message, f"write {_MEANT[lower][0]}")
    if lower in _RBAC_ONLY:
        message = f"{verb!r} is a verb of RBAC rules; no request carries it"
        return find("rbac-verb", ERROR, path, message, "name the verb of the request: get, list, create, update, …")
    meant = _MEANT.get(lower)
    if meant is not None:
        message = f"{verb!r} is no verb that a request carries"
        if not meant:
            return find("unknown-verb", ERROR, path, message, "leave `verbs` out to mean every verb")
        fix = f"write {', '.join(meant)}"
        if lower in _SUBRESOURCE_OF:
            fix += f", with the resource {_SUBRESOURCE_OF[lower]}"
        return find("kubectl-verb", ERROR, path, message, fix)
    several = verb.replace(",", " ").split()
    if len(several) > 1 and known.issuperset(several):
        message = f"{verb!r} is one word, and no verb"
        return find("unknown-verb", ERROR, path, message, f"verbs: {flow(several)}")
    close = _close_verb(lower, tuple(sorted(known)))
    usual = known & ALL_VERBS or known
    fix = f"write {close}" if close else f"one of {', '.join(sorted(usual))}"
    return find("unknown-verb", ERROR, path, f"{verb!r} is no verb: no request carries it", fix)


@lru_cache(maxsize=256)
def _close_verb(verb: str, known: tuple[str, ...]) -> str | None:
    found = get_close_matches(verb[:32], known, 1, 0.7)
    return found[0] if found else None


# kubectl asks for these with a GET, a WebSocket, since this release.
_STREAMS = {"pods/exec": "1.30", "pods/attach": "1.30", "pods/portforward": "1.31"}


def _streams(policy: Policy, rule: Rule, at: Path, find: Finder) -> Iterator[Finding]:
    for k, entry in enumerate(rule.resources):
        named = [r for r in entry.resources if r in _STREAMS and not _got_alike(policy, rule, k, r)]
        if entry.group == "" and named:
            since: dict[str, list[str]] = {}
            for word in named:
                since.setdefault(_STREAMS[word], []).append(word)
            told = ", and for ".join(f"{listed(words)} since {release}" for release, words in since.items())
            message = f"kubectl asks with a GET (a WebSocket) for {told}: its verb is get"
            path = (*at, "resources", k, "resources", entry.resources.index(named[0]))
            yield find("stream-comes-as-get", WARNING, path, message, "add get to `verbs`")


def _got_alike(policy: Policy, rule: Rule, item: int, word: str) -> bool:
    """Say whether the rules after it record the GET of a stream as this one records its POST, as the words show."""
    resource, _, subresource = word.partition("/")
    got = Attributes(verb="get", resource=resource, subresource=subresource, name="x")
    own, events = decision_of(policy, rule), events_of(got)
    stream = replace(rule, verbs=("get",), resources=(replace(rule.resources[item], resources=(word,)),))
    for later in policy.rules[rule.index + 1 :]:
        about = replace(later, users=(), user_groups=(), namespaces=(), resources=_of_any_name(later))
        if not about.matches(got):
            continue
        if not alike(own, decision_of(policy, later), events):
            return False
        if covers(later, stream):
            return True
    return alike(own, decision_of(policy, None), events)


def _of_any_name(rule: Rule) -> tuple[GroupResources, ...]:
    # A rule about namespaces is about resources alone.
    entries = tuple(replace(entry, resource_names=()) for entry in rule.resources)
    return entries or (GroupResources(resources=("*",)),) * bool(rule.namespaces)


# Where


def _namespaces(rule: Rule, at: Path, find: Finder) -> Iterator[Finding]:
    for i, namespace in enumerate(rule.namespaces):
        path = (*at, "namespaces", i)
        if "*" in namespace:
            fix = "leave `namespaces` out to mean all of them" if namespace == "*" else "name each namespace"
            yield _star(namespace, "namespaces", path, find, fix)
        elif namespace and _NAMESPACE.fullmatch(namespace) is None:
            message = f"no namespace can be called {namespace!r}: lower-case letters, digits and - only"
            likely = namespace.strip().lower()
            fix = f"write {likely}" if _NAMESPACE.fullmatch(likely) else "write the namespace's name"
            yield find("bad-namespace", ERROR, path, message, fix)
    if not rule.namespaces:
        return
    cluster, others = _by_scope(rule)
    path = (*at, "namespaces")
    if "" in rule.namespaces:
        if not cluster and rule.namespaces == ("",):
            message = "'' means requests in no namespace: cluster-scoped objects, and lists over all namespaces"
            yield find("empty-namespace", NOTE, path, message, "leave `namespaces` out to mean all of them")
    elif cluster:
        what = f"{listed(cluster)} {'are' if len(cluster) > 1 or cluster[0].endswith('s') else 'is'} in no namespace"
        severity, so = (WARNING, "the rule is not about those") if others else (ERROR, "so no request for them matches")
        fix = "put them into a rule without `namespaces`" if others else "leave `namespaces` out"
        yield find("namespaces-on-cluster-scoped", severity, path, f"{what}, {so}", fix)


def _by_scope(rule: Rule) -> tuple[list[str], bool]:
    """Return the cluster-scoped resources that a rule names, and whether it is about any other."""
    table = builtin_resources()
    cluster, others = [], not rule.resources
    for entry in rule.resources:
        others |= not entry.resources
        for word in entry.resources:
            found = table.get((entry.group, word.partition("/")[0]))
            # A namespace's own requests are in the namespace of its name.
            if found is None or found.namespaced or found.name == "namespaces":
                others = True
            else:
                cluster.append(word)
    return cluster, others


def _names(rule: Rule, at: Path, find: Finder) -> Iterator[Finding]:
    for k, entry in enumerate(rule.resources):
        path = (*at, "resources", k, "resourceNames")
        for i, name in enumerate(entry.resource_names):
            if "*" in name:
                yield _star(name, "resourceNames", (*path, i), find, "leave `resourceNames` out to mean every name")
            elif "/" in name:
                message = f"no object is called {name!r}: a name has no slash"
                yield find("bad-resource-name", ERROR, (*path, i), message, "put the namespace into `namespaces`")
        if not entry.resource_names or "" in entry.resource_names:
            continue
        if any("/" in word or word == "*" for word in entry.resources):
            # Subresources are created under a name.
            continue
        nameless = [verb for verb in ("create", "deletecollection") if verb in rule.verbs]
        if nameless:
            message = f"a {listed(nameless)} has no name of an object in its path, so `resourceNames` never fits it"
            severity = WARNING if set(rule.verbs) - set(nameless) else ERROR
            fix = f"put {listed(nameless)} into a rule without `resourceNames`"
            yield find("resource-names-with-create", severity, path, message, fix)
        lists = [verb for verb in ("list", "watch") if verb in rule.verbs]
        if lists:
            message = f"a {listed(lists)} has a name only with --field-selector metadata.name=NAME, others do not match"
            yield find("resource-names-with-list", NOTE, path, message, f"put {listed(lists)} into a rule of their own")


# Other paths


def _paths(rule: Rule, at: Path, find: Finder) -> Iterator[Finding]:
    for i, pattern in enumerate(rule.non_resource_urls):
        path = (*at, "nonResourceURLs", i)
        if "?" in pattern:
            message = "paths are compared without what follows a `?`"
            yield find("url-with-query", ERROR, path, message, f"write {pattern.partition('?')[0]}")
        elif pattern != "*" and not is_non_resource(pattern.rstrip("*")):
            message = f"{pattern} is a path of resources, which `nonResourceURLs` are not about"
            fix = "name the group and the resource in `resources`"
            yield find("url-of-resources", ERROR, path, message, fix)


# When


def _stages(policy: Policy, find: Finder) -> Iterator[Finding]:
    fix = "take ResponseComplete out of `omitStages`"
    everywhere = set(policy.omit_stages)
    if "ResponseComplete" in everywhere:
        place: Path = ("omitStages", policy.omit_stages.index("ResponseComplete"))
        yield find("completion-omitted", WARNING, place, _without_completion(everywhere), fix)
    for rule in policy.rules:
        omitted = everywhere | set(rule.omit_stages)
        if rule.level is Level.NONE or "ResponseComplete" not in rule.omit_stages:
            continue
        place = ("rules", rule.index, "omitStages", rule.omit_stages.index("ResponseComplete"))
        if not _left(omitted):
            said = f"every stage is left out, so rule {rule.index} records nothing at {rule.level}"
            yield find("all-stages-omitted", ERROR, place, said, f"{fix}, or write level: None")
        elif "ResponseComplete" not in everywhere:
            yield find("completion-omitted", WARNING, place, _without_completion(omitted), fix)


def _without_completion(omitted: set[str]) -> str:
    bodies = "has no body" if "Panic" in omitted else "has a body only where the API server panics"
    return f"events of a completed request are left out: what is recorded does not say how it ended, and {bodies}"


def _left(omitted: set[str]) -> Sequence[str]:
    """Return the stages that are let through."""
    return [stage for stage in STAGES if stage not in omitted]
