"""Owns the way to Docker: where it answers, why it does not, its containers. Its library is imported when needed."""

from __future__ import annotations

import io
import os
import shutil
import socket
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import LabError

if TYPE_CHECKING:
    from docker import DockerClient

_TIMEOUT = 10.0
_KNOCK_TIMEOUT = 0.5
DEFAULT = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Container:
    """A container as Docker describes it. `state`: running, exited, paused, created, restarting, dead.

    `ports`: published ports, container's port -> (address, port) on this machine. `address`: its own, in its network.
    `created`, `started`: RFC 3339.
    """

    id: str
    name: str
    state: str
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    created: str = ""
    started: str = ""
    ports: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    address: str = ""

    @property
    def running(self) -> bool:
        """Whether commands can be run in it."""
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What Docker says of itself. Memory in bytes; `root` is where it keeps images, on the machine it runs on."""

    version: str
    memory: int
    cgroup: str
    rootless: bool
    podman: bool
    root: str
    desktop: bool


class Engine:
    """A Docker that answers."""

    def __init__(self, client: DockerClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, timeout: float = _TIMEOUT) -> Engine:
        """Reach Docker as its own CLI would (DOCKER_HOST, else the context). Raises LabError, quick where none is."""
        host, tls = endpoint()
        knock(host)
        import docker
        from docker.errors import DockerException

        try:
            client = docker.DockerClient(base_url=host, timeout=int(timeout), version="auto", tls=tls)
        except (DockerException, OSError, ValueError) as error:
            raise trouble(error, host) from error
        return cls(client)

    def info(self) -> EngineInfo:
        """Say what kind of Docker it is. Raises LabError."""
        said = self._ask(lambda: self._client.info())
        options = [str(option) for option in said.get("SecurityOptions") or []]
        system = str(said.get("OperatingSystem", ""))
        version = str(said.get("ServerVersion", ""))
        return EngineInfo(
            version=version,
            memory=int(said.get("MemTotal") or 0),
            cgroup=str(said.get("CgroupVersion") or ""),
            rootless=any("rootless" in option for option in options),
            podman="podman" in str(said.get("InitBinary", "")).lower() or "BuildahVersion" in said,
            root=str(said.get("DockerRootDir", "")),
            desktop="Docker Desktop" in system,
        )

    def container(self, name_or_id: str) -> Container | None:
        """Return a container by its name or id; None if there is none. Raises LabError."""
        from docker.errors import NotFound

        try:
            said = self._client.api.inspect_container(name_or_id)
        except NotFound:
            return None
        except Exception as error:
            raise trouble(error, self._client.api.base_url) from error
        return _container(said)

    def containers(self, *labels: str) -> list[Container]:
        """Return the containers that have all of the labels ("key" or "key=value"), by name. Raises LabError."""
        found = self._ask(lambda: self._client.api.containers(all=True, filters={"label": list(labels)}))
        looked = [self.container(str(each["Id"])) for each in found]
        return sorted((each for each in looked if each is not None), key=lambda each: each.name)

    def start(self, container_id: str) -> None:
        """Start a container that has stopped. Raises LabError."""
        self._ask(lambda: self._client.api.start(container_id))

    def file(self, container_id: str, path: str) -> bytes | None:
        """Return a file of a container, whether it runs or not; None where there is none. Raises LabError."""
        from docker.errors import NotFound

        try:
            parts, _ = self._client.api.get_archive(container_id, path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
                held = archive.extractfile(archive.getmembers()[0])
                return None if held is None else held.read()
        except (NotFound, KeyError, IndexError):
            return None
        except Exception as error:
            raise trouble(error, self._client.api.base_url) from error

    def put(self, container_id: str, path: str, content: bytes, mode: int) -> None:
        """Write a file of root's into a folder of a container, whether it runs or not. Raises LabError."""
        folder, _, name = path.rpartition("/")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, int(time.time())
            tar.addfile(entry, io.BytesIO(content))
        self._ask(lambda: self._client.api.put_archive(container_id, folder, archive.getvalue()))

    def has_image(self, name: str) -> bool:
        """Say whether an image is on this machine. Raises LabError."""
        from docker.errors import NotFound

        try:
            self._client.api.inspect_image(name)  # type: ignore[no-untyped-call]
        except NotFound:
            return False
        except Exception as error:
            raise trouble(error, self._client.api.base_url) from error
        return True

    def images(self, name: str) -> list[str]:
        """Return the local images of that name, as NAME:TAG. Raises LabError."""
        found = self._ask(lambda: self._client.api.images(name=name))
        return sorted(tag for image in found for tag in image.get("RepoTags") or [])

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except Exception as error:
            # The library lets errors of three libraries through, and OSError.
            raise trouble(error, self._client.api.base_url) from error


