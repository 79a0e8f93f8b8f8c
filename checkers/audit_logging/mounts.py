"""The checks mounts.*: that the container sees the node's policy, and that its log lies on the node."""

from __future__ import annotations

from checkers.evidence import Evidence
from checkers.kube.pods.container_view import Place
from checkers.node_picture import NodePicture, picture
from checkers.result import CheckResult, Status, Where, blocked
from checkers.wants import Wants

_FIX = "give the pod a hostPath volume and the container a volumeMounts entry with the volume's name"


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
        return CheckResult(Status.FAIL, expected, f"nothing is mounted at {path} or above it", where, fix=_FIX)
    if volume is None:
        return CheckResult(Status.FAIL, expected, f"there is no volume {mount.name!r}", where, fix=_FIX)
    volume_where = Where(manifest.path, manifest.pod.line(volume.path))
    if volume.host_path is None:
        what = (
            "has no source that the kubelet knows, so it is an empty directory"
            if volume.defaulted
            else f"is of type {volume.kind}"
        )
        return CheckResult(Status.FAIL, expected, f"the volume {volume.name!r} {what}", volume_where, fix=_FIX)
    if seen.view is None or seen.view.trouble is not None:
        trouble = seen.trouble
        if trouble is not None and seen.trouble_name(trouble) == volume.name:
            line = manifest.pod.line(trouble.path)
            return CheckResult(Status.FAIL, expected, trouble.message, Where(manifest.path, line), fix=_FIX)
        place = Place(path, seen.real(by_manifest.host_path or ""), None, None, None, mount.read_only)
    else:
        place = seen.locate(path)
    if place.host_path != seen.real(wanted):
        there = f"{place.host_path} on the node" if place.host_path else "a file inside the container"
        return CheckResult(Status.FAIL, expected, f"{path} in the container is {there}", where, fix=_FIX)
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
