"""The checks flags.*: that the API server's effective flags name the asked policy and the asked log."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from checkers.evidence import Evidence
from checkers.node_picture import NodePicture, picture
from checkers.result import CheckResult, Status, Where, blocked
from checkers.wants import Wants

_USUAL_EVENT: Final = 100 << 10
"""Bytes: what kube-apiserver cuts events at by default where it cuts them at all."""
_SMALLEST_EVENT: Final = 300
"""Bytes: no event is so small; of 28,645 recorded ones the smallest has 416. Source: golden/logs. One that is too large
without its bodies is left out: plugin/pkg/audit/truncate, "event is too large even after truncating"."""


def flags_policy_file(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the effective --audit-policy-file leads to the asked policy."""
    return _flag("audit-policy-file", wants.policy_file, evidence, wants)


def flags_log_path(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the effective --audit-log-path leads to the asked log, in a format that holds bodies.

    Source: kube-apiserver 1.34, plugin/pkg/audit/log: a line of the legacy format has neither level nor bodies.
    """
    result = _flag("audit-log-path", wants.log_file, evidence, wants)
    line = picture(evidence, wants).command_line
    if result.status is not Status.PASS or line is None:
        return result
    log = line.flags.audit.log
    if log.format == "legacy" and wants.body_resource:
        return replace(
            result,
            status=Status.FAIL,
            expected=f"{result.expected}, with --audit-log-format=json (the default)",
            found=f"{result.found}, with --audit-log-format=legacy, whose lines hold no bodies",
            where=_at("audit-log-format", picture(evidence, wants)),
            fix="take the flag --audit-log-format out",
        )
    if log.truncate.enabled and log.truncate.max_event_size < _USUAL_EVENT:
        size = log.truncate.max_event_size
        flag = f"--audit-log-truncate-max-event-size={size}"
        if size < _SMALLEST_EVENT:
            return replace(
                result,
                status=Status.FAIL,
                found=f"{result.found}, with {flag}: no event is so small, and none is written",
                where=_at("audit-log-truncate-max-event-size", picture(evidence, wants)),
                fix="take the flag --audit-log-truncate-max-event-size out",
            )
        warning = f"{flag}: larger events lose their bodies, and those that are larger without them are not written"
        return replace(result, warnings=(*result.warnings, warning))
    return result


def _flag(name: str, wanted: str, evidence: Evidence, wants: Wants) -> CheckResult:
    seen = picture(evidence, wants)
    expected = f"--{name}={wanted}"
    if seen.manifest is None or seen.command_line is None:
        return blocked(expected, "manifest.valid")
    line = seen.command_line
    refusal = _refusal(name, seen)
    value = line.flags.get(name)
    where = _at(name, seen)
    fix = f"in the command of {seen.manifest.path}: - {expected}"
    if seen.other_program is not None:
        said = (
            f"the container runs {seen.other_program}, which kube-apiserver's image does not have, and not"
            " kube-apiserver itself: what a script would do is not looked at"
        )
        return CheckResult(Status.FAIL, expected, said, where, fix=f"command: [kube-apiserver, {expected}, …]")
    if not value:
        said = f"--{name} is not set" + (f"; kube-apiserver says: {refusal}" if refusal else "")
        return CheckResult(Status.FAIL, expected, said, where, fix=fix)
    if refusal:
        said = f"kube-apiserver refuses its command line: {refusal}"
        # Where the flag itself is right, to write it again is no advice.
        mend = "mend or drop the flag that it names" if value == wanted else fix
        return CheckResult(Status.FAIL, expected, said, where, fix=mend)
    if value != wanted and not seen.leads_to(value, wanted):
        return CheckResult(Status.FAIL, expected, f"--{name}={value}", where, fix=fix)
    more = sum(found.name == name for found in line.flags.occurrences) - 1
    warnings = (f"--{name} is given {more + 1} times; the last one counts",) if more else ()
    return CheckResult(Status.PASS, expected, f"--{name}={value}", where, warnings=warnings)


def _at(name: str, seen: NodePicture) -> Where:
    """Return the line of the flag's effective value; the container's where it has none."""
    manifest, line = seen.manifest, seen.command_line
    assert manifest is not None
    assert line is not None
    at = line.word(name)
    return Where(manifest.path, manifest.pod.line(manifest.container.path) if at is None else manifest.word_line(at))


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
