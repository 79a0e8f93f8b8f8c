"""The checks manifest.*: that the kubelet runs the API server's manifest, and no other file takes its pod over."""

from __future__ import annotations

from checkers.evidence import Evidence, Missing, NotAFile, Unreadable
from checkers.kube.pods.folder import same_pod
from checkers.kube.server.forecast import Forecast, Server, foretell
from checkers.kube.server.probes import deadly_probe
from checkers.node_picture import Manifest, NodePicture, picture
from checkers.registry import outcome
from checkers.result import CheckResult, Status, Where, blocked
from checkers.wants import Wants

KUBELET_SAYS = "journalctl -u kubelet --no-pager | tail"
_PKI = "/etc/kubernetes/pki"


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
                fix=f"on the node: {KUBELET_SAYS}",
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
        fix = f"mend that line; the kubelet says it too: {KUBELET_SAYS}"
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
    if seen.command_line is not None and seen.other_program is None:
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
    fate = foretell(seen.folder, seen.tree, seen.node, version=seen.version)
    # Without the keys, which whoever copies a node leaves out, nobody can tell how a start ends.
    known = fate.server is Server.UNREACHABLE or _has_keys(evidence)
    return fate if fate.server is not Server.RUNS and known else None


def _has_keys(evidence: Evidence) -> bool:
    try:
        return any(name.endswith(".key") for name in evidence.files.list(_PKI))
    except (Missing, NotAFile, Unreadable):
        return False


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


def _audit_volumes(seen: NodePicture) -> set[str]:
    """Return the names of the volumes that the two audit paths lie in."""
    names = set()
    if seen.command_line is not None:
        for flag in ("audit-policy-file", "audit-log-path"):
            path = seen.command_line.flags.get(flag)
            mount = seen.resolved(path).mount if path else None
            names |= {mount.name} if mount else set()
    return names
