"""Owns the setting up of a pod's volumes: each is tried until it succeeds, ever more seldom, and every failure is said.

Source: kubelet 1.34, pkg/util/goroutinemap/exponentialbackoff: 500 ms, doubling, up to 2m2s.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from . import hostpath
from .clock import Clock, duration
from .log import Klog, quoted
from .pod_spec import StaticPod, Volume

_FIRST = 0.5
_MOST = 122.0


@dataclass(slots=True)
class _Try:
    due: float = 0.0
    wait: float = _FIRST


class Volumes:
    """The volumes of one pod. `wake`: when `set_up` has something to do again; `cap`: the longest wait in effect."""

    def __init__(self, pod: StaticPod, root: Path, clock: Clock, klog: Klog, cap: float) -> None:
        self._pod = pod
        self._root = root
        self._clock = clock
        self._klog = klog
        self._cap = cap
        self._waiting = {volume.name: (volume, _Try()) for volume in pod.mounted_volumes()}
        self.wake: float | None = None

    def announce(self) -> None:
        """Say which volumes the pod has."""
        for volume in self._pod.mounted_volumes():
            words = f"operationExecutor.VerifyControllerAttachedVolume started for volume {quoted(volume.name)}"
            pod = f"pod {quoted(self._pod.name)} (UID: {quoted(self._pod.uid)})"
            text = f"{words} (UniqueName: {quoted(self._unique(volume))}) {pod} "
            self._klog.info("reconciler_common.go:251", text, pod=self._pod.reference)

    def set_up(self) -> bool:
        """Try what is due; return whether every volume is there."""
        now = self._clock.monotonic()
        for volume, attempt in list(self._waiting.values()):
            if now < attempt.due:
                continue
            try:
                hostpath.set_up(self._root, self._pod, volume)
            except hostpath.VolumeError as error:
                self._failed(volume, attempt, str(error))
            else:
                del self._waiting[volume.name]
        self.wake = min((attempt.due for _, attempt in self._waiting.values()), default=None)
        return not self._waiting

    def _unique(self, volume: Volume) -> str:
        plugin = {"hostPath": "host-path", "emptyDir": "empty-dir"}.get(volume.kind, volume.kind.lower())
        return f"kubernetes.io/{plugin}/{self._pod.uid}-{volume.name}"

    def _failed(self, volume: Volume, attempt: _Try, words: str) -> None:
        now = self._clock.monotonic()
        unique, uid = self._unique(volume), self._pod.uid
        until = _go_time(self._clock.wall() + attempt.wait, now + attempt.wait)
        self._klog.plain(
            "E",
            "nestedpendingoperations.go:348",
            f'Operation for "{{volumeName:{unique} podName:{uid} nodeName:}}" failed. '
            f"No retries permitted until {until} (durationBeforeRetry {duration(attempt.wait)}). "
            f"Error: MountVolume.SetUp failed for volume {quoted(volume.name)} (UniqueName: {quoted(unique)}) "
            f'pod "{self._pod.name}" (UID: "{uid}") : {words}',
        )
        attempt.due = now + min(attempt.wait, self._cap)
        attempt.wait = min(attempt.wait * 2, _MOST)


def _go_time(wall: float, monotonic: float) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(wall)) + f".{int(wall % 1 * 1e9):09d}"
    return f"{stamp} +0000 UTC m=+{monotonic:.9f}"
