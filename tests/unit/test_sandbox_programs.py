"""Which program a container runs, and containerd's words where its image has no such program."""

from __future__ import annotations

import pytest

from lab.drivers.sandbox.programs import command, image_name
from lab.drivers.sandbox.runtime import ContainerError, ContainerSpec

RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)


def spec(image: str, *argv: str) -> ContainerSpec:
    return ContainerSpec("uid", "pod", "kube-system", "c", 0, image, argv)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("registry.k8s.io/kube-apiserver:v1.34.4", "kube-apiserver"),
        ("registry.k8s.io/coredns/coredns:v1.12.1", "coredns"),
        ("localhost:5000/etcd@sha256:0a", "etcd"),
        ("etcd", "etcd"),
    ],
)
def test_an_image_is_known_by_the_last_part_of_its_name(image: str, name: str) -> None:
    assert image_name(image) == name


def test_the_image_of_the_api_server_runs_it_with_its_flags() -> None:
    found = command(spec("registry.k8s.io/kube-apiserver:v1.34.4", "kube-apiserver", "--secure-port=6443"))
    assert found == ("kube-apiserver", ("kube-apiserver", "--secure-port=6443"))
    by_path = command(spec("registry.k8s.io/kube-apiserver:v1.34.4", "/usr/local/bin/kube-apiserver"))
    assert by_path[0] == "kube-apiserver"


def test_an_image_with_an_entrypoint_takes_arguments_alone() -> None:
    assert command(spec("registry.k8s.io/coredns/coredns:v1.12.1", "-conf", "/x")) == (
        "coredns",
        ("/coredns", "-conf", "/x"),
    )


@pytest.mark.parametrize(
    ("image", "argv", "words"),
    [
        # golden/static-pods, pod-image-other-program [R 1.34 kubelet]
        (
            "registry.k8s.io/pause:3.10.1",
            ("kube-apiserver", "--x"),
            'exec: "kube-apiserver": executable file not found in $PATH: unknown',
        ),
        (
            "registry.k8s.io/kube-apiserver:v1.34.4",
            ("kube-apiserver --advertise-address=1.2.3.4",),
            'exec: "kube-apiserver --advertise-address=1.2.3.4": executable file not found in $PATH: unknown',
        ),
        ("registry.k8s.io/etcd:3.6", ("/bin/sh",), 'exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown'),
    ],
)
def test_a_program_that_the_image_lacks_is_refused_in_runcs_words(
    image: str, argv: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ContainerError) as refused:
        command(spec(image, *argv))
    assert str(refused.value) == RUNC + words
