"""Owns the kubelet's door for a real API server, port 10250: the logs of containers, for `kubectl logs`.

A process of its own beside init: a reader that follows a log must not hold the node up. The lite API server reads the
logs by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

from ..lite.http import HttpProtocol, HttpRequest, Response
from ..lite.tls import TlsError, server_context
from ..pod_logs import LogOptions, NoPrevious, find_log, read_log

PORT = 10250
_PKI = "/var/lib/kubelet/pki/kubelet"
_CLIENT_CA = "/etc/kubernetes/pki/ca.crt"
_API_SERVER = ("commonName", "kube-apiserver-kubelet-client")
_LOGS = Path("/var/log/pods")
_RETRY = 2.0
_TEXT = "text/plain; charset=utf-8"


async def handle(request: HttpRequest, logs: Path = _LOGS) -> Response:
    """Answer the API server."""
    if request.certificate is None:
        return _text(401, "Unauthorized")
    if _API_SERVER not in request.subject:
        return _text(403, "Forbidden")
    what, *words = [word for word in request.path.split("/") if word] or [""]
    if what in ("exec", "attach", "run", "portForward"):
        return _refusal(f"{what} is not possible on a sandbox node: its containers hold one program each")
    if what != "containerLogs" or len(words) != 3:
        return _text(404, "404 page not found")
    namespace, pod, container = words
    try:
        options = LogOptions(request.query)
        log = find_log(logs, namespace, pod, container, previous=options.previous)
    except ValueError:
        return _text(400, '{"message": "Unable to decode query."}')
    except NoPrevious as error:
        return _text(400, str(error))
    if log is None:
        return _text(404, f"container {container} not found in pod {pod}_{namespace}")
    return Response(200, content_type="text/plain", stream=read_log(log, options))


def _refusal(words: str) -> Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": words, "code": 501}
    return Response(
        501, json.dumps({**status, "metadata": {}, "reason": "NotImplemented"}).encode(), "application/json"
    )


def _text(status: int, words: str) -> Response:
    return Response(status, f"{words}\n".encode(), _TEXT)


def serve(address: str) -> None:
    """Answer until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    asyncio.run(_serve(address))


async def _serve(address: str) -> None:
    connections: set[HttpProtocol] = set()
    loop = asyncio.get_running_loop()
    while True:
        try:
            context = server_context(f"{_PKI}.crt", f"{_PKI}.key", _CLIENT_CA)
            server = await loop.create_server(
                lambda: HttpProtocol(handle, connections), host=address, port=PORT, ssl=context, reuse_address=True
            )
            await server.serve_forever()
        except (OSError, TlsError) as error:
            # A learner has moved the certificates away: they may come back.
            print(f"kubelet, port {PORT}: {error}", flush=True)
            await asyncio.sleep(_RETRY)
