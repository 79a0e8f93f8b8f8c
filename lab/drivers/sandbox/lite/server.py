"""Owns kube-apiserver's main: the command line, the start with its refusals, serving, and the end.

`serve(argv)` is what a container runs; argv is the manifest's command. The environment says what a manifest does not:
CKS_LITE_STORAGE   folder that the objects are kept in (in memory without)
CKS_LITE_PODLOGS   the node's /var/log/pods, for `kubectl logs`
CKS_LITE_GRACE     seconds that running watches may hold up the end after SIGTERM (0)
CKS_LITE_MEMORY    bytes that the container may use; with too few it ends as a process that is killed for that
CKS_LITE_RUN_AS    the user's number that the container asks for, see files.py
CKS_LITE_ETCD, CKS_LITE_DIAL   where the node's etcd is, see peers.py
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import os
import signal
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from checkers.kube.audit_policy import Policy, PolicyError, load_policy
from checkers.kube.gotext import quote
from checkers.kube.goyaml.nodes import TooBig
from checkers.kube.server.fate import LEAST_MEMORY
from checkers.kube.server.files import AFTER_LOG, BEFORE_POLICY
from checkers.kube.server.flags import FlagError, Flags, aggregate, parse_flags
from checkers.kube.server.options import cluster_range_error

from . import peers, tls
from .api import Api
from .audit import Auditor
from .audit_log import LogFileError, LogSink, open_log
from .authn import Authenticator
from .authz import Always, Authorizer, Mode, Rbac
from .files import FileError, read
from .health import Health
from .http import HttpProtocol
from .klog import Klog, os_error
from .lookups import Lookups
from .loopback import Loopback
from .node_authz import NodeAuthorizer
from .path_routes import GIT_VERSION, PathRoutes
from .pod_streams import PodStreams
from .registry import Cluster, Registry
from .resource_routes import ResourceRoutes
from .reviews import Reviews
from .tokens import KeyFileError, Tokens

_BACKLOG = 128
_LAST_WORDS = 0.2
"""Seconds in which answers that are on their way may still be sent."""


class StartError(Exception):
    """Why the server does not start, in the real one's words; `fatal`: it says so in a fatal line and ends with 255."""

    def __init__(self, words: str, *, fatal: bool = False) -> None:
        super().__init__(words)
        self.fatal = fatal


def serve(argv: Sequence[str]) -> int:
    """Run an API server until SIGTERM or SIGINT, and return its exit status: 1 where it does not start."""
    klog = Klog()
    try:
        flags = parse_flags(argv)
    except FlagError as error:
        if error.line is not None:
            klog.plain(error.line)
        else:
            klog.structured("E", "run.go:72", "command failed", err=error.text)
        return 1
    if flags.help:
        print("The Kubernetes API server, lite: see kube-apiserver --help of the real one.", flush=True)
        return 0
    if flags.print_version is not None:
        print(f"Kubernetes {GIT_VERSION}", flush=True)
        return 0
    try:
        return asyncio.run(_run(flags, klog))
    except (StartError, OSError) as error:
        if isinstance(error, StartError) and error.fatal:
            klog.line("F", "instance.go:232", str(error))
            return 255
        # An OSError is the storage's: the real one would say that it does not reach etcd.
        klog.structured("E", "run.go:72", "command failed", err=str(error))
        return 1


def _now() -> datetime:
    return datetime.now(UTC)


async def _run(flags: Flags, klog: Klog) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = start(flags, klog)
    if 0 < int(os.environ.get("CKS_LITE_MEMORY") or 0) < LEAST_MEMORY:
        # The first process of a pid namespace cannot send itself the SIGKILL of the real end.
        os._exit(128 + signal.SIGKILL)
    await server.open()
    gc.collect()
    gc.freeze()
    await stop.wait()
    klog.info("genericapiserver.go:714", '[graceful-termination] shutdown event name="ShutdownInitiated"')
    await server.close(float(os.environ.get("CKS_LITE_GRACE") or 0))
    return 0


