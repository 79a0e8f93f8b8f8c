"""Owns what the real server fetches from the kubelet: logs of containers, refusals of exec, attach and the like.

There is no kubelet to call here. Logs come from the node's log folder where the server can read it; everything else,
and logs elsewhere, is answered as the real server answers when nobody listens on port 10250 (Source: golden/exchanges).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ..pod_logs import TRUE, LogOptions, NoPrevious, find_log, read_log
from . import gojson
from .authz import Objects
from .border import ApiError, Json
from .exchange import Exchange
from .http import Response
from .status import bad_request, failure, not_found

CONNECTED = ("log", "exec", "attach", "portforward", "proxy")
"""Subresources that are connections, of pods, services and nodes."""
_LOG_PARAMETERS = ("follow", "limitBytes", "previous", "sinceSeconds", "sinceTime", "tailLines", "timestamps")
_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ERROR_CHANNEL = 3


class PodStreams:
    """Answers for pods/log, pods/exec, pods/attach, pods/portforward, and the proxies."""

    def __init__(self, objects: Objects, logs: Path | None) -> None:
        self._objects = objects
        self._logs = logs

    def answer(self, exchange: Exchange) -> Response:
        """Return the answer to a request for one of CONNECTED. Raises ApiError."""
        info = exchange.info
        if info.subresource == "proxy":
            return self._proxy(exchange)
        pod = self._objects.get("", "pods", info.namespace, info.name)
        if pod is None:
            raise not_found("", "pods", info.name)
        if info.subresource == "log":
            return self._log(exchange, pod)
        if not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {info.name} does not have a host assigned")
        if info.subresource == "portforward":
            path = f"portForward/{info.namespace}/{info.name}"
        else:
            container = _container(pod, exchange.request.query.get("container", [""])[0])
            path = f"{info.subresource}/{info.namespace}/{info.name}/{container}"
        return self._upgrade(exchange, pod, path)

    def _proxy(self, exchange: Exchange) -> Response:
        info = exchange.info
        name = info.name.split(":")[0] if info.name.count(":") < 2 else info.name.split(":")[1]
        if self._objects.get("", info.resource, info.namespace if info.resource != "nodes" else "", name) is None:
            raise not_found("", info.resource, name)
        if info.resource == "services":
            raise failure(503, "ServiceUnavailable", f'no endpoints available for service "{info.name}"')
        raise bad_request("address not allowed")

    def _log(self, exchange: Exchange, pod: Mapping[str, Any]) -> Response:
        query = exchange.request.query
        container = _container(pod, query.get("container", [""])[0])
        if not pod["spec"].get("nodeName"):
            return Response(204)
        previous = query.get("previous", ["false"])[0] in TRUE
        log = self._find_log(pod, container, previous)
        if log is None:
            shown = urlencode([(key, query[key][0]) for key in _LOG_PARAMETERS if key in query])
            path = f"containerLogs/{exchange.info.namespace}/{exchange.info.name}/{container}" + (
                f"?{shown}" if shown else ""
            )
            status = failure(500, "", f'Get "{self._kubelet(pod)}/{path}": {self._refused(pod)}').status
            raise ApiError(status)
        try:
            options = LogOptions(query)
        except ValueError:
            raise bad_request("invalid log options") from None
        return Response(200, content_type="text/plain", stream=read_log(log, options))

    def _find_log(self, pod: Mapping[str, Any], container: str, previous: bool) -> Path | None:
        if self._logs is None:
            return None
        meta = pod["metadata"]
        try:
            return find_log(self._logs, meta["namespace"], meta["name"], container, previous=previous)
        except NoPrevious as error:
            raise bad_request(str(error)) from None

    def _upgrade(self, exchange: Exchange, pod: Mapping[str, Any], path: str) -> Response:
        request, info = exchange.request, exchange.info
        upgrade = request.header("upgrade").lower()
        if not upgrade:
            raise bad_request("Upgrade request required")
        if upgrade != "websocket" or info.subresource == "portforward":
            raise failure(500, "", f"error dialing backend: {self._refused(pod)}")
        shown = [("command", word) for word in request.query.get("command", ())]
        shown += [(theirs, "1") for ours, theirs in _STREAMS if request.query.get(ours, ["false"])[0] in TRUE]
        words = f'error sending request: Post "{self._kubelet(pod)}/{path}?{urlencode(shown)}": {self._refused(pod)}'
        error = failure(
            500, "InternalError", f"Internal error occurred: {words}", {"causes": [{"message": words}]}
        ).status
        error = {key: value for key, value in error.items() if key not in ("kind", "apiVersion")}
        return websocket_error(request.header("sec-websocket-key"), request.header("sec-websocket-protocol"), error)

    def _kubelet(self, pod: Mapping[str, Any]) -> str:
        return f"https://{self._address(pod)}:10250"

    def _refused(self, pod: Mapping[str, Any]) -> str:
        return f"dial tcp {self._address(pod)}:10250: connect: connection refused"

    def _address(self, pod: Mapping[str, Any]) -> str:
        node = self._objects.get("", "nodes", "", pod["spec"]["nodeName"])
        found = ((node or {}).get("status") or {}).get("addresses") or ()
        return next((address["address"] for address in found if address["type"] == "InternalIP"), "127.0.0.1")


_STREAMS = (("stderr", "error"), ("stdin", "input"), ("stdout", "output"), ("tty", "tty"))


def _container(pod: Mapping[str, Any], wanted: str) -> str:
    """Return the container that is meant. Raises ApiError."""
    name = pod["metadata"]["name"]
    kinds = ("containers", "initContainers", "ephemeralContainers")
    every = [container["name"] for kind in kinds for container in pod["spec"].get(kind) or ()]
    if wanted:
        if wanted not in every:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    usual = [container["name"] for container in pod["spec"].get("containers") or ()]
    if len(usual) == 1:
        return str(usual[0])
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(usual)}]")


def websocket_error(key: str, protocols: str, status: Json) -> Response:
    """Return an answer that accepts a WebSocket, says on its error channel what went wrong, and closes it."""
    accepted = base64.b64encode(hashlib.sha1((key + _WEBSOCKET_GUID).encode()).digest()).decode()
    message = bytes([_ERROR_CHANNEL]) + gojson.encode(status)

    async def tunnel(reader: asyncio.StreamReader, write: Callable[[bytes], Any]) -> None:
        write(_frame(2, message) + _frame(8, b"\x03\xe8"))
        try:
            await asyncio.wait_for(reader.read(), timeout=1)
        except TimeoutError:
            pass

    headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accepted),
        ("Sec-WebSocket-Protocol", protocols.split(",")[0].strip()),
    ]
    return Response(101, headers=headers, tunnel=tunnel)


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    head = bytes([0x80 | opcode, size]) if size < 126 else bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    return head + payload
