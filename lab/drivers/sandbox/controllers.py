"""Owns the part of kube-controller-manager that a real API server cannot do without, as the program of its container.

Each namespace gets its service account `default` and the config map kube-root-ca.crt, a deleted one is emptied and
let go: without them no pod can be made and no namespace ends. Each is done by the account that does it on a real
control plane, so that the audit log tells the same story. No other controllers run.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from .kubelet import kubeconfig

Json = dict[str, Any]
NAME = "kube-controller-manager"
_KUBE_SYSTEM = "/api/v1/namespaces/kube-system/serviceaccounts"
_RETRY = 0.5
_SAID_AGAIN = 10.0
_WATCH_SECONDS = 500
_TOKEN_SECONDS = 3000.0
"""A token lives for an hour."""
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_ENDING = "because it is being terminated"
_ROOT_CA = "kube-root-ca.crt"
_ROOT_CA_WORDS = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class Refused(Exception):
    """The API server answered with a status that nobody expected."""


class Client:
    """One user of the API server."""

    def __init__(self, access: kubeconfig.Access, context: ssl.SSLContext | None, agent: str, token: str = "") -> None:
        self._access = access
        self._context = context
        self._headers = {"User-Agent": f"{NAME}/{agent}", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def send(
        self, method: str, path: str, body: Json | None = None, good: Sequence[int] = (200,), accept: str = ""
    ) -> Json:
        """Send one request and return the object in the answer. Raises OSError, HTTPException, Refused, ValueError."""
        connection = self._connect(30.0)
        try:
            headers = {**self._headers, **({"Accept": accept} if accept else {})}
            data = None
            if body is not None:
                data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status not in good:
            raise Refused(f"{method} {path}: {answer.status} {_message(said)}")
        found = json.loads(said)
        return found if isinstance(found, dict) else {}

    def watch(self, path: str) -> Iterator[Json]:
        """Yield the events of a watch until it ends."""
        connection = self._connect(_WATCH_SECONDS + 30.0)
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Refused(f"GET {path}: {answer.status}")
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        where = (self._access.host, self._access.port)
        if self._context is None:
            return http.client.HTTPConnection(*where, timeout=timeout)
        return http.client.HTTPSConnection(*where, timeout=timeout, context=self._context)


def _message(said: bytes) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, LookupError, TypeError):
        return said[:200].decode("utf-8", "replace")


class Controllers:
    """What is done, and by whom."""

    def __init__(self, access: kubeconfig.Access, authority: str) -> None:
        """`authority`: the cluster's CA in PEM, "" if there is none."""
        self.main = Client(access, access.context, "shared-informers")
        self._access = access
        self._authority = authority
        self._lock = threading.Lock()
        self._accounts: dict[str, tuple[float, Client]] = {}

    def namespace(self, namespace: Json) -> None:
        """Look after one namespace."""
        metadata = namespace["metadata"]
        if metadata.get("deletionTimestamp"):
            if namespace.get("spec", {}).get("finalizers"):
                self._empty(namespace)
        else:
            self.fill(metadata["name"])

    def fill(self, name: str) -> None:
        """Make what a namespace has to have."""
        folder = f"/api/v1/namespaces/{name}"
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": name}}
        self._make("service-account-controller", f"{folder}/serviceaccounts", account)
        if self._authority:
            metadata = {
                "name": _ROOT_CA,
                "namespace": name,
                "annotations": {"kubernetes.io/description": _ROOT_CA_WORDS},
            }
            bundle = {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": metadata,
                "data": {"ca.crt": self._authority},
            }
            self._make("root-ca-cert-publisher", f"{folder}/configmaps", bundle)

    def _make(self, account: str, folder: str, each: Json) -> None:
        try:
            # What is there was made before.
            self._as(account, lambda client: client.send("POST", folder, each, (201, 404, 409)))
        except Refused as error:
            if _ENDING not in str(error):
                raise

    def _empty(self, namespace: Json) -> None:
        name = namespace["metadata"]["name"]
        for path in ("/api", "/apis"):
            found = self.main.send("GET", path, accept=_DISCOVERY)
            for folder in _folders(found, name):
                self._as(
                    "namespace-controller",
                    lambda client, folder=folder: client.send("DELETE", folder, good=(200, 404, 405)),  # type: ignore[misc]
                )
        done = {**namespace, "kind": "Namespace", "apiVersion": "v1", "spec": {**namespace["spec"], "finalizers": []}}
        self._as(
            "namespace-controller",
            lambda client: client.send("PUT", f"/api/v1/namespaces/{name}/finalize", done, (200, 404, 409)),
        )

    def _as(self, account: str, act: Callable[[Client], Json]) -> Json:
        """Do something as one of the controllers' service accounts."""
        try:
            return act(self._client(account))
        except Refused as error:
            if " 401 " not in str(error):
                raise
            with self._lock:
                self._accounts.pop(account, None)
            return act(self._client(account))

    def _client(self, account: str) -> Client:
        with self._lock:
            kept = self._accounts.get(account)
            if kept is not None and time.monotonic() < kept[0]:
                return kept[1]
            metadata = {"name": account, "namespace": "kube-system"}
            each = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata}
            self.main.send("POST", _KUBE_SYSTEM, each, (201, 409))
            asked = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
            token = self.main.send("POST", f"{_KUBE_SYSTEM}/{account}/token", asked, (201,))["status"]["token"]
            context = None
            if self._access.context is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.load_verify_locations(cadata=self._access.authority)
            agent = f"system:serviceaccount:kube-system:{account}"
            client = Client(self._access, context, agent, token)
            self._accounts[account] = (time.monotonic() + _TOKEN_SECONDS, client)
            return client


