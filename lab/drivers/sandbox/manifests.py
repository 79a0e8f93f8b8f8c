"""Owns the static pods of the control plane, as kubeadm 1.34 writes them.

Source: kubeadm 1.34, phases/controlplane and phases/etcd; the API server's is compared with a recorded one in a test.
"""

from __future__ import annotations

from collections.abc import Sequence

from .pki import SERVICE_IP, File

KUBERNETES = "v1.34.4"
"""The version whose behaviour the lite API server shows, and which `cks-lab setup` gets."""
ETCD = "3.6.5-0"
FOLDER = "etc/kubernetes/manifests"

_CA_FOLDERS = (
    ("etc-ca-certificates", "/etc/ca-certificates"),
    ("etc-pki-ca-trust", "/etc/pki/ca-trust"),
    ("etc-pki-tls-certs", "/etc/pki/tls/certs"),
    ("usr-local-share-ca-certificates", "/usr/local/share/ca-certificates"),
    ("usr-share-ca-certificates", "/usr/share/ca-certificates"),
)

_Volume = tuple[str, str, str, bool]  # name, path, hostPath type, read-only


def make(node: str, address: str, ca_folders: Sequence[str] = (), kubernetes: str = KUBERNETES) -> dict[str, File]:
    """Return the four manifests by path without the leading slash.

    `ca_folders`: those of the node that exist; `kubernetes`: the version, which its images have as their tag.
    """
    volumes: list[_Volume] = [
        ("ca-certs", "/etc/ssl/certs", "DirectoryOrCreate", True),
        *((name, path, "DirectoryOrCreate", True) for name, path in _CA_FOLDERS if path in ca_folders),
        ("k8s-certs", "/etc/kubernetes/pki", "DirectoryOrCreate", True),
    ]
    pods = {
        "kube-apiserver": _apiserver(address, volumes, kubernetes),
        "kube-controller-manager": _controller_manager(volumes, kubernetes),
        "kube-scheduler": _scheduler(kubernetes),
        "etcd": _etcd(node, address),
    }
    return {f"{FOLDER}/{name}.yaml": File(text.encode(), 0o600) for name, text in pods.items()}


def ca_folder_candidates() -> tuple[str, ...]:
    """Return the folders of certificates that kubeadm mounts where the node has them."""
    return tuple(path for _, path in _CA_FOLDERS)


def _apiserver(address: str, volumes: Sequence[_Volume], kubernetes: str) -> str:
    pki = "/etc/kubernetes/pki"
    return _pod(
        "kube-apiserver",
        annotations={"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": f"{address}:6443"},
        image=f"registry.k8s.io/kube-apiserver:{kubernetes}",
        command=(
            f"--advertise-address={address}",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={pki}/ca.crt",
            "--enable-admission-plugins=NodeRestriction",
            "--enable-bootstrap-token-auth=true",
            f"--etcd-cafile={pki}/etcd/ca.crt",
            f"--etcd-certfile={pki}/apiserver-etcd-client.crt",
            f"--etcd-keyfile={pki}/apiserver-etcd-client.key",
            "--etcd-servers=https://127.0.0.1:2379",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
            f"--proxy-client-key-file={pki}/front-proxy-client.key",
            "--requestheader-allowed-names=front-proxy-client",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            "--secure-port=6443",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            f"--service-cluster-ip-range={SERVICE_IP.rsplit('.', 1)[0]}.0/12",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
        ),
        port=6443,
        probes=(
            _probe("livenessProbe", 8, address, "/livez", "HTTPS", 10, 10),
            _probe("readinessProbe", 3, address, "/readyz", "HTTPS", None, 1),
            _probe("startupProbe", 24, address, "/livez", "HTTPS", 10, 10),
        ),
        requests={"cpu": "250m"},
        volumes=sorted(volumes, key=lambda v: v[0]),
    )


def _controller_manager(volumes: Sequence[_Volume], kubernetes: str) -> str:
    # kubeadm also mounts the flexvolume folder below /usr/libexec: the node's /usr is the host's, and read-only.
    pki = "/etc/kubernetes/pki"
    conf = "/etc/kubernetes/controller-manager.conf"
    return _pod(
        "kube-controller-manager",
        image=f"registry.k8s.io/kube-controller-manager:{kubernetes}",
        command=(
            "--allocate-node-cidrs=true",
            f"--authentication-kubeconfig={conf}",
            f"--authorization-kubeconfig={conf}",
            "--bind-address=127.0.0.1",
            f"--client-ca-file={pki}/ca.crt",
            "--cluster-cidr=10.244.0.0/16",
            "--cluster-name=kubernetes",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            "--controllers=*,bootstrapsigner,tokencleaner",
            f"--kubeconfig={conf}",
            "--leader-elect=true",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/sa.key",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--use-service-account-credentials=true",
        ),
        port=10257,
        probes=(
            _probe("livenessProbe", 8, "127.0.0.1", "/healthz", "HTTPS", 10, 10),
            _probe("startupProbe", 24, "127.0.0.1", "/healthz", "HTTPS", 10, 10),
        ),
        requests={"cpu": "200m"},
        volumes=sorted([*volumes, ("kubeconfig", conf, "FileOrCreate", True)], key=lambda v: v[0]),
    )


