"""The proof: what it finds in the answers that people write, and that it agrees with trying every request."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.kube.audit_policy import Attributes, GroupResources, Level, Policy, Rule, evaluate, load_policy
from checkers.kube.policy.commands import command_for
from checkers.kube.policy.universe import Universe, is_non_resource
from checkers.kube.policy_proof import Proof, Selector, Wish, prove

ROOT = Path(__file__).parents[2]
HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
CONFIGMAPS = "  resources: [{group: '', resources: [configmaps]}]\n"

EVERYTHING = [Wish(Selector.written(resources=("*",)), least=Level.METADATA)]
BODIES = [
    Wish(
        Selector(verbs=("create", "update", "patch"), api_groups=("",), resources=("configmaps",)), least=Level.REQUEST
    )
]
NO_MORE = [
    Wish(Selector(api_groups=("",), resources=("configmaps",)), most=Level.REQUEST),
    Wish(Selector.written(resources=("*",)), most=Level.METADATA),
]


def policy(rules: str, head: str = "", version: tuple[int, int] = (1, 34)) -> Policy:
    return load_policy((HEAD + head + "rules:\n" + rules).encode(), version=version)


def answers(given: Policy) -> tuple[bool, bool, bool]:
    return prove(given, EVERYTHING).holds, prove(given, BODIES).holds, prove(given, NO_MORE).holds


RIGHT = "- level: Request\n" + CONFIGMAPS + "- level: Metadata\n"


def test_the_right_answer_holds() -> None:
    assert answers(policy(RIGHT)) == (True, True, True)


def test_catch_all_first_hides_the_configmaps_rule() -> None:
    proof = prove(policy("- level: Metadata\n- level: Request\n" + CONFIGMAPS), BODIES)
    [found] = proof.counterexamples
    assert found.command == "kubectl create configmap x --from-literal=a=b"
    assert (found.rule, found.line, found.level) == (0, 4, Level.METADATA)
    assert found.attributes == Attributes(
        user="kubernetes-admin",
        groups=("kubeadm:cluster-admins", "system:authenticated"),
        verb="create",
        resource="configmaps",
        namespace="default",
    )
    assert "recorded at Metadata" in found.found
    assert "rule 0 (line 4)" in found.found


def test_a_rule_for_one_namespace_fails_in_another() -> None:
    proof = prove(policy("- level: Request\n  namespaces: [default]\n" + CONFIGMAPS + "- level: Metadata\n"), BODIES)
    found = proof.counterexamples[0]
    assert found.attributes.namespace == "kube-public"
    assert found.command == "kubectl create configmap x --from-literal=a=b -n kube-public"
    assert found.rule == 1


def test_a_rule_for_create_alone_fails_for_patch_and_update() -> None:
    given = policy("- level: Request\n  verbs: [create]\n" + CONFIGMAPS + "- level: Metadata\n")
    found = prove(given, BODIES).counterexamples[0]
    assert found.attributes.verb == "patch"
    assert "kubectl patch" in found.command
    for_patch = policy("- level: Request\n  verbs: [create, patch]\n" + CONFIGMAPS + "- level: Metadata\n")
    assert prove(for_patch, BODIES).counterexamples[0].attributes.verb == "update"


def test_a_star_is_no_wildcard_in_users_groups_verbs_and_namespaces() -> None:
    for field in ("users", "userGroups", "verbs", "namespaces"):
        proof = prove(policy(f"- level: Metadata\n  {field}: ['*']\n"), EVERYTHING)
        assert [c.rule for c in proof.counterexamples] == [None]
        assert proof.counterexamples[0].line is None
        assert "no rule matches" in proof.counterexamples[0].found


def test_an_omitted_completion_is_no_record() -> None:
    everywhere = policy(RIGHT, head="omitStages: [ResponseComplete]\n")
    assert answers(everywhere) == (False, False, True)
    assert "not at the stage ResponseComplete" in prove(everywhere, EVERYTHING).counterexamples[0].found
    in_a_rule = policy("- level: Request\n  omitStages: [ResponseComplete]\n" + CONFIGMAPS + "- level: Metadata\n")
    assert answers(in_a_rule) == (False, False, True)
    assert answers(policy(RIGHT, head="omitStages: [RequestReceived, ResponseStarted, Panic]\n")) == (True, True, True)


def test_a_level_above_is_only_too_much() -> None:
    whole = policy("- level: RequestResponse\n" + CONFIGMAPS + "- level: Metadata\n")
    assert answers(whole) == (True, True, False)
    assert prove(whole, NO_MORE).counterexamples[0].rule == 0


def test_more_than_asked_does_no_harm_where_no_stage_is_left() -> None:
    silent = policy(
        "- level: RequestResponse\n  users: [jane]\n"
        "  omitStages: [RequestReceived, ResponseStarted, ResponseComplete, Panic]\n" + RIGHT
    )
    assert answers(silent) == (False, False, True)


@pytest.mark.parametrize(
    ("rule", "user", "command"),
    [
        ("userGroups: [system:nodes]", "system:node:cks-control-plane", "kubectl --kubeconfig /etc/kubernetes/kubelet"),
        ("userGroups: [system:masters]", "kubernetes-super-admin", "kubectl --kubeconfig /etc/kubernetes/super-admin"),
        ("users: ['system:kube-scheduler']", "system:kube-scheduler", "kubectl --kubeconfig /etc/kubernetes/scheduler"),
        ("users: ['system:anonymous']", "system:anonymous", "curl -k -X POST"),
        ("userGroups: ['system:unauthenticated']", "system:anonymous", "curl -k -X POST"),
        ("users: [jane]", "jane", "openssl req -x509"),
        (
            "userGroups: ['system:serviceaccounts:dev']",
            "system:serviceaccount:dev:default",
            "kubectl --kubeconfig /dev/null",
        ),
        ("users: ['system:serviceaccount:dev:robot']", "system:serviceaccount:dev:robot", "kubectl --kubeconfig"),
    ],
)
def test_one_left_out_is_the_counterexample(rule: str, user: str, command: str) -> None:
    proof = prove(policy(f"- level: None\n  {rule}\n" + RIGHT), EVERYTHING)
    [found] = proof.counterexamples
    assert found.rule == 0
    assert found.attributes.user == user
    assert found.command.startswith(command)


def test_everybody_is_authenticated_or_anonymous() -> None:
    both = policy("- level: Metadata\n  userGroups: ['system:authenticated', 'system:unauthenticated']\n")
    assert prove(both, EVERYTHING).holds
    one = policy("- level: Metadata\n  userGroups: ['system:authenticated']\n")
    assert prove(one, EVERYTHING).counterexamples[0].attributes.user == "system:anonymous"


def test_a_wrong_group_never_matches_configmaps_and_is_not_too_much() -> None:
    for group in ("v1", "core", "apps", "batch"):
        given = policy(
            f"- level: Request\n  resources: [{{group: {group}, resources: [configmaps]}}]\n- level: Metadata\n"
        )
        assert answers(given) == (True, False, True), group


def test_core_is_not_everything() -> None:
    proof = prove(policy("- level: Metadata\n  resources: [{group: ''}]\n"), EVERYTHING)
    assert proof.counterexamples[0].attributes.group == "apps"
    assert proof.counterexamples[0].command.startswith("kubectl create deployment")


def test_a_resource_is_not_its_subresources() -> None:
    given = policy("- level: None\n  resources: [{group: '', resources: ['pods/log']}]\n- level: Metadata\n")
    found = prove(given, EVERYTHING).counterexamples[0]
    assert (found.attributes.resource, found.attributes.subresource, found.attributes.verb) == ("pods", "log", "get")
    assert found.command == "kubectl get --raw /api/v1/namespaces/default/pods/x/log"


def test_group_star_covers_every_group_from_1_36() -> None:
    rules = "- level: Request\n" + CONFIGMAPS + "- level: Metadata\n  resources: [{group: '*', resources: ['*']}]\n"
    assert answers(policy(rules, version=(1, 36))) == (True, True, True)
    narrow = "- level: Request\n  resources: [{group: '*', resources: [configmaps]}]\n- level: Metadata\n"
    found = prove(policy(narrow, version=(1, 36)), NO_MORE).counterexamples[0]
    assert "." in found.attributes.group


def test_resource_names_never_match_a_create() -> None:
    given = policy(
        "- level: Request\n  resources: [{group: '', resources: [configmaps], resourceNames: [x]}]\n- level: Metadata\n"
    )
    found = prove(given, BODIES).counterexamples[0]
    assert (found.attributes.verb, found.attributes.name) == ("create", "")


def test_all_eight_verbs_leave_the_odd_methods_out() -> None:
    verbs = "get, list, watch, create, update, patch, delete, deletecollection"
    given = policy("- level: Request\n" + CONFIGMAPS + f"- level: Metadata\n  verbs: [{verbs}]\n")
    [found] = prove(given, EVERYTHING).counterexamples
    assert found.attributes.verb == ""
    assert "-X OPTIONS" in found.command


def test_non_resource_urls_are_free_until_wished() -> None:
    given = policy("- level: None\n  nonResourceURLs: ['/healthz*']\n" + RIGHT)
    assert answers(given) == (True, True, True)
    everything = [Wish(Selector(), least=Level.METADATA)]
    found = prove(given, everything).counterexamples[0]
    assert (found.attributes.path, found.rule) == ("/healthz", 0)
    assert found.command == "kubectl get --raw /healthz"
    assert prove(given, [Wish(Selector(paths=("/version",)), least=Level.METADATA)]).holds


def test_the_first_wish_that_means_a_request_speaks_for_it() -> None:
    given = policy("- level: Request\n" + CONFIGMAPS + "- level: None\n")
    some = Wish(Selector(api_groups=("",), resources=("configmaps",)), least=Level.REQUEST)
    rest = Wish(Selector.written(resources=("*",)), most=Level.NONE)
    assert prove(given, [some, rest]).holds
    assert not prove(given, [rest, some]).holds


def test_the_server_and_the_node_of_a_lab_are_in_the_commands() -> None:
    given = policy("- level: None\n  users: ['system:anonymous']\n- level: Metadata\n")
    [found] = prove(given, EVERYTHING, server="https://127.0.0.1:8443").counterexamples
    assert "https://127.0.0.1:8443/" in found.command
    nodes = policy("- level: None\n  userGroups: [system:nodes]\n- level: Metadata\n")
    assert prove(nodes, EVERYTHING, node="n1").counterexamples[0].attributes.user == "system:node:n1"


# Against trying everything

USERS = ("kubernetes-admin", "jane", "system:anonymous", "system:node:n", "system:serviceaccount:dev:robot", "*")
GROUPS = ("system:nodes", "system:authenticated", "system:unauthenticated", "system:serviceaccounts", "developers")
VERBS = ("create", "get", "list", "patch", "*", "post", "delete")
API_GROUPS = ("", "apps", "shop.example.com", "v1")
RESOURCES = ("configmaps", "pods", "pods/log", "pods/*", "*/status", "*", "namespaces", "widgets", "deployments/scale")
NAMESPACES = ("default", "dev", "", "*")
NAMES = ("x", "dev", "")
PATHS = ("/healthz*", "/healthz", "/healthz/etcd", "/api*", "/apis/apps/v1", "*", "/version/*", "/*")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")


def some(words: tuple[str, ...], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.one_of(st.just(()), st.lists(st.sampled_from(words), min_size=1, max_size=most, unique=True).map(tuple))


@st.composite
def entry(draw: st.DrawFn, groups: tuple[str, ...]) -> GroupResources:
    resources = draw(some(RESOURCES))
    return GroupResources(draw(st.sampled_from(groups)), resources, draw(some(NAMES)) if resources else ())


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    star = draw(st.booleans())
    groups = (*API_GROUPS, "*") if star else API_GROUPS
    found = []
    for index in range(draw(st.integers(1, 5))):
        entries: tuple[GroupResources, ...] = ()
        namespaces: tuple[str, ...] = ()
        urls: tuple[str, ...] = ()
        if draw(st.booleans()):
            entries = tuple(
                GroupResources(
                    draw(st.sampled_from(groups)),
                    resources := draw(some(RESOURCES)),
                    draw(some(NAMES)) if resources else (),
                )
                for _ in range(draw(st.integers(0, 2)))
            )
            namespaces = draw(some(NAMESPACES))
        else:
            urls = draw(some(PATHS))
        found.append(
            Rule(
                index=index,
                line=index + 4,
                level=draw(st.sampled_from(Level)),
                users=draw(some(USERS)),
                user_groups=draw(some(GROUPS)),
                verbs=draw(some(VERBS)),
                resources=entries,
                namespaces=namespaces,
                non_resource_urls=urls,
                omit_stages=draw(st.sampled_from(((), (), (), ("ResponseComplete",), STAGES))),
                group_star=star,
            )
        )
    return tuple(found)


@st.composite
def wishes(draw: st.DrawFn) -> list[Wish]:
    plain = tuple(r for r in RESOURCES if "/" not in r)
    return [
        Wish(
            Selector(
                users=draw(some(USERS)),
                groups=draw(some(GROUPS)),
                verbs=draw(some(VERBS)),
                api_groups=draw(some(API_GROUPS)),
                resources=draw(some(plain)),
                subresources=draw(some(("", "status", "log"))),
                namespaces=draw(some(NAMESPACES)),
                names=draw(some(NAMES)),
                paths=draw(some(PATHS)),
            )
            if draw(st.booleans())
            else Selector(resources=draw(some(plain)), verbs=draw(some(VERBS))),
            least=draw(st.sampled_from((None, Level.METADATA, Level.REQUEST))),
            most=draw(st.sampled_from((None, Level.NONE, Level.METADATA, Level.REQUEST))),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]


def by_trying(given: Policy, wanted: list[Wish]) -> set[tuple[int, int | None]]:
    found = set()
    universe = Universe(given, [w.select for w in wanted])
    for request in universe.requests(most_groups=len(GROUPS)):
        index = next((i for i, w in enumerate(wanted) if w.select.matches(request)), None)
        if index is not None:
            decision = evaluate(given, request)
            if wanted[index].broken_by(decision):
                found.add((index, decision.rule.index if decision.rule else None))
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rules(), wishes(), st.sampled_from(((), (), ("ResponseComplete",))))
def test_the_proof_agrees_with_trying_every_class(
    found: tuple[Rule, ...], wanted: list[Wish], omit: tuple[str, ...]
) -> None:
    given = Policy(found, omit)
    proof = prove(given, wanted)
    assert {(c.wish_index, c.rule) for c in proof.counterexamples} == by_trying(given, wanted)
    check_each(given, wanted, proof)


def check_each(given: Policy, wanted: list[Wish], proof: Proof) -> None:
    """Every counterexample must be one when it is evaluated by itself."""
    for found in proof.counterexamples:
        decision = evaluate(given, found.attributes)
        assert decision == found.decision
        speaking = next(w for w in wanted if w.select.matches(found.attributes))
        assert speaking is found.wish
        assert speaking.broken_by(decision)
        assert found.command
        assert found.found


SEGMENTS = st.lists(st.sampled_from(("healthz", "etcd", "api", "apis", "v1", "version", "x", "", "appsx")), max_size=4)


@given(st.lists(st.sampled_from(PATHS), max_size=4, unique=True), SEGMENTS)
def test_every_path_is_like_one_that_is_tried(patterns: list[str], segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    if not is_non_resource(path):
        return
    rules = tuple(Rule(i, i, Level.METADATA, non_resource_urls=(p,)) for i, p in enumerate(patterns))
    universe = Universe(Policy(rules), [])

    def row(tried: str) -> list[bool]:
        return [r.matches(Attributes(path=tried)) for r in rules]

    assert row(path) in [row(tried) for tried in universe.paths()]


def test_commands_have_no_blank_left_by_a_missing_part() -> None:
    given = policy("- level: None\n")
    universe = Universe(given, [])
    commands = {command_for(r) for r in universe.requests()}
    assert len(commands) > 100
    assert [c for c in commands if re.search(r"  |\{\}(?!')|None", c)] == []


def test_the_answer_does_not_hang_on_the_order_of_sets() -> None:
    """Another process hashes words in another order, and has to show the same request."""
    rules = "- level: None\n  namespaces: [prod, staging, qa, blue]\n- level: Metadata\n"
    code = (
        "from tests.unit.test_policy_proof import EVERYTHING, policy, prove\n"
        f"print(prove(policy({rules!r}), EVERYTHING).counterexamples)"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
        ).stdout
        for seed in range(1, 5)
    }
    assert len(answers) == 1
