"""The checks flags.*: that the API server's effective flags name the asked policy and the asked log."""

from __future__ import annotations

from ..evidence import Evidence
from ..node_picture import NodePicture, picture
from ..result import CheckResult, Status, Where, blocked
from ..wants import Wants


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
