"""What the real minikube printed, in place of the program: the recordings, byte for byte, with their exit statuses.

A test says which recording answers the next call of a verb, and what happens to the world with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.procs import Completed

_VERBS = ("profile list", "version", "start", "stop", "delete", "status", "ssh")


@cache
def recorded(folder: Path) -> list[dict[str, Any]]:
    """Return every command that was recorded: label, argv, rc, seconds, stdout, stderr."""
    return [json.loads(line) for line in (folder / "commands.jsonl").read_text().splitlines()]


def command(folder: Path, label: str, words: str, nth: int = 0) -> Completed:
    """Return how a recorded minikube command ended: the `nth` of that label whose arguments begin with these words."""
    found = [
        each
        for each in recorded(folder)
        if each["label"] == label and " ".join(_of_minikube(each["argv"])).startswith(words)
    ]
    one = found[nth]
    return Completed(tuple(one["argv"]), one["rc"], one["stdout"].encode(), one["stderr"].encode())


def _of_minikube(argv: list[str]) -> list[str]:
    return argv[argv.index("minikube") + 1 :] if "minikube" in argv else []


@dataclass
class Call:
    """A call that was made."""

    args: tuple[str, ...]
    kubeconfig: Path | None


@dataclass
class _Answer:
    done: Completed
    then: Callable[[], object]
    always: bool


@dataclass
class RecordedCli:
    """The minikube program, as far as a test has said what it does. `profile`: in place of the recordings' own."""

    folder: Path
    profile: str = "cks"
    calls: list[Call] = field(default_factory=list)
    _answers: dict[str, list[_Answer]] = field(default_factory=dict)

    def will(
        self,
        verb: str,
        label: str,
        words: str = "",
        *,
        nth: int = 0,
        then: Callable[[], object] = lambda: None,
        always: bool = False,
    ) -> None:
        """Answer the next call of a verb (`always`: each from now on) with a recording. `then` happens with it."""
        answer = _Answer(command(self.folder, label, words or verb, nth), then, always)
        answers = self._answers.setdefault(verb, [])
        answers[:] = [answer] if always else [*(each for each in answers if not each.always), answer]

    def run(self, args: Sequence[str], *, timeout: float, kubeconfig: Path | None = None) -> Completed:
        """Answer a call."""
        return self.stream(args, lambda line: None, timeout=timeout, kubeconfig=kubeconfig)

    def stream(
        self, args: Sequence[str], line: Callable[[str], None], *, timeout: float, kubeconfig: Path | None = None
    ) -> Completed:
        """Answer a call, line by line."""
        words = " ".join(args)
        verb = next((verb for verb in _VERBS if words.startswith(verb)), words)
        self.calls.append(Call(tuple(args), kubeconfig))
        answers = self._answers.get(verb, [])
        if not answers:
            raise AssertionError(f"no recording was named for: minikube {words}")
        answer = answers[0] if answers[0].always else answers.pop(0)
        stdout = answer.done.stdout.replace(b'"Name":"cks"', f'"Name":"{self.profile}"'.encode())
        for each in stdout.decode().splitlines():
            line(each)
        answer.then()
        return Completed(("minikube", *args), answer.done.exit_code, stdout, answer.done.stderr)

    def made(self, verb: str) -> list[Call]:
        """Return the calls of a verb."""
        return [call for call in self.calls if " ".join(call.args).startswith(verb)]


class NoCli:
    """A machine without minikube."""

    def run(self, args: Sequence[str], *, timeout: float, kubeconfig: Path | None = None) -> Completed:
        """Fail as a missing program does."""
        raise LabError("minikube: no such program", "install it, then: minikube version")

    def stream(
        self, args: Sequence[str], line: Callable[[str], None], *, timeout: float, kubeconfig: Path | None = None
    ) -> Completed:
        """Fail as a missing program does."""
        return self.run(args, timeout=timeout)
