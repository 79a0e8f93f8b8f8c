"""Owns the line from a tool to process 1 of the node: one JSON line there, one back."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

SOCKET = "/run/cks-lab/node.sock"
_TIMEOUT = 30.0


class Unreachable(Exception):
    """Nobody answers; the text is the system's reason."""


def ask(operation: str, **values: Any) -> dict[str, Any]:
    """Send one request and return the answer. Raises Unreachable."""
    path = os.environ.get("CKS_LAB_NODE_SOCKET", SOCKET)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_TIMEOUT)
            line.connect(path)
            line.sendall(json.dumps({"op": operation, **values}).encode() + b"\n")
            received = bytearray()
            while not received.endswith(b"\n"):
                data = line.recv(65536)
                if not data:
                    break
                received += data
        answer = json.loads(received)
    except OSError as error:
        raise Unreachable((error.strerror or str(error)).lower()) from None
    except ValueError:
        raise Unreachable("the answer is no JSON") from None
    return answer if isinstance(answer, dict) else {}
