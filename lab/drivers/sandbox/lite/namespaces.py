"""Owns what controllers would do at once with namespaces: fill a new one, empty and drop a deleted one."""

from __future__ import annotations

import uuid
from datetime import datetime

from .border import Json
from .convert import stamp
from .store import Key, Store

CA_CONFIG_MAP = "kube-root-ca.crt"


class Keeper:
    """Follows a store's writes. `ca_bundle` is what the CA config map of each namespace holds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ca_bundle = ""

    def after(self, key: Key, now: datetime) -> None:
        """Do what follows from a write to a key."""
        if key.kind == "/namespaces":
            namespace = self._store.get(key)
            if namespace is None:
                return
            if namespace["metadata"].get("deletionTimestamp"):
                self._empty(key, namespace)
            else:
                self._fill(key.name, now)
        elif key.kind in ("/configmaps", "/serviceaccounts") and key.name in (CA_CONFIG_MAP, "default"):
            namespace = self._store.get(Key("/namespaces", "", key.namespace))
            if namespace is not None and not namespace["metadata"].get("deletionTimestamp"):
                self._fill(key.namespace, now)

    def _fill(self, name: str, now: datetime) -> None:
        account = Key("/serviceaccounts", name, "default")
        if not self._store.exists(account):
            self._store.put(
                account, {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": _meta("default", name, now)}
            )
        bundle = Key("/configmaps", name, CA_CONFIG_MAP)
        if not self._store.exists(bundle):
            meta = _meta(CA_CONFIG_MAP, name, now)
            meta["annotations"] = {
                "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when "
                "using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
                "guaranteed across distributions of Kubernetes clusters."
            }
            owned = {"f:data": {".": {}, "f:ca.crt": {}}, "f:metadata": {"f:annotations": {
                ".": {}, "f:kubernetes.io/description": {}}}}  # fmt: skip
            meta["managedFields"] = [{
                "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": stamp(now),
                "fieldsType": "FieldsV1", "fieldsV1": owned}]  # fmt: skip
            self._store.put(
                bundle, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": {"ca.crt": self.ca_bundle}}
            )

    def _empty(self, key: Key, namespace: Json) -> None:
        for kind in self._store.kinds():
            for found in self._store.keys(kind, key.name):
                self._store.delete(found)
        namespace.setdefault("spec", {}).pop("finalizers", None)
        if namespace["metadata"].get("finalizers"):
            self._store.put(key, namespace)
        else:
            self._store.delete(key)


def _meta(name: str, namespace: str, now: datetime) -> Json:
    return {"name": name, "namespace": namespace, "uid": str(uuid.uuid4()), "resourceVersion": "",
            "creationTimestamp": stamp(now)}  # fmt: skip
