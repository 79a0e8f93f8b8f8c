"""Owns the table of checks: an id that scripts rely on -> the function that answers it, imported when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from checkers.evidence import Evidence
    from checkers.result import CheckResult
    from checkers.wants import Wants


class Check(Protocol):
    """A pure function from evidence and what the task wants to a result."""

    def __call__(self, evidence: Evidence, wants: Wants) -> CheckResult: ...


_AUDIT = "checkers.audit_logging"

CHECKS: dict[str, str] = {
    "policy.valid": f"{_AUDIT}.policy:policy_valid",
    "policy.metadata-everywhere": f"{_AUDIT}.policy:policy_metadata_everywhere",
    "policy.configmaps-body": f"{_AUDIT}.policy:policy_configmaps_body",
    "policy.nothing-more": f"{_AUDIT}.policy:policy_nothing_more",
    "manifest.valid": f"{_AUDIT}.manifest:manifest_valid",
    "manifest.single": f"{_AUDIT}.manifest:manifest_single",
    "flags.policy-file": f"{_AUDIT}.flags:flags_policy_file",
    "flags.log-path": f"{_AUDIT}.flags:flags_log_path",
    "mounts.policy": f"{_AUDIT}.mounts:mounts_policy",
    "mounts.log": f"{_AUDIT}.mounts:mounts_log",
    "apiserver.running": f"{_AUDIT}.running:apiserver_running",
    "log.written": f"{_AUDIT}.log:log_written",
    "log.metadata": f"{_AUDIT}.log:log_metadata",
    "log.configmaps-body": f"{_AUDIT}.log:log_configmaps_body",
    "live.probe": f"{_AUDIT}.log:live_probe",
}


def outcome(check_id: str, evidence: Evidence, wants: Wants) -> CheckResult:
    """Return what a check says of this evidence, asked once: checks that others explain ask for those too."""
    kept = evidence.memo.get(("outcome", check_id))
    if kept is None:
        kept = evidence.memo["outcome", check_id] = check(check_id)(evidence, wants)
    return cast("CheckResult", kept)


def check(check_id: str) -> Check:
    """Return the check of that id.

    Raises KeyError, with the known ids in its text, for any other.
    """
    try:
        module, name = CHECKS[check_id].split(":")
    except KeyError:
        raise KeyError(f"no check {check_id!r}; known: {', '.join(CHECKS)}") from None
    return cast(Check, getattr(import_module(module), name))
