"""Owns the waits of a node: as long as on a real one, or as short as a learner's patience.

Words and order of events are the same in both; a back-off that is named 10s in the log lasts 1 s in the fast pace.
Source of the real figures: a kubelet 1.34 that was watched while it worked on 260 manifests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, but for `scale`.

    `relist`: between two full looks at the manifests folder. `grace_cap`: the most that a pod's own grace period
    counts. `api_server_hold`: how long an API server that is stopped takes at least (on a real node, the watches of its
    clients hold it to the end of its grace period). `start_delay`: from the end of the old pod to the start of the new
    one. `sync_retry`: from an error in starting a container to the next attempt. `scale`: factor on crash-loop
    back-offs, and `requeue` what is added to them. `volume_retry_cap`: the longest wait between two checks of a volume.
    `readiness_period`: how often, at least, a container is asked that is not ready yet; `probe_delay`: the most that a
    probe's initialDelaySeconds counts.
    """

    name: str
    relist: float
    grace_cap: float
    api_server_hold: float
    start_delay: float
    sync_retry: float
    scale: float
    requeue: float
    volume_retry_cap: float
    readiness_period: float
    probe_delay: float


FAST = Pace(
    name="fast",
    relist=5,
    grace_cap=1,
    api_server_hold=0,
    start_delay=0,
    sync_retry=1,
    scale=0.1,
    requeue=0,
    volume_retry_cap=2,
    readiness_period=0.1,
    probe_delay=0.1,
)
REAL = Pace(
    name="real",
    relist=20,
    grace_cap=3600,
    api_server_hold=30,
    start_delay=6,
    sync_retry=10,
    scale=1,
    requeue=3,
    volume_retry_cap=122,
    readiness_period=1,
    probe_delay=3600,
)
PACES = {pace.name: pace for pace in (FAST, REAL)}
