"""What the kind CLI says, and what is made of it. The lines are kind's own, as v0.32.0 printed them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.drivers.kind import cli
from lab.errors import LabError

MADE = """\
using docker due to KIND_EXPERIMENTAL_PROVIDER
cgroup v1 is deprecated in Kubernetes and will not be supported in a future kind release, please upgrade to cgroup v2
Creating cluster "cks-lab-one" ...
 • Ensuring node image (kindest/node:v1.34.4) 🖼  ...
DEBUG: docker/images.go:58] Image: kindest/node:v1.34.4 present locally
 ✓ Ensuring node image (kindest/node:v1.34.4) 🖼
 • Preparing nodes 📦   ...
 ✓ Preparing nodes 📦
 • Writing configuration 📜  ...
 ✓ Writing configuration 📜
 • Starting control-plane 🕹️  ...
 ✓ Starting control-plane 🕹️
 • Installing CNI 🔌  ...
 ✓ Installing CNI 🔌
 • Installing StorageClass 💾  ...
 ✓ Installing StorageClass 💾
 • Joining worker nodes 🚜  ...
 ✓ Joining worker nodes 🚜
 • Waiting ≤ 3m0s for control-plane = Ready ⏳  ...
 ✓ Waiting ≤ 3m0s for control-plane = Ready ⏳
 • Ready after 0s 💚
Set kubectl context to "kind-cks-lab-one"
You can now use your cluster with:

kubectl cluster-info --context kind-cks-lab-one --kubeconfig /tmp/kubeconfig

Have a question, bug, or feature request? Let us know! https://kind.sigs.k8s.io/#community 🙂
"""
NO_PULL = """\
Creating cluster "cks-lab-b" ...
 • Ensuring node image (nope/nope:1) 🖼  ...
DEBUG: docker/images.go:67] Pulling image: nope/nope:1 ...
 ✗ Ensuring node image (nope/nope:1) 🖼
ERROR: failed to create cluster: failed to pull image "nope/nope:1": command "docker pull nope/nope:1" failed with error: exit status 1

Command Output: Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host

Stack Trace:
sigs.k8s.io/kind/pkg/errors.WithStack
	sigs.k8s.io/kind@v0.32.0/pkg/errors/errors.go:59