def _scheduler(kubernetes: str) -> str:
    conf = "/etc/kubernetes/scheduler.conf"
    return _pod(
        "kube-scheduler",
        image=f"registry.k8s.io/kube-scheduler:{kubernetes}",
        command=(
            f"--authentication-kubeconfig={conf}",
            f"--authorization-kubeconfig={conf}",
            "--bind-address=127.0.0.1",
            f"--kubeconfig={conf}",
            "--leader-elect=true",
        ),
        port=10259,
        probes=(
            _probe("livenessProbe", 8, "127.0.0.1", "/livez", "HTTPS", 10, 10),
            _probe("readinessProbe", 3, "127.0.0.1", "/readyz", "HTTPS", None, 1),
            _probe("startupProbe", 24, "127.0.0.1", "/livez", "HTTPS", 10, 10),
        ),
        requests={"cpu": "100m"},
        volumes=[("kubeconfig", conf, "FileOrCreate", True)],
    )


def _etcd(node: str, address: str) -> str:
    pki = "/etc/kubernetes/pki/etcd"
    return _pod(
        "etcd",
        annotations={"kubeadm.kubernetes.io/etcd.advertise-client-urls": f"https://{address}:2379"},
        image=f"registry.k8s.io/etcd:{ETCD}",
        command=(
            f"--advertise-client-urls=https://{address}:2379",
            f"--cert-file={pki}/server.crt",
            "--client-cert-auth=true",
            "--data-dir=/var/lib/etcd",
            "--feature-gates=InitialCorruptCheck=true",
            f"--initial-advertise-peer-urls=https://{address}:2380",
            f"--initial-cluster={node}=https://{address}:2380",
            f"--key-file={pki}/server.key",
            f"--listen-client-urls=https://127.0.0.1:2379,https://{address}:2379",
            "--listen-metrics-urls=http://127.0.0.1:2381",
            f"--listen-peer-urls=https://{address}:2380",
            f"--name={node}",
            f"--peer-cert-file={pki}/peer.crt",
            "--peer-client-cert-auth=true",
            f"--peer-key-file={pki}/peer.key",
            f"--peer-trusted-ca-file={pki}/ca.crt",
            "--snapshot-count=10000",
            f"--trusted-ca-file={pki}/ca.crt",
            "--watch-progress-notify-interval=5s",
        ),
        port=2381,
        probes=(
            _probe("livenessProbe", 8, "127.0.0.1", "/livez", "HTTP", 10, 10),
            _probe("readinessProbe", 3, "127.0.0.1", "/readyz", "HTTP", None, 1),
            _probe("startupProbe", 24, "127.0.0.1", "/readyz", "HTTP", 10, 10),
        ),
        requests={"cpu": "100m", "memory": "100Mi"},
        volumes=[
            ("etcd-data", "/var/lib/etcd", "DirectoryOrCreate", False),
            ("etcd-certs", pki, "DirectoryOrCreate", False),
        ],
    )


def _probe(kind: str, failures: int, host: str, path: str, scheme: str, delay: int | None, period: int) -> str:
    lines = [
        f"    {kind}:",
        f"      failureThreshold: {failures}",
        "      httpGet:",
        f"        host: {host}",
        f"        path: {path}",
        "        port: probe-port",
        f"        scheme: {scheme}",
        *([f"      initialDelaySeconds: {delay}"] if delay else []),
        f"      periodSeconds: {period}",
        "      timeoutSeconds: 15",
    ]
    return "\n".join(lines)


def _pod(
    name: str,
    *,
    image: str,
    command: Sequence[str],
    port: int,
    probes: Sequence[str],
    requests: dict[str, str],
    volumes: Sequence[_Volume],
    annotations: dict[str, str] | None = None,
) -> str:
    liveness, *further = probes
    lines = ["apiVersion: v1", "kind: Pod", "metadata:"]
    if annotations:
        lines += ["  annotations:", *(f"    {key}: {value}" for key, value in annotations.items())]
    lines += [
        "  labels:",
        f"    component: {name}",
        "    tier: control-plane",
        f"  name: {name}",
        "  namespace: kube-system",
        "spec:",
        "  containers:",
        "  - command:",
        f"    - {name}",
        *(f"    - {flag}" for flag in command),
        f"    image: {image}",
        "    imagePullPolicy: IfNotPresent",
        liveness,
        f"    name: {name}",
        "    ports:",
        f"    - containerPort: {port}",
        "      name: probe-port",
        "      protocol: TCP",
    ]
    readiness = [probe for probe in further if probe.lstrip().startswith("readiness")]
    startup = [probe for probe in further if probe.lstrip().startswith("startup")]
    lines += readiness
    lines += ["    resources:", "      requests:", *(f"        {key}: {value}" for key, value in requests.items())]
    lines += startup
    lines += ["    volumeMounts:"]
    for volume, path, _, read_only in volumes:
        lines += [f"    - mountPath: {path}", f"      name: {volume}"]
        lines += ["      readOnly: true"] if read_only else []
    lines += [
        "  hostNetwork: true",
        "  priority: 2000001000",
        "  priorityClassName: system-node-critical",
        "  securityContext:",
        "    seccompProfile:",
        "      type: RuntimeDefault",
        "  volumes:",
    ]
    for volume, path, kind, _ in sorted(volumes):
        lines += ["  - hostPath:", f"      path: {path}", f"      type: {kind}", f"    name: {volume}"]
    return "\n".join([*lines, "status: {}", ""])
