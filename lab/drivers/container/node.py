"""Owns the door to a node that is a container: its files, its API server, its root shell, commands on it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ... import procs
from ...errors import LabError
from .access import ApiPort
from .engine import Engine
from .files import ContainerFiles

PATIENCE = 90.0
"""Seconds that an edited manifest may take under a real kubelet: 15 to 50 were seen."""
KUBECONFIG = "/etc/kubernetes/admin.conf"
_KILL_AFTER = 1.0
_IN_PLACE = 'cd /root 2>/dev/null; exec "$@"'
_LOGIN = ("bash", "--login")
_DAEMON_WORDS = (
    "Error response from daemon",
    "Error: No such container",
    "Cannot connect to the Docker daemon",
    "error during connect",
    "permission denied while trying to connect",
    "OCI runtime exec failed",
)
# At a terminal the node has one too. Keys that nobody types leave: docker's own would swallow ctrl-p.
_ENTER = (
    'tty=; if [ -t 0 ] && [ -t 1 ]; then tty="--tty --detach-keys=ctrl-^,ctrl-@"; fi; '
    'exec docker exec --interactive $tty --env TERM="${TERM:-xterm-256color}" "$@"'
)
_AT_PROMPT = """unset PROMPT_COMMAND; alias k=kubectl
for each in vim vi nano; do
    if command -v $each >/dev/null; then : ${EDITOR:=$each}; fi
done
if [ -n "$EDITOR" ]; then
    export EDITOR; command -v vim >/dev/null || alias vim=$EDITOR; command -v vi >/dev/null || alias vi=$EDITOR
else
    vi() {
        echo "This node has no editor yet: vim is installed now, once (apt-get, a minute at most) ..." >&2
        if timeout 100 sh -c 'export DEBIAN_FRONTEND=noninteractive; set -- -qq -o Acquire::Retries=0
            apt-get "$@" update && apt-get "$@" install -y --no-install-recommends vim-tiny' >/dev/null 2>&1 &&
            command -v vim.tiny >/dev/null
        then
            unset -f vi vim nano edit; alias vi=vim.tiny vim=vim.tiny edit=vim.tiny; export EDITOR=vim.tiny
            vim.tiny "$@"
        else
            echo "It could not be installed. Edit a copy on your machine, from another terminal there:
  cks-lab shell --lab $CKS_LAB -- cat $(readlink -m "${1:-FILE}") > copy
  cks-lab shell --lab $CKS_LAB -- tee $(readlink -m "${1:-FILE}") < copy" >&2
            return 127
        fi
    }
    vim() { vi "$@"; }; nano() { vi "$@"; }; edit() { vi "$@"; }
