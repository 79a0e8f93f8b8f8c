"""Whether two policies record the same: found by proof, held against trying every class of request."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from checkers.kube.audit_policy import Attributes, Policy, PolicyError, evaluate, load_policy
from checkers.kube.policy.compare import compare
from checkers.kube.policy.events import alike, events_of
from checkers.kube.policy.universe import Universe
from checkers.kube.request_info import parse

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
METADATA = HEAD + "rules: [{level: Metadata}]\n"


def policy(text: str, version: tuple[int, int] = (1, 34)) -> Policy:
    return load_policy(text.encode(), version=version)


def rules(*lines: str, more: str = "") -> Policy:
    return policy(HEAD + more + "rules:\n" + "".join(f"- {line}\n" for line in lines))


CONFIGMAPS = '{level: Request, resources: [{group: "", resources: [configmaps]}]}'


def test_the_same_policy_written_otherwise_is_equal() -> None:
    one = rules(CONFIGMAPS, "{level: Metadata}")
    other = rules(
        '{level: Request, verbs: [get, list, watch], resources: [{resources: ["configmaps"]}]}',
        '{level: Request, resources: [{group: "", resources: [configmaps]}]}',
        "{level: Metadata, nonResourceURLs: ['*']}",
        "{level: Metadata}",
    )
    assert compare(one, other) == ()


def test_the_order_of_rules_makes_a_difference_and_the_request_shows_it() -> None:
    (difference,) = compare(rules(CONFIGMAPS, "{level: Metadata}"), rules("{level: Metadata}", CONFIGMAPS))
    assert difference.attributes.resource == "configmaps"
    assert (str(difference.one.level), str(difference.other.level)) == ("Request", "Metadata")
    assert difference.command == "kubectl create configmap x --from-literal=a=b"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (rules("{level: Metadata}", more="omitStages: [RequestReceived]\n"), rules("{level: Metadata}")),
        (rules("{level: Request}", more="omitManagedFields: true\n"), rules("{level: Request}")),
        (rules("{level: Metadata}"), rules("{level: Metadata, namespaces: ['*']}")),
        (rules("{level: Metadata}"), rules("{level: Metadata, users: ['*']}")),
        (rules("{level: Metadata}"), rules('{level: Metadata, resources: [{group: "", resources: ["*/*"]}]}')),
        (rules('{level: Metadata, resources: [{resources: ["pods"]}]}'), rules('{level: Metadata, resources: [{resources: ["pods/*"]}]}')),
        (rules("{level: Metadata, userGroups: [a]}"), rules("{level: Metadata, userGroups: [a, b]}")),
        (rules("{level: None, users: [jane]}", "{level: Metadata}"), rules("{level: Metadata}")),
        (rules("{level: None}"), rules("{level: Metadata, users: ['*']}")),
        (rules("{level: None}"), rules("{level: Metadata, userGroups: ['*']}")),
        (rules("{level: None}"), rules("{level: Metadata, resources: [{resources: [pods], resourceNames: ['*']}]}")),
        (rules("{level: Metadata, nonResourceURLs: [/api*]}"), rules("{level: Metadata, nonResourceURLs: [/api/*]}")),
    ],
    ids=range(12),
)  # fmt: skip
def test_a_difference_is_found_from_both_sides_and_is_one(one: Policy, other: Policy) -> None:
    for a, b in ((one, other), (other, one)):
        found = compare(a, b)
        assert found
        for difference in found:
            assert not alike(
                evaluate(a, difference.attributes), evaluate(b, difference.attributes), events_of(difference.attributes)
            )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (rules("{level: Metadata}", more="omitManagedFields: true\n"), rules("{level: Metadata}")),
        (rules("{level: None}", more="omitStages: [RequestReceived]\n"), rules("{level: None}")),
        (
            rules("{level: None, users: [a]}", "{level: Metadata}"),
            rules("{level: None, users: [a]}", "{level: Metadata}", "{level: Request, users: ['*']}"),
        ),
    ],
)
def test_what_leads_to_the_same_events_is_equal(one: Policy, other: Policy) -> None:
    assert compare(one, other) == ()


PODS = "users: [a], resources: [{resources: [pods]}]"
CONFIGMAP = "users: [a], resources: [{resources: [configmaps]}]"
STARTED = "omitStages: [ResponseStarted]"
HEALTH = "users: [a], nonResourceURLs: ['/healthz*']"


@pytest.mark.parametrize(
    ("one", "more"),
    [
        (f"level: Request, verbs: [get], {PODS}", "omitManagedFields: true"),
        (f"level: Request, verbs: [patch, delete, list], {PODS}", "omitManagedFields: true"),
        (f"level: RequestResponse, verbs: [watch], {PODS}", "omitManagedFields: true"),
        (f"level: RequestResponse, {HEALTH}", "omitManagedFields: true"),
        ("level: RequestResponse, users: [a], resources: [{resources: [pods/exec]}]", "omitManagedFields: true"),
        ("level: Request, users: [a], resources: [{resources: [pod]}]", "omitManagedFields: true"),
        (f"level: Metadata, verbs: [create], {CONFIGMAP}", STARTED),
        (f"level: Metadata, verbs: [get], {HEALTH}", STARTED),
    ],
)
def test_what_cannot_show_in_an_event_is_no_difference(one: str, more: str) -> None:
    assert compare(rules(f"{{{one}}}"), rules(f"{{{one}, {more}}}")) == ()
    assert compare(rules(f"{{{one}, {more}}}"), rules(f"{{{one}}}")) == ()


@pytest.mark.parametrize(
    ("one", "shown"),
    [
        (f"level: Metadata, {PODS}", "watch"),
        ("level: Metadata, users: [a], resources: [{resources: [pods/log]}]", "get"),
        ("level: Metadata, users: [a], nonResourceURLs: ['/debug/*']", "get"),
        # Seen of a real server: the method alone makes it long-running.
        (f"level: Metadata, {HEALTH}", "proxy"),
    ],
)
def test_the_start_of_an_answer_is_shown_by_a_long_running_request(one: str, shown: str) -> None:
    found = compare(rules(f"{{{one}}}"), rules(f"{{{one}, {STARTED}}}"))[0].attributes
    assert found.verb == shown
    assert found.verb in ("watch", "proxy") or found.subresource == "log" or found.path.startswith("/debug/pprof/")


def test_where_a_401_alone_differs_that_one_is_shown() -> None:
    one = "level: Metadata, verbs: [create], resources: [{resources: [configmaps]}]"
    [found] = compare(rules(f"{{{one}}}"), rules(f"{{{one}, {STARTED}}}"))
    assert found.attributes.user is None
    assert not found.of_managed_fields


@pytest.mark.parametrize(("verb", "how"), [("create", "create --raw"), ("update", "replace --raw")])
def test_managed_fields_at_request_are_shown_by_an_object_that_has_them(verb: str, how: str) -> None:
    one = f"level: Request, verbs: [{verb}], {CONFIGMAP}"
    [found] = compare(rules(f"{{{one}}}"), rules(f"{{{one}, omitManagedFields: true}}"))
    assert found.of_managed_fields
    assert '"managedFields": [{' in found.command
    assert how in found.command


def test_managed_fields_in_an_answer_are_shown_by_an_object_that_exists() -> None:
    one = "level: RequestResponse, verbs: [get], resources: [{resources: [configmaps]}]"
    [found] = compare(rules(f"{{{one}}}"), rules(f"{{{one}, omitManagedFields: true}}"))
    assert found.command == "kubectl create configmap x --from-literal=a=b; kubectl get configmaps x"


def test_the_long_running_requests_are_those_of_the_server() -> None:
    for method, path in (
        ("GET", "/api/v1/namespaces/x/pods/y/log"),
        ("POST", "/api/v1/namespaces/x/pods/y/exec"),
        ("GET", "/api/v1/watch/pods"),
        ("GET", "/api/v1/namespaces/x/pods/y"),
        ("GET", "/debug/pprof/heap"),
        ("WATCH", "/healthz"),
        ("GET", "/healthz"),
    ):
        info = parse(method, path, {})
        asked = Attributes(
            "a", (), info.verb, info.group, info.resource, info.subresource, info.namespace, info.name,
            "" if info.is_resource else info.path,
        )  # fmt: skip
        assert ("ResponseStarted" in events_of(asked).stages) is info.long_running, path


def test_a_star_for_the_group_counts_from_1_36() -> None:
    star = policy(HEAD + "rules: [{level: Metadata, resources: [{group: '*'}]}]\n", (1, 36))
    assert compare(star, policy(HEAD + "rules: [{level: Metadata, namespaces: [a]}]\n", (1, 36)))
    with pytest.raises(PolicyError):
        policy(HEAD + "rules: [{level: Metadata, resources: [{group: '*'}]}]\n")


def test_recorded_policies_are_told_apart_as_by_trying_every_request(shared: Path) -> None:
    """A sample of pairs of policies that a real API server loads; each also against itself with a rule taken out."""
    dice = random.Random(7)
    files = sorted((shared / "golden/policy/policies").glob("*.yaml"))
    checked = 0
    for file in dice.sample(files, 12):
        one = load_policy(file.read_bytes())
        other = load_policy(dice.choice(files).read_bytes())
        less = Policy(one.rules[:-1] or one.rules, one.omit_stages, one.omit_managed_fields)
        for a, b in ((one, other), (one, less), (one, one)):
            requests = tried(a, b)
            if requests is None:
                continue
            differ = [r for r in requests if not alike(evaluate(a, r), evaluate(b, r), events_of(r))]
            found = compare(a, b)
            assert bool(found) == bool(differ), (file, differ[:1])
            assert all(
                not alike(evaluate(a, d.attributes), evaluate(b, d.attributes), events_of(d.attributes)) for d in found
            )
            checked += 1
    assert checked > 12


def tried(a: Policy, b: Policy) -> list[Attributes] | None:
    """Return a request of every class that the two tell apart; None where there are too many to try."""
    universe = Universe(Policy(a.rules + b.rules), [])
    if len(universe.identities()) * len(universe.namespaces) > 8:
        return None
    return list(universe.requests(most_groups=2))
