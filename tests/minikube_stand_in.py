"""A program in minikube's place, for a machine that has none: says what the real one was recorded to say, and does with
real Docker what the real one does with it: a container laid out like its node, with a control plane of kubeadm's at 8443.

Flags that minikube does not have are refused. Labels, mounts, names, ports, the kubeadm configuration and what survives
which restart are the recordings' (README.md there). Its node is an image that kind's cluster is made of.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import yaml

RECORDINGS = (
    Path(os.environ.get("CKS_LAB_SHARED", Path(__file__).parent.parent.parent / "shared")) / "recordings/minikube"
)
IMAGE = os.environ.get("CKS_LAB_E2E_IMAGE", "cks-lab/node:v1.34.4")
VERSION = "v1.34.4"
BINARIES = f"/var/lib/minikube/binaries/{VERSION}"
CONFIG = "/var/tmp/minikube/kubeadm.yaml"
_LABEL = "minikube.sigs.k8s.io"
_ENTRY = "touch /run/kubelet.stopped; exec /usr/local/bin/node-init"
_PREPARE = f"""set -e
mkdir -p /var/tmp/minikube {BINARIES} /etc/kubernetes/manifests /etc/kubernetes/addons
chmod 755 /etc/kubernetes/manifests
for each in kubectl kubeadm; do
    if [ -e /usr/local/bin/$each ]; then mv -f /usr/local/bin/$each {BINARIES}/; fi
done
"""
_HOSTS = (
    "grep -q control-plane.minikube.internal /etc/hosts || echo '{ip}\tcontrol-plane.minikube.internal' >> /etc/hosts"
)
_KUBEADM = f"PATH={BINARIES}:$PATH kubeadm init"


def docker(*args: str, stdin: str | None = None, check: bool = True) -> str:
    """Run docker."""
    done = subprocess.run(["docker", *args], input=stdin, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"minikube's stand-in: docker {' '.join(args)[:200]}: {done.stderr}{done.stdout[-2000:]}")
    return done.stdout.strip() if done.returncode == 0 else ""


class Profiles:
    """The profiles, in MINIKUBE_HOME."""

    def __init__(self) -> None:
        self.folder = Path(os.environ.get("MINIKUBE_HOME") or Path.home() / ".minikube") / "profiles"

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what is kept of a profile."""
        path = self.folder / name / "config.json"
        return json.loads(path.read_text()) if path.exists() else None

    def write(self, name: str, config: dict[str, Any]) -> None:
        """Keep a profile."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / name / "config.json").write_text(json.dumps(config))

    def remove(self, name: str) -> None:
        """Forget a profile."""
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def names(self) -> list[str]:
        """Return all names."""
        return sorted(path.parent.name for path in self.folder.glob("*/config.json"))


class Events:
    """The recorded lines of one run, told up to a step each time."""

    def __init__(self, recording: str, profile: str) -> None:
        text = (RECORDINGS / f"{recording}.events.jsonl").read_text()
        self._lines = text.replace('\\"cks\\"', f'\\"{profile}\\"').replace("[cks]", f"[{profile}]").splitlines()

    def upto(self, step: str) -> None:
        """Tell the lines up to the first one of a step, with it."""
        while self._lines:
            line = self._lines.pop(0)
            print(line, flush=True)
            if json.loads(line)["data"].get("name") == step:
                return

    def rest(self) -> None:
        """Tell what is left."""
        self.upto("no such step")


def state(profile: str) -> str:
    """Return the container's state as Docker has it; "" if there is none."""
    return docker("container", "inspect", "--format", "{{.State.Status}}", profile, check=False)


def address(profile: str) -> str:
    """Return the node's address."""
    form = f'{{{{(index .NetworkSettings.Networks "{profile}").IPAddress}}}}'
    return docker("container", "inspect", "--format", form, profile)


def make_container(profile: str, image: str) -> str:
    """Make network, volume and container as minikube does; return the address."""
    labels = ["--label", f"created_by.{_LABEL}=true", "--label", f"name.{_LABEL}={profile}"]
    third = next(
        number
        for number in range(49, 250, 9)
        if profile in docker("network", "ls", "--format", "{{.Name}}").split()
        or subprocess.run(
            ["docker", "network", "create", "--subnet", f"192.168.{number}.0/24", *labels, profile], capture_output=True
        ).returncode
        == 0
    )
    subnet = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", profile)
    ip = f"{subnet.rsplit('.', 1)[0]}.2" if subnet else f"192.168.{third}.2"
    docker("volume", "create", *labels, profile)
    ports = [word for port in (22, 2376, 5000, 8443, 32443) for word in ("--publish", f"127.0.0.1::{port}")]
    docker(
        *(
            "run",
            "-d",
            "-t",
            "--privileged",
            "--name",
            profile,
            "--hostname",
            profile,
            "--network",
            profile,
            "--ip",
            ip,
        ),
        *("--tmpfs", "/tmp", "--tmpfs", "/run", "-v", "/lib/modules:/lib/modules:ro", "-v", f"{profile}:/var"),
        *(*labels, "--label", f"role.{_LABEL}=", "--label", f"mode.{_LABEL}={profile}", *ports),
        *("--entrypoint", "/bin/sh", image, "-c", _ENTRY),
    )
    return ip


