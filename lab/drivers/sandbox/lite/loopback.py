"""Owns the requests that the API server makes to itself, like the real one: at its start, and as long as it runs.

They go through the whole server, so that the audit log shows them: a log tells by them when a server started, and is
never without requests even where nobody does anything.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import socket
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from .api import Api
from .authn import AUTHENTICATED, MASTERS
from .border import Json, UserInfo
from .http import HttpRequest, Response

USER_AGENT = "kube-apiserver/v1.34.4 (linux/amd64) kubernetes/lite"
_RENEW_SECONDS = 10.0
_LEASE_SECONDS = 3600
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
_LOOKED_AT = (
    "/api/v1/namespaces/kube-system",
    "/api/v1/namespaces/kube-public",
    "/api/v1/namespaces/kube-node-lease",
    "/api/v1/namespaces/default",
    "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
    "/apis/scheduling.k8s.io/v1/priorityclasses/system-cluster-critical",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/apiregistration.k8s.io/v1/apiservices",
)
_KEPT = (
    "/api/v1/namespaces/default/services/kubernetes",
    "/api/v1/namespaces/default/endpoints/kubernetes",
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
)
_WATCHED = (
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/api/v1/pods",
    "/api/v1/secrets",
    "/api/v1/serviceaccounts",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
)


class Loopback:
    """Makes the server's own requests."""

    def __init__(self, api: Api, now: Callable[[], datetime]) -> None:
        self._api = api
        self._now = now
        self._user = UserInfo("system:apiserver", str(uuid.uuid4()), (AUTHENTICATED, MASTERS))
        digest = hashlib.sha256(socket.gethostname().encode()).digest()[:16]
        self.name = "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()
        self._holder = f"{self.name}_{uuid.uuid4()}"
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Make the requests of a start, then keep on in the background."""
        for path in _LOOKED_AT:
            await self._get(path)
        await self._renew()
        for path in _KEPT:
            await self._get(path)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch(path)) for path in _WATCHED]
        self._tasks.append(loop.create_task(self._keep()))

    async def stop(self) -> None:
        """End the watches and the renewals."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, method: str, target: str, body: Json | None = None) -> Response:
        headers = {"user-agent": [USER_AGENT], "accept": ["application/json"]}
        data = b""
        if body is not None:
            headers["content-type"] = ["application/json"]
            data = msgspec.json.encode(body)
        return await self._api.handle(HttpRequest(method, target, headers, data, "::1"), self._user)

    async def _get(self, target: str) -> Response:
        response = await self._ask("GET", target)
        await asyncio.sleep(0)
        return response

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            await self._renew()
            for path in _KEPT:
                await self._get(path)

    async def _renew(self) -> None:
        """Hold the lease that says that this server is alive."""
        path = f"{_LEASES}/{self.name}"
        found = await self._get(path)
        moment = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if found.status == 200:
            lease: dict[str, Any] = msgspec.json.decode(found.body)
            lease["spec"] = {**lease.get("spec", {}), "holderIdentity": self._holder, "renewTime": moment}
            await self._ask("PUT", path, lease)
            return
        labels = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": socket.gethostname()}
        spec = {"holderIdentity": self._holder, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": moment}
        metadata = {"name": self.name, "namespace": "kube-system", "labels": labels}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        await self._ask("POST", _LEASES, lease)

    async def _watch(self, path: str) -> None:
        """Watch a resource for some minutes, again and again, as an informer does."""
        while True:
            seconds = random.randint(300, 599)
            target = (
                f"{path}?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true"
                f"&timeout={seconds // 60}m{seconds % 60}s&timeoutSeconds={seconds}&watch=true"
            )
            response = await self._ask("GET", target)
            if response.stream is None:
                await asyncio.sleep(_RENEW_SECONDS)
                continue
            try:
                async for _ in response.stream:
                    pass
            finally:
                await response.stream.aclose()