def _folders(discovery: Json, namespace: str) -> Iterator[str]:
    """Yield the path of each collection of a namespace that can be deleted in one go."""
    for group in discovery.get("items") or ():
        name = group.get("metadata", {}).get("name", "")
        for version in (group.get("versions") or ())[:1]:
            at = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
            for resource in version.get("resources") or ():
                if resource.get("scope") == "Namespaced" and "deletecollection" in (resource.get("verbs") or ()):
                    yield f"{at}/namespaces/{namespace}/{resource['resource']}"


def _follow(client: Client, path: str, handle: Callable[[str, Json], None]) -> None:
    """Handle every object of a collection, and each that changes, until the watch ends."""
    joint = "&" if "?" in path else "?"
    listed = client.send("GET", path)
    for each in listed.get("items") or ():
        handle("ADDED", each)
    version = listed.get("metadata", {}).get("resourceVersion", "0")
    watch = (
        f"{path}{joint}allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}&watch=true"
    )
    for event in client.watch(watch):
        if event["type"] == "ERROR":
            return
        if event["type"] != "BOOKMARK":
            handle(event["type"], event["object"])


def _for_ever(once: Callable[[], None], *, silent: bool = False) -> NoReturn:
    """Do it again whenever it ends. All fail together where the server is away: one is enough to say so."""
    said = ""
    not_before = 0.0
    while True:
        try:
            once()
            said = ""
        except (OSError, http.client.HTTPException, Refused, ValueError, LookupError, TypeError) as error:
            words = f"{type(error).__name__}: {error}"
            if not silent and words != said and time.monotonic() >= not_before:
                _say(words)
                said, not_before = words, time.monotonic() + _SAID_AGAIN
        time.sleep(_RETRY)


def _say(text: str) -> None:
    print(f"{NAME} (stand-in): {text}", file=sys.stderr, flush=True)


def serve(argv: Sequence[str]) -> int:
    """Run until SIGTERM. Returns 1 where the flags lead to nothing, and nothing else."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    flags = dict(word.removeprefix("--").partition("=")[::2] for word in argv[1:] if word.startswith("--"))
    try:
        access = kubeconfig.load(flags.get("kubeconfig", ""), Path("/"))
        root = flags.get("root-ca-file", "")
        authority = Path(root).read_text() if root else ""
    except (OSError, ValueError) as error:
        _say(str(error))
        return 1
    _say("service accounts and root certificates of namespaces, and the end of deleted ones")
    _say("no other controllers run on a sandbox node")
    does = Controllers(access, authority)

    def remade(kind: str, each: Json) -> None:
        if kind == "DELETED":
            does.fill(each["metadata"]["namespace"])

    def lived(kind: str, each: Json) -> None:
        if kind != "DELETED":
            does.namespace(each)

    accounts = "/api/v1/serviceaccounts?fieldSelector=metadata.name%3Ddefault"
    bundles = f"/api/v1/configmaps?fieldSelector=metadata.name%3D{_ROOT_CA}"
    for path in (accounts, bundles):
        follow = partial(_for_ever, partial(_follow, does.main, path, remade), silent=True)
        threading.Thread(target=follow, daemon=True).start()
    _for_ever(partial(_follow, does.main, "/api/v1/namespaces", lived))
