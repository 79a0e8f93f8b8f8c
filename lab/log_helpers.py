"""Owns the processes that read parts of a log beside this one: they are asked for one part after the other.

This process reads too, so that nothing waits while a helper starts (which takes about as long as to read 50 MB), and
goes on alone where one falls. What a helper does is in `log_worker`.
"""

from __future__ import annotations

import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Condition, Thread
from typing import IO, Generic, TypeVar

from . import procs
from .errors import LabError

P = TypeVar("P")
T = TypeVar("T")

# Without site: the folders to import from are those of this process, but for the one the command runs in.
_ARGV = ("-S", "-P", "-c", "import sys; sys.path[:] = sys.argv[1:]; from lab.log_worker import main; main()")
_IMPORTS = Path(__file__).parents[1]
# A helper is told its next part before it is done with one: our answer takes a while, since this process reads too.
_ASKED = 2
# So many parts for each process are read before they are wanted: their answers wait in memory.
_AHEAD = 4


def read_with_helpers(read: Callable[[P], T], parts: Sequence[P], helpers: int) -> Iterator[T]:
    """Yield what `read` answers for each part, in order; by this process and so many others.

    `read`, the parts and the answers are pickled: `read` is a function at the top of a module, or a `partial` of one.
    What it raises is raised here.
    """
    work = _Work[P, T](parts, helpers + 1)
    others = [_Helper(work, read) for _ in range(helpers)]
    try:
        for helper in others:
            helper.start()
        for number in range(len(parts)):
            while not work.has(number):
                mine = work.take()
                if mine is None:
                    work.wait_for(number)
                else:
                    work.put(mine, read(parts[mine]))
            yield work.answer(number)
    finally:
        work.end()
        for helper in others:
            helper.end()


class _Work(Generic[P, T]):
    """The parts that are to be read, by number, and the answers that nobody has asked for yet. Threads share it."""

    def __init__(self, parts: Sequence[P], processes: int) -> None:
        self.parts = parts
        self._processes = processes
        self._todo = deque(range(len(parts)))
        self._answers: dict[int, T] = {}
        self._errors: dict[int, Exception] = {}
        self._wanted = 0
        self._changed = Condition()

    def take(self) -> int | None:
        """Return a part that is to be read now, None where there is none."""
        with self._changed:
            return self._todo.popleft() if self._available() else None

    def take_for_helper(self, asked: int) -> int | None:
        """Return a part for a helper that has so many to read; one that has none waits for it. None: no more."""
        with self._changed:
            if asked:
                # The last ones are for who is done first.
                plenty = len(self._todo) > self._processes
                return self._todo.popleft() if asked < _ASKED and plenty and self._available() else None
            self._changed.wait_for(lambda: self._available() or not self._todo)
            return self._todo.popleft() if self._todo else None

    def _available(self) -> bool:
        return bool(self._todo) and self._todo[0] < self._wanted + _AHEAD * self._processes

    def put(self, number: int, answer: T) -> None:
        """Take the answer to a part."""
        with self._changed:
            self._answers[number] = answer
            self._changed.notify_all()

    def put_error(self, number: int, error: Exception) -> None:
        """Take what was raised for a part."""
        with self._changed:
            self._errors[number] = error
            self._changed.notify_all()

    def give_back(self, numbers: Sequence[int]) -> None:
        """Take back parts that were not read."""
        with self._changed:
            self._todo.extendleft(reversed(numbers))
            self._changed.notify_all()

    def has(self, number: int) -> bool:
        """Whether a part is read."""
        with self._changed:
            return number in self._answers or number in self._errors

    def wait_for(self, number: int) -> None:
        """Wait until a part is read, or there is another one to read."""
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or number in self._errors or self._available())

    def answer(self, number: int) -> T:
        """Return the answer to a part that is read; it is the next one that is wanted."""
        with self._changed:
            self._wanted = number + 1
            self._changed.notify_all()
            if number in self._errors:
                raise self._errors[number]
            return self._answers.pop(number)

    def end(self) -> None:
        """Let nothing more be read."""
        with self._changed:
            self._todo.clear()
            self._changed.notify_all()


class _Helper(Generic[P, T]):
    """A process that reads parts, and the thread that asks it."""

    def __init__(self, work: _Work[P, T], read: Callable[[P], T]) -> None:
        self._work = work
        self._read = read
        self._process: procs.Process | None = None
        self._thread = Thread(target=self._ask, daemon=True)

    def start(self) -> None:
        """Start the process. Where that cannot be, there is one less."""
        folders = [folder for folder in sys.path if folder] + [str(_IMPORTS)]
        try:
            self._process = procs.start([sys.executable, *_ARGV, *folders], stdin=procs.PIPE, stdout=procs.PIPE)
        except LabError:
            return
        self._thread.start()

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            procs.end(self._process)
            self._thread.join()
            for pipe in (self._process.stdin, self._process.stdout):
                _close(pipe)

    def _ask(self) -> None:
        assert self._process is not None
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        asked: deque[int] = deque()
        try:
            pickle.dump(self._read, questions)
            questions.flush()
            # It says that it is ready; until then the parts are for the others.
            pickle.load(answers)
            while True:
                while (number := self._work.take_for_helper(len(asked))) is not None:
                    asked.append(number)
                    pickle.dump(self._work.parts[number], questions)
                questions.flush()
                if not asked:
                    return
                good, answer = pickle.load(answers)
                number = asked.popleft()
                if good:
                    self._work.put(number, answer)
                else:
                    self._work.put_error(number, answer)
        except (OSError, EOFError, pickle.UnpicklingError):
            # It is no more, for want of memory perhaps.
            pass
        finally:
            self._work.give_back(list(asked))


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:
        # What was still to be sent to a process that has ended.
        pass
