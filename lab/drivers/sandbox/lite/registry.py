"""Owns the border to the objects: every request for a resource comes in here and leaves as an Outcome or an ApiError.

    registry = Registry(Path("/var/lib/etcd"))
    registry.ensure_bootstrap()
    outcome = registry.handle(Request("create", "", "v1", "configmaps", namespace="dev", body=b"…"))

Synchronous and without HTTP: the server routes, authenticates, authorizes and audits, then calls `handle` or `watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from .applying import patch
from .bodies import Decoded, decode
from .bootstrap import Cluster, fresh_cluster
from .border import ApiError, Json, Outcome, Request, UserInfo, Watch
from .deleting import delete, delete_collection
from .namespaces import Keeper
from .reading import Watcher, get, key_of, list_objects, shown_as
from .resources import ResourceType, by_kind, lookup
from .resources.defaults import default
from .status import internal_error, method_not_allowed, no_resource
from .store import Key, Store
from .subresources import Subresources
from .writing import Writer

__all__ = ["ApiError", "Cluster", "Decoded", "Outcome", "Registry", "Request", "ResourceType", "UserInfo", "Watch"]


DEPRECATED = {
    "/endpoints": "v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    "/componentstatuses": "v1.19+",
}
"""Resources whose use is answered with a warning."""
_WRITES: dict[str, Callable[[Writer, Request, ResourceType, datetime], Outcome]] = {
    "create": Writer.create,
    "update": Writer.update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}


class Registry:
    """All objects of one API server. `storage_dir` None keeps them in memory."""

    def __init__(self, storage_dir: Path | None = None, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self.store = Store(storage_dir)
        self._keeper = Keeper(self.store)
        self._writer = Writer(self.store, self._keeper.after)
        self._subresources = Subresources(self.store, self._writer)

    @property
    def ca_bundle(self) -> str:
        """The cluster CA in PEM, as each namespace's kube-root-ca.crt has it."""
        return self._keeper.ca_bundle

    @ca_bundle.setter
    def ca_bundle(self, pem: str) -> None:
        self._keeper.ca_bundle = pem

    def exists(self, group: str, version: str, resource: str) -> ResourceType | None:
        """Return the resource type of a path's group, version and plural, or None."""
        return lookup(group, version, resource)

    def handle(self, request: Request) -> Outcome:
        """Answer every verb but watch. ApiError: the request is refused, with the words to send."""
        kind = self._kind(request)
        now = request.now or self._clock()
        try:
            outcome = self._answer(request, kind, now)
        except OSError as error:
            raise internal_error(f"etcdserver: {error.strerror}") from error
        deprecation = DEPRECATED.get(kind.stored_as)
        if deprecation and kind.group == "":
            outcome.warnings.append(f"{kind.version} {kind.kind} is deprecated in {deprecation}")
        return outcome

    def _answer(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        if request.subresource:
            return self._subresources.handle(request, kind, now)
        if request.verb == "get":
            return Outcome(200, get(self.store, request, kind, now))
        if request.verb == "list":
            return Outcome(200, list_objects(self.store, request, kind, now))
        return _WRITES[request.verb](self._writer, request, kind, now)

    def watch(self, request: Request) -> Watch:
        """Start a watch; its owner calls `close()` when the stream ends. ApiError 410: it starts too far back."""
        kind = self._kind(request)
        return Watcher(self.store, request, kind, request.now or self._clock()).watch

    def decode(self, request: Request) -> Decoded:
        """Read a body as handle would, for a resource that is answered elsewhere (reviews, token requests)."""
        kind = self._kind(request)
        sub = kind.subresources.get(request.subresource)
        if sub is None:
            decoded = decode(request, kind)
            default(kind, decoded.object)
            return decoded
        return decode(request, kind, sub.group, sub.version, sub.kind)

    def read(self, group: str, version: str, resource: str, namespace: str, name: str) -> Json | None:
        """Return an object, or None."""
        kind = lookup(group, version, resource)
        found = self.store.get(key_of(kind, namespace, name)) if kind else None
        return shown_as(found, kind) if found and kind else None

    def objects(self, group: str, resource: str, namespace: str = "") -> Iterator[Json]:
        """Yield the objects of a resource; `namespace` "" means all."""
        return self.store.objects(f"{group}/{resource}", namespace)

    def changed(self, group: str, resource: str) -> int:
        """Return the resourceVersion of the last write to a resource, for who caches what `objects` said."""
        return self.store.changed(f"{group}/{resource}")

    def ensure_bootstrap(self, objects: Iterable[Json] = (), cluster: Cluster | None = None) -> None:
        """Create those of the objects that are not there yet: first the fresh cluster's own, then the given ones.

        On a store that holds a cluster already the fresh cluster's are left out: what a person deleted stays deleted.
        """
        made_for = cluster or Cluster()
        self.ca_bundle = made_for.ca_bundle or self.ca_bundle
        if not self.store.exists(Key("/namespaces", "", "kube-system")):
            for obj in fresh_cluster(made_for, self._clock()):
                self.ensure(obj)
        for obj in objects:
            self.ensure(obj)

    def ensure(self, obj: Json, manager: str = "kube-apiserver") -> Json:
        """Create an object (kind and apiVersion given), its status with it, unless it is there; return what is kept.

        For the cluster's own parts: nothing is validated.
        """
        kind = self._kind_of(obj)
        meta = obj["metadata"]
        key = key_of(kind, meta.get("namespace", ""), meta["name"])
        return self.store.get(key) or self._writer.seed(kind, key, obj, manager, self._clock())

    def put_status(self, obj: Json) -> Json:
        """Keep an object's status as given, creating the object where it is new: for node components' own reports."""
        made = self.ensure(obj)
        if made.get("status") == obj.get("status"):
            return made
        made["status"] = obj.get("status")
        meta = obj["metadata"]
        return self.store.put(key_of(self._kind_of(obj), meta.get("namespace", ""), meta["name"]), made)

    def discard(self, group: str, version: str, resource: str, namespace: str, name: str) -> bool:
        """Drop an object at once; say whether it was there."""
        kind = lookup(group, version, resource)
        return kind is not None and self.store.delete(key_of(kind, namespace, name)) is not None

    def close(self) -> None:
        """Let go of the files."""
        self.store.close()

    @staticmethod
    def _kind_of(obj: Json) -> ResourceType:
        group, _, version = obj["apiVersion"].rpartition("/")
        kind = by_kind(group, version, obj["kind"])
        if kind is None:
            raise no_resource()
        return kind

    @staticmethod
    def _kind(request: Request) -> ResourceType:
        kind = lookup(request.group, request.version, request.resource)
        if kind is None:
            raise no_resource()
        if request.subresource:
            sub = kind.subresources.get(request.subresource)
            if sub is None:
                raise no_resource()
            verbs = sub.verbs
        else:
            verbs = kind.verbs
        scoped = kind.namespaced and not request.namespace and request.verb not in ("list", "watch")
        if request.verb not in verbs or scoped:
            raise method_not_allowed(request.group, request.resource, request.verb)
        return kind
