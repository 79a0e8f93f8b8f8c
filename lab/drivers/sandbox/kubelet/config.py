"""Owns what a kubelet is started with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from checkers.kube.static_pod import load_pod

from .pod_spec import Decode


@dataclass(frozen=True, slots=True)
class Config:
    """`pace` is a name in PACES; `root` is where the node's / is (elsewhere only in tests); `pid` the kubelet's own.

    `kubeconfig` says where the API server is, and has the credentials; None: no API server is spoken to. `version` is
    Kubernetes', and `asked` the programs whose probes are asked.
    """

    node_name: str = "cks-control-plane"
    node_ip: str = "127.0.0.1"
    pace: str = "fast"
    manifests: str = "/etc/kubernetes/manifests"
    kubeconfig: str | None = "/etc/kubernetes/kubelet.conf"
    root: Path = Path("/")
    version: str = "v1.34.4"
    asked: frozenset[str] = frozenset({"kube-apiserver"})
    pid: int = field(default_factory=os.getpid)
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)
    decode: Decode = load_pod
