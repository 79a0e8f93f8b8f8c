"""The machine that the collector runs on, as the node; and the collector as a program."""

import contextlib
import errno
import io
import os
import socket
import subprocess
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

if __package__:  # In the one file that is sent to nodes, what this needs stands above.
    from .files import collect, utcnow
    from .host import FOLDERS, Answer, Host, Missing, NoAnswer, Stat, Unreadable
    from .kube_api import KubeApi


class ThisHost(Host):
    """The machine that this file runs on."""

    def __init__(self, manifests: str) -> None:
        self._api = KubeApi(self, manifests, lambda address, port, t: socket.create_connection((address, port), t))

    def stat(self, path: str) -> Stat:
        """Say what is at the path."""
        try:
            found = os.stat(path)
        except OSError as error:
            raise _problem(path, error) from error
        try:
            link: Optional[str] = os.readlink(path)
        except OSError:
            link = None
        return Stat.of(found.st_mode, found.st_uid, found.st_gid, found.st_size, int(found.st_mtime), link)

    def names(self, path: str) -> List[str]:
        """Return the names in a directory."""
        try:
            return sorted(os.listdir(path))
        except OSError as error:
            raise _problem(path, error) from error

    def read(self, path: str, limit: int) -> bytes:
        """Return a file's first bytes."""
        try:
            # O_NONBLOCK: a fifo that nobody writes to must not hold us.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
                return file.read(limit)
        except OSError as error:
            raise _problem(path, error) from error

    def tail(self, path: str, count: int) -> bytes:
        """Return a file's last bytes."""
        try:
            with open(path, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - count))
                return file.read(count)
        except OSError as error:
            raise _problem(path, error) from error

    def run(self, argv: Sequence[str], timeout: float) -> Answer:
        """Run a command."""
        env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":" + FOLDERS)
        try:
            done = subprocess.run(
                ["/usr/bin/env", *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=timeout,
                env=env,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoAnswer(f"{argv[0]}: {error}") from error
        return Answer(done.returncode, done.stdout, done.stderr)

    def request(
        self, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str], timeout: float
    ) -> Tuple[int, bytes]:
        """Ask the API server of this machine."""
        return self._api.request(method, path, body, headers, timeout)


def _problem(path: str, error: OSError) -> Exception:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return Missing(path)
    return Unreadable(path, error.strerror or str(error))


def main(task: Dict[str, Any], arguments: List[str]) -> int:
    """Collect on this machine as the arguments say; return the exit status: 0 done, 2 could not."""
    _occupy()
    if len(arguments) == 2 and arguments[0] == "-o":
        target = "" if arguments[1] == "-" else arguments[1]
    elif not arguments and sys.stdout is not None and not sys.stdout.isatty():
        target = ""
    else:
        _say("usage: python3 collect.py -o FILE.tar.gz, or: python3 collect.py > FILE.tar.gz")
        return 2
    try:
        refusal = _refusal(target)
        if refusal:
            raise OSError(refusal)
        if not os.path.isdir(task["manifests"]):
            raise Missing("{}: no such directory: this is no control-plane node".format(task["manifests"]))
        # Whole or not at all: nothing is written before all of it is there.
        whole = io.BytesIO()
        collect(ThisHost(task["manifests"]), dict(task, node=task["node"] or os.uname().nodename), whole, utcnow)
        _deliver(whole.getvalue(), target)
    except Unreadable as error:
        sudo = "" if os.getuid() == 0 else "; run it as root: sudo python3 collect.py -o FILE.tar.gz"
        _say(f"collect.py: cannot look at {error}{sudo}")
        return 2
    except (Missing, OSError) as error:
        _say(f"collect.py: {error}")
        return 2
    return 0


def _occupy() -> None:
    """Keep the numbers of closed streams from files of ours: what is written to a stream would land in them."""
    number = 0
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)


def _refusal(target: str) -> str:
    """Say why a bundle cannot be put there: in the place of a device, a pipe or a folder nothing is put."""
    if not target:
        return "" if sys.stdout is not None else "standard output is closed: name a file with -o FILE.tar.gz"
    real = os.path.realpath(target)
    if os.path.exists(target) and not os.path.isfile(target):
        return f"{target} is no file, and a bundle would take its place: name another, or - for standard output"
    folder = os.path.dirname(real)
    return "" if os.path.isdir(folder) else f"{folder}: no such directory: mkdir -p {folder}"


def _deliver(bundle: bytes, target: str) -> None:
    if not target:
        try:
            sys.stdout.buffer.write(bundle)
            sys.stdout.buffer.flush()
        except OSError:
            _discard(1)
            raise
        return
    target = os.path.realpath(target)
    part = f"{target}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(bundle)
        os.rename(part, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    _say(f"Grade it anywhere: cks-lab grade --bundle {target}")


def _say(text: str) -> None:
    """Say something to the person; where nobody reads it, the exit status still tells."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        _discard(2)


def _discard(stream: int) -> None:
    """Let what is still buffered go nowhere: the interpreter would complain of it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
