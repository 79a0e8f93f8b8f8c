"""Owns one request at a time to the API server, and the words of those that fail.

An API server that is down, hangs or refuses never holds up the node: a request is an `Exchange` in init's loop with a
deadline; after a failure the next one waits a little longer each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import kubeconfig, node_object
from .clock import Clock
from .config import Config
from .http_exchange import Answer, Exchange, request
from .log import Klog, quoted

Json = dict[str, Any]
DEADLINE = 5.0
_RETRY_FIRST = 0.1
_RETRY_MOST = {"fast": 0.4, "real": 2.0}
_SAID_AGAIN = 7.0


@dataclass(slots=True)
class Need:
    """A request to send: what is logged when it fails, and what is done with a good answer."""

    method: str
    path: str
    done: Callable[[Answer], None]
    body: Json | None = None
    content_type: str = "application/json"
    failure: tuple[str, str] = ("", "")
    values: dict[str, object] = field(default_factory=dict)
    expected: tuple[int, ...] = (200, 201)
    prefix: str = ""


class ApiClient:
    """Sends requests. `answered`: whether the API server has answered since the kubelet's start."""

    def __init__(self, config: Config, clock: Clock, klog: Klog) -> None:
        self._config = config
        self._clock = clock
        self._klog = klog
        self._exchange: Exchange | None = None
        self._retry = _RETRY_FIRST
        self._said: dict[str, float] = {}
        self.access: kubeconfig.Access | None = None
        self.not_before = 0.0
        self.answered = False

    @property
    def exchange(self) -> Exchange | None:
        """The connection that is open."""
        return self._exchange

    def close(self) -> None:
        """Drop what is under way."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def busy_until(self) -> float | None:
        """Return when to look again, while a request is under way or the next must wait; None: send one."""
        now = self._clock.monotonic()
        if self._exchange is not None and now >= self._exchange.deadline:
            self._exchange.expire("context deadline exceeded")
        if self._exchange is not None:
            return self._exchange.deadline
        return self.not_before if now < self.not_before else None

    def stream(
        self, path: str, deadline: float, done: Callable[[Answer], None], chunk: Callable[[bytes], None]
    ) -> Exchange | None:
        """Open a watch beside the requests; None if it failed at once, or nobody was spoken to yet."""
        access = self.access
        if access is None:
            return None
        data = request("GET", path, f"{access.host}:{access.port}", self._headers())
        exchange = Exchange((access.host, access.port), data, access.context, deadline, done, chunk)
        return None if exchange.ended else exchange

    def send(self, need: Need) -> None:
        """Send one request."""
        now = self._clock.monotonic()
        try:
            access = self.access = self.access or kubeconfig.load(self._config.kubeconfig or "", self._config.root)
        except (OSError, ValueError) as error:
            self._say("kubeconfig", "server.go:280", "Failed to load kubeconfig", str(error), {})
            self.not_before = now + _RETRY_MOST[self._config.pace]
            return
        headers = self._headers()
        body = b""
        if need.body is not None:
            body = json.dumps(need.body, separators=(",", ":")).encode()
            headers["Content-Type"] = need.content_type
        address = (access.host, access.port)
        data = request(need.method, need.path, f"{access.host}:{access.port}", headers, body)
        exchange = Exchange(address, data, access.context, now + DEADLINE, lambda answer: self._answer(need, answer))
        self._exchange = None if exchange.ended else exchange

    def _headers(self) -> dict[str, str]:
        agent = f"kubelet/{self._config.version} (linux/{node_object.architecture()}) kubernetes/lite"
        return {"User-Agent": agent, "Accept": "application/json"}

    def _answer(self, need: Need, answer: Answer) -> None:
        self._exchange = None
        now = self._clock.monotonic()
        if answer.status:
            self.answered = True
        if answer.status in need.expected:
            self._retry = _RETRY_FIRST
            need.done(answer)
            return
        self.not_before = now + self._retry
        self._retry = min(self._retry * 2, _RETRY_MOST[self._config.pace])
        if answer.status == 401 or not answer.status:
            # New certificates may lie there by the next time.
            self.access = self.access if not answer.status else None
        where, message = need.failure
        if where:
            self._say(f"{where}{need.values}", where, message, need.prefix + self._words(need, answer), need.values)

    def _words(self, need: Need, answer: Answer) -> str:
        if answer.status:
            try:
                return str(json.loads(answer.body)["message"])
            except (ValueError, LookupError, TypeError):
                return f"the server responded with the status code {answer.status}"
        url = f"{self.access.url if self.access else ''}{need.path}"
        return f"{need.method.capitalize()} {quoted(url)}: {answer.error}"

    def _say(self, key: str, where: str, message: str, error: str, values: dict[str, object]) -> None:
        if self.news(key):
            self._klog.error(where, message, error, **values)

    def news(self, key: str) -> bool:
        """Return whether it is time to say this (again): a server that is down would fill the journal."""
        now = self._clock.monotonic()
        if now - self._said.get(key, -_SAID_AGAIN) < _SAID_AGAIN:
            return False
        self._said[key] = now
        return True
