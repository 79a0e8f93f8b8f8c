"""Owns how a node that is no lab of ours is reached: this machine, `docker exec`, or the user's own ssh.

A way turns a command of the node into one of this machine, and the words of a tool that failed into ours. An ssh node
is reached over one connection, whatever is asked of it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import procs
from ..errors import LabError
from ..procs import Completed

KNOWN = "docker://NAME, ssh://[user@]host[:port], local"
_ASK_TIMEOUT = 20.0
_CONNECT_TIMEOUT = 15
_CONNECT_TIMEOUT_ASKING = 180
"""Seconds for a connection; and where a person may have to type a password or agree to a host's key first."""
_POLL = 0.02
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TARGET = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.@\\$-]*)@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a node. `kind` is the driver that a report names, `name` the node as the user named it.

    `argv` gives this machine's command for one of the node's; `failure` is this way's own failure in how a command
    ended, None where the command itself ended so; `as_root` is the advice to somebody who is not root there; `by_hand`
    shows whether the way works; `pythons` are there beside python3.
    """

    kind: str
    name: str
    argv: Callable[[Sequence[str]], list[str]]
    failure: Callable[[Completed], LabError | None]
    as_root: str
    by_hand: str
    pythons: tuple[str, ...] = ()


@contextmanager
def reach(url: str, *, at_terminal: bool) -> Iterator[Way]:
    """Open the way to a node, and close it at the end. Raises LabError where there is none.

    `at_terminal`: a person is there whom ssh may ask for a password, or whether it knows the host.
    """
    scheme, separator, rest = url.partition("://")
    if url == "local":
        yield _local()
    elif separator and scheme == "docker":
        yield _container(rest)
    elif separator and scheme == "ssh":
        with _ssh(rest, at_terminal) as way:
            yield way
    else:
        raise LabError(f"no node is reached by {url!r}", f"known: --node {KNOWN.replace(', ', ' | ')}")


def _local() -> Way:
    return Way(
        "local",
        os.uname().nodename,
        list,
        lambda done: None,
        "sudo cks-lab grade SCENARIO --node local",
        "true",
        (sys.executable,),
    )


# docker


def _container(name: str) -> Way:
    if not _CONTAINER.fullmatch(name):
        raise LabError(f"docker://{name}: {name!r} cannot name a container", _names())
    if shutil.which("docker") is None:
        raise LabError(
            "docker:// is reached with the docker program, and there is none on this machine",
            "install Docker's command line, or go another way: --node ssh://[user@]host[:port]",
        )
    asked = ["docker", "container", "inspect", "--format", "{{.State.Status}}", name]
    done = procs.run(asked, timeout=_ASK_TIMEOUT, check=False)
    if done.exit_code:
        raise _docker_error(name, done) or LabError(f"docker://{name}: {_last(done.stderr)}", shlex.join(asked))
    status = done.text.strip()
    if status != "running":
        again = "unpause" if status == "paused" else "start"
        raise LabError(f"the container {name} does not run: it is {status}", f"docker {again} {name}")
    return Way(
        "container",
        name,
        lambda argv: ["docker", "exec", "--interactive", "--user", "0", name, *argv],
        lambda done: _docker_error(name, done),
        f"docker exec --user 0 {name} id",
        f"docker exec --user 0 {name} true",
    )


def _names() -> str:
    return "docker ps --format '{{.Names}}'"


def _docker_error(name: str, done: Completed) -> LabError | None:
    """Return docker's own failure; what a command in the container says is none, but for a shell that is not there."""
    said = done.stderr.decode("utf-8", "replace")
    words = _last(done.stderr)
    if "No such container" in said:
        return LabError(f"there is no container {name!r}", _names())
    if "docker daemon" in said.lower() and "permission denied" in said.lower():
        return LabError(f"docker://{name}: {words}", "sudo cks-lab …, or join the group: sudo usermod -aG docker $USER")
    if "Cannot connect to the Docker daemon" in said or "error during connect" in said:
        return LabError(f"docker://{name}: {words}", "start Docker, then: docker ps")
    if "is not running" in said or "is paused" in said:
        return LabError(f"the container {name} does not run any more", f"docker start {name}")
    if done.exit_code in (126, 127) and "OCI runtime exec failed" in said + done.text:
        return LabError(
            f"the container {name} has no sh, which every node of Kubernetes has",
            f"it is another container than you mean? {_names()}",
        )
    return None


