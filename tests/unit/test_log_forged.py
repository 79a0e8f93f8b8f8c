"""A forged event contradicts itself: its body, its code, its user, its addresses. What a server can write accuses nobody."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.kube.logs.findings import KINDS

from .test_log_check import BODY, DEV, EVERYTHING, METADATA, OPTIONS, Event, check, request, told, written

COLLECTION = f"{DEV}/configmaps"
REF = {"resource": "configmaps", "namespace": "dev", "name": "a", "apiVersion": "v1"}
POLICIES = {"Metadata": METADATA, "RequestResponse": EVERYTHING}


def metadata(**fields: Any) -> Event:
    return BODY | {"metadata": {"name": "a", "namespace": "dev", **fields}}


def create(body: Any, *, uri: str = COLLECTION, code: int = 201, ref: dict[str, str] = REF, **more: Any) -> list[Event]:
    given = {"requestObject": body, "responseObject": BODY, "level": "RequestResponse", **more}
    return request(0, verb="create", uri=uri, code=code, ref=ref, **given)[1:]


def update(body: Any, *, code: int = 200, ref: dict[str, str] = REF, **more: Any) -> list[Event]:
    given = {"requestObject": body, "responseObject": BODY, "level": "RequestResponse", **more}
    return request(0, verb="update", code=code, ref=ref, **given)[1:]


def named(**fields: str) -> dict[str, str]:
    """Return an objectRef that was completed, its fields in kube-apiserver's order."""
    order = ("resource", "namespace", "name", "uid", "apiGroup", "apiVersion", "resourceVersion", "subresource")
    found = REF | fields
    return {name: found[name] for name in order if found.get(name)}


TOKEN = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {}}
TOKEN_REF = named(resource="serviceaccounts", subresource="token")
NAMESPACE = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "b", "namespace": "other"}}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (create(metadata(name="b")), "by requestObject name is 'b', by objectRef 'a'"),
        (create(metadata(name="")), "by requestObject name is '', by objectRef 'a'"),
        (create(metadata(namespace="prod")), "by requestObject namespace is 'prod', by objectRef 'dev'"),
        (create(BODY | {"kind": "Secret"}), "by requestObject the kind is 'secret', by objectRef 'configmap'"),
        (create(metadata(uid="u")), "by requestObject uid is 'u', by objectRef ''"),
        (create({}), "requestObject is no object with a kind"),
        (create("kind: ConfigMap"), "requestObject is no object with a kind"),
        (create([]), "requestObject is no object with a kind"),
        (create(BODY, responseObject={}), "responseObject is no object with a kind"),
        (create(BODY, responseObject="done"), "responseObject is no object with a kind"),
        (create(BODY, code=200), "create of configmaps answered with 200, not 201"),
        (update(metadata(name="b")), "by requestObject name is 'b', by objectRef 'a'"),
        (update(metadata(resourceVersion="5")), "by requestObject resourceVersion is '5', by objectRef ''"),
        (update(BODY, code=202), "update of configmaps answered with 202, not 200 or 201"),
        (request(0, code=201)[1:], "get of configmaps answered with 201, not 200"),
        (request(0, verb="delete", code=201)[1:], "delete of configmaps answered with 201, not 200 or 202"),
        (
            request(0, verb="delete", level="RequestResponse", requestObject=BODY, responseObject=BODY)[1:],
            "by requestObject the kind is 'configmap', by objectRef 'deleteoptions'",
        ),
        ([request(0)[1] | {"stage": "Panic"}], "200 at Panic: that is answered with 500"),
        ([request(0)[1] | {"sourceIPs": ["10.0.0.256"]}], "'10.0.0.256' in sourceIPs is no IP address"),
        ([request(0)[0] | {"sourceIPs": ["10.0.0.1", "fe80::1%eth0"]}], "'fe80::1%eth0' in sourceIPs"),
        ([request(0)[0] | {"sourceIPs": "10.0.0.1"}], "sourceIPs are no texts"),
    ],
)
def test_what_contradicts_itself_is_told(events: list[Event], said: str) -> None:
    report = check(events, POLICIES[events[0]["level"]])
    assert ("field", 1) in told(report)
    assert said in " ".join(finding.problem.message for finding in report.findings)
    assert KINDS["field"].severity == "impossible"


@pytest.mark.parametrize(
    "events",
    [
        create(BODY),
        create({"kind": "ConfigMap", "metadata": {"generateName": "a-"}}, ref=named(name="")),
        create(metadata(namespace="")),
        create(metadata(uid="u"), ref=named(uid="u")),
        create(TOKEN, uri=f"{DEV}/serviceaccounts/a/token", ref=TOKEN_REF),
        create(
            NAMESPACE,
            uri="/api/v1/namespaces",
            ref={"resource": "namespaces", "namespace": "other", "name": "b", "apiVersion": "v1"},
        ),
        create(metadata(name="b"), code=400, responseObject={"kind": "Status", "code": 400}),
        create(
            {"any": 1},
            uri="/apis/example.org/v1/namespaces/dev/things",
            ref=named(resource="things", apiGroup="example.org"),
        ),
        update(metadata(resourceVersion="5"), ref=named(resourceVersion="5")),
        update(BODY, code=201),
        request(0, verb="patch", level="RequestResponse", requestObject=[], responseObject=BODY)[1:],
        request(0, verb="delete", level="RequestResponse", requestObject=OPTIONS, responseObject=BODY)[1:],
        request(0, verb="delete", code=202)[1:],
    ],
)
def test_what_a_server_writes_accuses_nobody(events: list[Event]) -> None:
    assert check(events, POLICIES[events[0]["level"]]).counts == {}


def test_a_client_that_left_is_no_forgery() -> None:
    """Nothing was written to it: the event has 200 whatever the verb, and no bodies."""
    (event,) = create(BODY, code=200)
    status = {"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200}
    left = {name: value for name, value in event.items() if name not in ("requestObject", "responseObject")}
    assert check([left | {"responseStatus": status}], EVERYTHING).counts == {}
    assert check([left], EVERYTHING).impossible == 3


@pytest.mark.parametrize(
    ("user", "kind", "said"),
    [
        ({"username": "jane", "groups": []}, "written", "groups of user is there, and empty"),
        ({"username": "", "groups": ["system:authenticated"]}, "written", "username of user is there, and empty"),
        ({"username": "", "groups": ["system:authenticated"]}, "user-odd", "a user without a name"),
        ({"username": "system:anonymous", "groups": ["system:masters"]}, "user-odd", "in system:masters"),
        ({"username": "system:anonymous"}, "user-odd", "in no group"),
    ],
)
def test_a_user_that_few_servers_know_is_a_warning(user: Event, kind: str, said: str) -> None:
    report = check([event | {"user": user} for event in request(0)])
    assert kind in report.counts
    assert report.impossible == 0
    assert said in " ".join(finding.problem.message for finding in report.findings)


def test_no_address_is_a_warning() -> None:
    for without in ({}, {"sourceIPs": []}, {"sourceIPs": None}):
        events = [{name: v for name, v in event.items() if name != "sourceIPs"} | without for event in request(0)]
        report = check(events)
        assert report.counts["written"] >= 2
        assert report.impossible == 0


def test_an_empty_field_of_the_object_is_told() -> None:
    (event,) = request(
        0, ref={"resource": "configmaps", "namespace": "dev", "name": "a", "apiGroup": "", "apiVersion": "v1"}
    )[1:]
    assert b'"apiGroup":""' in written(event)
    report = check([event])
    assert report.findings[0].problem.message == "apiGroup of objectRef is there, and empty"
