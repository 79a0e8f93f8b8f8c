"""Owns the cells of pods: what STATUS says of one, and how often its containers were started again."""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from .words import NONE, Cells, CellsOf, age, since


def _pod(obj: Json, now: datetime) -> Cells:
    status, spec, meta = obj.get("status", {}), obj.get("spec", {}), obj["metadata"]
    statuses = status.get("containerStatuses") or []
    total = len(spec.get("containers") or [])
    reason = status.get("reason") or status.get("phase", "")
    restarts = 0
    last: str | None = None
    starting = False
    inits = spec.get("initContainers") or []
    for number, container in enumerate(status.get("initContainerStatuses") or []):
        restarts += container.get("restartCount", 0)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if ended is not None:
            word = ended.get("reason") or (
                f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}"
            )
            reason = f"Init:{word}"
        elif waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{number}/{len(inits)}"
        starting = True
        break
    ready = 0
    if not starting:
        restarts = 0
        running = False
        for container in reversed(statuses):
            restarts += container.get("restartCount", 0)
            before = (container.get("lastState") or {}).get("terminated") or {}
            if before.get("finishedAt") and (last is None or before["finishedAt"] > last):
                last = before["finishedAt"]
            state = container.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated")
            if waiting.get("reason"):
                reason = waiting["reason"]
            elif ended is not None:
                signal = ended.get("signal")
                reason = ended.get("reason") or (
                    f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}"
                )
            elif container.get("ready") and "running" in state:
                running = True
                ready += 1
        if reason == "Completed" and running:
            conditions = status.get("conditions") or []
            is_ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
            reason = "Running" if is_ready else "NotReady"
    if meta.get("deletionTimestamp"):
        reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    count = f"{restarts} ({since(last, now)} ago)" if restarts and last else str(restarts)
    gates = spec.get("readinessGates") or []
    fulfilled = sum(
        any(
            c.get("type") == g.get("conditionType") and c.get("status") == "True"
            for c in status.get("conditions") or []
        )
        for g in gates
    )
    return [
        f"{ready}/{total}",
        reason,
        count,
        age(obj, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{fulfilled}/{len(gates)}" if gates else NONE,
    ]


CELLS: dict[str, CellsOf] = {
    "/pods": _pod,
}
