"""Owns the forecast: what a node makes of its manifests folder and policy, from the bytes on disk alone.

Which file wins is `pods.folder`'s, what becomes of its container is `start`'s. Source: golden/static-pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from checkers.kube.pods.folder import MANIFESTS, Folder, FolderEntry, folder_pods
from checkers.kube.pods.host_tree import HostTree
from checkers.kube.server.etcd import Etcd, etcd_of
from checkers.kube.server.fate import Auditing, Forecast, Server, Surroundings
from checkers.kube.server.flag_table import Version
from checkers.kube.server.start import LOG_FILE, ServerStart

__all__ = ["LOG_FILE", "Auditing", "Forecast", "Server", "Surroundings", "foretell"]


def foretell(
    folder: Folder | Mapping[str, bytes | None],
    tree: HostTree,
    node: str,
    *,
    around: Surroundings | None = None,
    version: Version = (1, 34),
) -> Forecast:
    """Say what the node makes of its manifests once the kubelet has read the whole folder.

    `folder` is what folder_pods made of it, or the files by name. Where pods of several names would be API servers,
    only one gets the port, by luck: the first in order is told, with a note.
    """
    if not isinstance(folder, Folder):
        folder = folder_pods(folder, node, path=MANIFESTS)
    servers = folder.api_servers()
    if not servers:
        return _no_pod(folder)
    etcd = etcd_of(folder)
    forecasts = [_start(entry, tree, around or Surroundings(), version, etcd) for entry in servers]
    if len(forecasts) == 1:
        return forecasts[0]
    running = [forecast for forecast in forecasts if forecast.server in (Server.RUNS, Server.UNREACHABLE)]
    chosen = (running or forecasts)[0]
    if len(running) > 1 and not _agree(running):
        names = " and ".join(entry.name for entry in servers)
        note = f"{names} are pods of different names that want the same port: which one gets it is luck"
        return replace(chosen, notes=(*chosen.notes, note))
    return chosen


def _agree(forecasts: list[Forecast]) -> bool:
    return len({(forecast.server, forecast.auditing, forecast.request_object) for forecast in forecasts}) == 1


def _start(entry: FolderEntry, tree: HostTree, around: Surroundings, version: Version, etcd: Etcd | None) -> Forecast:
    assert entry.pod is not None
    container = entry.api_server
    assert container is not None
    return ServerStart(entry.pod, container, tree, around, version, entry, etcd).run()


def _no_pod(folder: Folder) -> Forecast:
    """No file makes an API server: tell of the refused file that looks most like one."""
    refused = sorted(folder.refused, key=lambda entry: ("apiserver" not in entry.name, entry.name))
    if not refused or refused[0].error is None:
        return Forecast(Server.NO_POD, message="no file in the folder defines a pod that runs kube-apiserver")
    return Forecast(Server.NO_POD, message=refused[0].error.text, entry=refused[0])