fi"""


class ContainerNode:
    """A node in a container (`NodeHandle`). It is looked up anew after a restart: ports and addresses change."""

    def __init__(
        self,
        lab: str,
        name: str,
        container: str,
        kubeconfig: Path,
        *,
        engine: Callable[[], Engine],
        api_port: int = 6443,
        env: Mapping[str, str] | None = None,
        prepare: str = "",
        again: str = "cks-lab status",
    ) -> None:
        """`container`: its id. `api_port`: where the API server listens in it. `env`: what commands there have beside.

        `prepare`: what is done there before any, in sh. `again`: the command that starts the lab again.
        """
        self._lab = lab
        self._name = name
        self._container = container
        self._engine = engine
        self._api_port = api_port
        self._env = {"KUBECONFIG": KUBECONFIG, **(env or {})}
        self._in_place = f"{prepare}\n{_IN_PLACE}" if prepare else _IN_PLACE
        # A login shell would set PATH anew, and lose what was prepared.
        self._shell = _LOGIN[:1] if prepare else _LOGIN
        self._again = again
        self._files = ContainerFiles(lambda: self._exec(["sh"]), lab, self.gone)
        self._api = ApiPort(lab, kubeconfig, self._published)

    @property
    def name(self) -> str:
        """The node's name in Kubernetes."""
        return self._name

    @property
    def lab(self) -> str:
        """The lab that it is the node of."""
        return self._lab

    @property
    def files(self) -> ContainerFiles:
        """The node's files."""
        return self._files

    @property
    def api(self) -> ApiPort:
        """The node's API server."""
        return self._api

    @property
    def patience(self) -> float:
        """How long an edited manifest may take here until its API server answers, in seconds."""
        return PATIENCE

    def shell_argv(self, command: Sequence[str] = ()) -> list[str]:
        """Return the command that opens the node's root shell on this terminal, or runs `command` in its place."""
        options = self._options()
        if not command:
            options += ["--env", f"PROMPT_COMMAND={_AT_PROMPT}", "--env", f"CKS_LAB={self._lab}"]
        inner = ["sh", "-c", self._in_place, "sh", *(command or self._shell)]
        return ["sh", "-c", _ENTER, "sh", *options, self._container, *inner]

    def run(self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None) -> procs.Completed:
        """Run a command on the node as root; a status other than 0 is an answer like any other.

        Raises LabError if the node is gone or the time is over.
        """
        # Who ends `docker exec` ends nothing on the node: the command has a clock of its own there.
        limit = ["timeout", "--signal=KILL", f"{timeout + _KILL_AFTER:g}"]
        try:
            done = procs.run(
                self._exec([*limit, "sh", "-c", self._in_place, "sh", *argv]), timeout=timeout, stdin=stdin, check=False
            )
        except LabError as error:
            if error.message.startswith("no end"):
                message = f"no end after {timeout:g} s on the node of {self._lab}: {shlex.join(argv)}"
                raise LabError(message, f"cks-lab shell --lab {self._lab}, and see where it waits") from error
            raise
        if done.exit_code and _is_daemons(done):
            raise self.gone(_last(done.stderr) or _last(done.stdout))
        return procs.Completed(tuple(argv), done.exit_code, done.stdout, done.stderr)

    def close(self) -> None:
        """End what is open to the node; the next question opens it again."""
        self._files.close()
        self._api.close()

    def gone(self, said: str = "") -> LabError:
        """Return why the node cannot be worked on, as Docker has it right now."""
        try:
            container = self._engine().container(self._container)
        except LabError as error:
            return LabError(f"the node of lab {self._lab} is not reached: {error.message}", error.hint)
        if container is None:
            return LabError(
                f"the node of lab {self._lab} is gone: its container was removed", f"cks-lab stop --lab {self._lab}"
            )
        if container.state == "paused":
            return LabError(f"the node of lab {self._lab} is paused", f"docker unpause {container.name}")
        if not container.running:
            return LabError(f"the node of lab {self._lab} does not run: it is {container.state}", self._again)
        return LabError(
            f"nothing can be run on the node of lab {self._lab}" + (f": {said}" if said else ""),
            f"cks-lab reset --lab {self._lab}, or cks-lab stop --lab {self._lab}",
        )

    def _published(self) -> tuple[str, int]:
        container = self._engine().container(self._container)
        if container is None or not container.running:
            raise self.gone()
        if self._api_port not in container.ports:
            raise LabError(
                f"the container {container.name} publishes no port {self._api_port}", f"docker port {container.name}"
            )
        return container.ports[self._api_port]

    def _options(self) -> list[str]:
        options = ["--user", "0"]
        for key, value in self._env.items():
            options += ["--env", f"{key}={value}"]
        return options

    def _exec(self, argv: Sequence[str]) -> list[str]:
        return ["docker", "exec", "--interactive", *self._options(), self._container, *argv]


def _is_daemons(done: procs.Completed) -> bool:
    """Say whether it is docker that failed, and not the command on the node."""
    words = (_last(done.stderr), _last(done.stdout))
    return any(word.startswith(_DAEMON_WORDS) for word in words)


def _last(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
