"""Owns what lies in a new node's /etc, /var and /root before Kubernetes comes: real directories in the lab's state.

Little is taken from the host: what its programs need to find themselves (ld.so.cache, terminfo, editors' settings).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from .pki import File
from .rootfs import HOST_ETC, OPT

OWN = ("etc", "var", "root", "opt", "srv", "home")
"""The node's own directories: they survive a restart of the machine, and a reset puts them back."""

_HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATH = f"{OPT}/bin:{_HOST_PATH}"
"""The lab's own tools go before the host's."""

_EDITORS = ("vim", "vi", "nano")

_FOLDERS = (
    *(f"etc/{name}" for name in HOST_ETC),
    "etc/ca-certificates",
    "etc/kubernetes/manifests",
    "etc/cni/net.d",
    "etc/profile.d",
    "var/backups",
    "var/cache",
    "var/lib/etcd",
    "var/lib/kubelet",
    "var/log/containers",
    "var/log/journal",
    "var/log/pods",
    "var/mail",
    "var/opt",
    "var/spool",
    "var/tmp",
    "root/.kube",
    "opt",
    "srv",
    "home",
)

_FROM_HOST = (
    "bash_completion",
    "bash_completion.d",
    "debian_version",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "nanorc",
    "os-release",
    "protocols",
    "services",
    "ssl/openssl.cnf",
    "terminfo",
    "vim",
    "virc",
    "vimrc",
)

_PROFILE = f"""# Login shells of the node.
export PATH={PATH}
umask 022
for part in /etc/profile.d/*.sh; do
    [ -r "$part" ] && . "$part"
done
unset part
"""

_BASHRC = r"""# Interactive shells of the node.
case $- in *i*) ;; *) return ;; esac
PS1='\u@\h:\w\$ '
HISTCONTROL=ignoreboth
shopt -s histappend checkwinsize

export EDITOR={editor}

alias k=kubectl
alias ls='ls --color=auto'
alias ll='ls -l'
alias grep='grep --color=auto'

# The completion of kubectl costs a tenth of a second: it is loaded at the first TAB.
__lab_complete_kubectl() {
    complete -r kubectl k
    [ -r /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion
    . <(kubectl completion bash)
    complete -o default -F __start_kubectl k
    return 124
}
complete -F __lab_complete_kubectl kubectl k
"""

_VIMRC = """" YAML wants blanks.
silent! source $VIMRUNTIME/defaults.vim
set expandtab
set tabstop=2
set shiftwidth=2
set softtabstop=2
set mouse=
set ruler
"""


def missing_editors() -> tuple[str, ...]:
    """Return the usual editors that the host lacks: on the node these names open the lab's own."""
    return tuple(name for name in (*_EDITORS, "edit") if shutil.which(name, path=_HOST_PATH) is None)


def files(node: str, address: str, machine_id: str) -> Mapping[str, File]:
    """Return the small files of the node's system, by path without the leading slash."""
    editor = next((name for name in _EDITORS if name not in missing_editors()), "vi")
    texts = {
        "etc/hostname": f"{node}\n",
        "etc/hosts": (f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{node}\n"),
        "etc/resolv.conf": "# This node has no network but its own loopback.\noptions timeout:1 attempts:1\n",
        "etc/passwd": ("root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
        "etc/group": "root:x:0:\nadm:x:4:\ntty:x:5:\nnogroup:x:65534:\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
        "etc/shells": "/bin/sh\n/bin/bash\n",
        "etc/machine-id": f"{machine_id}\n",
        "etc/crictl.yaml": "runtime-endpoint: unix:///run/containerd/containerd.sock\n",
        "etc/profile": _PROFILE,
        "etc/bash.bashrc": _BASHRC.replace("{editor}", editor),
        "root/.profile": '[ -n "$BASH_VERSION" ] && [ -r ~/.bashrc ] && . ~/.bashrc\n',
        "root/.bashrc": ". /etc/bash.bashrc\n",
        "root/.vimrc": _VIMRC,
        "var/lib/kubelet/config.yaml": _KUBELET,
        "var/lib/kubelet/kubeadm-flags.env": (
            f'KUBELET_KUBEADM_ARGS="--node-ip={address} --pod-infra-container-image=registry.k8s.io/pause:3.10.1"\n'
        ),
    }
    return {path: File(text.encode()) for path, text in texts.items()}


_KUBELET = """apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
kind: KubeletConfiguration
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
"""


def lay(root: Path, node: str, address: str, machine_id: str) -> None:
    """Make the directories and system files below `root`, which exists and is empty."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "root").chmod(0o700)
    (root / "var/tmp").chmod(0o1777)
    for name, target in (("var/run", "/run"), ("var/lock", "/run/lock"), ("etc/mtab", "/proc/self/mounts")):
        (root / name).symlink_to(target)
    _take_from_host(Path("/etc"), root / "etc")
    write(root, files(node, address, machine_id))


def write(root: Path, content: Mapping[str, File]) -> None:
    """Write files below a directory that only we have written to so far."""
    for path, file in content.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)


def _take_from_host(host: Path, etc: Path) -> None:
    for name in _FROM_HOST:
        source, target = host / name, etc / name
        # A host where one of these cannot be read lacks a convenience, nothing more.
        try:
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, ignore_dangling_symlinks=True)
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        except (OSError, shutil.Error):
            continue
    with_link = host / "localtime"
    if with_link.is_symlink() and os.fspath(with_link.readlink()).startswith(("/usr/", "../usr/")):
        (etc / "localtime").symlink_to("/usr/" + os.fspath(with_link.readlink()).split("usr/", 1)[1])
