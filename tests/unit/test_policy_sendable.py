"""That two policies record the same of every request that can be sent: held against URLs put together at random."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checkers.kube.audit_policy import Attributes, Decision, GroupResources, Level, Policy, Rule, evaluate, load_policy
from checkers.kube.builtin_resources import builtin_resources
from checkers.kube.goyaml import decode
from checkers.kube.policy.compare import Difference, compare
from checkers.kube.policy.events import alike, events_of
from checkers.kube.policy.lint import lint
from checkers.kube.policy.lint_reach import hiders, impossible
from checkers.kube.policy.sendable import Sendable, url_of
from checkers.kube.request_info import UnreadableUrl, parse, query_of

from .test_policy_proof import some

STAR = ("*", "a")
USERS = ("*", "jane", "system:anonymous", "system:serviceaccount:dev:robot")
GROUPS = ("*", "system:authenticated", "system:unauthenticated", "system:nodes")
VERBS = ("*", "get", "create", "list", "watch", "proxy", "post", "")
API_GROUPS = ("", "apps", "*", "x.example.com")
RESOURCES = ("pods", "pod", "*", "pods/*", "pods/log", "*/*", "*/log", "namespaces", "watch", "status", "")
NAMESPACES = ("*", "default", "", "Dev_1", "a b")
NAMES = ("*", "x", "..", "a%b")
PATHS = ("/healthz*", "/version", "*", "/api*")
STAGES = ((), (), ("RequestReceived",), ("ResponseStarted",), ("Panic",))


@st.composite
def rule(draw: st.DrawFn) -> Rule:
    what: dict[str, Any] = {}
    if draw(st.integers(0, 2)):
        entries = []
        for _ in range(draw(st.integers(0, 2))):
            resources = draw(some(RESOURCES))
            entries.append(
                GroupResources(draw(st.sampled_from(API_GROUPS)), resources, draw(some(NAMES)) if resources else ())
            )
        what = {"resources": tuple(entries), "namespaces": draw(some(NAMESPACES))}
    else:
        what = {"non_resource_urls": draw(some(PATHS))}
    return Rule(
        0,
        1,
        draw(st.sampled_from(Level)),
        users=draw(some(USERS)),
        user_groups=draw(some(GROUPS)),
        verbs=draw(some(VERBS)),
        omit_stages=draw(st.sampled_from(STAGES)),
        **what,
    )


def numbered(rules: list[Rule], star: bool) -> Policy:
    return Policy(tuple(replace(r, index=i, line=i + 1, group_star=star) for i, r in enumerate(rules)))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """Two policies of which one has a rule more, less, or elsewhere: mostly a small difference, often none."""
    rules = draw(st.lists(rule(), min_size=1, max_size=3))
    other = list(rules)
    at = draw(st.integers(0, len(rules) - 1))
    change = draw(st.sampled_from(("less", "more", "moved", "another")))
    if change in ("less", "moved", "another"):
        taken = other.pop(at)
        if change == "moved":
            other.append(taken)
    if change in ("more", "another"):
        other.insert(at, draw(rule()))
    star = draw(st.booleans())
    return numbered(rules, star), numbered(other, star)


SEGMENTS = (
    "namespaces", "pods", "pod", "*", "log", "status", "x", "watch", "proxy", "default", "Dev_1", "a b", "", "..", "nodes"
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "*", "BREW")


def a_request(choose: Callable[[Sequence[Any]], Any]) -> Attributes:
    """Return a request by anybody, to a URL put together at random, as a real server reads it."""
    start = choose(("/api/v1/", "/api/v1/", "/apis/apps/v1/", "/apis/x.example.com/v1/", "/apis/*/v1/", "/"))
    path = start + "/".join(choose(SEGMENTS) for _ in range(choose(range(1, 6))))
    path = choose((path, path, path, "/healthz/x", "/version", "/api"))
    query = choose(({}, {}, {"watch": ["1"]}, {"fieldSelector": ["metadata.name=*"]}))
    try:
        info = parse(choose(METHODS), path, query)
    except UnreadableUrl:
        info = parse("GET", "/version", {})
    user = choose((*USERS, "bob", None))
    groups = [choose((*GROUPS, "other")) for _ in range(choose(range(4)))] if user is not None else []
    if user not in (None, "system:anonymous") and "system:unauthenticated" not in groups:
        groups.append("system:authenticated")
    groups = list(dict.fromkeys(groups))
    if not info.is_resource:
        return Attributes(user=user, groups=tuple(groups), verb=info.verb, path=info.path)
    return Attributes(
        user, tuple(groups), info.verb, info.group, info.resource, info.subresource, info.namespace, info.name
    )


def requests(count: int) -> st.SearchStrategy[list[Attributes]]:
    """So many of them. Only their seed is drawn: hypothesis is slow at so many choices, and would make none of them clearer."""
    return st.integers(0, 1 << 32).map(lambda seed: _sent(random.Random(seed), count))


def _sent(random_: random.Random, count: int) -> list[Attributes]:
    return [a_request(random_.choice) for _ in range(count)]


def recorded_alike(request: Attributes, one: Decision, other: Decision) -> bool:
    """Say whether two decisions lead to the same events; only what exists is answered with an object."""
    events = events_of(request)
    if (request.group, request.resource) not in builtin_resources() and "." not in request.group:
        events = replace(events, managed_from=None)
    return alike(one, other, events)


def understood(difference: Difference) -> bool:
    """Say whether the URL that shows a difference means the request that is said to be told apart."""
    said = difference.attributes
    method, url = url_of(said)
    path, _, query = url.partition("?")
    info = parse(method, unquote(path), query_of(query))
    if not said.is_resource:
        return (info.verb, info.path) == (said.verb, said.path)
    found = (info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)
    return found == (said.verb, said.group, said.resource, said.subresource, said.namespace, said.name)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(pairs(), requests(60))
def test_what_is_equal_is_so_for_any_url(both: tuple[Policy, Policy], sent: list[Attributes]) -> None:
    one, other = both
    found = compare(one, other)
    for difference in found:
        said = difference.attributes
        assert (difference.one, difference.other) == (evaluate(one, said), evaluate(other, said))
        assert not recorded_alike(said, difference.one, difference.other)
        assert understood(difference)
    told = [r for r in sent if not recorded_alike(r, evaluate(one, r), evaluate(other, r))]
    assert found or not told, told[0]
    assert bool(found) == bool(compare(other, one))


MANY = [a_request(random.Random(number).choice) for number in range(2000)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(rule(), min_size=1, max_size=4), st.booleans(), requests(20))
def test_what_the_lint_calls_dead_is_so_for_any_url(rules: list[Rule], star: bool, sent: list[Attributes]) -> None:
    policy = numbered(rules, star)
    said = lint(policy, decode(b"{}"))
    dead = {f.rule for f in said if f.id == "rule-never-fires"}
    for request in (*sent, *MANY) if dead else ():
        decided = evaluate(policy, request).rule
        assert decided is None or decided.index not in dead, request
    for index in dead:
        assert index is not None
        assert impossible(policy.rules[index]) or hiders(policy, index)
    if any(f.message == "this policy records nothing of any request" for f in said):
        for request in (*sent, *MANY):
            stages = evaluate(policy, request).stages
            assert not stages if request.user is not None else "ResponseStarted" not in stages, request


def by_trying(one: Policy, other: Policy) -> list[Attributes]:
    """Return what tells two policies apart, of every combination of a few words, the star among them."""
    found = []
    places = [(r, n, ns, "") for r in ("pods", "widgets") for n in ("", "*", "x") for ns in ("*", "default")]
    for user in ("*", "jane"):
        for groups in (("*", "system:authenticated"), ("system:authenticated",)):
            for resource, name, namespace, group in places:
                for verb in ("get", "delete", "") if name else ("create", "list", ""):
                    found.append(Attributes(user, groups, verb, group, resource, "", namespace, name))
            found += [Attributes(user, groups, verb, path="/version") for verb in ("get", "*")]
    return [r for r in found if not alike(evaluate(one, r), evaluate(other, r), events_of(r))]


STARRED = st.builds(
    lambda users, groups, verbs, namespaces, names, about: Rule(
        0,
        1,
        Level.NONE,
        users=users,
        user_groups=groups,
        verbs=verbs,
        namespaces=namespaces if about else (),
        resources=(GroupResources("", ("pods",), names),) if about and names else (),
    ),
    *(st.sampled_from(((), ("*",), words)) for words in (("*", "jane"), ("*", "no"), ("*", "get"), ("*", "default"), ("*", "x"))),
    st.booleans(),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(STARRED, STARRED)
@example(Rule(0, 1, Level.NONE, verbs=("*",)), Rule(0, 1, Level.NONE, users=("*",), verbs=("*",)))
def test_a_star_tells_policies_apart_where_trying_them_does(first: Rule, second: Rule) -> None:
    catch_all = Rule(0, 1, Level.METADATA)
    one, other = numbered([first, catch_all], False), numbered([second, catch_all], False)
    if by_trying(one, other):
        assert compare(one, other)


HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"


def policy(*rules: str) -> Policy:
    return load_policy((HEAD + "".join(f"- {line}\n" for line in rules)).encode())


NONE_OF_ALL = "{level: None}"


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("{level: Metadata, namespaces: ['*']}", r"/namespaces/%2A/"),
        ("{level: Metadata, verbs: ['*'], nonResourceURLs: [/version]}", r"-X '\*' \S+/version"),
        ("{level: Metadata, verbs: [brew], nonResourceURLs: [/version]}", r"-X BREW \S+/version"),
        (
            "{level: Metadata, verbs: [proxy], resources: [{resources: [pods]}]}",
            r"/api/v1/proxy/namespaces/default/pods",
        ),
        ("{level: Metadata, resources: [{resources: [pod]}]}", r"/api/v1/(namespaces/default/)?pod\b"),
        ("{level: Metadata, resources: [{resources: [pods/logs]}]}", r"/pods/x?/logs"),
        ("{level: Metadata, resources: [{resources: ['*/*']}]}", r"/%2A"),
        ("{level: Metadata, resources: [{group: 'v1', resources: [pods]}]}", r"/apis/v1/v1/(namespaces/default/)?pods"),
        (
            "{level: Metadata, resources: [{group: 'x.example.com', resources: [status]}]}",
            r"/apis/x.example.com/v1/status",
        ),
        ("{level: Metadata, namespaces: [..]}", r"--path-as-is .*/namespaces/\.\./"),
    ],
)
def test_strange_requests_tell_policies_apart_and_are_shown_as_they_are_sent(rule: str, shown: str) -> None:
    for a, b in ((policy(rule), policy(NONE_OF_ALL)), (policy(NONE_OF_ALL), policy(rule))):
        found = compare(a, b)[0]
        assert re.search(shown, found.command), found.command
        assert understood(found)


KNOWN = "{level: Metadata, userGroups: ['system:authenticated', 'system:unauthenticated']}"
ANONYMOUS = "{level: Metadata, users: ['system:anonymous']}"


def test_a_request_with_a_bad_token_has_neither_user_nor_groups() -> None:
    [found] = compare(policy("{level: Metadata}"), policy(KNOWN))
    assert found.attributes.user is None
    assert found.command.startswith("curl -k -H 'Authorization: Bearer nobody' --path-as-is -X POST")


def test_a_401_has_one_event_alone_that_omitted_stages_can_take_away() -> None:
    def without(stages: str) -> Policy:
        return policy(KNOWN, ANONYMOUS, f"{{level: Metadata, omitStages: [{stages}]}}")

    assert compare(without("RequestReceived"), without("Panic, ResponseComplete")) == ()
    [found] = compare(without("RequestReceived"), without("ResponseStarted"))
    assert found.attributes.user is None


def test_a_certificate_names_the_groups_it_likes() -> None:
    [found] = compare(policy(ANONYMOUS), policy("{level: Metadata, userGroups: ['system:unauthenticated']}"))[:1]
    assert "/O=system:unauthenticated/CN=kubernetes-admin" in found.command or "/CN=system:anonymous" in found.command


def test_every_class_that_is_proven_over_can_be_sent() -> None:
    given = numbered(
        [
            Rule(0, 1, Level.METADATA, namespaces=NAMESPACES),
            Rule(
                0,
                1,
                Level.METADATA,
                resources=(GroupResources("", RESOURCES, NAMES), GroupResources("apps", RESOURCES)),
            ),
        ],
        False,
    )
    universe = Sendable(given, [])
    checked = 0
    for target in universe.targets():
        for verb in target.kind.verbs if target.cost >= 60 else ():
            for namespace in universe.where(verb, target.kind):
                said = Attributes(
                    "jane", (), verb, target.group, target.resource, target.subresource, namespace, target.name
                )
                assert understood(Difference(said, evaluate(given, said), evaluate(given, said), ""))
                checked += 1
    assert checked > 10_000
