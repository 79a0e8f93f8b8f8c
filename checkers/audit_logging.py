"""The checks of the audit-log tasks that look at the policy, the manifest, the flags, the mounts and what runs.

Where a check fails only because another one failed, it is a skip that names that other one: the learner sees the cause.
"""

from __future__ import annotations

import re

from .audit_events import live_probe, log_configmaps_body, log_metadata, log_written
from .evidence import Evidence
from .kube.audit_policy import Attributes, Level, evaluate
from .kube.container_view import Place
from .kube.forecast import Forecast, Server, foretell
from .kube.pod_folder import same_pod
from .kube.policy_finding import Severity
from .kube.policy_lint import lint_file
from .kube.policy_proof import Counterexample, prove
from .kube.running import differs
from .kube.server_probes import deadly_probe
from .node_picture import Manifest, NodePicture, PolicyFile, picture
from .registry import outcome
from .result import CheckResult, Status, Where
from .wants import Wants

__all__ = [
    "apiserver_running",
    "flags_log_path",
    "flags_policy_file",
    "live_probe",
    "log_configmaps_body",
    "log_metadata",
    "log_written",
    "manifest_single",
    "manifest_valid",
    "mounts_log",
    "mounts_policy",
    "policy_configmaps_body",
    "policy_metadata_everywhere",
    "policy_nothing_more",
    "policy_valid",
]

_KLOG = re.compile(r"[IWEF]\d{4} |Error: |panic: ")
_PKI = "/etc/kubernetes/pki"
_KUBELET_SAYS = "journalctl -u kubelet --no-pager | tail"
_MOUNT_FIX = "give the pod a hostPath volume and the container a volumeMounts entry with the volume's name"


def blocked(expected: str, by: str, found: str = "") -> CheckResult:
    """Return the skip of a check that another one's failure explains; its points are not earned."""
    return CheckResult(Status.SKIP, expected, found or f"{by} has to pass first", fix=f"mend {by}, then grade again")


# The policy


