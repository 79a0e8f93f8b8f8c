"""Ways to a sandbox node as if it were nobody's lab: a `docker` that enters it, and an ssh server that does."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from lab.drivers.sandbox.handle import SandboxNode

NO_PYTHON = "/root/no-python"
"""A folder on the node that hides python3, put before all others in PATH."""

_DOCKER = """#!{python}
import os, sys
argv = sys.argv[1:]
if argv[:2] == ["container", "inspect"]:
    print("running")
    sys.exit(0)
assert argv[:5] == ["exec", "--interactive", "--user", "0", {name!r}], argv
os.execvp({enter[0]!r}, {enter!r} + argv[5:])
"""


def entry(node: SandboxNode, *, python: bool = True) -> list[str]:
    """Return the command that runs another one on the node; without `python` there is no python3 to be found there."""
    if python:
        return node.shell_argv(["env"])
    hide = 'mkdir -p "$0"; for n in python3 platform-python; do printf "#!/bin/sh\\nexit 127\\n" > "$0/$n"; done; chmod -R 755 "$0"'
    assert node.run(["sh", "-c", hide, NO_PYTHON], timeout=10).exit_code == 0
    path = node.run(["sh", "-c", "echo $PATH"], timeout=10).text.strip()
    return node.shell_argv(["env", f"PATH={NO_PYTHON}:{path}"])


def program(folder: Path, name: str, text: str) -> None:
    """Put a program into a folder and the folder at the head of PATH (to be undone by the caller's monkeypatch)."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def fake_docker(folder: Path, name: str, enter: list[str]) -> None:
    """Make a `docker` whose only container is the node."""
    program(folder, "docker", _DOCKER.format(python=sys.executable, name=name, enter=enter))


@dataclass
class SshServer:
    """A server that is running: where, and how often somebody connected and asked for a command."""

    port: int
    connections: int = 0
    ended: int = 0
    commands: list[str] = field(default_factory=list)


async def pump(source: Any, target: Any) -> None:
    """Pass bytes on until their end; what nobody reads any more is dropped."""
    try:
        while content := await source.read(1 << 16):
            target.write(content)
            await target.drain()
        if isinstance(target, asyncio.StreamWriter):
            target.close()
    except (BrokenPipeError, ConnectionResetError):
        return


@contextmanager
def ssh_server(home: Path, enter: list[str]) -> Iterator[SshServer]:
    """Serve the node on a loopback port, with keys of its own, and write the user's ssh config for it below `home`."""
    folder = home / ".ssh"
    folder.mkdir(mode=0o700)
    host_key, user_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    user_key.write_private_key(folder / "id")
    (folder / "id").chmod(0o600)
    user_key.write_public_key(folder / "authorized")
    seen = SshServer(0)

    class Counting(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            seen.connections += 1

        def connection_lost(self, exc: Exception | None) -> None:
            seen.ended += 1

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        seen.commands.append(process.command or "")
        pipe = asyncio.subprocess.PIPE
        argv = [*enter, "sh", "-c", process.command or "exit 9"]
        child = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
        assert child.stdin
        assert child.stdout
        assert child.stderr
        into = asyncio.ensure_future(pump(process.stdin, child.stdin))
        await asyncio.gather(pump(child.stdout, process.stdout), pump(child.stderr, process.stderr))
        into.cancel()
        process.exit(await child.wait())

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            Counting,
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=str(folder / "authorized"),
            process_factory=serve,
            encoding=None,
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    seen.port = server.get_port()
    public = host_key.export_public_key().decode().strip()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{seen.port} {public}\n")
    (folder / "config").write_text(
        f"Host exam-node\n  HostName 127.0.0.1\n  Port {seen.port}\n  User learner\n"
        f"Host *\n  IdentityFile {folder}/id\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n"
        "  GlobalKnownHostsFile /dev/null\n  RemoteCommand date\n  LocalForward 1 localhost:1\n"
    )
    try:
        yield seen
    finally:
        server.close()
        asyncio.run_coroutine_threadsafe(server.wait_closed(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def own_ssh(folder: Path, home: Path) -> None:
    """Make an `ssh` that is the real one with the config of this home: ssh itself asks /etc/passwd where home is."""
    real = next(p for d in os.environ["PATH"].split(":") if (p := Path(d, "ssh")).exists() and Path(d) != folder)
    program(folder, "ssh", f'#!/bin/sh\nexec {real} -F {shlex.quote(str(home / ".ssh/config"))} "$@"\n')
