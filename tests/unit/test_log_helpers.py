"""Parts read by several processes: in order, whoever reads them, and whatever becomes of a helper."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.log_helpers import read_with_helpers

PARTS = range(40)


def read_by(part: int) -> tuple[int, int]:
    """Answer with the part and who read it; give the others a chance."""
    time.sleep(0.01)
    return part, os.getpid()


def refuse(part: int, refused: int) -> int:
    if part == refused:
        raise LabError(f"part {part} cannot be read", "ls")
    return part


def fall(part: int, us: int, marks: str) -> int:
    """Read in this process; any other is killed at its second part, and leaves a mark."""
    mark = Path(marks) / f"{os.getpid()}"
    if os.getpid() != us:
        if mark.exists():
            mark.rename(mark.with_suffix(".killed"))
            os.kill(os.getpid(), signal.SIGKILL)
        mark.touch()
    time.sleep(0.01)
    return part


def loud(part: int, size: int) -> bytes:
    print("something else on standard output", flush=True)
    return bytes([part]) * size


def test_helpers_and_this_process_read_and_the_answers_are_in_order() -> None:
    # Long enough for a helper to be there, however busy the machine is.
    seen: set[int] = set()
    parts: list[int] = []

    def until_all_read() -> Iterator[tuple[int, int]]:
        for answer in read_with_helpers(read_by, range(3_000), 2):
            yield answer
            if len(seen) == 3:
                return

    for part, process in until_all_read():
        parts.append(part)
        seen.add(process)
    assert parts == list(range(len(parts)))
    assert os.getpid() in seen
    assert len(seen) == 3


@pytest.mark.parametrize("refused", [0, 1, 7, 39])
def test_what_is_raised_for_a_part_is_raised_here_whoever_read_it(refused: int) -> None:
    with pytest.raises(LabError, match=f"part {refused} cannot be read") as raised:
        list(read_with_helpers(partial(refuse, refused=refused), PARTS, 2))
    assert raised.value.hint == "ls"


def test_a_helper_that_is_killed_costs_no_part(tmp_path: Path) -> None:
    parts: list[int] = []
    enough = 3_000
    for part in read_with_helpers(partial(fall, us=os.getpid(), marks=str(tmp_path)), range(3_000), 2):
        parts.append(part)
        if enough == 3_000 and len(list(tmp_path.glob("*.killed"))) == 2:
            enough = len(parts) + 30
        if len(parts) == enough:
            break
    assert len(list(tmp_path.glob("*.killed"))) == 2
    # What they had been asked is read all the same.
    assert parts == list(range(enough))


def test_a_helper_that_cannot_start_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    assert list(read_with_helpers(partial(refuse, refused=-1), PARTS, 2)) == list(PARTS)


def test_a_helper_that_cannot_import_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.log_helpers._ARGV", ("-c", "raise SystemExit('no')"))
    assert list(read_with_helpers(partial(refuse, refused=-1), PARTS, 2)) == list(PARTS)


def test_long_answers_and_words_on_standard_output_do_no_harm() -> None:
    size = 300_000
    found = list(read_with_helpers(partial(loud, size=size), PARTS, 2))
    assert found == [bytes([part]) * size for part in PARTS]


def test_who_stops_asking_leaves_no_helper_behind() -> None:
    answers = read_with_helpers(read_by, range(3_000), 2)
    processes = {next(answers)[1]}
    for _, process in answers:
        processes.add(process)
        if len(processes) == 3:
            break
    answers.close()  # type: ignore[attr-defined]
    processes.discard(os.getpid())
    assert len(processes) == 2
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
