"""The run of a lab from start to stop, over a driver whose labs are directories."""

from __future__ import annotations

import os
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from lab.cli.run import run
from lab.drivers import DRIVERS
from lab.drivers.base import DriverInfo, Lab, LabSpec, NodeOptions, Progress, Step, silent
from lab.errors import LabError
from lab.home import write_whole
from lab.session import Session
from tests.fakes import FakeDriver

_T = TypeVar("_T")


@pytest.fixture(autouse=True)
def fake_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*DRIVERS]:
        monkeypatch.delitem(DRIVERS, name)
    monkeypatch.setitem(DRIVERS, "sandbox", "tests.fakes:FakeDriver")


@pytest.fixture
def session() -> Session:
    return Session()


class TestChoosing:
    def test_auto_takes_the_first_that_works_and_says_why(self, session: Session) -> None:
        name, why = session.choose()
        assert name == "sandbox"
        assert "directories are enough here" in why

    def test_a_driver_that_is_not_there_yet_is_unknown_with_the_known_ones(self, session: Session) -> None:
        with pytest.raises(LabError) as error:
            session.choose("podman")
        assert "sandbox" in error.value.hint

    @pytest.mark.parametrize("on", ["auto", "sandbox"])
    def test_where_nothing_works_the_reason_and_the_remedy_are_told(
        self, session: Session, monkeypatch: pytest.MonkeyPatch, on: str
    ) -> None:
        monkeypatch.setattr(FakeDriver, "available", False)
        with pytest.raises(LabError, match="user namespaces are refused") as error:
            session.start("audit-log", on=on)
        assert error.value.hint == "sysctl -w user.max_user_namespaces=1000"

    def test_what_was_passed_over_is_named(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        class Kind(FakeDriver):
            name = "kind"

            def probe(self) -> DriverInfo:
                return DriverInfo("kind", False, "docker does not answer")

            def find(self) -> list[Lab]:
                raise LabError("docker does not answer")

        monkeypatch.setitem(DRIVERS, "kind", "unused:Unused")
        monkeypatch.setitem(session._drivers, "kind", Kind())
        assert session.choose() == ("sandbox", "directories are enough here (kind: docker does not answer)")
        session.start("audit-log")
        assert [lab.name for lab in session.labs()] == ["audit-log"]
        assert session.unreachable == {"kind": "docker does not answer"}

    def test_what_a_driver_cannot_do_is_refused_with_the_options_name(self, session: Session) -> None:
        with pytest.raises(
            LabError, match="sandbox driver cannot be used here: it has no --image, --kubernetes-version"
        ):
            session.start("audit-log", on="sandbox", options=NodeOptions(image="x", kubernetes_version="1.34"))
        assert session.labs() == []

    def test_auto_passes_over_a_driver_that_lacks_what_is_asked_for(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Kind(FakeDriver):
            name = "kind"

            def probe(self) -> DriverInfo:
                return DriverInfo("kind", True, "kind 0.30", capabilities=frozenset({"image"}))

        monkeypatch.setitem(DRIVERS, "kind", "unused:Unused")
        monkeypatch.setitem(session._drivers, "kind", Kind())
        assert session.choose()[0] == "kind"
        assert session.choose(needs=frozenset({"image"}))[0] == "kind"
        with pytest.raises(LabError, match="kind: it has no --config; sandbox: it has no --config"):
            session.choose(needs=frozenset({"config"}))
        name, why = session.choose(needs=frozenset())
        assert (name, why) == ("kind", "kind 0.30")


class TestStarting:
    def test_the_driver_gets_the_options_as_they_were_asked_for(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[LabSpec] = []
        create = FakeDriver.create

        def noting(self: FakeDriver, spec: LabSpec, progress: Progress = silent) -> Lab:
            asked.append(spec)
            return create(self, spec, progress)

        monkeypatch.setattr(FakeDriver, "create", noting)
        session.start("audit-log", seed=None, name="a", options=NodeOptions(pace="real", retain=True))
        (spec,) = asked
        assert (spec.name, spec.scenario, spec.pace, spec.retain, spec.image) == ("a", "audit-log", "real", True, None)

    def test_a_cluster_to_adopt_is_never_a_lab_that_is_there(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session.start("audit-log")
        assert session.plan("audit-log").lab is not None
        monkeypatch.setattr(session, "choose", lambda on, needs: ("kind", "as asked"))
        plan = session.plan("audit-log", needs=frozenset({"adopt"}))
        assert (plan.lab, plan.name) == (None, "audit-log-2")

    @pytest.mark.parametrize(("there", "asked"), [("lite v1.34", "real"), ("v1.34.4", "lite")])
    def test_a_lab_with_the_other_api_server_is_not_the_one_that_is_meant(
        self, session: Session, monkeypatch: pytest.MonkeyPatch, there: str, asked: str
    ) -> None:
        lab = replace(session.start("audit-log"), apiserver=there)
        monkeypatch.setattr(session, "labs", lambda: [lab])
        assert session.plan("audit-log", apiserver=asked).name == "audit-log-2"
        for same in ("auto", "lite" if asked == "real" else "real"):
            assert session.plan("audit-log", apiserver=same).lab == lab

    def test_a_lab_is_named_after_its_task_and_is_found_again(self, session: Session) -> None:
        steps: list[Step] = []
        lab = session.start("audit-log", progress=steps.append)
        assert (lab.name, lab.state, lab.scenario) == ("audit-log", "running", "audit-log")
        assert Session().labs() == [lab]
        assert steps
        assert b"level: None" in session.node(lab).files.read("/etc/kubernetes/audit/policy.yaml")

    def test_a_running_lab_of_the_same_task_is_used_again(self, session: Session) -> None:
        first = session.start("audit-log")
        assert session.plan("audit-log").lab == first
        assert session.start("audit-log") == first
        assert len(session.history()) == 1

    def test_a_named_lab_is_a_new_one_and_its_name_may_not_be_in_use(self, session: Session) -> None:
        session.start("audit-log")
        second = session.start("audit-log", name="monday")
        assert second.name == "monday"
        with pytest.raises(LabError, match="there already") as error:
            session.start("audit-log", name="monday")
        assert error.value.exit_code == 2
        assert "cks-lab stop --lab monday" in error.value.hint

    def test_a_broken_lab_is_not_used_and_the_new_one_gets_a_free_name(self, session: Session) -> None:
        FakeDriver().set_state(session.start("audit-log"), "broken", "its init has died")
        assert session.start("audit-log").name == "audit-log-2"

    @pytest.mark.parametrize("name", ["", "-a", "a-", "A", "../x", "a b", "a" * 41, "a/b", "ä"])
    def test_a_name_that_cannot_be_one_is_refused(self, session: Session, name: str) -> None:
        with pytest.raises(LabError, match="cannot name a lab"):
            session.start("audit-log", name=name)
        assert session.labs() == []

    @pytest.mark.parametrize("name", [None, "audit-log"])
    def test_a_stopped_lab_is_started_again_with_its_files_in_the_same_attempt(
        self, session: Session, name: str | None
    ) -> None:
        lab = session.start("audit-log")
        session.next_hint(lab)
        session.node(lab).run(["sh", "-c", "echo mine > root/notes"], timeout=5)
        FakeDriver().set_state(lab, "stopped")
        again = session.start("audit-log", name=name)
        assert again.name == lab.name
        assert session.node(again).files.read("/root/notes") == b"mine\n"
        assert session.hints_taken(again) == 1
        assert len(session.history()) == 1

    def test_an_unknown_task_names_the_known_ones(self, session: Session) -> None:
        with pytest.raises(LabError) as error:
            session.start("nope")
        assert "audit-log" in error.value.hint

    def test_a_start_that_fails_leaves_no_lab_and_no_attempt(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FakeDriver, "fail_create", "the API server did not come up")
        with pytest.raises(LabError, match="did not come up"):
            session.start("audit-log")
        assert session.labs() == []
        assert session.history() == []
        assert not list(session.home.data.glob(".start-*"))

    def test_two_starts_of_the_same_task_at_once_end_in_one_lab(self) -> None:
        labs = at_once(Session(), Session(), lambda session, number: session.start("audit-log"))
        assert labs[0] == labs[1]
        assert Session().labs() == labs[:1]

    def test_two_starts_under_one_name_at_once_give_it_to_one_of_them(self) -> None:
        def start(session: Session, number: int) -> Lab | LabError:
            try:
                return session.start("audit-log", name="monday")
            except LabError as error:
                return error

        ends = at_once(Session(), Session(), start)
        assert sorted(type(end).__name__ for end in ends) == ["Lab", "LabError"]

    def test_labs_of_different_names_start_side_by_side(self) -> None:
        both_are_in = threading.Barrier(2, timeout=10)

        class Meeting(FakeDriver):
            def create(self, spec: LabSpec, progress: Progress = silent) -> Lab:
                both_are_in.wait()
                return super().create(spec, progress)

        one, two = Session(), Session()
        one._drivers["sandbox"] = two._drivers["sandbox"] = Meeting()
        labs = at_once(one, two, lambda session, number: session.start("audit-log", name=f"lab-{number}"))
        assert [lab.name for lab in labs] == ["lab-0", "lab-1"]


def at_once(one: Session, two: Session, work: Callable[[Session, int], _T]) -> list[_T]:
    """Do the work in two threads and return what came of it, in order."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, (one, two), (0, 1)))


class TestLookingUp:
    def test_without_a_lab_the_command_to_start_one_is_told(self, session: Session) -> None:
        with pytest.raises(LabError) as error:
            session.lab()
        assert error.value.hint == "cks-lab start audit-log"
        assert error.value.exit_code == 2

    def test_the_one_started_last_is_meant_unless_it_is_named(self, session: Session) -> None:
        session.start("audit-log", name="first")
        session.start("audit-log", name="second")
        assert session.lab().name == "second"
        assert session.lab("first").name == "first"

    def test_a_stopped_one_is_meant_only_where_none_runs(self, session: Session) -> None:
        session.start("audit-log", name="first")
        second = session.start("audit-log", name="second")
        FakeDriver().set_state(second, "stopped")
        assert session.lab().name == "first"
        session.stop(session.lab("first"))
        assert session.lab().name == "second"

    def test_an_unknown_name_tells_the_known_ones(self, session: Session) -> None:
        session.start("audit-log")
        with pytest.raises(LabError, match="there are: audit-log"):
            session.lab("tuesday")

    @pytest.mark.parametrize(("state", "says"), [("stopped", "cks-lab start audit-log"), ("broken", "cks-lab stop")])
    def test_a_lab_that_is_not_up_says_how_to_go_on(self, session: Session, state: str, says: str) -> None:
        lab = FakeDriver().set_state(session.start("audit-log"), state, "no answer")
        for use in (session.node, session.reset, session.grade):
            with pytest.raises(LabError) as error:
                use(lab)
            assert error.value.hint.startswith(says)


class TestHelp:
    def test_hints_come_one_at_a_time_and_are_remembered(self, session: Session) -> None:
        lab = session.start("audit-log")
        first = session.next_hint(lab)
        assert first is not None
        assert first.number == 1
        for _ in range(first.total - 1):
            assert session.next_hint(lab) is not None
        assert session.next_hint(lab) is None
        assert Session().hints_taken(lab) == first.total
        assert Session().hints_seen(lab)[0] == first

    def test_the_solution_is_noted(self, session: Session) -> None:
        lab = session.start("audit-log")
        assert "audit-policy-file" in session.solution(lab)
        assert session.history()[0].solution


class TestResetAndStop:
    def test_reset_keeps_the_learners_files_and_puts_the_node_back(self, session: Session) -> None:
        lab = session.start("audit-log")
        node = session.node(lab)
        node.run(["sh", "-c", "echo mine > etc/kubernetes/audit/policy.yaml"], timeout=5)
        copy = session.reset(lab)
        assert copy.parent == session.home.backups
        with tarfile.open(copy) as tar:
            kept = tar.extractfile("etc/kubernetes/audit/policy.yaml")
            assert kept is not None
            assert kept.read() == b"mine\n"
        assert b"level: None" in session.node(lab).files.read("/etc/kubernetes/audit/policy.yaml")
        assert session.history()[0].resets == 1

    def test_a_copy_that_cannot_be_made_leaves_the_node_alone(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lab = session.start("audit-log")
        session.node(lab).run(["sh", "-c", "echo mine > root/notes"], timeout=5)
        monkeypatch.setattr(os, "fsync", full_disk)
        with pytest.raises(LabError, match="No space left on device"):
            session.reset(lab)
        assert session.node(lab).files.read("/root/notes") == b"mine\n"
        assert list(session.home.backups.iterdir()) == []

    def test_stop_removes_the_lab_and_keeps_the_history(self, session: Session) -> None:
        lab = session.start("audit-log")
        session.stop(lab)
        assert session.labs() == []
        assert session.history()[0].ended is not None

    def test_stop_all_goes_on_after_one_that_cannot_be_removed(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("a", "b", "c"):
            session.start("audit-log", name=name)
        destroy = FakeDriver.destroy

        def stubborn(self: FakeDriver, lab: Lab) -> None:
            if lab.name == "b":
                raise LabError("device or resource busy")
            destroy(self, lab)

        monkeypatch.setattr(FakeDriver, "destroy", stubborn)
        with pytest.raises(LabError, match="b: device or resource busy"):
            session.stop_all()
        assert [lab.name for lab in session.labs()] == ["b"]


def no_record(session: Session) -> None:
    """Put a folder where the record of attempts is, so that nothing can be written into it."""
    for path in session.home.data.glob("attempts.db*"):
        path.unlink()
    session.home.database.mkdir(parents=True)


class TestARecordThatTakesNoMore:
    def test_a_lab_that_is_up_is_there_and_why_it_was_not_recorded_is_told(self, session: Session) -> None:
        no_record(session)
        lab = session.start("audit-log")
        assert session.labs() == [lab]
        (told,) = session.unrecorded
        assert told.startswith("the start of audit-log was not recorded: ")
        assert str(session.home.database) in told

    def test_what_is_done_to_a_lab_is_done(self, session: Session) -> None:
        session.start("audit-log")
        no_record(session)
        again = Session()
        again.reset(again.lab())
        again.stop(again.lab())
        assert again.labs() == []
        assert [told.partition(" was not recorded: ")[0] for told in again.unrecorded] == [
            "the reset of audit-log",
            "the end of audit-log",
        ]

    def test_every_lab_can_be_stopped(self, session: Session) -> None:
        session.start("audit-log", name="a")
        session.start("audit-log", name="b")
        no_record(session)
        again = Session()
        assert again.stop_all() == ["a", "b"]
        assert len(again.unrecorded) == 2

    @pytest.mark.parametrize("arguments", [["start", "audit-log"], ["stop"], ["stop", "--all", "--yes"]])
    def test_the_commands_say_so_and_succeed(
        self, session: Session, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        if arguments[0] == "stop":
            session.start("audit-log")
        no_record(session)
        assert run(arguments) == 0
        said = capsys.readouterr()
        assert said.out == "audit-log\n"
        assert f"Warning: the {'end' if arguments[0] == 'stop' else 'start'} of audit-log was not recorded" in said.err


def full_disk(*args: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(LabError, match="No space left on device"):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.touch(mode=0o600)
    write_whole(path, b"a secret")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"a secret", 0o600)


def test_a_report_names_the_api_server_of_the_lab_where_the_server_itself_does_not_answer(session: Session) -> None:
    lab = replace(session.start("audit-log"), apiserver="v1.34.4")
    assert session.grade(lab).report.node.apiserver == "v1.34.4"