@dataclass(slots=True)
class Server:
    """An API server that has everything it needs and has not begun to listen."""

    api: Api
    registry: Registry
    health: Health
    loopback: Loopback
    sink: LogSink | None
    klog: Klog
    listener: socket.socket
    context: ssl.SSLContext
    connections: set[HttpProtocol]
    serving: asyncio.Server | None = None

    async def open(self) -> None:
        """Make the first requests of its own, then listen."""
        await self.loopback.start()
        loop = asyncio.get_running_loop()
        self.serving = await loop.create_server(
            lambda: HttpProtocol(self.api.handle, self.connections),
            sock=self.listener,
            ssl=self.context,
            backlog=_BACKLOG,
        )
        host, port = self.listener.getsockname()[:2]
        self.klog.info("secure_serving.go:211", f"Serving securely on {f'[{host}]' if ':' in host else host}:{port}")

    async def close(self, grace: float = 0.0) -> None:
        """Stop listening, let watches run for `grace` seconds at most, and let go of everything."""
        self.health.stopping = True
        if self.serving is not None:
            self.serving.close()
        await self.loopback.stop()
        ends = time.monotonic() + grace
        while (busy := [c for c in self.connections if not c.idle]) and (left := ends - time.monotonic()) > 0:
            await asyncio.wait([asyncio.ensure_future(c.finished()) for c in busy], timeout=left)
        open_still = list(self.connections)
        for connection in open_still:
            connection.close()
        if open_still:
            await asyncio.wait([asyncio.ensure_future(c.finished()) for c in open_still], timeout=_LAST_WORDS)
        self.registry.close()
        if self.sink is not None:
            self.sink.close()


def refusal(argv: Sequence[str]) -> tuple[int, str] | None:
    """Return the exit status and the words of a server that cannot read its files, None where it would listen.

    For a real one whose container is another user's: on a node with a single user only this can tell (see `files`).
    """
    said = io.StringIO()
    klog = Klog(said)
    try:
        flags = parse_flags(argv)
        if flags.help or flags.print_version is not None:
            return None
        _before_listening(flags, klog)
        _, _, sink = _from_files(flags, klog)
    except FlagError:
        # It will say so itself.
        return None
    except StartError as error:
        klog.structured("E", "run.go:72", "command failed", err=str(error))
        return 1, said.getvalue()
    if sink is not None:
        sink.close()
    return None


def start(flags: Flags, klog: Klog) -> Server:
    """Get everything ready that a server needs, in the real one's order. Raises StartError."""
    tokens = _before_listening(flags, klog)
    listener = _listen(flags)
    context, policy, sink = _from_files(flags, klog)
    try:
        peers.check_peers(flags, klog)
    except peers.PeerError as error:
        raise StartError(str(error), fatal=isinstance(error, peers.EtcdError)) from None
    return _assemble(flags, klog, tokens, listener, context, policy, sink)


def _before_listening(flags: Flags, klog: Klog) -> Tokens:
    """Do what comes before the port is taken. Raises StartError."""
    wrong_range = cluster_range_error(flags)
    if wrong_range is not None:
        raise StartError(wrong_range)
    if not flags.get("external-hostname"):
        host = flags.get("advertise-address") or _own_address()
        klog.info("options.go:263", f"external host was not specified, using {host}")
    try:
        tokens = _tokens(flags)
    except KeyFileError as error:
        raise StartError(str(error)) from None
    wrong = flags.validate()
    if wrong:
        raise StartError(aggregate(wrong))
    klog.info("server.go:150", f"Version: {GIT_VERSION}")
    klog.info("server.go:152", '"Golang settings" GOGC="" GOMAXPROCS="" GOTRACEBACK=""')
    return tokens


def _from_files(flags: Flags, klog: Klog) -> tuple[ssl.SSLContext, Policy | None, LogSink | None]:
    """Read and open what the flags name. Raises StartError."""
    try:
        context = tls.server_context(
            flags.get("tls-cert-file"), flags.get("tls-private-key-file"), flags.get("client-ca-file")
        )
        peers.check_files(BEFORE_POLICY, flags)
    except (tls.TlsError, peers.PeerError) as error:
        raise StartError(str(error)) from None
    policy = _policy(flags, klog)
    sink = _sink(flags, klog, policy)
    try:
        peers.check_files(AFTER_LOG[:1], flags)
    except peers.PeerError as error:
        raise StartError(str(error), fatal=isinstance(error, peers.EtcdError)) from None
    return context, policy, sink


def _assemble(
    flags: Flags,
    klog: Klog,
    tokens: Tokens,
    listener: socket.socket,
    context: ssl.SSLContext,
    policy: Policy | None,
    sink: LogSink | None,
) -> Server:
    storage, logs = os.environ.get("CKS_LITE_STORAGE"), os.environ.get("CKS_LITE_PODLOGS")
    registry = Registry(Path(storage) if storage else None)
    authorities = flags.get("client-ca-file")
    bundle = Path(authorities).read_text(errors="replace") if authorities else ""
    registry.ensure_bootstrap(cluster=Cluster(ca_bundle=bundle))
    lookups = Lookups(registry)
    modes = flags.get_list("authorization-mode") or ("AlwaysAllow",)
    rbac = Rbac(lookups)
    authorizer = Authorizer(_modes(modes, rbac, lookups, klog))
    anonymous = flags.get_bool("anonymous-auth")
    if anonymous and "AlwaysAllow" in modes:
        words = "AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. "
        klog.line("W", "authentication.go:519", words + "You should use a different authorizer")
        anonymous = False
    authenticator = Authenticator(tokens, lookups.get, time.time, anonymous=anonymous)
    reviews = Reviews(authorizer, rbac if "RBAC" in modes else None, authenticator, tokens, lookups)
    streams = PodStreams(lookups, Path(logs) if logs else None)
    health = Health()
    started = time.time()
    api: Api | None = None

    def metrics() -> str:
        return _metrics(started, api.requests if api else 0, sink.written if sink else 0)

    api = Api(
        authenticator=authenticator,
        authorizer=authorizer,
        auditor=Auditor(policy, sink if policy else None, _now),
        resources=ResourceRoutes(registry, lookups, reviews, streams),
        paths=PathRoutes(health, document, tokens, metrics),
        klog=klog,
        now=_now,
    )
    return Server(api, registry, health, Loopback(api, _now), sink, klog, listener, context, set())


