"""Who may do what: RBAC with its reasons, the Node authorizer, impersonation, service-account tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox.lite.authn import ImpersonationError, impersonation
from lab.drivers.sandbox.lite.authz import Access, Always, Authorizer, Rbac, refusal
from lab.drivers.sandbox.lite.border import UserInfo
from lab.drivers.sandbox.lite.node_authz import NodeAuthorizer
from tests.lite_cluster import LiteCluster, thing

JANE = UserInfo("jane", "", ("developers", "system:authenticated"))
ROBOT = UserInfo("system:serviceaccount:dev:robot", "", ("system:serviceaccounts",))
NODE = UserInfo("system:node:one", "", ("system:nodes",))


class Fixed:
    """Objects that a test gives."""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self._objects = objects

    def objects(self, group: str, resource: str, namespace: str | None = None) -> Iterable[dict[str, Any]]:
        every = self._objects.get(resource, [])
        return [obj for obj in every if not namespace or obj["metadata"].get("namespace") == namespace]

    def get(self, group: str, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        found = [obj for obj in self.objects(group, resource, namespace) if obj["metadata"]["name"] == name]
        return found[0] if found else None


def bound(rule: dict[str, Any], *subjects: dict[str, Any]) -> Rbac:
    """Return RBAC with a role `r` in dev that has one rule, and a binding `b` of it."""
    role = thing("v1", "Role", "r", "dev", rules=[rule])
    binding = thing("v1", "RoleBinding", "b", "dev", roleRef={"kind": "Role", "name": "r"}, subjects=list(subjects))
    return Rbac(Fixed(roles=[role], rolebindings=[binding]))


USER_JANE = {"kind": "User", "name": "jane"}
READ = {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get", "list"]}


def allowed(rbac: Rbac, access: Access) -> bool:
    decision = rbac.decide(access)
    return decision is not None and decision.allowed


def test_the_reason_names_binding_role_and_subject() -> None:
    decision = bound(READ, USER_JANE).decide(Access(JANE, "get", "", "pods", "", "dev", "a"))
    assert decision is not None
    assert decision.reason == 'RBAC: allowed by RoleBinding "b/dev" of Role "r" to User "jane"'
    account = {"kind": "ServiceAccount", "name": "robot", "namespace": "dev"}
    decision = bound(READ, account).decide(Access(ROBOT, "list", "", "pods", "", "dev"))
    assert decision is not None
    assert decision.reason == 'RBAC: allowed by RoleBinding "b/dev" of Role "r" to ServiceAccount "robot/dev"'


def test_a_binding_in_a_namespace_holds_nowhere_else() -> None:
    rbac = bound(READ, USER_JANE)
    assert not allowed(rbac, Access(JANE, "get", "", "pods", "", "prod", "a"))
    assert not allowed(rbac, Access(JANE, "list", "", "pods"))


@pytest.mark.parametrize(
    ("resources", "asked", "subresource", "may"),
    [
        (["pods"], "pods", "log", False),
        (["pods/log"], "pods", "log", True),
        (["pods/log"], "pods", "", False),
        (["*/log"], "pods", "log", True),
        (["*"], "pods", "log", True),
        (["pods/*"], "pods", "log", False),
    ],
)
def test_subresources_are_named_in_rules(resources: list[str], asked: str, subresource: str, may: bool) -> None:
    rbac = bound({"apiGroups": [""], "resources": resources, "verbs": ["get"]}, USER_JANE)
    assert allowed(rbac, Access(JANE, "get", "", asked, subresource, "dev", "a")) is may


def test_resource_names_bind_to_the_url() -> None:
    rbac = bound({**READ, "resourceNames": ["a"], "verbs": ["*"]}, USER_JANE)
    assert allowed(rbac, Access(JANE, "get", "", "pods", "", "dev", "a"))
    assert not allowed(rbac, Access(JANE, "create", "", "pods", "", "dev", ""))


def test_paths_match_exactly_or_by_a_star_at_the_end() -> None:
    role = thing("v1", "ClusterRole", "c", rules=[{"nonResourceURLs": ["/healthz", "/api/*"], "verbs": ["get"]}])
    subjects = [{"kind": "Group", "name": "developers"}]
    binding = thing("v1", "ClusterRoleBinding", "b", roleRef={"kind": "ClusterRole", "name": "c"}, subjects=subjects)
    rbac = Rbac(Fixed(clusterroles=[role], clusterrolebindings=[binding]))
    paths = ("/healthz", "/healthz/etcd", "/api/v1", "/apis")
    assert [allowed(rbac, Access(JANE, "get", path=path)) for path in paths] == [True, False, True, False]


def test_masters_may_do_everything_and_no_reason_is_given() -> None:
    decision = Authorizer([Always(False)]).decide(Access(UserInfo("x", "", ("system:masters",)), "delete", "", "nodes"))
    assert (decision.allowed, decision.reason) == (True, "")


def test_a_refusal_says_what_where() -> None:
    no = Authorizer([]).decide(Access(JANE, "get"))
    assert refusal(Access(JANE, "create", "", "pods", "exec", "dev", "web"), no) == (
        'User "jane" cannot create resource "pods/exec" in API group "" in the namespace "dev"'
    )
    assert refusal(Access(JANE, "list", "apps", "deployments"), no) == (
        'User "jane" cannot list resource "deployments" in API group "apps" at the cluster scope'
    )
    assert refusal(Access(JANE, "get", path="/metrics"), no) == 'User "jane" cannot get path "/metrics"'


def node_says(access: Access, **objects: list[dict[str, Any]]) -> tuple[bool, str] | None:
    decision = NodeAuthorizer(Fixed(**objects)).decide(access)
    return None if decision is None else (decision.allowed, decision.reason)


def test_a_node_reads_its_own_node_object_only() -> None:
    assert node_says(Access(NODE, "get", "", "nodes", "", "", "one")) == (True, "")
    words = "node 'one' cannot read 'other', only its own Node object"
    assert node_says(Access(NODE, "get", "", "nodes", "", "", "other")) == (False, words)
    assert node_says(Access(JANE, "get", "", "nodes", "", "", "one")) is None


def test_a_node_reads_the_secrets_that_its_pods_use() -> None:
    pod = thing("v1", "Pod", "p", "dev", spec={"nodeName": "one", "volumes": [{"secret": {"secretName": "s"}}]})
    pod["spec"]["containers"] = [{"envFrom": [{"configMapRef": {"name": "c"}}]}]
    assert node_says(Access(NODE, "get", "", "secrets", "", "dev", "s"), pods=[pod]) == (True, "")
    assert node_says(Access(NODE, "get", "", "configmaps", "", "dev", "c"), pods=[pod]) == (True, "")
    refused = node_says(Access(NODE, "get", "", "secrets", "", "dev", "t"), pods=[pod])
    assert refused == (False, "no relationship found between node 'one' and this object")


def test_a_node_keeps_its_own_lease() -> None:
    lease = ("coordination.k8s.io", "leases", "", "kube-node-lease")
    assert node_says(Access(NODE, "update", *lease, "one")) == (True, "")
    assert node_says(Access(NODE, "create", *lease)) == (True, "")
    assert node_says(Access(NODE, "update", *lease, "two")) != (True, "")


def test_a_node_lists_pods_by_its_name() -> None:
    assert node_says(Access(NODE, "list", "", "pods", field_selector="spec.nodeName=one")) == (True, "")
    assert node_says(Access(NODE, "list", "", "pods")) != (True, "")


def test_impersonating_a_service_account_gives_its_groups() -> None:
    found = impersonation({"impersonate-user": ["system:serviceaccount:dev:robot"]})
    assert found is not None
    user, wanted = found
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:dev", "system:authenticated")
    assert wanted == [("", "serviceaccounts", "", "dev", "robot")]


def test_every_impersonated_part_must_be_allowed() -> None:
    headers = {
        "impersonate-user": ["a"],
        "impersonate-group": ["g"],
        "impersonate-uid": ["u"],
        "impersonate-extra-k": ["v"],
    }
    found = impersonation(headers)
    assert found is not None
    assert [(resource, subresource, name) for _, resource, subresource, _, name in found[1]] == [
        ("users", "", "a"),
        ("groups", "", "g"),
        ("userextras", "k", "v"),
        ("uids", "", "u"),
    ]


def test_a_group_without_a_user_makes_no_sense() -> None:
    with pytest.raises(ImpersonationError, match="without impersonating a user"):
        impersonation({"impersonate-group": ["x"]})


async def test_a_token_of_a_service_account_works_until_the_account_is_gone(tmp_path: Path) -> None:
    cluster = LiteCluster(tmp_path)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    made = await cluster.ask("POST", "/api/v1/namespaces/dev/serviceaccounts/robot/token", "super", asked)
    assert made.status == 201
    identity = cluster.events[-1]["annotations"]["authentication.kubernetes.io/issued-credential-id"]
    bearer = "Bearer " + json.loads(made.body)["status"]["token"]
    answer = await cluster.ask("GET", "/api/v1/namespaces/dev/pods", None, authorization=bearer)
    assert answer.status == 200
    user = cluster.events[-1]["user"]
    assert user["username"] == "system:serviceaccount:dev:robot"
    assert user["extra"] == {"authentication.kubernetes.io/credential-id": [identity]}
    await cluster.ask("DELETE", "/api/v1/namespaces/dev/serviceaccounts/robot", "super")
    assert (await cluster.ask("GET", "/api/v1/namespaces/dev/pods", None, authorization=bearer)).status == 401


async def test_a_token_with_another_signature_is_no_good(tmp_path: Path) -> None:
    cluster = LiteCluster(tmp_path)
    asked = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
    made = await cluster.ask("POST", "/api/v1/namespaces/dev/serviceaccounts/robot/token", "super", asked)
    head, payload, signature = json.loads(made.body)["status"]["token"].split(".")
    forged = f"{head}.{payload}.{signature[::-1]}"
    assert (await cluster.ask("GET", "/version", None, authorization=f"Bearer {forged}")).status == 401


async def test_can_i_answers_for_oneself(tmp_path: Path) -> None:
    cluster = LiteCluster(tmp_path)
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for verb, may in (("list", True), ("delete", False)):
        spec = {"resourceAttributes": {"namespace": "dev", "verb": verb, "resource": "pods"}}
        made = await cluster.ask("POST", path, "super", {**review, "spec": spec}, impersonate_user="jane")
        assert (made.status, json.loads(made.body)["status"]["allowed"]) == (201, may)


async def test_forbidden_reads_as_on_the_real_server(tmp_path: Path) -> None:
    cluster = LiteCluster(tmp_path)
    response = await cluster.ask("DELETE", "/api/v1/namespaces/dev/configmaps/audit-test", "jane")
    assert response.body == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \\"audit-test\\" '
        b'is forbidden: User \\"jane\\" cannot delete resource \\"configmaps\\" in API group \\"\\" '
        b'in the namespace \\"dev\\"","reason":"Forbidden","details":{"name":"audit-test","kind":"configmaps"},'
        b'"code":403}\n'
    )
    assert ("X-Content-Type-Options", "nosniff") in response.headers
    assert cluster.events[-1]["annotations"]["authorization.k8s.io/decision"] == "forbid"
