"""Grades many bundles as one: by several processes, in any order, with an answer in the order of their names.

A bundle that cannot be judged, takes too long or brings its process down costs its own entry and nothing else. What was
graded is kept in a journal, so that a run that was stopped, however hard, goes on where it was.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from checkers.result import Status

from ..errors import LabError
from ..reports import Entry
from .crew import LIMIT, Crew, Job
from .journal import Journal
from .worker import answer

__all__ = ["Journal", "Tally", "bundles", "grade_all", "usual_workers"]

SUFFIX = ".tar.gz"


@dataclass(slots=True)
class Tally:
    """How many bundles passed, failed, and could not be judged; `kept`: those of them that an earlier run graded."""

    passed: int = 0
    failed: int = 0
    unjudged: int = 0
    kept: int = 0

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.unjudged

    def add(self, verdict: str) -> None:
        """Count one more."""
        if verdict == Status.PASS:
            self.passed += 1
        elif verdict == Status.FAIL:
            self.failed += 1
        else:
            self.unjudged += 1


def bundles(given: Sequence[str]) -> list[str]:
    """Return the bundles that are named: files, folders (their *.tar.gz) and patterns, in which ** means any folders.

    Sorted by name; a file that is named twice is there once. Raises LabError, with all that nothing was found for.
    """
    found: dict[tuple[str, str], str] = {}
    nothing = []
    for text in given:
        path = os.path.expanduser(text)
        if os.path.isdir(path):
            # A folder's own letters may mean something in a pattern.
            matches = glob.glob(os.path.join(glob.escape(path), f"*{SUFFIX}"))
        elif os.path.lexists(path):
            matches = [path]
        else:
            # A pattern for everything finds folders too: only one that is called as a bundle was meant.
            matches = [m for m in glob.glob(path, recursive=True) if m.endswith(SUFFIX) or not os.path.isdir(m)]
        if not matches:
            nothing.append(os.path.join(text, f"*{SUFFIX}") if os.path.isdir(path) else text)
        for match in matches:
            folder, name = os.path.split(match)
            found.setdefault((os.path.realpath(folder or "."), name), match)
    if nothing:
        raise LabError(f"no bundle there: {', '.join(nothing)}", f"ls {os.path.dirname(nothing[0]) or '.'}")
    return sorted(found.values(), key=os.fsencode)


def usual_workers() -> int:
    """Return how many processes make use of the whole machine: one for each core that is ours."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def grade_all(
    sources: Sequence[str],
    scenario: str | None,
    journal: Journal,
    *,
    workers: int,
    limit: float = LIMIT,
    begun: Callable[[Tally], None] = lambda tally: None,
    done: Callable[[str, Tally], None] = lambda source, tally: None,
    warn: Callable[[str], None] = lambda text: None,
) -> tuple[Tally, Sequence[Entry]]:
    """Grade what the journal does not hold yet, and return the counts and the entries, in the order of the sources.

    `limit`: the seconds that one bundle may take. `begun` is called once, with what an earlier run did, `done` for each
    bundle that is graded, `warn` with what the person should know. The entries are read as they are asked for, as long
    as the journal is open. Raises LabError where the journal cannot be written.
    """
    tally = Tally()
    jobs: list[Job] = []
    for source in sources:
        job = Job.of(source, scenario)
        verdict = journal.verdict(job)
        if verdict is None:
            jobs.append(job)
        else:
            tally.add(verdict)
            tally.kept += 1
    begun(tally)
    for job, line in _answers(jobs, workers, limit, warn):
        tally.add(journal.add(line))
        done(job.source, tally)
    return tally, journal.entries(sources)


def _answers(
    jobs: Sequence[Job], workers: int, limit: float, warn: Callable[[str], None]
) -> Iterator[tuple[Job, bytes]]:
    if not jobs:
        return
    left = dict.fromkeys(jobs)
    try:
        with Crew(min(workers, len(jobs)), limit) as crew:
            for job, line in crew.answers(jobs):
                del left[job]
                yield job, line
    except LabError as error:
        warn(f"no processes for the work, so this one goes on alone: {error.message}")
    for job in left:
        yield job, answer(job.question)


def journal_of(output: Path | None, scenario: str | None) -> Journal:
    """Return the journal beside an output, or, without one that can be come back to, one that nobody sees."""
    if output is None or (output.exists() and not output.is_file()):
        return Journal.unseen(scenario)
    return Journal.beside(output, scenario)
