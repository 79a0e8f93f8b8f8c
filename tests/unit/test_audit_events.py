"""The judge over a log in several files: rotated ones, plain and gzip'ed, whole and damaged; which file is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from checkers.result import CheckResult, Status, Where
from tests.nodes import GOOD_LOG, LOG, audit_log, event, grade, lay, told, write_log

ROTATED = "audit-2026-11-23T02-36-32.662.log"
FOLDER = "/var/log/audit"
CUT = "the gzip is cut: nothing after byte"


def solved(root: Path) -> Path:
    """Lay the solution and a good log."""
    return write_log(lay(root, audit_log().solution))


def rotate(root: Path, *lines: str, gzipped: bool = False, cut: int = 0, name: str = ROTATED) -> str:
    """Write a rotated log, the last `cut` bytes left off; return its path on the node."""
    content = "".join(line + "\n" for line in lines).encode()
    content = gzip.compress(content) if gzipped else content
    path = (root / LOG).with_name(name + ".gz" * gzipped)
    path.write_bytes(content[: len(content) - cut])
    return f"{FOLDER}/{path.name}"


def results(root: Path) -> dict[str, CheckResult]:
    """Return what each check says of a directory."""
    return {line.id: line.result for line in grade(root).lines}


def started(root: Path, time: str) -> None:
    """Let the API server be started at a time, as the kubelet's log of it shows."""
    logs = root / "var/log/pods/kube-system_kube-apiserver-x_uid/kube-apiserver"
    logs.mkdir(parents=True)
    (logs / "0.log").write_text(f"{time} stderr F hello\n")


class TestWhichFile:
    def test_a_write_without_its_body_is_shown_in_the_file_that_has_it(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        bare = event("patch", "configmaps", "Metadata")
        old = rotate(root, *GOOD_LOG, *GOOD_LOG, bare)
        assert results(root)["log.configmaps-body"].where == Where(old, 5)
        rotate(root, *GOOD_LOG, *GOOD_LOG)
        write_log(root, (GOOD_LOG[0], bare))
        assert results(root)["log.configmaps-body"].where == Where("/" + LOG, 2)

    def test_a_line_of_a_gzip_is_that_of_what_it_unpacks_to(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        old = rotate(root, GOOD_LOG[0], event("patch", "configmaps", "Metadata"), gzipped=True)
        assert results(root)["log.configmaps-body"].where == Where(old, 2)

    def test_a_file_that_leads_nowhere_shifts_no_other(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        (root / LOG).with_name("audit-2026-11-22T02-36-32.662.log").symlink_to("nowhere")
        old = rotate(root, GOOD_LOG[0], event("patch", "configmaps", "Metadata"))
        assert results(root)["log.configmaps-body"].where == Where(old, 2)

    def test_the_first_broken_line_is_named_with_its_file(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        rotate(root, *GOOD_LOG)
        with (root / LOG).open("a") as file:
            file.write("no event\n")
        (warning,) = results(root)["log.written"].warnings
        assert warning == f"1 line is no audit event; the first is line 3 of /{LOG}"

    def test_a_rotated_log_without_an_end_is_not_joined_to_the_next(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        rotate(root, *GOOD_LOG, cut=1)
        found = results(root)["log.written"]
        assert found.found.startswith("4 completed")
        assert not found.warnings

    def test_a_log_that_is_being_packed_counts_once(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        rotate(root, *GOOD_LOG)
        rotate(root, *GOOD_LOG, gzipped=True, cut=20)
        found = results(root)["log.written"]
        assert found.found.startswith("4 completed")
        assert not found.warnings


class TestDamage:
    def test_a_cut_gzip_is_a_warning_that_names_it_and_costs_nothing(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        old = rotate(root, *GOOD_LOG * 50, gzipped=True, cut=20)
        report = grade(root)
        assert report.percent == 100, told(report)
        for check in ("log.written", "log.metadata", "log.configmaps-body"):
            (warning,) = (line.result.warnings for line in report.lines if line.id == check)
            assert warning[-1].startswith(f"{old}: {CUT}"), check

    @pytest.mark.parametrize("at", [0, 1, 2, 12, 200, 1000])
    def test_wherever_a_gzip_is_damaged_it_costs_nothing(self, tmp_path: Path, at: int) -> None:
        root = solved(tmp_path)
        rotate(root, *(json.dumps({"n": i}) for i in range(3000)), gzipped=True)
        path = root / LOG
        packed = path.with_name(ROTATED + ".gz")
        content = packed.read_bytes()
        packed.write_bytes(content[:at] + b"\xff" * 20 + content[at + 20 :])
        report = grade(root)
        assert report.percent == 100, told(report)
        assert results(root)["log.written"].warnings

    def test_a_whole_gzip_is_no_warning(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        rotate(root, *GOOD_LOG * 50, gzipped=True)
        assert not any(result.warnings for check, result in results(root).items() if check.startswith("log."))

    def test_what_may_have_been_in_the_damaged_part_is_not_held_against_anyone(self, tmp_path: Path) -> None:
        root = write_log(solved(tmp_path), ())
        rotate(root, *GOOD_LOG, gzipped=True, cut=10_000)
        started(root, "2026-11-23T00:00:00.000000001Z")
        report = grade(root)
        by_id = {line.id: line for line in report.lines}
        assert report.percent == 100, told(report)
        for check in ("log.written", "log.metadata", "log.configmaps-body"):
            assert (by_id[check].result.status, by_id[check].possible) == (Status.SKIP, 0), check
        assert "the gzip is cut" in by_id["log.written"].result.found

    def test_other_resources_may_be_in_the_damaged_part_too(self, tmp_path: Path) -> None:
        root = write_log(solved(tmp_path), GOOD_LOG[:1])
        rotate(root, *GOOD_LOG, gzipped=True, cut=40)
        found = results(root)["log.metadata"]
        assert (found.status, found.knowable) == (Status.SKIP, False)

    def test_a_damaged_log_from_before_the_start_excuses_nothing(self, tmp_path: Path) -> None:
        root = write_log(solved(tmp_path), ())
        rotate(root, *GOOD_LOG, gzipped=True, cut=40)
        started(root, "2026-11-24T00:00:00.000000001Z")
        assert results(root)["log.written"].status is Status.FAIL
