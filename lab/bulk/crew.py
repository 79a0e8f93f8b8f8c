"""Owns the processes that grade: hands out questions, takes the answers as they come, and replaces who falls."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import procs
from ..errors import LabError
from .worker import refused

LIMIT = 60.0
"""The seconds that one bundle may take."""
_AHEAD = 2
_STARTING = 60.0
# Nothing is imported from the folder in which the command runs: it may hold a lab.py of the learner's.
_CODE = "import sys; sys.path.append(sys.argv[1]); from lab.bulk.worker import main; main(float(sys.argv[2]))"
_IMPORTS = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Job:
    """A bundle to grade. `size` in bytes and `times` (of content, of inode; ns) tell whether it is the same later.

    A `size` of -1: nobody could look.
    """

    source: str
    scenario: str | None
    size: int
    times: tuple[int, int]

    @classmethod
    def of(cls, source: str, scenario: str | None) -> Job:
        """Return the job of a bundle as it is now."""
        try:
            found = os.stat(source)
        except OSError:
            return cls(source, scenario, -1, (0, 0))
        return cls(source, scenario, found.st_size, (found.st_mtime_ns, found.st_ctime_ns))

    @property
    def question(self) -> dict[str, Any]:
        """What a worker is asked, and gives back with its answer."""
        return {"source": self.source, "scenario": self.scenario, "size": self.size, "times": self.times}


@dataclass(slots=True)
class _Worker:
    process: procs.Process
    jobs: deque[Job] = field(default_factory=deque)
    unread: bytearray = field(default_factory=bytearray)
    ready: bool = False


class Crew:
    """Some processes that grade. A context: at its end none of them is left."""

    def __init__(self, size: int, limit: float = LIMIT) -> None:
        """Start `size` processes, and return when the first can work. Raises LabError where none can."""
        self._limit = limit
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self._todo: deque[Job] = deque()
        if os.name != "posix":
            raise LabError("this system has no pipes to wait for")
        try:
            for _ in range(size):
                self._start()
            self._await_first()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def answers(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, bytes]]:
        """Yield each job with its line for the journal, in the order in which they are done."""
        self._todo.extend(jobs)
        self._ask_all()
        while self._todo or any(worker.jobs for worker in self._workers):
            for key, _ in self._selector.select():
                yield from self._take(key.data)
                self._ask_all()

    def _ask_all(self) -> None:
        for worker in self._workers:
            self._ask(worker)

    def _take(self, worker: _Worker) -> Iterator[tuple[Job, bytes]]:
        """Read what a worker has said: answers, or that it is no more."""
        assert worker.process.stdout is not None
        chunk = os.read(worker.process.stdout.fileno(), 1 << 16)
        if not chunk:
            yield from self._lost(worker)
            return
        worker.unread += chunk
        *lines, rest = worker.unread.split(b"\n")
        worker.unread = rest
        for line in lines:
            if not worker.ready:
                worker.ready = True
            else:
                yield worker.jobs.popleft(), bytes(line)

    def _ask(self, worker: _Worker) -> None:
        """Keep a worker busy: one question at work, one waiting, so that it never waits for us."""
        while worker.ready and self._todo and len(worker.jobs) < _AHEAD:
            job = self._todo.popleft()
            worker.jobs.append(job)
            assert worker.process.stdin is not None
            try:
                os.write(worker.process.stdin.fileno(), json.dumps(job.question).encode() + b"\n")
            except BrokenPipeError:
                # It is no more, which its standard output says too.
                return

    def _lost(self, worker: _Worker) -> Iterator[tuple[Job, bytes]]:
        """Put another one in the place of a worker that has ended; what it was at is answered by how it ended."""
        code = self._dismiss(worker, patience=1.0)
        if not worker.ready:
            if not self._workers:
                raise LabError(f"a process for the work ended with {code} before it could begin")
            return
        culprit = worker.jobs.popleft() if worker.jobs else None
        self._todo.extendleft(reversed(worker.jobs))
        if culprit is not None:
            told = refused(f"{culprit.source}: {self._ending(code)}", "the other bundles are not concerned", again=True)
            yield culprit, json.dumps(culprit.question | told).encode()
        if self._todo:
            self._start()

    def _ending(self, code: int) -> str:
        if code == -signal.SIGALRM:
            return f"no end after {self._limit:g} s"
        if code == -signal.SIGKILL:
            return "the process that graded it was killed, for want of memory perhaps"
        if code < 0:
            return f"the process that graded it crashed ({signal.Signals(-code).name})"
        return f"the process that graded it ended with {code}"

    def _start(self) -> None:
        argv = [sys.executable, "-P", "-c", _CODE, str(_IMPORTS), repr(self._limit)]
        process = procs.start(argv, stdin=procs.PIPE, stdout=procs.PIPE)
        worker = _Worker(process)
        self._workers.append(worker)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)

    def _await_first(self) -> None:
        while not any(worker.ready for worker in self._workers):
            heard = self._selector.select(_STARTING)
            if not heard:
                raise LabError(f"none of them was ready after {_STARTING:g} s")
            for key, _ in heard:
                for _ in self._take(key.data):
                    raise AssertionError("an answer before any question")

    def _dismiss(self, worker: _Worker, *, patience: float) -> int:
        """Take a worker out and return its exit status; it is killed where it does not end by itself."""
        self._workers.remove(worker)
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        return procs.reap(worker.process, patience)

    def _end(self) -> None:
        while self._workers:
            self._dismiss(self._workers[-1], patience=0.0)
        self._selector.close()
