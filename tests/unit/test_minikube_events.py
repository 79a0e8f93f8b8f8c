"""What minikube prints, read as steps and errors: over every recording of the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.drivers.minikube.events import PHASES, Reader, failed, parse
from lab.drivers.minikube.profiles import profiles, version
from lab.procs import Completed
from tests.recorded_cli import command

pytestmark = pytest.mark.shared

STARTS = [
    "start-new",
    "start-after-stop",
    "start-after-docker-restart",
    "start-after-docker-rm",
    "start-as-root-without-force",
    "start-broken-manifest",
    "start-nothing-cached",
    "start-with-drift",
]


@pytest.fixture
def folder(shared: Path) -> Path:
    return shared / "recordings/minikube"


def read(folder: Path, name: str) -> tuple[Reader, list[tuple[int, str]]]:
    reader = Reader()
    told = []
    for line in (folder / f"{name}.events.jsonl").read_text().splitlines():
        if (news := reader.read(line)) is not None:
            told.append((reader.phase, news))
    return reader, told


@pytest.mark.parametrize("name", [*STARTS, "stop", "delete"])
def test_every_recorded_line_is_an_event(folder: Path, name: str) -> None:
    for line in (folder / f"{name}.events.jsonl").read_text().splitlines():
        event = parse(line)
        assert event is not None
        assert event.kind in ("step", "info", "warning", "error")
        assert event.message


@pytest.mark.parametrize("name", STARTS)
def test_phases_only_go_on_though_minikubes_own_steps_go_back_and_are_left_out(folder: Path, name: str) -> None:
    _, told = read(folder, name)
    numbers = [phase for phase, _ in told]
    assert numbers == sorted(numbers)
    assert set(numbers) <= set(range(len(PHASES)))


def test_a_new_cluster_goes_through_every_phase_with_minikubes_words(folder: Path) -> None:
    reader, told = read(folder, "start-new")
    assert sorted({phase for phase, _ in told}) == list(range(len(PHASES)))
    assert (2, "Creating docker container (CPUs=2, Memory=4096MB)") in told
    assert (4, "Booting up control plane") in told
    assert reader.reached == "Done"
    assert not any("kubectl is now configured" in news for _, news in told)


def test_what_minikube_says_as_root_at_each_start_is_no_failure(folder: Path) -> None:
    reader, _ = read(folder, "start-after-stop")
    assert reader.reached == "Done"
    failure = reader.failure
    assert failure is None or failure.exit_code is None


@pytest.mark.parametrize(
    ("name", "code", "words", "hint"),
    [
        ("start-as-root-without-force", 57, "root privileges. (DRV_AS_ROOT)", "usermod -aG docker"),
        ("start-broken-manifest", 80, "apiserver healthz never reported healthy", "cks-lab doctor"),
        ("start-nothing-cached", 48, "no such host (INET_LOOKUP_HOST)", "HTTP_PROXY and HTTPS_PROXY"),
    ],
)
def test_a_failed_start_is_told_with_reason_and_advice(
    folder: Path, name: str, code: int, words: str, hint: str
) -> None:
    reader, _ = read(folder, name)
    error = failed("no cluster was made", reader, Completed((), code, b"", b""), "cks-lab doctor")
    assert error.message.startswith("no cluster was made: ")
    assert words in error.message
    assert hint in error.hint
    assert "╭" not in error.message
    assert len(error.message) < 800


def test_where_no_event_tells_standard_error_does(folder: Path) -> None:
    removed = command(folder, "outside", "ssh -p drill")
    error = failed("no", Reader(), removed, "next")
    assert "No such container: drill" in error.message
    assert failed("no", Reader(), Completed((), 3, b"", b""), "next").message == "no: minikube ended with 3"


@pytest.mark.parametrize("line", ["null", "", "* text", "[1]", '{"a": 1}', '{"type": 3}', '{"Name":"cks"}', "\x00"])
def test_what_is_no_event_is_passed_over(line: str) -> None:
    assert parse(line) is None
    assert Reader().read(line) is None


def test_a_download_says_how_far_it_is() -> None:
    reader = Reader()
    line = (
        '{"type": "io.k8s.sigs.minikube.download.progress", "data": '
        '{"artifact": "preload.tar.lz4", "progress": "0.42", "currentstep": "2", "totalsteps": "19"}}'
    )
    assert reader.read(line) == "downloading: 42%"


def test_the_list_of_profiles_says_how_each_was_made(folder: Path) -> None:
    for name in ("profile-list.json", "profile-list-stopped.json"):
        (one,) = profiles((folder / name).read_text())
        assert (one.name, one.driver, one.version, one.nodes, one.port) == ("cks", "docker", "v1.34.4", 1, 8443)
    assert profiles(command(folder, "before", "profile list -o json").stdout.decode()) == []
    (gone,) = profiles(command(folder, "outside", "profile list -o json", nth=2).stdout.decode())
    assert gone.name == "drill"
    assert profiles("null") == []
    for no_list in ('{"type": "x"}', "[]", "3", "no"):
        with pytest.raises(ValueError):
            profiles(no_list)


def test_the_programs_version(folder: Path) -> None:
    assert version(command(folder, "running", "version -o json").stdout.decode()) == (1, 38, 1)
    for none in ("null", "", "minikube version: v1.38.1", "{}"):
        assert version(none) is None