# ssh


@contextmanager
def _ssh(target: str, at_terminal: bool) -> Iterator[Way]:
    match = _TARGET.fullmatch(target)
    if match is None:
        said = "a password in it could be read by everybody here" if re.match(r"[^/@]*:[^/]*@", target) else "no host"
        shown = re.sub(r":[^@/]*@", ":…@", target)
        raise LabError(f"ssh://{shown} names no host to ssh to: {said}", "--node ssh://[user@]host[:port]")
    ssh = shutil.which("ssh")
    if ssh is None:
        raise LabError("ssh:// is reached with the ssh program, and there is none", "apt install openssh-client")
    host = match["host"] or match["v6"]
    options = ["-l", match["user"]] if match["user"] else []
    options += ["-p", match["port"]] if match["port"] else []
    by_hand = shlex.join(["ssh", *options, "--", host, "true"])
    # A socket's path may have 107 bytes, and ssh adds 17 of its own.
    with tempfile.TemporaryDirectory(prefix="cks-lab-", dir="/tmp") as folder:
        socket = Path(folder, "ssh")
        plain = ["-T", "-a", "-x", "-o", "RemoteCommand=none", "-o", "PermitLocalCommand=no"]
        plain += ["-o", "ClearAllForwardings=yes", "-S", str(socket)]
        with _master([ssh, *plain, *options], host, socket, at_terminal, by_hand):
            # The connection that is there, or none: a second one would be asked of `false`.
            one = [ssh, *plain, "-o", "ControlMaster=no", "-o", "BatchMode=yes", "-o", "ProxyCommand=false", *options]
            yield Way(
                "ssh",
                host,
                lambda argv: [*one, "--", host, shlex.join(argv)],
                lambda done: _ssh_error(host, done, by_hand),
                f"as root: --node ssh://root@{target.rpartition('@')[2]}, or let sudo ask for no password there",
                by_hand,
            )


@contextmanager
def _master(argv: list[str], host: str, socket: Path, at_terminal: bool, by_hand: str) -> Iterator[None]:
    """Keep the connection open that everything goes over."""
    options = ["-N", "-o", "ControlMaster=yes", "-o", "ControlPersist=no"]
    options += [
        "-o",
        "ServerAliveInterval=5",
        "-o",
        "ServerAliveCountMax=3",
        "-o",
        f"ConnectTimeout={_CONNECT_TIMEOUT}",
    ]
    options += [] if at_terminal else ["-o", "BatchMode=yes"]
    limit = _CONNECT_TIMEOUT_ASKING if at_terminal else _CONNECT_TIMEOUT + 5
    with tempfile.TemporaryFile() as words:
        # At a terminal it stays in our session: only so can ssh ask there.
        process = procs.start([*argv, *options, "--", host], stderr=words, new_session=not at_terminal)
        try:
            began = time.monotonic()
            while not socket.exists():
                if process.poll() is not None:
                    words.seek(0)
                    raise _no_connection(host, words.read(), by_hand)
                if time.monotonic() - began > limit:
                    raise LabError(f"ssh does not reach {host} within {limit} s", by_hand)
                time.sleep(_POLL)
            yield
        finally:
            procs.end(process)


def _no_connection(host: str, said: bytes, by_hand: str) -> LabError:
    text = said.decode("utf-8", "replace")
    hint = f"see why: {by_hand.replace('ssh ', 'ssh -v ', 1)}"
    if "Host key verification failed" in text:
        changed = "IDENTIFICATION HAS CHANGED" in text
        hint = f"ssh-keygen -R {host}" if changed else f"look at its key and accept it once, by hand: {by_hand}"
        words = "its host key is another one than before" if changed else "its host key is not known here"
        return LabError(f"ssh does not reach {host}: {words} (Host key verification failed.)", hint)
    if "Permission denied" in text:
        hint = f"it has to work without a question first: ssh-add, or ssh-copy-id; then: {by_hand}"
    return LabError(f"ssh does not reach {host}: {_last(said)}", hint)


def _ssh_error(host: str, done: Completed, by_hand: str) -> LabError | None:
    """Return ssh's own failure, which it ends with 255 for."""
    if done.exit_code != 255:
        return None
    return LabError(f"the ssh connection to {host} is gone: {_last(done.stderr)}", f"grade again; or see: {by_hand}")


def _last(said: bytes) -> str:
    """Return the last line of what a program said: the one that says what is wrong."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
