"""The lints of a policy: what they find, what they leave alone, and that "never fires" is true of every request."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.kube.audit_policy import Policy, PolicyError, Rule, evaluate, load_policy
from checkers.kube.builtin_resources import ALL_VERBS
from checkers.kube.goyaml import decode
from checkers.kube.policy.finding import Finding, Severity
from checkers.kube.policy.lint import MOST_FINDINGS, lint, lint_file
from checkers.kube.policy.lint_reach import ORDINARY, covers, hiders, impossible, reach
from checkers.kube.policy.refusal import why_refused
from checkers.kube.policy.universe import Universe

from ..golden.test_policy_recordings import attributes, lines
from .test_policy_proof import GROUPS, rules

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
CONFIGMAPS = "  resources: [{group: '', resources: [configmaps]}]\n"


def found(text: str, head: str = "", version: tuple[int, int] = (1, 34)) -> tuple[Finding, ...]:
    data = (HEAD + head + "rules:\n" + text).encode()
    return lint_file(load_policy(data, version=version), data)


def ids(text: str, head: str = "", version: tuple[int, int] = (1, 34)) -> set[str]:
    return {f.id for f in found(text, head, version)}


def the(name: str, text: str, head: str = "", version: tuple[int, int] = (1, 34)) -> Finding:
    """Return the one finding of that id."""
    [one] = [f for f in found(text, head, version) if f.id == name]
    return one


def rule_of(resources: str, level: str = "Metadata", more: str = "") -> str:
    return f"- level: {level}\n{more}  resources: [{resources}]\n"


class TestRulesThatNeverFire:
    def test_a_catch_all_first_hides_what_follows_and_is_named_with_its_line(self) -> None:
        text = "- level: Metadata\n- level: Request\n" + CONFIGMAPS
        hidden = the("rule-never-fires", text)
        assert (hidden.rule, hidden.line, hidden.path, hidden.severity) == (1, 5, "rules[1]", Severity.WARNING)
        assert "rule 0 (line 4) comes first and matches all that it matches" in hidden.message
        assert hidden.fix == "move it before rule 0: the first rule that matches decides"
        assert the("catch-all-not-last", text).rule == 0

    def test_a_rule_that_is_hidden_by_one_that_records_the_same_may_go(self) -> None:
        assert the("rule-never-fires", "- level: Metadata\n- level: Metadata\n" + CONFIGMAPS).fix.startswith(
            "remove it"
        )

    def test_a_rule_is_hidden_by_several_together(self) -> None:
        everybody = "".join(
            f"- level: Metadata\n  userGroups: ['system:{group}']\n" for group in ("authenticated", "unauthenticated")
        )
        hidden = the("rule-matches-nothing", everybody + "- level: Request\n" + CONFIGMAPS)
        assert hidden.severity is Severity.WARNING
        assert "rules 0 (line 4) and 1 (line 6) come first and together match all others" in hidden.message
        assert hidden.fix == "move it before rule 0: the first rule that matches decides"
        by_verbs = "- level: Metadata\n  verbs: [get]\n- level: Metadata\n  verbs: [list]\n"
        truly = the("rule-never-fires", by_verbs + "- level: Request\n  verbs: [list, get]\n" + CONFIGMAPS)
        assert "rules 0 (line 4) and 1 (line 6) come first and together match all that it matches" in truly.message

    def test_a_rule_that_is_left_the_401s_alone_says_so(self) -> None:
        known = "  userGroups: ['system:authenticated', 'system:unauthenticated']\n"
        text = "- level: Metadata\n" + known + "- level: Metadata\n  users: ['system:anonymous']\n- level: Request\n"
        odd, hidden = (f for f in found(text) if f.id == "rule-matches-nothing")
        assert (hidden.rule, hidden.severity) == (2, Severity.WARNING)
        assert hidden.message.startswith("rule 2 fires only for requests that end with a 401: rules 0 (line 4) and 1 ")
        # A certificate can be called so and be in no group.
        assert (odd.rule, "for odd requests only" in odd.message) == (1, True)

    def test_of_several_that_decide_only_those_that_are_needed_are_named(self) -> None:
        text = (
            "- level: None\n  verbs: [create]\n  users: [jane]\n"
            "- level: Metadata\n  resources: [{resources: ['*']}]\n"
            "- level: Request\n" + CONFIGMAPS
        )
        assert "rule 1 (line 7) comes first" in the("rule-never-fires", text).message

    def test_a_rule_that_one_group_of_users_can_reach_is_not_hidden(self) -> None:
        text = "- level: Metadata\n  userGroups: ['system:authenticated']\n- level: Request\n" + CONFIGMAPS
        assert "rule-never-fires" not in ids(text)

    def test_all_verbs_of_a_resource_hide_it_but_for_odd_methods(self) -> None:
        verbs = "create, get, list, patch, update, delete, watch, deletecollection"
        text = f"- level: Metadata\n  verbs: [{verbs}]\n" + CONFIGMAPS + "- level: Request\n" + CONFIGMAPS
        assert "rule-never-fires" not in ids(text)

    @pytest.mark.parametrize(
        ("rule", "fields"),
        [
            ("  verbs: ['*']\n", "has its `verbs`"),
            (
                "  verbs: [create]\n  resources: [{resources: [secrets], resourceNames: [a]}]\n",
                "fits its `verbs` and `resources` at once",
            ),
            ("  namespaces: [dev]\n  resources: [{resources: [nodes]}]\n", "fits its `resources` and `namespaces`"),
            (
                "  users: ['system:anonymous']\n  userGroups: ['system:authenticated']\n",
                "fits its `users` and `userGroups` at once",
            ),
            ("  verbs: [list]\n  nonResourceURLs: [/healthz]\n", "has its `verbs`"),
            ("  namespaces: [Dev]\n", "has its `namespaces`"),
        ],
    )
    def test_a_rule_that_contradicts_itself_says_which_fields_do(self, rule: str, fields: str) -> None:
        """All of these can be sent: by another method, to a path that is answered with 404, with a certificate."""
        dead = the("rule-matches-nothing", "- level: Request\n" + rule + "- level: Metadata\n")
        assert (dead.rule, dead.severity) == (0, Severity.ERROR)
        said = "rule 0 fires for odd requests only, mostly refused ones (401, 404, 405): none for anything real "
        assert dead.message.startswith(said + fields)

    @pytest.mark.parametrize(
        ("rule", "fields"),
        [
            ("  users: ['']\n", "users"),
            ("  verbs: [GET]\n", "verbs"),
            ("  namespaces: [a/b]\n", "namespaces"),
            ("  verbs: [head]\n" + CONFIGMAPS, "verbs"),
        ],
    )
    def test_a_rule_that_nothing_can_match_never_fires(self, rule: str, fields: str) -> None:
        dead = the("rule-never-fires", "- level: Request\n" + rule + "- level: Metadata\n")
        assert (dead.rule, dead.severity) == (0, Severity.ERROR)
        assert dead.message == f"rule 0 can never fire: no request has its `{fields}`"

    def test_resource_names_fit_the_creation_of_a_subresource(self) -> None:
        text = rule_of("{resources: [serviceaccounts/token], resourceNames: [a]}", more="  verbs: [create]\n")
        assert ids(text) == set()

    def test_a_rule_for_what_does_not_exist_is_said_to_fire_for_404s_only(self) -> None:
        text = rule_of("{resources: [configmap]}", "Request") + "- level: Metadata\n"
        assert ids(text) == {"rule-matches-nothing", "singular-resource"}
        assert the("rule-matches-nothing", text).fix == "write configmaps"

    def test_a_misspelt_name_beside_a_hidden_one_is_not_hidden(self) -> None:
        text = rule_of("{resources: [configmaps]}") + rule_of("{resources: [configmaps, configmap]}", "Request")
        one = the("rule-matches-nothing", text)
        assert "rule 0 (line 4) comes first and matches all others that it matches" in one.message
        assert one.fix.startswith("move it before rule 0")

    def test_a_custom_resource_may_exist(self) -> None:
        assert ids(rule_of("{group: example.com, resources: [widgets]}")) == set()

    def test_a_policy_with_too_much_for_a_proof_says_so(self) -> None:
        text = "".join(f"- level: Metadata\n  users: [user-{n}]\n" for n in range(300))
        assert ids(text) == {"too-big-to-prove"}

    def test_only_so_many_findings_are_told(self) -> None:
        assert len(found("- level: Metadata\n  verbs: [" + "x1, " * 1000 + "x2]\n")) <= MOST_FINDINGS


class TestRulesThatDoLess:
    def test_a_last_rule_of_none_changes_nothing(self) -> None:
        text = "- level: Metadata\n" + CONFIGMAPS + "- level: None\n"
        assert the("rule-changes-nothing", text).severity is Severity.NOTE

    def test_a_rule_before_one_that_records_the_same_changes_nothing(self) -> None:
        assert the("rule-changes-nothing", "- level: Metadata\n" + CONFIGMAPS + "- level: Metadata\n").rule == 0

    def test_a_rule_that_keeps_requests_from_one_between_changes_something(self) -> None:
        between = "- level: None\n  users: [jane]\n"
        assert ids("- level: Metadata\n" + CONFIGMAPS + between + "- level: Metadata\n") == set()

    def test_a_policy_that_records_nothing_says_so(self) -> None:
        assert "records-nothing" in ids("- level: None\n  nonResourceURLs: [/healthz*]\n")
        assert "records-nothing" not in ids("- level: Metadata\n")
        every = "omitStages: [RequestReceived, ResponseStarted, ResponseComplete, Panic]\n"
        last = "- level: Metadata\n"
        for text, head, fix in (
            (
                f"- level: Metadata\n  {every}" + last,
                "",
                "take ResponseComplete out of the `omitStages` of rule 0 (line 4)",
            ),
            (last, every, "take ResponseComplete out of the policy's `omitStages`"),
            ("- level: None\n", "", "write level: Metadata in rule 0 (line 4), which matches every request"),
            ("- level: None\n  users: [jane]\n", "", "end it with: - level: Metadata"),
        ):
            assert the("records-nothing", text, head).fix == fix
        odd = the("records-nothing", rule_of("{resources: [podz]}"))
        assert "nothing but odd requests" in odd.message
        assert "of any request" in the("records-nothing", "- level: Metadata\n  users: ['']\n").message

    def test_an_omitted_completion_is_told_once_where_it_stands(self) -> None:
        top = the("completion-omitted", "- level: Metadata\n" * 2, head="omitStages: [ResponseComplete]\n")
        assert (top.rule, top.line, top.path) == (None, 3, "omitStages[0]")
        inside = the("completion-omitted", "- level: Metadata\n  omitStages: [RequestReceived, ResponseComplete]\n")
        assert (inside.rule, inside.path) == (0, "rules[0].omitStages[1]")
        assert "has a body only where the API server panics" in top.message
        both = the("completion-omitted", "- level: Metadata\n  omitStages: [ResponseComplete, Panic]\n")
        assert both.message.endswith("and has no body")
        every = "- level: Metadata\n  omitStages: [RequestReceived, ResponseStarted, ResponseComplete, Panic]\n"
        assert "all-stages-omitted" in ids(every)

    def test_rules_that_name_each_verb_leave_over_the_empty_one(self) -> None:
        text = "".join(f"- level: Metadata\n  verbs: [{verb}]\n" for verb in sorted(ALL_VERBS))
        left = the("verbs-left-over", text)
        assert (left.rule, left.path, left.severity) == (7, "rules[7].verbs", Severity.WARNING)
        assert "that of OPTIONS and of unknown methods (405)" in left.message
        assert left.message.endswith("nor are POST, PUT, HEAD, OPTIONS and TRACE of other paths")
        assert left.fix == "end the policy with a rule that has no `verbs`: - level: Metadata"
        assert ids(text + "- level: Metadata\n  nonResourceURLs: ['*']\n") >= {"verbs-left-over"}
        assert "verbs-left-over" not in ids(text + "- level: None\n")
        assert "verbs-left-over" not in ids(text.replace("[watch]", "[watch]\n  users: [jane]"))


class TestShape:
    @pytest.mark.parametrize(
        ("items", "severity", "fix"),
        [
            ("[{group: ''}, {resources: [configmaps]}]", Severity.ERROR, '{group: "", resources: [configmaps]}'),
            ("[{resources: [configmaps]}, {group: ''}]", Severity.ERROR, '{group: "", resources: [configmaps]}'),
            (
                "[{group: ''}, {resources: [secrets], resourceNames: [a]}]",
                Severity.ERROR,
                '{group: "", resources: [secrets], resourceNames: [a]}',
            ),
            ("[{group: apps}, {resources: [deployments]}]", Severity.ERROR, "{group: apps, resources: [deployments]}"),
            ("[{group: a.io}, {resources: [orders]}]", Severity.WARNING, "{group: a.io, resources: [orders]}"),
        ],
    )
    def test_a_group_and_its_resources_that_a_dash_splits(self, items: str, severity: Severity, fix: str) -> None:
        split = the("split-item", f"- level: Metadata\n  resources: {items}\n")
        assert (split.severity, split.path, split.fix) == (severity, "rules[0].resources[1]", f"one item: {fix}")
        assert "about every resource of" in split.message

    @pytest.mark.parametrize(
        "items",
        [
            "[{group: apps}, {resources: [pods]}]",
            "[{group: ''}, {group: apps}]",
            "[{group: ''}, {group: apps, resources: [deployments]}]",
            "[{group: 'a.io'}, {resources: [pods]}]",
        ],
    )
    def test_items_that_may_well_be_meant_so_are_left_alone(self, items: str) -> None:
        assert "split-item" not in ids(f"- level: Metadata\n  resources: {items}\n")

    @pytest.mark.parametrize("more", ["---\n", "--- # the other\n", "...\n---\n", "...\n", "--- "])
    def test_a_second_document_is_read_by_nobody(self, more: str) -> None:
        text = "- level: Metadata\n" + more + "level: Request\n"
        second = the("second-document", text)
        assert (second.severity, second.rule) == (Severity.ERROR, None)
        assert second.line == 5 + more.count("...\n---")

    @pytest.mark.parametrize("more", ["---\n", "...\n", "---\n# nothing\n\n", "--- # nothing\n---\n", ""])
    def test_a_mark_with_nothing_behind_it_is_no_second_document(self, more: str) -> None:
        assert ids("- level: Metadata\n" + more) == set()
        data = ("# mine\n---\n" + HEAD + "rules: [{level: Metadata}]\n" + more).encode()
        assert lint_file(load_policy(data), data) == ()


class TestCredentials:
    def test_a_catch_all_at_request_records_secrets_and_token_reviews(self) -> None:
        shown = the("secret-bodies", "- level: Request\n")
        assert (shown.rule, shown.severity) == (0, Severity.WARNING)
        assert "secrets and token reviews" in shown.message
        assert "resources: [secrets]" in shown.fix

    def test_tokens_are_in_answers_only(self) -> None:
        token = "{resources: [serviceaccounts/token]}"
        assert "secret-bodies" not in ids(rule_of(token, "Request"))
        assert "tokens of service accounts" in the("secret-bodies", rule_of(token, "RequestResponse")).message

    def test_reading_shows_secrets_in_answers_only(self) -> None:
        reads = "  verbs: [get, list]\n"
        assert "secret-bodies" not in ids("- level: Request\n" + reads)
        assert "secret-bodies" in ids("- level: RequestResponse\n" + reads)
        assert "secret-bodies" not in ids("- level: RequestResponse\n  verbs: [watch]\n")

    def test_a_deleted_secret_can_be_the_answer(self) -> None:
        secrets = "{resources: [secrets]}"
        assert "secret-bodies" in ids(rule_of(secrets, "RequestResponse", "  verbs: [delete]\n"))
        assert "secret-bodies" not in ids(rule_of(secrets, "Request", "  verbs: [delete]\n"))

    def test_a_rule_before_it_that_keeps_them_at_metadata_is_enough(self) -> None:
        kept = rule_of(
            "{resources: [secrets, serviceaccounts/token]}, {group: authentication.k8s.io, resources: [tokenreviews]}"
        )
        assert "secret-bodies" not in ids(kept + "- level: RequestResponse\n")

    def test_without_the_completion_bodies_are_those_of_a_panic(self) -> None:
        text = rule_of("{resources: [secrets]}", "RequestResponse", "  omitStages: [ResponseComplete]\n")
        assert "secrets at RequestResponse, where the API server panics:" in the("secret-bodies", text).message
        assert "panics" not in the("secret-bodies", rule_of("{resources: [secrets]}", "RequestResponse")).message

    def test_without_the_completion_there_is_no_body(self) -> None:
        text = "- level: RequestResponse\n  omitStages: [ResponseComplete, Panic]\n"
        assert "secret-bodies" not in ids(text)


class TestFields:
    @pytest.mark.parametrize(
        ("rule", "path", "fix"),
        [
            ("  resource: [{group: ''}]\n", "rules[0].resource", "write `resources:`, a list"),
            ("  verb: get\n", "rules[0].verb", "write `verbs: [get]`"),
            ("  nonResourceUrls: [/a]\n", "rules[0].nonResourceUrls", 'write `nonResourceURLs: ["/a"]`'),
            ("  user: jane\n", "rules[0].user", "write `users: [jane]`"),
            ("  groups: [devs]\n", "rules[0].groups", "write `userGroups: [devs]`"),
            ("  namespace: dev\n", "rules[0].namespace", "write `namespaces: [dev]`"),
            ("  omitstages: [Panic]\n", "rules[0].omitstages", "write `omitStages: [Panic]`"),
            (
                "  resourceNames: [a]\n",
                "rules[0].resourceNames",
                "write it in an item of the rule's `resources`: `resourceNames: [a]`",
            ),
            ("  group: apps\n", "rules[0].group", "write it in an item of the rule's `resources`: `group: apps`"),
        ],
    )
    def test_a_field_of_a_rule_that_is_none(self, rule: str, path: str, fix: str) -> None:
        unknown = the("unknown-field", "- level: Request\n" + rule)
        assert (unknown.severity, unknown.line, unknown.path, unknown.fix) == (Severity.ERROR, 5, path, fix)

    def test_the_loss_is_told(self) -> None:
        whole = the("unknown-field", "- level: Request\n  resource: [{group: ''}]\n")
        assert "rule 0 is about every request" in whole.message
        core = the("unknown-field", "- level: Request\n  resources: [{resource: [secrets]}]\n")
        assert "every resource of the core group" in core.message
        named = the("unknown-field", "- level: Request\n  verb: [get]\n" + CONFIGMAPS)
        assert "the rule is about every verb" in named.message

    def test_a_field_of_the_rule_in_an_item(self) -> None:
        unknown = the("unknown-field", "- level: Request\n  resources: [{resources: [pods], verbs: [get]}]\n")
        assert unknown.path == "rules[0].resources[0].verbs"
        assert unknown.fix == "write it in the rule itself: `verbs: [get]`"

    def test_api_groups_of_rbac_are_meant_as_the_group(self) -> None:
        unknown = the(
            "unknown-field", "- level: Request\n  resources: [{apiGroups: [apps], resources: [deployments]}]\n"
        )
        assert unknown.fix == "write `group: apps`"

    def test_a_field_that_nobody_can_guess_is_a_warning(self) -> None:
        assert the("unknown-field", "- level: Metadata\n  comment: hello\n").severity is Severity.WARNING

    def test_the_api_version_is_read_in_any_case(self) -> None:
        data = (HEAD.replace("apiVersion", "APIVersion") + "rules:\n- level: Metadata\n").encode()
        [said] = lint_file(load_policy(data), data)
        assert "takes it for `apiVersion` all the same" in said.message

    def test_a_key_that_is_there_twice(self) -> None:
        twice = the("duplicate-field", "- level: None\n  level: Metadata\n")
        assert (twice.line, twice.path) == (5, "rules[0].level")
        data = b'{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"None",\n"level":"Metadata"}]}'
        [same] = lint_file(load_policy(data), data)
        assert (same.id, same.line, same.path) == ("duplicate-field", 2, "rules[0].level")


class TestResources:
    @pytest.mark.parametrize(
        ("entry", "name", "fix"),
        [
            ("{resources: [configmap]}", "singular-resource", "write configmaps"),
            ("{resources: [cm]}", "short-name", "write configmaps"),
            ("{resources: [ConfigMap]}", "kind-for-resource", "write configmaps"),
            ("{resources: [Secrets]}", "kind-for-resource", "write secrets"),
            ("{resources: [configmpas]}", "unknown-resource", "write configmaps"),
            ("{resources: [deploy]}", "short-name", "write {group: apps, resources: [deployments]}"),
            ("{resources: [deployments]}", "wrong-group", "group: apps"),
            ("{group: apps, resources: [configmaps, secrets]}", "wrong-group", 'group: ""'),
            ("{group: v1, resources: [configmaps]}", "wrong-group", 'group: ""'),
            ("{group: core, resources: [pods]}", "wrong-group", 'group: ""'),
            ("{group: rbac, resources: [roles]}", "wrong-group", "group: rbac.authorization.k8s.io"),
            ("{group: app, resources: [deployments]}", "wrong-group", "group: apps"),
            ("{resources: [pods/logs]}", "wrong-subresource", "write pods/log"),
            ("{resources: [pod/log]}", "singular-resource", "write pods/log"),
            ("{resources: [log]}", "wrong-subresource", "write pods/log"),
            ("{resources: ['*/logs']}", "wrong-subresource", 'write "*/log"'),
            ("{resources: ['*/*']}", "star-is-literal", 'write "*": it means subresources too'),
            ("{resources: ['config*']}", "star-is-literal", "name the resources"),
            ("{resources: [deployments.apps]}", "group-in-resource", "{group: apps, resources: [deployments]}"),
            ("{resources: ['']}", "empty-word", 'write "*" for all of the group'),
        ],
    )
    def test_a_resource_that_is_none_is_answered_with_the_right_one(self, entry: str, name: str, fix: str) -> None:
        assert (the(name, rule_of(entry)).severity, the(name, rule_of(entry)).fix) == (Severity.ERROR, fix)

    @pytest.mark.parametrize(
        "entry",
        [
            "{resources: ['pods/*', '*/status', 'pods/log']}",
            "{group: apps, resources: ['*', 'deployments/scale']}",
            "{group: shop.example.com, resources: [order, carts/extra]}",
            "{group: metrics.k8s.io, resources: [pods, nodes]}",
            "{group: snapshot.storage.k8s.io, resources: [volumesnapshots]}",
            "{group: gateway.networking.k8s.io, resources: [gateways]}",
            "{group: events.k8s.io, resources: [events]}",
            "{resources: [endpoints, events]}",
            "{}",
        ],
    )
    def test_what_is_right_or_may_be_a_custom_resource_is_left_alone(self, entry: str) -> None:
        assert ids(rule_of(entry)) == set()

    def test_a_misspelt_group_of_kubernetes_own_is_a_warning_since_an_add_on_may_be_called_so(self) -> None:
        wrong = the("wrong-group", rule_of("{group: rbac.authorisation.k8s.io}"))
        assert (wrong.severity, wrong.fix) == (Severity.WARNING, "group: rbac.authorization.k8s.io")

    def test_a_resource_without_a_name_is_in_a_path_with_two_slashes(self) -> None:
        assert "rule-matches-nothing" in ids(rule_of("{resources: ['']}"))

    def test_each_wrong_resource_has_its_place(self) -> None:
        text = "- level: Metadata\n  resources:\n  - group: ''\n    resources:\n    - pods\n    - secret\n"
        wrong = the("singular-resource", text)
        assert (wrong.line, wrong.path) == (9, "rules[0].resources[0].resources[1]")

    def test_only_the_resources_of_another_group_get_an_item_of_their_own(self) -> None:
        wrong = the("wrong-group", rule_of("{resources: [configmaps, deployments]}"))
        assert wrong.fix == "an item of its own: {group: apps, resources: [deployments]}"

    def test_what_was_removed_from_kubernetes_is_a_note(self) -> None:
        assert the("removed-group", rule_of("{group: extensions}")).severity is Severity.NOTE
        removed = the("removed-resource", rule_of("{group: policy, resources: [podsecuritypolicies]}"))
        assert removed.severity is Severity.NOTE

    def test_the_star_for_groups_is_known_from_1_36(self) -> None:
        assert ids(rule_of("{group: '*', resources: [configmaps]}"), version=(1, 36)) == set()
        assert ids(rule_of("{group: '*', resources: [cm]}"), version=(1, 36)) >= {"short-name"}


class TestWords:
    @pytest.mark.parametrize(
        ("field", "name", "fix"),
        [
            ("verbs: ['*']", "star-is-literal", "leave `verbs` out to mean every verb"),
            ("users: ['*']", "star-is-literal", "leave the field out to mean everybody"),
            (
                "users: ['system:node:*']",
                "star-is-literal",
                "userGroups: [system:nodes]",
            ),
            ("userGroups: ['*']", "star-is-literal", "leave the field out to mean everybody"),
            ("namespaces: ['*']", "star-is-literal", "leave `namespaces` out to mean all of them"),
            ("namespaces: ['kube-*']", "star-is-literal", "name each namespace"),
            ("namespaces: [Dev]", "bad-namespace", "write dev"),
            ("verbs: [GET]", "upper-case-verb", "write get"),
            ("verbs: [deleteCollection]", "upper-case-verb", "write deletecollection"),
            ("verbs: [apply]", "kubectl-verb", "write create, patch"),
            ("verbs: [exec]", "kubectl-verb", "write get, create, with the resource pods/exec"),
            ("verbs: [write]", "kubectl-verb", "write create, update, patch, delete"),
            ("verbs: [impersonate]", "rbac-verb", "name the verb of the request: get, list, create, update, …"),
            ("verbs: [udpate]", "unknown-verb", "write update"),
            ("verbs: ['get, list']", "unknown-verb", "verbs: [get, list]"),
            ("users: ['system:serviceaccounts:dev']", "group-in-users", "userGroups: [system:serviceaccounts:dev]"),
            ("users: ['system:masters']", "group-in-users", "userGroups: [system:masters]"),
            ("userGroups: ['system:serviceaccount:dev:x']", "user-in-groups", "users: [system:serviceaccount:dev:x]"),
            ("users: ['system:serviceaccount:robot']", "bad-service-account", "system:serviceaccount:NAMESPACE:NAME"),
            (
                "nonResourceURLs: ['/api/v1/pods*']",
                "url-of-resources",
                "name the group and the resource in `resources`",
            ),
            ("nonResourceURLs: ['/readyz?verbose']", "url-with-query", "write /readyz"),
        ],
    )
    def test_a_word_that_matches_nothing(self, field: str, name: str, fix: str) -> None:
        one = the(name, f"- level: Metadata\n  {field}\n")
        assert (one.severity, one.path, one.fix) == (Severity.ERROR, f"rules[0].{field.partition(':')[0]}[0]", fix)

    def test_http_methods_are_verbs_of_paths_and_api_verbs_of_resources(self) -> None:
        assert the("http-verb", "- level: Metadata\n  verbs: [post]\n" + CONFIGMAPS).fix == "write create"
        wrong = the("api-verb-for-paths", "- level: Metadata\n  verbs: [list]\n  nonResourceURLs: ['/api*']\n")
        assert wrong.fix == "write get"
        assert the("http-verb", "- level: Metadata\n  verbs: [post]\n").severity is Severity.NOTE
        assert ids("- level: Metadata\n  verbs: [get, post, head]\n  nonResourceURLs: ['/api*']\n") == set()

    def test_names_fit_no_creation_and_lists_only_by_selector(self) -> None:
        names = "{resources: [secrets], resourceNames: [a]}"
        only = the("resource-names-with-create", rule_of(names, more="  verbs: [create]\n"))
        assert only.severity is Severity.ERROR
        some = the("resource-names-with-create", rule_of(names, more="  verbs: [create, get]\n"))
        assert some.severity is Severity.WARNING
        assert the("resource-names-with-list", rule_of(names, more="  verbs: [list]\n")).severity is Severity.NOTE
        assert ids(rule_of(names)) == set()

    def test_cluster_scoped_resources_are_in_no_namespace(self) -> None:
        namespaced = "  namespaces: [dev]\n"
        all_of = the("namespaces-on-cluster-scoped", rule_of("{resources: [nodes]}", more=namespaced))
        assert all_of.severity is Severity.ERROR
        some = the("namespaces-on-cluster-scoped", rule_of("{resources: [nodes, pods]}", more=namespaced))
        assert some.severity is Severity.WARNING
        assert ids(rule_of("{resources: [namespaces]}", more=namespaced)) == set()
        assert ids(rule_of("{resources: [nodes]}", more="  namespaces: ['']\n")) == set()

    def test_the_empty_namespace_is_explained(self) -> None:
        assert (
            the("empty-namespace", rule_of("{resources: [pods]}", more="  namespaces: ['']\n")).severity
            is Severity.NOTE
        )

    def test_exec_comes_as_get(self) -> None:
        exec_only = rule_of("{resources: [pods/exec]}", more="  verbs: [create]\n")
        assert "stream-comes-as-get" in ids(exec_only)
        assert ids(rule_of("{resources: [pods/exec]}", more="  verbs: [create, get]\n")) == set()
        assert "for pods/exec since 1.30: its" in the("stream-comes-as-get", exec_only).message
        both = rule_of("{resources: [pods/exec, pods/portforward]}", more="  verbs: [create]\n")
        assert (
            "for pods/exec since 1.30, and for pods/portforward since 1.31" in the("stream-comes-as-get", both).message
        )

    @pytest.mark.parametrize(
        ("after", "warned"),
        [
            ("- level: Metadata\n", False),
            ("- level: None\n  verbs: [watch]\n- level: Metadata\n", False),
            ("- level: None\n  resources: [{resources: [pods]}]\n- level: Metadata\n", False),
            ("- level: None\n  nonResourceURLs: ['*']\n- level: Metadata\n", False),
            ("- level: Request\n", True),
            ("- level: None\n  namespaces: [dev]\n- level: Metadata\n", True),
            ("- level: None\n  users: [jane]\n- level: Metadata\n", True),
            ("- level: Metadata\n  users: [jane]\n", True),
            ("", True),
        ],
    )
    def test_a_stream_that_a_later_rule_records_alike_is_no_matter(self, after: str, warned: bool) -> None:
        exec_only = rule_of("{resources: [pods/exec]}", more="  verbs: [create]\n")
        assert ("stream-comes-as-get" in ids(exec_only + after)) == warned


class TestWholePolicies:
    def test_the_shipped_solution_has_no_findings(self) -> None:
        file = Path("scenarios/01-audit-log/solution/etc/kubernetes/audit/policy.yaml")
        data = (Path(__file__).parents[2] / file).read_bytes()
        assert lint_file(load_policy(data), data) == ()

    def test_a_large_policy_of_a_cloud_is_left_alone_but_for_a_group_that_is_gone(self) -> None:
        data = (Path(__file__).parent / "cloud_policy.yaml").read_bytes()
        assert [(f.id, f.severity) for f in lint_file(load_policy(data), data)] == [
            ("removed-group", Severity.NOTE)
        ] * 2

    def test_findings_are_in_the_order_of_the_file(self) -> None:
        text = "- level: Metadata\n  verbs: [GET]\n- level: Metadata\n  resources: [{resources: [cm]}]\n"
        assert [f.line for f in found(text)] == sorted(f.line for f in found(text))


class TestRefusals:
    @pytest.mark.parametrize(
        ("rule", "name", "fix"),
        [
            ("- level: metadata\n", "unknown-level", "level: Metadata"),
            ("- verbs: [get]\n", "no-level", "level: Metadata, or another"),
            ("- level: None\n  resources: [{group: apps/v1}]\n", "version-in-group", "group: apps"),
            ("- level: None\n  resources: [{group: core/v1}]\n", "version-in-group", 'group: ""'),
            (
                "- level: None\n  resources: [{group: '*'}]\n",
                "group-star",
                "an item for each group, or leave `resources`",
            ),
            ("- level: None\n  omitStages: [requestreceived]\n", "unknown-stage", "write RequestReceived"),
            ("- level: None\n  verbs: get\n", "list-wanted", "verbs: […], or each in a line with a dash"),
            ("- level: None\n  verbs: [on]\n", "text-wanted", "put it in quotes"),
            ("- level: None\n  resources: [pods]\n", "mapping-wanted", 'items such as - {group: "", resources: ['),
            ("- level: None\n  resources: pods\n", "list-wanted", 'a list of items such as - {group: "", '),
            ("- level: None\n  resources: {group: ''}\n", "list-wanted", "a dash before each item: - group: …"),
            ("- level: None\n  resources: [[pods]]\n", "mapping-wanted", 'items such as - {group: "", '),
            ("- level: None\n  resources: [{group: ['']}]\n", "text-wanted", "an item for each group"),
            ("- level: None\n  verbs: {get, list}\n", "list-wanted", "verbs: […], or each in a line with a dash and"),
            ("- level: None\n  users: [{name: jane}]\n", "text-wanted", "users: […] with plain words in it"),
            ("- level: [None]\n", "text-wanted", "level: one of None, Metadata"),
            ("- None\n", "mapping-wanted", "items such as - level: Metadata"),
            ("- - level: None\n", "mapping-wanted", "items such as - level: Metadata"),
            ("  level: None\n", "list-wanted", "a dash before each item: - level: …"),
            ("- level: None\n  omitManagedFields: 'true'\n", "boolean-wanted", "omitManagedFields: true, or false"),
            ("- level: None\n  nonResourceURLs: [api]\n", "bad-path", "write /api"),
            ("- level: None\n  nonResourceURLs: ['/a*b']\n", "bad-path", "write /a*"),
            ("- level: None\n  nonResourceURLs: [/a]\n  namespaces: [b]\n", "paths-and-resources", "write two rules"),
        ],
    )
    def test_what_to_write_instead(self, rule: str, name: str, fix: str) -> None:
        with pytest.raises(PolicyError) as refused:
            load_policy((HEAD + "rules:\n" + rule).encode())
        why = why_refused(refused.value.text, refused.value.line)
        assert why is not None
        assert why.id == name
        assert why.line == refused.value.line
        assert why.fix.startswith(fix)

    def test_every_recorded_refusal_is_answered_or_left_to_the_servers_words(self, shared: Path) -> None:
        answered = 0
        for record in lines(shared / "golden" / "policy" / "refused.jsonl"):
            why = why_refused(record["message"], 1)
            answered += why is not None
        assert answered > 60


# Against trying everything

SMALL = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def decided(policy: Policy, universe: type[Universe]) -> set[int]:
    """Return the rules that decide some request of the universe: of each class every one is tried."""
    seen = set()
    for request in universe(policy, []).requests(most_groups=len(GROUPS)):
        rule = evaluate(policy, request).rule
        if rule is not None:
            seen.add(rule.index)
    return seen


@SMALL
@given(rules())
def test_what_fires_and_what_never_does_is_as_trying_every_request_shows(some: tuple[Rule, ...]) -> None:
    policy = Policy(some)
    fires = reach(policy).fires
    assert fires == decided(policy, Universe)
    for index in {rule.index for rule in some} - fires:
        alone = Policy((replace(some[index], index=0),))
        if impossible(some[index], ordinary=True):
            assert not decided(alone, Universe)
            continue
        assert decided(alone, Universe)
        hiding = hiders(policy, index, ORDINARY)
        assert hiding
        assert max(hiding) < index
        check_hiding(some, hiding, index)


def check_hiding(some: tuple[Rule, ...], hiding: tuple[int, ...], index: int) -> None:
    """The named rules hide the rule by themselves, and none of them is needless."""
    needed = [hiding] if len(hiding) == 1 else [hiding, *(tuple(i for i in hiding if i != one) for one in hiding)]
    for chosen in needed:
        few = Policy(tuple(replace(some[i], index=n) for n, i in enumerate((*chosen, index))))
        fires = len(chosen) in decided(few, Universe)
        assert fires is (chosen != hiding), (hiding, chosen)


@SMALL
@given(rules())
def test_each_rule_that_no_ordinary_request_reaches_is_told(some: tuple[Rule, ...]) -> None:
    policy = Policy(some)
    told = {f.rule for f in lint(policy, decode(b"{}")) if f.id in ("rule-never-fires", "rule-matches-nothing")}
    assert told == {rule.index for rule in some} - decided(policy, Universe)


@settings(max_examples=100, deadline=None)
@given(rules(), st.data())
def test_a_rule_that_covers_another_matches_whatever_that_does(some: tuple[Rule, ...], data: st.DataObject) -> None:
    one, other = data.draw(st.sampled_from(some)), data.draw(st.sampled_from(some))
    if not covers(one, other) or one is other:
        return
    pair = Policy((replace(one, index=0), replace(other, index=1)))
    assert 1 not in decided(pair, Universe)
    assert not reach(pair).odd


def test_no_rule_that_decided_a_recorded_request_is_said_to_never_fire(shared: Path) -> None:
    """What a real API server recorded: 145 policies, 200 requests."""
    golden = shared / "golden" / "policy"
    battery = [attributes(request["attributes"]) for request in json.loads((golden / "battery.json").read_text())]
    silent = 0
    for line in gzip.decompress((golden / "truth.jsonl.gz").read_bytes()).splitlines():
        data = (golden / "policies" / f"{json.loads(line)['policy']}.yaml").read_bytes()
        policy = load_policy(data)
        said = lint_file(policy, data)
        never = {f.rule for f in said if f.id == "rule-never-fires"}
        silent += len(never)
        fired = {rule.index for request in battery if (rule := evaluate(policy, request).rule) is not None}
        assert not never & fired
    assert silent > 10