def endpoint() -> tuple[str, Any]:
    """Return where Docker's CLI would look, and the TLS settings of that place. Raises LabError."""
    if host := os.environ.get("DOCKER_HOST"):
        if os.environ.get("DOCKER_TLS_VERIFY") or host.startswith("https://"):
            from docker.utils import kwargs_from_env

            return host, kwargs_from_env().get("tls", False)
        return host, False
    if not os.environ.get("DOCKER_CONTEXT") and not _names_a_context():
        return ("npipe:////./pipe/docker_engine" if sys.platform == "win32" else DEFAULT), False
    from docker.context import ContextAPI

    name = os.environ.get("DOCKER_CONTEXT") or None
    try:
        context = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
    except Exception as error:
        raise LabError(f"Docker's context cannot be read: {error}", "docker context ls") from error
    if context is None:
        raise LabError(f"Docker has no context {name or ''}".rstrip(), "docker context ls")
    return str(context.Host or DEFAULT), context.TLSConfig or False


def _names_a_context() -> bool:
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8", errors="replace") as file:
            return '"currentContext"' in file.read()
    except OSError:
        return False


def knock(host: str) -> None:
    """Raise LabError if nobody answers at a socket of this machine; cheap, and tells why."""
    if not host.startswith("unix://"):
        return
    path = host.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(_KNOCK_TIMEOUT)
        try:
            door.connect(path)
        except OSError as error:
            raise trouble(error, host) from error


def trouble(error: BaseException, host: str) -> LabError:
    """Return what is wrong with Docker in our words, and the next command."""
    causes = _causes(error)
    said = " ".join(str(cause) for cause in causes)
    kinds = {type(cause) for cause in causes}
    where = host.removeprefix("unix://").removeprefix("http+docker://").rstrip("/")
    if PermissionError in kinds or "Permission denied" in said:
        return LabError(
            f"Docker may not be used by this user: permission denied at {where}",
            "sudo usermod -aG docker $USER && newgrp docker",
        )
    if kinds & {FileNotFoundError, ConnectionRefusedError} or "No such file" in said or "refused" in said:
        if shutil.which("docker") is None and not os.environ.get("DOCKER_HOST"):
            return LabError("Docker is not installed", how_to_get_docker())
        return LabError(f"Docker is not running: nothing answers at {where}", how_to_start_docker())
    if "timed out" in said.lower() or TimeoutError in kinds:
        return LabError(f"Docker does not answer at {where}", "docker ps")
    return LabError(f"Docker: {str(error).strip() or type(error).__name__}", "docker ps")


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error with all that it was made of: libraries put one into another's arguments."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo and len(found) < 20:
        each = todo.pop()
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            todo += [each.__cause__, each.__context__, *each.args]
        elif isinstance(each, tuple):
            todo += each
    return found


def how_to_get_docker() -> str:
    """Return how Docker is installed on this platform."""
    if sys.platform == "darwin":
        return "brew install --cask docker, then open -a Docker"
    if sys.platform == "win32" or in_wsl():
        return "winget install Docker.DockerDesktop, and turn on its WSL integration"
    return "curl -fsSL https://get.docker.com | sh"


def how_to_start_docker() -> str:
    """Return how Docker is started on this platform."""
    if host := os.environ.get("DOCKER_HOST"):
        return f"start what DOCKER_HOST names, or: unset DOCKER_HOST (it is {host})"
    if sys.platform == "darwin":
        return "open -a Docker"
    if sys.platform == "win32" or in_wsl():
        return "start Docker Desktop, and turn on its WSL integration; then: docker ps"
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    if os.path.exists(f"{runtime}/docker.sock"):
        return f"yours runs without root: export DOCKER_HOST=unix://{runtime}/docker.sock"
    return "sudo systemctl start docker"


def in_wsl() -> bool:
    """Say whether this Linux is Windows' own."""
    return "microsoft" in os.uname().release.lower()


def _container(said: Mapping[str, Any]) -> Container:
    config = said.get("Config") or {}
    state = said.get("State") or {}
    networks = ((said.get("NetworkSettings") or {}).get("Networks") or {}).values()
    ports: dict[int, tuple[str, int]] = {}
    for port, bindings in ((said.get("NetworkSettings") or {}).get("Ports") or {}).items():
        for binding in bindings or []:
            if str(binding.get("HostPort", "")).isdigit() and port.endswith("/tcp"):
                address = str(binding.get("HostIp") or "127.0.0.1")
                address = "127.0.0.1" if address in ("0.0.0.0", "::") else address
                ports.setdefault(int(port.removesuffix("/tcp")), (address, int(binding["HostPort"])))
    return Container(
        id=str(said["Id"]),
        name=str(said.get("Name", "")).lstrip("/"),
        state=str(state.get("Status", "")),
        labels=dict(config.get("Labels") or {}),
        image=str(config.get("Image", "")),
        created=str(said.get("Created", "")),
        started=str(state.get("StartedAt", "")),
        ports=ports,
        address=next((str(each["IPAddress"]) for each in networks if each.get("IPAddress")), ""),
    )
