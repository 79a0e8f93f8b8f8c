"""A lite API server without sockets for tests: requests go in as parsed HTTP, audit events come out as dicts."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from checkers.kube.audit_policy import Policy, load_policy
from lab.drivers.sandbox.lite.api import Api
from lab.drivers.sandbox.lite.audit import Auditor, Event, Unencodable
from lab.drivers.sandbox.lite.authn import Authenticator
from lab.drivers.sandbox.lite.authz import Authorizer, Rbac
from lab.drivers.sandbox.lite.border import UserInfo
from lab.drivers.sandbox.lite.health import Health
from lab.drivers.sandbox.lite.http import HttpRequest, Response
from lab.drivers.sandbox.lite.klog import Klog
from lab.drivers.sandbox.lite.lookups import Lookups
from lab.drivers.sandbox.lite.node_authz import NodeAuthorizer
from lab.drivers.sandbox.lite.path_routes import PathRoutes
from lab.drivers.sandbox.lite.pod_streams import PodStreams
from lab.drivers.sandbox.lite.registry import Registry
from lab.drivers.sandbox.lite.resource_routes import ResourceRoutes
from lab.drivers.sandbox.lite.reviews import Reviews
from lab.drivers.sandbox.lite.server import document
from lab.drivers.sandbox.lite.tokens import Tokens

CATCH_ALL = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: RequestResponse\n"
ISSUER = "https://kubernetes.default.svc.cluster.local"
_ALL = "system:authenticated"
USERS = {
    "admin": UserInfo("kubernetes-admin", "", ("kubeadm:cluster-admins", _ALL)),
    "super": UserInfo("super-admin", "", ("system:masters", _ALL)),
    "jane": UserInfo("jane", "", ("developers", _ALL)),
    "bob": UserInfo("bob", "", (_ALL,)),
    "node": UserInfo("system:node:cks-control-plane", "", ("system:nodes", _ALL)),
    "robot": UserInfo(
        "system:serviceaccount:dev:robot", "", ("system:serviceaccounts", "system:serviceaccounts:dev", _ALL)
    ),
    "anon": UserInfo("system:anonymous", "", ("system:unauthenticated",)),
}
"""The users of the recordings (golden/README.md)."""


@lru_cache(maxsize=1)
def key_pem() -> bytes:
    """Return a private RSA key, made once."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def policy(text: str = CATCH_ALL) -> Policy:
    """Return a policy from its text."""
    return load_policy(text.encode())


@dataclass
class Recorder:
    """Keeps events as the log would hold them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def write(self, event: Event, stage: str, at: datetime) -> bool:
        try:
            line = event.as_json(stage, at)
        except Unencodable as error:
            self.lost.append(str(error))
            return True
        self.lines.append(line)
        self.events.append(json.loads(line))
        return True


class LiteCluster:
    """One server with the objects of the recordings' cluster."""

    def __init__(
        self, folder: Path, rules: Policy | None = None, *, seed: bool = True, logs: Path | None = None
    ) -> None:
        key = folder / "sa.key"
        key.write_bytes(key_pem())
        self.recorder = Recorder()
        self.registry = Registry(None)
        self.registry.ensure_bootstrap(cluster_objects())
        self.lookups = Lookups(self.registry)
        self.tokens = Tokens(ISSUER, (), str(key), [str(key)])
        rbac = Rbac(self.lookups)
        authorizer = Authorizer([NodeAuthorizer(self.lookups), rbac])
        authenticator = Authenticator(self.tokens, self.lookups.get, lambda: datetime.now(UTC).timestamp())
        self.health = Health()
        self.api = Api(
            authenticator=authenticator,
            authorizer=authorizer,
            auditor=Auditor(rules or policy(), self.recorder, lambda: datetime.now(UTC)),
            resources=ResourceRoutes(
                self.registry,
                self.lookups,
                Reviews(authorizer, rbac, authenticator, self.tokens, self.lookups),
                PodStreams(self.lookups, logs),
            ),
            paths=PathRoutes(self.health, document, self.tokens, lambda: "# metrics\n"),
            klog=Klog(),
            now=lambda: datetime.now(UTC),
        )

    async def ask(
        self,
        method: str,
        target: str,
        user: str | None = "admin",
        body: bytes | str | dict[str, Any] = b"",
        **headers: str,
    ) -> Response:
        """Send one request and return its answer; a stream is read as far as it goes at once. `user` None: by headers.

        Header names are given with `_` for `-`. The events of this request alone are in `self.events` afterwards.
        """
        self.recorder.events.clear()
        given = {name.replace("_", "-").lower(): [value] for name, value in headers.items()}
        if isinstance(body, dict):
            body = json.dumps(body)
            given.setdefault("content-type", ["application/json"])
        data = body.encode() if isinstance(body, str) else body
        request = HttpRequest(method, target, given, data, "127.0.0.1")
        response = await self.api.handle(request, USERS[user] if user else None)
        if response.stream is not None:
            response.body = await read_at_once(response)
        return response

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the audit events of the last request."""
        return self.recorder.events


async def read_at_once(response: Response) -> bytes:
    """Read what a stream has to say now, then go away as a client does."""
    chunks: list[bytes] = []

    async def drain() -> None:
        assert response.stream is not None
        async for chunk in response.stream:
            chunks.append(chunk)

    task = asyncio.ensure_future(drain())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return b"".join(chunks)


def thing(api_version: str, kind: str, name: str, namespace: str = "", **rest: Any) -> dict[str, Any]:
    """Return an object."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def cluster_objects() -> list[dict[str, Any]]:
    """Return what the recorder had made before it began (golden/README.md)."""
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get", "list", "watch"]}]
    reader = {"apiGroup": rbac, "kind": "Role", "name": "reader"}
    view = {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"}
    jane = {"kind": "User", "name": "jane", "apiGroup": rbac}
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "dev"}
    pods = [
        thing(
            "v1",
            "Pod",
            f"{name}-cks-control-plane",
            "kube-system",
            spec={"nodeName": "cks-control-plane", "containers": [{"name": name, "image": name}]},
        )
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    return [
        thing("v1", "Namespace", "dev"),
        thing("v1", "Node", "cks-control-plane"),
        thing("v1", "ServiceAccount", "robot", "dev"),
        thing(f"{rbac}/v1", "Role", "reader", "dev", rules=rules),
        thing(f"{rbac}/v1", "RoleBinding", "jane-reads", "dev", roleRef=reader, subjects=[jane]),
        thing(f"{rbac}/v1", "RoleBinding", "robot-views", "dev", roleRef=view, subjects=[robot]),
        *pods,
    ]