"""
TAKEN = 'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "cks-lab-b"\n'
LOG = Path("/state/b.log")


def test_each_step_is_told_by_the_line_that_begins_it() -> None:
    said = [found for line in MADE.splitlines() if (found := cli.said(line)) is not None]
    assert [each.step for each in said if each.begins] == [title for _, title in cli.TITLES]
    assert [each.mark for each in said] == ["•", "✓"] * len(cli.TITLES)
    assert said[0].detail == "kindest/node:v1.34.4"
    assert {each.detail for each in said[2:]} == {""}


def test_a_step_that_fails_is_of_its_step_in_colour_too() -> None:
    marks = [found.mark for line in NO_PULL.splitlines() if (found := cli.said(line)) is not None]
    assert marks == ["•", "✗"]
    failed = cli.said(" \x1b[31m✗\x1b[0m Starting control-plane 🕹️")
    assert failed is not None
    assert (failed.step, failed.mark) == ("control plane", "✗")


@pytest.mark.parametrize(
    ("text", "numbers", "words"),
    [
        ("kind v0.32.0 go1.26.8 linux/amd64\n", (0, 32, 0), "v0.32.0"),
        ("kind v0.33.0-alpha+0b9d0d40aa1fb1 go1.25.1 darwin/arm64\n", (0, 33, 0), "v0.33.0-alpha+0b9d0d40aa1fb1"),
        ("kind v0.9.0 go1.15.2 linux/amd64", (0, 9, 0), "v0.9.0"),
    ],
)
def test_the_version_is_read(text: str, numbers: tuple[int, int, int], words: str) -> None:
    assert cli.version(text) == (numbers, words)


def test_what_is_no_version_is_none() -> None:
    assert cli.version("kindly do not ask") is None


def test_a_failed_pull_names_the_registrys_words_the_log_and_a_way_on() -> None:
    error = cli.failure(NO_PULL.splitlines(), LOG)
    assert "nope/nope:1" in error.message
    assert "no such host" in error.message
    assert "Stack Trace" not in error.message
    assert str(LOG) in error.message
    assert "--image" in error.hint
    assert not cli.already_there(NO_PULL.splitlines())


def test_a_name_that_is_taken_is_known_as_such() -> None:
    assert cli.already_there(TAKEN.splitlines())
    assert "--lab NAME" in cli.failure(TAKEN.splitlines(), LOG).hint


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("ERROR: failed to create cluster: x: write /y: no space left on device", "docker system prune"),
        ('ERROR: failed to create cluster: could not find a log line that matches "Reached target"', "fs.inotify"),
        ("ERROR: failed to create cluster: Bind for 0.0.0.0:80 failed: port is already allocated", "ss -ltnp"),
        ("Error: unknown flag: --retain", "kind create cluster --help"),
        ("ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock", "docker ps"),
    ],
)
def test_what_kind_fails_with_has_its_advice(words: str, advice: str) -> None:
    assert advice in cli.failure([words], LOG).hint


def test_a_kubelet_that_does_not_start_on_cgroup_v1_is_told_as_such() -> None:
    warning = "cgroup v1 is deprecated in Kubernetes and will not be supported in a future kind release"
    failed = 'ERROR: failed to create cluster: failed to init node with kubeadm: command "docker exec" failed'
    assert "--kubernetes-version 1.34" in cli.failure([warning, failed], LOG).hint
    assert "cgroup" not in cli.failure([failed], LOG).hint


def test_a_failure_without_words_names_the_log() -> None:
    error = cli.failure([], LOG)
    assert "it said nothing" in error.message
    assert str(LOG) in error.hint


def test_the_command_keeps_the_users_kubeconfig_out_of_it(tmp_path: Path) -> None:
    own = tmp_path / "kubeconfig"
    argv = cli.create("cks-lab-one", own, image="a/b:1", config=Path("/c.yaml"), retain=True)
    assert argv[argv.index("--kubeconfig") + 1] == str(own)
    assert argv[argv.index("--image") + 1] == "a/b:1"
    assert argv[argv.index("--config") + 1] == "/c.yaml"
    assert "--retain" in argv
    assert "--retain" not in cli.create("cks-lab-one", own)
    env = cli.environment(own, {"KUBECONFIG": "/home/me/.kube/config", "KIND_CLUSTER_NAME": "mine", "A": "b"})
    assert env == {"KUBECONFIG": str(own), "KIND_EXPERIMENTAL_PROVIDER": "docker", "A": "b"}


@pytest.mark.parametrize(
    ("wanted", "local", "image"),
    [
        ("1.34.4", [], "kindest/node:v1.34.4"),
        ("v1.34.4", ["kindest/node:v1.34.9"], "kindest/node:v1.34.4"),
        ("1.34", ["kindest/node:v1.34.2", "kindest/node:v1.34.11", "kindest/node:v1.33.1"], "kindest/node:v1.34.11"),
        ("1.34", ["kindest/node:v1.34.0-alpha.1", "kindest/node:latest"], "kindest/node:v1.34.3"),
        ("v1.35", [], "kindest/node:v1.35.0"),
    ],
)
def test_a_version_of_kubernetes_is_an_image(wanted: str, local: list[str], image: str) -> None:
    assert cli.image_of(wanted, local) == image


@pytest.mark.parametrize("wanted", ["1.2", "9.9", "latest", "1.34.x", ""])
def test_a_version_without_an_image_says_what_to_type(wanted: str) -> None:
    with pytest.raises(LabError) as error:
        cli.image_of(wanted, [])
    assert error.value.hint
