"""Protobuf bodies of a real API server, decoded: the same object as its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox.lite.convert import Converter
from lab.drivers.sandbox.lite.protobuf import decode_unknown

pytestmark = pytest.mark.shared

_TYPES = {
    "configmap": "core/v1.ConfigMap",
    "deployment": "apps/v1.Deployment",
    "namespace": "core/v1.Namespace",
    "node": "core/v1.Node",
    "pod": "core/v1.Pod",
    "role": "rbac/v1.Role",
    "rolebinding": "rbac/v1.RoleBinding",
    "scale": "autoscaling/v1.Scale",
    "secret": "core/v1.Secret",
    "selfsubjectaccessreview": "authorization/v1.SelfSubjectAccessReview",
    "selfsubjectreview": "authentication/v1.SelfSubjectReview",
    "service": "core/v1.Service",
    "serviceaccount": "core/v1.ServiceAccount",
    "status-notfound": "meta/v1.Status",
    "tokenrequest": "authentication/v1.TokenRequest",
}
_TWO_REQUESTS = {"creationTimestamp", "token", "expirationTimestamp", "authentication.kubernetes.io/credential-id"}


def _without_moments(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_moments(v) for k, v in value.items() if k not in _TWO_REQUESTS}
    return [_without_moments(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(_TYPES))
def test_a_protobuf_body_is_the_object_of_its_json(shared: Path, name: str) -> None:
    folder = shared / "golden" / "protobuf"
    want = json.loads((folder / f"{name}.json").read_text())
    got = Converter().object(decode_unknown((folder / f"{name}.pb").read_bytes(), _TYPES[name]), _TYPES[name])
    made_twice = name in ("tokenrequest", "selfsubjectreview", "selfsubjectaccessreview")
    if made_twice:
        want, got = _without_moments(want), _without_moments(got)
    assert got == want
    assert json.dumps(got) == json.dumps(want)


def test_a_body_that_is_no_protobuf_is_refused_with_words() -> None:
    with pytest.raises(ValueError, match="does not appear to be a protobuf message"):
        decode_unknown(b"{}", "core/v1.ConfigMap")


@pytest.mark.parametrize("cut", [5, 9, 20, 40])
def test_a_cut_off_body_is_refused_or_shorter_but_never_a_crash(shared: Path, cut: int) -> None:
    body = (shared / "golden" / "protobuf" / "pod.pb").read_bytes()[:cut]
    with pytest.raises(ValueError):
        decode_unknown(body, "core/v1.Pod")
