"""Owns what is thrown at: a name -> a function that takes hostile bytes and must answer, whatever they are.

A target returns for every input, a LabError or an answer in the judge's own words included. Anything else that it
raises is a defect; so is an input that takes more than a second of processor time, or more memory than `limits` allow.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from checkers.grade import Report
from checkers.kube.audit_log import events, read_log, unpacked
from checkers.kube.audit_policy import Attributes, Level, Policy, PolicyError, evaluate, load_policy
from checkers.kube.goyaml.nodes import TooBig
from checkers.kube.logs.check import check_log
from checkers.kube.pods.command import argv
from checkers.kube.policy.compare import compare
from checkers.kube.policy.lint import lint_file
from checkers.kube.policy_proof import Selector, Wish, prove
from checkers.kube.static_pod import ManifestError, load_pod
from checkers.result import Status
from lab.catalog import load_folder
from lab.errors import LabError
from lab.grading import grade_bundle
from lab.reports import FORMATS, renderer
from tests import nodes

Target = Callable[[bytes], None]

_REQUESTS = (
    Attributes(user="jane", groups=("system:authenticated",), verb="create", resource="configmaps", namespace="dev"),
    Attributes(user="jane", verb="get", resource="pods", subresource="log", namespace="dev", name="x"),
    Attributes(user=None, verb="get", path="/healthz"),
)
_WISHES = (
    Wish(Selector.written(resources=("*",)), least=Level.METADATA),
    Wish(Selector(verbs=("create",), api_groups=("",), resources=("configmaps",)), least=Level.REQUEST),
)


def policy(data: bytes) -> None:
    """Load a policy as one of two releases does, evaluate it, lint it, prove it, compare it."""
    try:
        loaded = load_policy(data, version=(1, 34 + len(data) % 2 * 2))
    except (PolicyError, TooBig):
        return
    for request in _REQUESTS:
        evaluate(loaded, request)
    lint_file(loaded, data)
    if len(loaded.rules) <= 50:
        prove(loaded, _WISHES)
        compare(loaded, _right_policy())


def policy_file(data: bytes) -> None:
    """Grade a node with these bytes for its policy."""
    _with_file(nodes.POLICY, data)


def pod(data: bytes) -> None:
    """Decode and validate a static pod, and expand its commands."""
    try:
        loaded = load_pod(data, "/etc/kubernetes/manifests/x.yaml", nodes.NAME)
    except (ManifestError, TooBig):
        return
    assert loaded.identity
    for container in loaded.all_containers():
        argv(loaded, container)


def manifest(data: bytes) -> None:
    """Grade a node with these bytes for its API server's manifest."""
    _with_file("etc/kubernetes/manifests/kube-apiserver.yaml", data)


def twin(data: bytes) -> None:
    """Grade a node with these bytes beside its API server's manifest."""
    _with_file("etc/kubernetes/manifests/kube-apiserver.yaml.bak", data)


def log(data: bytes) -> None:
    """Read a log in chunks of several sizes and event by event, and hold it against a policy."""
    # A log may be as long as it likes, and takes its time then.
    data = data[: 1 << 20]
    read_log(unpacked([data]))
    start = data[:4096]
    if not start.startswith(b"\x1f"):
        # However the bytes come, they say the same.
        sevens = (start[at : at + 7] for at in range(0, len(start), 7))
        assert read_log(sevens) == read_log([start])
    for _ in events([data]):
        pass
    check_log([data], _right_policy())


def log_file(data: bytes) -> None:
    """Grade a node that has the log."""
    _with_file(nodes.LOG, data)


def bundle(data: bytes) -> None:
    """Grade a bundle, and write its report in every format."""
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
        file.write(data)
        file.flush()
        try:
            report = grade_bundle(Path(file.name), None)
        except LabError:
            return
        _told(report)
        for name in FORMATS:
            assert renderer(name)(report)


def scenario(data: bytes) -> None:
    """Load a scenario with these bytes for its scenario.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "scenario.yaml").write_bytes(data)
        with contextlib.suppress(LabError):
            load_folder(Path(folder))


TARGETS: dict[str, Target] = {
    "policy": policy,
    "policy-file": policy_file,
    "pod": pod,
    "manifest": manifest,
    "twin": twin,
    "log": log,
    "log-file": log_file,
    "bundle": bundle,
    "scenario": scenario,
}


@cache
def _right_policy() -> Policy:
    return load_policy(nodes.audit_log().solution.files["/etc/kubernetes/audit/policy.yaml"], version=(1, 34))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of a node, made once a process and removed with it."""
    folder = tempfile.TemporaryDirectory(prefix="cks-lab-fuzz-")
    nodes.write_log(nodes.lay(Path(folder.name), nodes.audit_log().solution))
    return folder


def _with_file(path: str, data: bytes) -> None:
    root = Path(_folder().name)
    file = root / path
    before = file.read_bytes() if file.exists() else None
    try:
        file.write_bytes(data)
        _told(nodes.grade(root))
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)


def _told(report: Report) -> None:
    """Hold what is true of every report: it can be written as JSON, and what is not passed says why."""
    json.dumps(report.to_dict())
    assert 0 <= report.points <= report.possible
    for line in report.lines:
        assert line.result.status is Status.PASS or line.result.found, line.id
