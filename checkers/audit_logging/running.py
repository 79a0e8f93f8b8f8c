"""The check apiserver.running: that the API server that runs is the manifest's, and answers."""

from __future__ import annotations

import re

from checkers.audit_logging.manifest import KUBELET_SAYS
from checkers.evidence import Evidence
from checkers.kube.server.running import differs
from checkers.node_picture import Manifest, NodePicture, picture
from checkers.registry import outcome
from checkers.result import CheckResult, Status, Where, blocked
from checkers.wants import Wants

_KLOG = re.compile(r"[IWEF]\d{4} |Error: |panic: ")


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
        return CheckResult(Status.FAIL, expected, found, fix=f"on the node: {KUBELET_SAYS}")
    result = _running(containers, health if isinstance(health, dict) else None, manifest, seen, expected)
    if result.status is Status.FAIL and outcome("manifest.single", evidence, wants).status is Status.FAIL:
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
        return CheckResult(Status.FAIL, expected, found, where, fix=f"crictl ps -a; {KUBELET_SAYS}")
    said = newest.get("last_lines")
    last = _last_words(said) if isinstance(said, list) else ""
    if newest.get("state") != "running":
        found = f"it ended with exit code {newest.get('exit_code')}" + (f": {last}" if last else "")
        return CheckResult(Status.FAIL, expected, found, where, fix=f"crictl logs {str(newest.get('id'))[:13]}")
    difference = differs(manifest.pod, manifest.container, newest)
    if difference is not None:
        found = f"the one that runs is not the manifest's: {difference}"
        return CheckResult(Status.FAIL, expected, found, where, fix=f"wait for the kubelet, or ask it: {KUBELET_SAYS}")
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
