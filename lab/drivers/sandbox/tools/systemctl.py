"""systemctl: the units of the node, kubelet and containerd."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from .client import Unreachable, ask
from .journalctl import JOURNAL, entries, shown

_CHANGES = ("start", "stop", "restart", "reload", "try-restart", "reload-or-restart", "condrestart")
_DOCS = {"kubelet": "https://kubernetes.io/docs/", "containerd": "https://containerd.io"}
_FILES = {
    "kubelet": """\
# /usr/lib/systemd/system/kubelet.service
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
""",
    "containerd": """\
# /usr/lib/systemd/system/containerd.service
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target local-fs.target

[Service]
ExecStart=/usr/bin/containerd
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
""",
}


def main(arguments: Sequence[str]) -> int:
    """Run the tool and return its exit status."""
    words = [word for word in arguments if not word.startswith("-")]
    flags = [word for word in arguments if word.startswith("-")]
    if "--version" in flags:
        sys.stdout.write("systemd 255 (255.4-1ubuntu8)\n")
        return 0
    if "-h" in flags or "--help" in flags:
        sys.stdout.write(
            "systemctl [OPTIONS...] COMMAND ...\n\nQuery or send control commands to the system manager.\n"
        )
        return 0
    if "-n" in flags and len(words) > 1 and words[-1].isdigit():
        words.pop()
    verb = words[0] if words else "list-units"
    units = [word.removesuffix(".service") for word in words[1:]]
    try:
        return _run(verb, units, quiet="-q" in flags or "--quiet" in flags)
    except Unreachable as error:
        sys.stderr.write(f"Failed to connect to bus: {error}\n")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _run(verb: str, units: list[str], *, quiet: bool) -> int:
    if verb in ("daemon-reload", "daemon-reexec", "reset-failed"):
        return 0
    if verb in ("list-units", "list-unit-files"):
        return _list()
    known = (*_CHANGES, "status", "is-active", "is-failed", "is-enabled", "enable", "disable", "cat", "show")
    if verb not in known:
        sys.stderr.write(f"Unknown command verb '{verb}'.\n")
        return 1
    if not units:
        if verb == "status":
            return max(_status(unit) for unit in ("containerd", "kubelet"))
        sys.stderr.write("Too few arguments.\n")
        return 1
    return max(_one(verb, unit, quiet) for unit in units)


def _one(verb: str, unit: str, quiet: bool) -> int:
    told = ask("unit.show", unit=unit)
    name = f"{unit}.service"
    if verb in ("is-active", "is-failed"):
        active = not told.get("missing") and told["active"]
        if not quiet:
            sys.stdout.write("active\n" if active else "inactive\n")
        if verb == "is-failed":
            return 1
        return 0 if active else 4 if told.get("missing") else 3
    if verb == "status":
        return _status(unit)
    if told.get("missing"):
        if verb in _CHANGES:
            sys.stderr.write(f"Failed to {verb} {name}: Unit {name} not found.\n")
            return 5
        if verb in ("enable", "disable", "is-enabled"):
            sys.stderr.write(f"Failed to {verb.replace('is-enabled', 'get unit file state for')} {name}: ")
            sys.stderr.write(
                "No such file or directory\n" if verb == "is-enabled" else f"Unit file {name} does not exist.\n"
            )
            return 1
        sys.stderr.write(f"No files found for {name}.\n" if verb == "cat" else "")
        return 1
    if verb in _CHANGES:
        return _change(verb, unit)
    if verb == "is-enabled":
        sys.stdout.write("enabled\n")
    elif verb == "cat":
        sys.stdout.write(_FILES[unit])
    elif verb == "show":
        state = "active" if told["active"] else "inactive"
        sys.stdout.write(f"Id={name}\nDescription={told['description']}\nLoadState=loaded\nActiveState={state}\n")
        sys.stdout.write(f"SubState={'running' if told['active'] else 'dead'}\nMainPID={told['pid']}\n")
    return 0


def _change(verb: str, unit: str) -> int:
    if verb == "reload":
        sys.stderr.write(
            f"Failed to reload {unit}.service: Job type reload is not applicable for unit {unit}.service.\n"
        )
        return 1
    if verb not in ("start", "stop"):
        verb = "restart"
    answer = ask(f"unit.{verb}", unit=unit)
    if "error" in answer:
        sys.stderr.write(f"Failed to {verb} {unit}.service: {answer['error']}\n")
        return 1
    return 0


def _status(unit: str) -> int:
    told = ask("unit.show", unit=unit)
    if told.get("missing"):
        sys.stderr.write(f"Unit {unit}.service could not be found.\n")
        return 4
    since = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(told["since_epoch"]))
    since += f"; {_span(time.time() - told['since_epoch'])} ago"
    lines = [
        f"{'●' if told['active'] else '○'} {unit}.service - {told['description']}",
        f"     Loaded: loaded (/usr/lib/systemd/system/{unit}.service; enabled; preset: enabled)",
        f"     Active: {'active (running)' if told['active'] else 'inactive (dead)'} since {since}",
        f"       Docs: {_DOCS[unit]}",
    ]
    if told["active"]:
        lines.append(f"   Main PID: {told['pid']} ({unit})")
        lines.append(f"     CGroup: /system.slice/{unit}.service")
    path = os.environ.get("CKS_LAB_JOURNAL", JOURNAL)
    found = [entry for entry in entries(path) if entry.unit == unit][-10:]
    host = os.uname().nodename
    text = [*lines, "", *(shown(entry, "short", host) for entry in found)]
    sys.stdout.write("".join(f"{line}\n" for line in text))
    return 0 if told["active"] else 3


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}min" + (f" {whole % 60}s" if whole < 600 and whole % 60 else "")
    if whole < 86400:
        return f"{whole // 3600}h" + (f" {whole % 3600 // 60}min" if whole % 3600 // 60 else "")
    return f"{whole // 86400} days"


def _list() -> int:
    rows: list[dict[str, Any]] = [ask("unit.show", unit=unit) for unit in ("containerd", "kubelet")]
    sys.stdout.write("  UNIT               LOAD   ACTIVE   SUB     DESCRIPTION\n")
    for told in rows:
        state = ("active", "running") if told["active"] else ("inactive", "dead")
        name = f"{told['unit']}.service"
        sys.stdout.write(f"  {name:<18} loaded {state[0]:<8} {state[1]:<7} {told['description']}\n")
    return 0