def document(path: str, accept: str) -> tuple[str, bytes, str | None] | None:
    """Return a discovery or OpenAPI document with the ETag that it has if clients are to keep it."""
    from .discovery import AGGREGATED
    from .discovery import document as discovered

    found = discovered(path, accept)
    if found is None:
        return None
    content_type, body = found
    kept = content_type == AGGREGATED or path.startswith("/openapi/v3/") or path == "/openapi/v2"
    return content_type, body, f'"{hashlib.sha512(body).hexdigest().upper()}"' if kept else None


def _tokens(flags: Flags) -> Tokens:
    signing = flags.get("service-account-signing-key-file")
    keys = flags.get_list("service-account-key-file")
    issuers = flags.get_list("service-account-issuer")
    return Tokens(issuers[0] if issuers else "", flags.get_list("api-audiences"), signing, keys)


def _modes(names: Sequence[str], rbac: Rbac, lookups: Lookups, klog: Klog) -> list[Mode]:
    modes: list[Mode] = []
    for name in names:
        if name in ("AlwaysAllow", "AlwaysDeny"):
            modes.append(Always(name == "AlwaysAllow"))
        elif name == "RBAC":
            modes.append(rbac)
        elif name == "Node":
            modes.append(NodeAuthorizer(lookups))
        else:
            klog.line("W", "config.go:1", f"lite: --authorization-mode={name} has no opinion here")
    return modes


def _policy(flags: Flags, klog: Klog) -> Policy | None:
    path = flags.audit.policy_file
    if not path:
        return None
    prefix = "loading audit policy file: "
    try:
        data = read(path)
    except FileError as error:
        raise StartError(f"{prefix}failed to read file path {quote(path)}: {error}") from None
    try:
        policy = load_policy(data, version=(1, 34))
    except PolicyError as error:
        raise StartError(f"{prefix}{error}: from file {path}") from None
    except TooBig as error:
        raise StartError(f"{prefix}lite: {error}: from file {path}") from None
    for warning in policy.warnings:
        klog.line("W", "reader.go:81", warning)
    return policy


def _sink(flags: Flags, klog: Klog, policy: Policy | None) -> LogSink | None:
    options = flags.audit
    webhook = options.webhook.config_file
    if webhook:
        try:
            os.stat(webhook)
        except OSError as error:
            raise StartError(f"initializing audit webhook: {os_error(error, 'stat', webhook)}") from None
        klog.line("W", "audit.go:1", "lite: events are not sent to a webhook")
    if not options.log.path:
        return None
    try:
        return LogSink(open_log(options.log, _now), options.log, klog)
    except LogFileError as error:
        raise StartError(str(error)) from None


def _listen(flags: Flags) -> socket.socket:
    host, port = flags.get("bind-address") or "0.0.0.0", flags.get_int("secure-port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off for sockets that say they are TCP only: else each answer waits 2 x 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        address = f"{host}:{port}"
        reason = os.strerror(error.errno or 0).lower()
        raise StartError(
            f"failed to create listener: failed to listen on {address}: listen tcp {address}: bind: {reason}"
        ) from None
    return listener


def _own_address() -> str:
    """Return the address that leads out of here, the loopback's where none does. Nothing is sent."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"
    finally:
        probe.close()


def _metrics(started: float, requests: int, events: int) -> str:
    lines = (
        (
            "apiserver_audit_event_total",
            "counter",
            "[ALPHA] Counter of audit events generated and sent to the audit backend.",
            events,
        ),
        ("apiserver_request_total", "counter", "[STABLE] Counter of apiserver requests.", requests),
        (
            "process_start_time_seconds",
            "gauge",
            "Start time of the process since unix epoch in seconds.",
            f"{started:.2f}",
        ),
    )
    return "".join(
        f"# HELP {name} {words}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, words, value in lines
    )