def on_node(profile: str, script: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a script on the node, once containerd answers there."""
    wait = "until ctr version >/dev/null 2>&1; do sleep 0.1; done\n"
    return docker("exec", "-i", profile, "bash", "-c", wait + script, stdin=stdin, check=check)


def kubeadm_config(profile: str, ip: str, extra: list[str]) -> str:
    """Return the recorded kubeadm configuration, for this node."""
    text = (RECORDINGS / "kubeadm.yaml").read_text().replace('name: "cks"', f'name: "{profile}"')
    for each in extra:
        name, _, value = each.removeprefix("apiserver.").partition("=")
        text = text.replace("  extraArgs:\n", f'  extraArgs:\n    - name: "{name}"\n      value: "{value}"\n', 1)
    return text.replace("192.168.49.2", ip)


def settle_kubernetes(profile: str, ip: str, extra: list[str]) -> None:
    """Do on a node that exists what minikube does: rewrite the manifests if its configuration is another, start."""
    on_node(profile, _HOSTS.format(ip=ip))
    on_node(profile, f"mkdir -p /var/tmp/minikube; cat > {CONFIG}.new", kubeadm_config(profile, ip, extra))
    if on_node(profile, f"diff -q {CONFIG} {CONFIG}.new >/dev/null 2>&1 || echo drift"):
        phase = f"{_KUBEADM} phase control-plane all --config {CONFIG}"
        on_node(profile, f"systemctl stop kubelet; cp {CONFIG}.new {CONFIG}; {phase}")
    on_node(profile, "systemctl start kubelet")


def ready(profile: str) -> bool:
    """Say whether the API server is ready."""
    return on_node(profile, "curl -sk https://127.0.0.1:8443/readyz", check=False) == "ok"


def write_kubeconfig(profile: str, ip: str, embed: bool) -> None:
    """Write the context into the first kubeconfig that the environment names, as minikube does."""
    path = kubeconfig()
    said = yaml.safe_load(path.read_text()) if path.exists() and path.read_text() else {}
    conf = yaml.safe_load(on_node(profile, "cat /etc/kubernetes/super-admin.conf"))
    cluster = {"server": f"https://{ip}:8443"}
    cluster["certificate-authority-data"] = conf["clusters"][0]["cluster"]["certificate-authority-data"]
    user = dict(conf["users"][0]["user"])
    if not embed:
        folder = Profiles().folder / profile
        for holder, name in ((cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key")):
            (folder / name).write_bytes(base64.b64decode(holder.pop(f"{name}-data")))
            holder[name] = str(folder / name)
    said = {"apiVersion": "v1", "kind": "Config", **without(said, profile), "current-context": profile}
    said["clusters"].append({"name": profile, "cluster": cluster})
    said["users"].append({"name": profile, "user": user})
    said["contexts"].append({"name": profile, "context": {"cluster": profile, "user": profile, "namespace": "default"}})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(said))
    path.chmod(0o600)


def kubeconfig() -> Path:
    """Return the file that minikube writes to."""
    named = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return Path(named[0]) if named else Path.home() / ".kube/config"


def without(said: dict[str, Any], profile: str) -> dict[str, Any]:
    """Return a kubeconfig without a profile's parts."""
    kinds = ("clusters", "users", "contexts")
    return {**said, **{kind: [x for x in said.get(kind) or [] if x["name"] != profile] for kind in kinds}}


def leave_context(profile: str) -> None:
    """Take the context out of the kubeconfig."""
    path = kubeconfig()
    if path.exists() and path.is_file():
        said = without(yaml.safe_load(path.read_text()) or {}, profile)
        path.write_text(yaml.safe_dump({**said, "current-context": ""}))


def start(asked: argparse.Namespace) -> int:
    """Start a cluster, new or not."""
    profile, profiles = asked.profile, Profiles()
    known = profiles.read(profile)
    if os.geteuid() == 0 and not asked.force:
        Events("start-as-root-without-force", profile).rest()
        return 57
    if asked.driver not in (None, "docker"):
        raise SystemExit("minikube's stand-in has the docker driver only")
    limit = float(asked.wait_timeout.removesuffix("s").removesuffix("m")) * (60 if asked.wait_timeout[-1] == "m" else 1)
    if known is None:
        events = Events("start-new", profile)
        events.upto("Creating Container")
        profiles.write(profile, {"image": asked.base_image or IMAGE, "extra": asked.extra_config})
        ip = make_container(profile, asked.base_image or IMAGE)
        events.upto("Preparing Kubernetes")
        on_node(profile, _PREPARE + _HOSTS.format(ip=ip))
        config = kubeadm_config(profile, ip, asked.extra_config)
        on_node(profile, f"tee {CONFIG} > {CONFIG}.new", config)
        events.upto("Booting control plane")
        on_node(profile, f"{_KUBEADM} --config {CONFIG} --ignore-preflight-errors=all --skip-phases=addon 2>&1")
        write_kubeconfig(profile, ip, asked.embed_certs)
        events.rest()
        return 0
    was = state(profile)
    extra = asked.extra_config or known["extra"]
    profiles.write(profile, {**known, "extra": extra})
    name = {"": "start-after-docker-rm", "running": "start-after-docker-restart"}.get(was, "start-after-stop")
    events = Events(name, profile)
    events.upto("Starting Node")
    if was == "":
        ip = make_container(profile, known["image"])
        on_node(profile, _PREPARE)
    else:
        docker("start", profile)
        ip = address(profile)
    events.upto("Preparing Kubernetes")
    settle_kubernetes(profile, ip, extra)
    if was != "":
        write_kubeconfig(profile, ip, asked.embed_certs)
    events.upto("Verifying Kubernetes")
    deadline = time.monotonic() + limit
    while not ready(profile):
        if time.monotonic() > deadline:
            told = Events("start-broken-manifest", profile)
            for line in told._lines[-2:]:
                print(line, flush=True)
            return 80
        time.sleep(0.5)
    events.rest()
    return 0


def stop(asked: argparse.Namespace) -> int:
    """Stop a cluster."""
    if Profiles().read(asked.profile) is None:
        return unknown(asked.profile)
    events = Events("stop", asked.profile)
    events.upto("Stopping")
    docker("stop", "-t", "5", asked.profile)
    leave_context(asked.profile)
    events.rest()
    return 0


def delete(asked: argparse.Namespace) -> int:
    """Remove a cluster with all that belongs to it."""
    if Profiles().read(asked.profile) is None:
        print(f'! "{asked.profile}" profile does not exist, trying anyways.', file=sys.stderr)
    events = Events("delete", asked.profile)
    events.upto("Deleting")
    docker("rm", "-f", "-v", asked.profile, check=False)
    docker("volume", "rm", asked.profile, check=False)
    docker("network", "rm", asked.profile, check=False)
    leave_context(asked.profile)
    Profiles().remove(asked.profile)
    events.rest()
    return 0


def unknown(profile: str) -> int:
    """Say that there is no such profile."""
    lines = [json.loads(line) for line in (RECORDINGS / "commands.jsonl").read_text().splitlines()]
    said = next(each for each in lines if each["rc"] == 85 and "status" in each["argv"])
    print(said["stdout"].replace("cks", profile), end="")
    return 85


def profile_list(asked: argparse.Namespace) -> int:
    """List the profiles."""
    valid = []
    for name in Profiles().names():
        entry = json.loads((RECORDINGS / "profile-list.json").read_text())["valid"][0]
        status = {"running": "OK", "paused": "Paused", "": ""}.get(state(name), "Stopped")
        if status == "OK" and not ready(name):
            status = "Stopped"
        entry.update(Name=name, Status="Skipped" if asked.light else status)
        entry["Config"]["Name"] = name
        valid.append(entry)
    print(json.dumps({"invalid": [], "valid": valid}), end="")
    return 0


def version(asked: argparse.Namespace) -> int:
    """Say the version."""
    print('{"commit":"eb25dbc703","minikubeVersion":"v1.38.1"}')
    return 0


def main(argv: list[str]) -> int:
    """Do what is asked."""
    parser = argparse.ArgumentParser(prog="minikube", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True)
    flags = argparse.ArgumentParser(add_help=False)
    flags.add_argument("-p", "--profile", default="minikube")
    flags.add_argument("-o", "--output", required=True, choices=["json"])
    one = verbs.add_parser("start", parents=[flags], allow_abbrev=False)
    # Source: minikube cmd/minikube/cmd/start_flags.go.
    for name in ("driver", "container-runtime", "cni", "kubernetes-version", "base-image", "memory", "cpus", "wait"):
        one.add_argument(f"--{name}")
    for name in ("preload", "interactive", "install-addons", "cache-images"):
        one.add_argument(f"--{name}", choices=["true", "false"])
    for name in ("force", "keep-context", "embed-certs", "delete-on-failure"):
        one.add_argument(f"--{name}", action="store_true")
    one.add_argument("--wait-timeout", default="6m")
    one.add_argument("--extra-config", action="append", default=[])
    one.set_defaults(run=start)
    verbs.add_parser("stop", parents=[flags], allow_abbrev=False).set_defaults(run=stop)
    verbs.add_parser("delete", parents=[flags], allow_abbrev=False).set_defaults(run=delete)
    verbs.add_parser("version", parents=[flags], allow_abbrev=False).set_defaults(run=version)
    listing = verbs.add_parser("profile").add_subparsers(required=True).add_parser("list", parents=[flags])
    listing.add_argument("-l", "--light", action="store_true")
    listing.set_defaults(run=profile_list)
    asked = parser.parse_args(argv)
    done: int = asked.run(asked)
    return done


def install(folder: Path) -> None:
    """Put the program into a folder, as `minikube`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "minikube"
    here = Path(__file__).parent.parent
    program.write_text(f'#!/bin/sh\nPYTHONPATH={here} exec {sys.executable} -m tests.minikube_stand_in "$@"\n')
    program.chmod(0o755)


def run() -> NoReturn:
    """Be the program."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