def policy_valid(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether an API server would load the policy at the asked path."""
    seen = picture(evidence, wants)
    file = seen.policy_file
    expected = f"{wants.policy_file} is an audit policy that kube-apiserver loads"
    if file.policy is None:
        fix = (
            f"rmdir {wants.policy_file}, then write the policy there" if file.is_directory else "mend the policy there"
        )
        where = Where(wants.policy_file, file.line)
        return CheckResult(Status.FAIL, expected, f"loading audit policy file: {file.problem}", where, fix=fix)
    rules = len(file.policy.rules)
    return CheckResult(
        Status.PASS,
        expected,
        f"it loads, with {rules} rule{'s' * (rules != 1)}",
        Where(wants.policy_file),
        warnings=(*file.policy.warnings, *_lints(file, wants)),
    )


# The loader's own warning names these.
_LOADER_SAYS = ("unknown-field", "duplicate-field")
_MOST_LINTS = 20


def _lints(file: PolicyFile, wants: Wants) -> tuple[str, ...]:
    """Return a warning for each serious finding in a policy that loads."""
    if file.policy is None:
        return ()
    serious = [
        f for f in lint_file(file.policy, file.data) if f.severity is not Severity.NOTE and f.id not in _LOADER_SAYS
    ]
    return tuple(f"{wants.policy_file}:{f.line}: {f.message}; instead: {f.fix}" for f in serious[:_MOST_LINTS])


def policy_metadata_everywhere(evidence: Evidence, wants: Wants) -> CheckResult:
    """Prove that every request for a resource is recorded, or show one that is not."""
    return _proved(
        "policy.metadata-everywhere", "every request for a resource is recorded at Metadata or above", evidence, wants
    )


def policy_configmaps_body(evidence: Evidence, wants: Wants) -> CheckResult:
    """Prove that every write of the asked resource is recorded with its body, or show one that is not."""
    what = f"every {', '.join(wants.body_verbs[:-1])} and {wants.body_verbs[-1]} of {wants.body_resource}"
    result = _proved("policy.configmaps-body", f"{what} is recorded at Request or above", evidence, wants)
    policy = picture(evidence, wants).policy_file.policy
    if result.status is Status.PASS and policy is not None and "delete" not in wants.body_verbs:
        gone = evaluate(policy, _delete(wants))
        if gone.level < Level.REQUEST:
            warning = f"deletes are recorded at {gone.level}: fine here, their body holds only options"
            return CheckResult(result.status, result.expected, result.found, result.where, warnings=(warning,))
    return result


def _delete(wants: Wants) -> Attributes:
    """Return the administrator's deletion of one thing of the asked resource."""
    return Attributes(
        user="kubernetes-admin",
        groups=("kubeadm:cluster-admins", "system:authenticated"),
        verb="delete",
        group=wants.body_group,
        resource=wants.body_resource,
        namespace="default",
        name="x",
    )


def policy_nothing_more(evidence: Evidence, wants: Wants) -> CheckResult:
    """Prove that nothing is recorded above what was asked, or show a request that is."""
    body = wants.body_resource
    return _proved(
        "policy.nothing-more", f"{body} at most at Request, other resources at most at Metadata", evidence, wants
    )


def _proved(check_id: str, expected: str, evidence: Evidence, wants: Wants) -> CheckResult:
    policy = picture(evidence, wants).policy_file.policy
    if policy is None:
        return blocked(expected, "policy.valid")
    proof = prove(policy, wants.wishes[check_id])
    if not proof.counterexamples:
        found = f"proven for all requests: {proof.classes} classes of them, none disagrees"
        return CheckResult(Status.PASS, expected, found, Where(wants.policy_file))
    shown = proof.counterexamples[0]
    rule = shown.decision.rule
    return CheckResult(
        Status.FAIL,
        expected,
        shown.found,
        Where(wants.policy_file, rule.line if rule else None, f"rules[{rule.index}]" if rule else None),
        fix=f"{_advice(shown)}. See it:\n  {shown.command}",
    )


def _advice(shown: Counterexample) -> str:
    rule = shown.decision.rule
    if rule is None:
        return "no rule matches that request: add one that does"
    if shown.wish.least is not None and shown.decision.level >= shown.wish.least:
        return "the stage ResponseComplete must not be in omitStages"
    if shown.wish.least is not None:
        return f"the first rule that matches decides, and that is rule {rule.index}: put the right rule before it"
    return f"lower the level of rule {rule.index}, or put a rule before it"


# The manifest


def manifest_valid(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the kubelet would run the manifest as the API server."""
    seen = picture(evidence, wants)
    expected = "the kubelet runs the manifest as the API server"
    if seen.manifest is None:
        entry = seen.undecoded
        if entry is not None and entry.error is not None:
            return CheckResult(
                Status.FAIL,
                expected,
                entry.error.text,
                Where(entry.path, entry.error.line),
                fix=f"on the node: {_KUBELET_SAYS}",
            )
        found = f"no file in {wants.manifests} defines a pod that runs kube-apiserver"
        return CheckResult(Status.FAIL, expected, found, Where(wants.manifests), fix="put the manifest back, or reset")
    manifest = seen.manifest
    warnings = tuple(
        f"{manifest.path}:{field.line}: {field.path} is not a field"
        + (f"; {field.meant} is likely meant" if field.meant else " and is ignored")
        for field in (manifest.entry.error.warnings if manifest.entry.error else manifest.pod.warnings)
    )
    error = manifest.entry.error
    if error is not None:
        where = Where(manifest.path, error.line, error.path)
        fix = f"mend that line; the kubelet says it too: {_KUBELET_SAYS}"
        return CheckResult(Status.FAIL, expected, error.text, where, fix=fix, warnings=warnings)
    trouble = seen.trouble
    if trouble is not None and seen.trouble_name(trouble) not in _audit_volumes(seen):
        where = Where(manifest.path, manifest.pod.line(trouble.path))
        fix = "the container is not made until that is mended: crictl ps -a"
        return CheckResult(Status.FAIL, expected, trouble.message, where, fix=fix, warnings=warnings)
    warnings += _refused_beside(seen, manifest)
    fate = _foretold(evidence, wants, seen)
    if fate is not None:
        where = Where(manifest.path, manifest.pod.line(fate.path) if fate.path else None)
        found = f"the API server: {fate.server}" + (f": {fate.message}" if fate.message else "")
        return CheckResult(Status.FAIL, expected, found, where, fix="crictl ps -a; crictl logs ID", warnings=warnings)
    found = f"{manifest.path} is a valid pod"
    if seen.command_line is not None:
        deadly = deadly_probe(manifest.pod, manifest.container, seen.command_line.flags)
        warnings += (deadly,) if deadly else ()
    return CheckResult(Status.PASS, expected, found, Where(manifest.path), warnings=warnings)


def _refused_beside(seen: NodePicture, manifest: Manifest) -> tuple[str, ...]:
    """Return a warning for each file beside the manifest that was to be one and is refused."""
    folder = seen.folder
    refused = folder.refused if folder is not None else ()
    return tuple(
        f"{entry.path} is not read as a pod: {entry.error.text}"
        for entry in refused
        if entry.error is not None and entry.name != manifest.entry.name and "apiserver" in entry.name
    )


def _foretold(evidence: Evidence, wants: Wants, seen: NodePicture) -> Forecast | None:
    """Return what would become of the API server where that is bad and no other check says why.

    Only for files without a node: what runs on a node is seen, and need not be foretold.
    """
    others = ("policy.valid", "manifest.single", "flags.policy-file", "flags.log-path", "mounts.policy", "mounts.log")
    if seen.facts or seen.folder is None:
        return None
    if any(outcome(check_id, evidence, wants).status is not Status.PASS for check_id in others):
        return None
    fate = foretell(seen.folder, seen.tree, seen.node)
    # Without the node's certificates nobody can tell how a start ends.
    known = fate.server is Server.UNREACHABLE or seen.tree.is_known(_PKI)
    return fate if fate.server is not Server.RUNS and known else None


def manifest_single(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether another file in the folder takes the API server's pod over, now, at the relist or after a restart."""
    seen = picture(evidence, wants)
    expected = f"one file in {wants.manifests} defines the API server's pod"
    if seen.manifest is None or seen.folder is None:
        return blocked(expected, "manifest.valid")
    manifest = seen.manifest
    others = [e for e in seen.folder.pods if e.name != manifest.entry.name and e.api_server is not None]
    twins = [
        e
        for e in seen.folder.pods
        if e.pod and e.name != manifest.entry.name and e.pod.full_name == manifest.pod.full_name
    ]
    winners = seen.folder.after_relist()
    harmless = []
    for other in {entry.name: entry for entry in (*others, *twins)}.values():
        assert other.pod is not None
        if other in twins and same_pod(other.pod, manifest.pod):
            harmless.append(f"{other.path} defines the same pod: no harm, but a copy belongs outside {wants.manifests}")
            continue
        if other in twins and manifest.entry in winners:
            harmless.append(
                f"{other.path} defines the same pod and is sorted before: a copy belongs outside the folder"
            )
            continue
        if other in twins:
            found = f"{other.path} defines the same pod, and the kubelet reads it too: the last in sorted order wins"
        else:
            found = f"{other.path} defines another API server for the same port"
        fix = f"move it out of the folder: mv {other.path} /root/"
        return CheckResult(Status.FAIL, expected, found, Where(other.path), fix=fix)
    return CheckResult(Status.PASS, expected, f"only {manifest.path}", Where(manifest.path), warnings=tuple(harmless))


# The flags


def flags_policy_file(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the effective --audit-policy-file leads to the asked policy."""
    return _flag("audit-policy-file", wants.policy_file, evidence, wants)


def flags_log_path(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the effective --audit-log-path leads to the asked log."""
    return _flag("audit-log-path", wants.log_file, evidence, wants)


def _flag(name: str, wanted: str, evidence: Evidence, wants: Wants) -> CheckResult:
    seen = picture(evidence, wants)
    expected = f"--{name}={wanted}"
    if seen.manifest is None or seen.command_line is None:
        return blocked(expected, "manifest.valid")
    manifest, line = seen.manifest, seen.command_line
    refusal = _refusal(name, seen)
    value = line.flags.get(name)
    at = line.word(name)
    where = Where(
        manifest.path, manifest.word_line(at) if at is not None else manifest.pod.line(manifest.container.path)
    )
    fix = f"in the command of {manifest.path}: - {expected}"
    if not value:
        said = f"--{name} is not set" + (f"; kube-apiserver says: {refusal}" if refusal else "")
        return CheckResult(Status.FAIL, expected, said, where, fix=fix)
    if refusal:
        return CheckResult(Status.FAIL, expected, f"kube-apiserver refuses its command line: {refusal}", where, fix=fix)
    if value != wanted and not seen.leads_to(value, wanted):
        return CheckResult(Status.FAIL, expected, f"--{name}={value}", where, fix=fix)
    more = sum(found.name == name for found in line.flags.occurrences) - 1
    warnings = (f"--{name} is given {more + 1} times; the last one counts",) if more else ()
    return CheckResult(Status.PASS, expected, f"--{name}={value}", where, warnings=warnings)


def _refusal(name: str, seen: NodePicture) -> str | None:
    """Return why the API server refuses its command line, where that concerns this flag or neither of the two."""
    line = seen.command_line
    assert line is not None
    group = name.rpartition("-")[0]

    def concerns(text: str) -> bool:
        return f"--{group}" in text or not ("--audit-log" in text or "--audit-policy" in text)

    for refusal in line.refusals:
        if concerns(str(refusal)):
            return str(refusal)
    if name == "audit-log-path" and not line.refusals:
        return next(iter(line.flags.validate_audit()), None)
    return None


# The mounts


def mounts_policy(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the container sees the node's policy where the flag says."""
    seen = picture(evidence, wants)
    expected = f"the policy that the API server reads is {wants.policy_file} on the node"
    return _mount("audit-policy-file", "flags.policy-file", wants.policy_file, expected, seen, writes=False)


def mounts_log(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether what the container writes as its log is the asked file on the node."""
    seen = picture(evidence, wants)
    expected = f"the log that the API server writes is {wants.log_file} on the node"
    return _mount("audit-log-path", "flags.log-path", wants.log_file, expected, seen, writes=True)


def _mount(flag: str, flag_check: str, wanted: str, expected: str, seen: NodePicture, *, writes: bool) -> CheckResult:
    if seen.manifest is None or seen.command_line is None:
        return blocked(expected, "manifest.valid")
    path = seen.command_line.flags.get(flag)
    if not path or (path != wanted and not seen.leads_to(path, wanted)):
        return blocked(expected, flag_check)
    result = _mounted(path, wanted, expected, seen, writes=writes)
    if result.status is Status.FAIL and seen.manifest.refusal:
        return blocked(expected, "manifest.valid", result.found)
    return result


def _mounted(path: str, wanted: str, expected: str, seen: NodePicture, *, writes: bool) -> CheckResult:
    manifest = seen.manifest
    assert manifest is not None
    by_manifest = seen.resolved(path)
    mount, volume = by_manifest.mount, by_manifest.volume
    line = manifest.pod.line(mount.path if mount else (*manifest.container.path, "volumeMounts"))
    where = Where(manifest.path, line)
    if mount is None:
        return CheckResult(Status.FAIL, expected, f"nothing is mounted at {path} or above it", where, fix=_MOUNT_FIX)
    if volume is None:
        return CheckResult(Status.FAIL, expected, f"there is no volume {mount.name!r}", where, fix=_MOUNT_FIX)
    volume_where = Where(manifest.path, manifest.pod.line(volume.path))
    if volume.host_path is None:
        what = (
            "has no source that the kubelet knows, so it is an empty directory"
            if volume.defaulted
            else f"is of type {volume.kind}"
        )
        return CheckResult(Status.FAIL, expected, f"the volume {volume.name!r} {what}", volume_where, fix=_MOUNT_FIX)
    if seen.view is None or seen.view.trouble is not None:
        trouble = seen.trouble
        if trouble is not None and seen.trouble_name(trouble) == volume.name:
            line = manifest.pod.line(trouble.path)
            return CheckResult(Status.FAIL, expected, trouble.message, Where(manifest.path, line), fix=_MOUNT_FIX)
        place = Place(path, seen.real(by_manifest.host_path or ""), None, None, None, mount.read_only)
    else:
        place = seen.locate(path)
    if place.host_path != seen.real(wanted):
        there = f"{place.host_path} on the node" if place.host_path else "a file inside the container"
        return CheckResult(Status.FAIL, expected, f"{path} in the container is {there}", where, fix=_MOUNT_FIX)
    if not writes:
        return CheckResult(Status.PASS, expected, f"{path} in the container is {place.host_path} on the node", where)
    if place.read_only:
        fix = "the log's mount must not be readOnly"
        return CheckResult(Status.FAIL, expected, f"{path} is mounted read-only: no log can be written", where, fix=fix)
    if place.entry is not None and place.entry.kind.value != "file":
        found = f"{place.host_path} on the node is a {place.entry.kind}"
        return CheckResult(
            Status.FAIL, expected, found, volume_where, fix=f"rmdir {place.host_path}, and mount its folder"
        )
    warnings: tuple[str, ...] = ()
    if by_manifest.single_file:
        warnings = ("the log is mounted as a single file: it cannot be rotated, and then all later events are lost",)
    return CheckResult(
        Status.PASS, expected, f"{path} in the container is {place.host_path} on the node", where, warnings=warnings
    )


def _audit_volumes(seen: NodePicture) -> set[str]:
    """Return the names of the volumes that the two audit paths lie in."""
    names = set()
    if seen.command_line is not None:
        for flag in ("audit-policy-file", "audit-log-path"):
            path = seen.command_line.flags.get(flag)
            mount = seen.resolved(path).mount if path else None
            names |= {mount.name} if mount else set()
    return names


# The running API server


def apiserver_running(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the API server that runs is the manifest's, answers, and does not crash over and over."""
    seen = picture(evidence, wants)
    expected = "the API server runs as its manifest says, and answers"
    if not seen.facts:
        return CheckResult(Status.SKIP, expected, "files alone do not say what runs", knowable=False)
    containers = seen.facts.get("containers")
    health = seen.facts.get("apiserver")
    if not isinstance(containers, list):
        found = seen.unknown("containers") or "crictl did not answer on the node"
        return CheckResult(Status.ERROR, expected, found, fix="on the node, as root: crictl ps -a")
    manifest = seen.manifest
    if manifest is None or manifest.refusal:
        found = "the kubelet refuses the manifest" + (f": {manifest.refusal}" if manifest else "")
        return CheckResult(Status.FAIL, expected, found, fix=f"on the node: {_KUBELET_SAYS}")
    result = _running(containers, health if isinstance(health, dict) else None, manifest, seen, expected)
    if result.status is Status.FAIL and manifest_single(evidence, wants).status is Status.FAIL:
        return blocked(expected, "manifest.single", result.found)
    return result


def _running(
    containers: list[dict[str, object]],
    health: dict[str, object] | None,
    manifest: Manifest,
    seen: NodePicture,
    expected: str,
) -> CheckResult:
    where = Where(manifest.path)
    # Where only processes could be seen, their containers' names are not known.
    newest = next((c for c in containers if c.get("name") in (manifest.container.name, None)), None)
    if newest is None:
        trouble = seen.trouble
        found = f"there is no container of it: {trouble.message}" if trouble else "there is no container of it"
        return CheckResult(Status.FAIL, expected, found, where, fix=f"crictl ps -a; {_KUBELET_SAYS}")
    said = newest.get("last_lines")
    last = _last_words(said) if isinstance(said, list) else ""
    if newest.get("state") != "running":
        found = f"it ended with exit code {newest.get('exit_code')}" + (f": {last}" if last else "")
        return CheckResult(Status.FAIL, expected, found, where, fix=f"crictl logs {str(newest.get('id'))[:13]}")
    difference = differs(manifest.pod, manifest.container, newest)
    if difference is not None:
        found = f"the one that runs is not the manifest's: {difference}"
        return CheckResult(Status.FAIL, expected, found, where, fix=f"wait for the kubelet, or ask it: {_KUBELET_SAYS}")
    if health is None:
        found = f"its container runs; nobody could ask it: {seen.unknown('apiserver')}"
        return CheckResult(Status.SKIP, expected, found, where, knowable=False)
    ready = health.get("readyz")
    status = ready.get("status") if isinstance(ready, dict) else None
    if status != 200:
        error = ready.get("error") if isinstance(ready, dict) else None
        found = f"/readyz answers {status}" if status else f"it does not answer: {error}"
        return CheckResult(Status.FAIL, expected, found, where, fix="kubectl get --raw /readyz?verbose")
    return CheckResult(
        Status.PASS, expected, "it runs with the manifest's flags and mounts, and /readyz answers 200", where
    )


def _last_words(lines: list[str]) -> str:
    """Return the last line that the API server said of itself.

    With --audit-log-path=- its output holds audit events too, cut into lines of 16 KiB: no reason, and maybe a secret.
    """
    own = (line for line in reversed(lines) if line.strip() and (_KLOG.match(line) or _is_prose(line)))
    return next(own, "")


def _is_prose(line: str) -> bool:
    return '":' not in line and len(line) < 4096
