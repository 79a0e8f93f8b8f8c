"""Bundles are somebody else's files: what a hostile or damaged one does to us."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
from pathlib import Path

import pytest

from checkers.evidence import FileKind, FileStat, Missing, NotAFile
from lab.errors import LabError
from lab.evidence.bundle import Bundle
from lab.evidence.collector.files import Archive
from lab.evidence.collector.host import Stat
from lab.evidence.directory import DirectoryFiles


def archive(path: Path, *entries: tuple[str, bytes | str], mode: str = "w:gz") -> Path:
    """Write a tar: bytes make a file, text makes a link to it."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return path


def test_a_bare_tar_is_read_as_a_node(tmp_path: Path) -> None:
    bundle = Bundle.load(archive(tmp_path / "b.tar", ("./etc/kubernetes/audit/policy.yaml", b"kind: Policy"), mode="w"))
    assert bundle.facts == {}
    assert bundle.files.read("/etc/kubernetes/audit/policy.yaml") == b"kind: Policy"
    assert bundle.files.list("/etc/kubernetes") == ["audit"]
    assert bundle.files.stat("/etc").kind is FileKind.DIRECTORY


def written(path: Path) -> Path:
    with path.open("wb") as out:
        writer = Archive(out)
        writer.add("/etc/x", Stat("file", 0o600, 0, 0, 3, 5), b"abc")
        writer.add("/etc/y", Stat("file", 0o600, 0, 0, 3, 5, "x"))
        writer.finish({"scenario": "audit-log", "b": 1, "a": "\udc80"})
    return path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    bundle = Bundle.load(written(tmp_path / "b.tar.gz"))
    assert bundle.facts["scenario"] == "audit-log"
    assert bundle.files.read("/etc/y") == b"abc"
    assert bundle.files.stat("/etc/y").link == "x"
    assert bundle.files.stat("/etc/x") == FileStat(FileKind.FILE, 0o600, 0, 0, 3, 5_000_000_000)


def test_the_same_node_gives_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "one").read_bytes() == written(tmp_path / "two").read_bytes()


@pytest.mark.parametrize("name", ["../etc/passwd", "root/../../x", "/etc/passwd"])
def test_an_entry_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="leads out of the archive"):
        Bundle.load(archive(tmp_path / "b.tar.gz", (name, b"x")))


def test_a_link_out_stays_inside(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "b.tar.gz", ("etc/passwd", b"inside"), ("etc/a", "../../../../etc/passwd"), ("b", "/etc/passwd")
    )
    files = Bundle.load(path).files
    assert files.read("/etc/a") == b"inside"
    assert files.read("/b") == b"inside"


def test_a_loop_of_links_leads_nowhere(tmp_path: Path) -> None:
    files = Bundle.load(archive(tmp_path / "b.tar.gz", ("a", "b"), ("b", "a"))).files
    with pytest.raises(Missing):
        files.read("/a")


def test_a_dangling_link_is_missing(tmp_path: Path) -> None:
    files = Bundle.load(archive(tmp_path / "b.tar.gz", ("a", "nowhere"))).files
    with pytest.raises(Missing):
        files.stat("/a")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a tar at all",
        b"root:x:0:0:root:/root:/bin/bash\n" * 40,
        gzip.compress(b"nor this", mtime=0),
        bz2.compress(b"nor this"),
        lzma.compress(b"nor this"),
    ],
    ids=["empty", "text", "passwd", "gzip", "bzip2", "xz"],
)
def test_what_is_no_tar_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_bytes(content)
    with pytest.raises(LabError) as error:
        Bundle.load(path)
    assert error.value.message == f"{path}: is no bundle (not a tar archive)"
    assert "cks-lab collect" in error.value.hint


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_a_truncated_bundle_is_told(tmp_path: Path, mode: str, kept: float) -> None:
    path = archive(tmp_path / "b.tar.gz", ("etc/x", random.Random(1).randbytes(200_000)), mode=mode)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(LabError, match="not a whole tar archive") as error:
        Bundle.load(path)
    assert "\n" not in error.value.message


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_damaged_bundle_is_told(tmp_path: Path, mode: str) -> None:
    path = archive(tmp_path / "b.tar.gz", ("etc/x", random.Random(1).randbytes(200_000)), mode=mode)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 100] = bytes(100)
    path.write_bytes(content)
    # Of bzip2 the damaged block comes out scrambled from its start, before its checksum: no header is seen at all.
    with pytest.raises(LabError, match="not a whole tar archive" if mode != "w:bz2" else "is no bundle"):
        Bundle.load(path)


def test_a_device_and_a_pipe_are_refused_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(LabError, match="is no regular file"):
            Bundle.load(path)


def test_facts_that_are_no_json_are_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"facts\.json"):
        Bundle.load(archive(tmp_path / "b.tar.gz", ("facts.json", b"{"), ("root/etc/x", b"")))
    with pytest.raises(LabError, match="not a JSON object"):
        Bundle.load(archive(tmp_path / "b.tar.gz", ("facts.json", b"[]"), ("root/etc/x", b"")))


def test_missing_and_directories_have_messages_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no such file"):
        Bundle.load(tmp_path / "nope")
    with pytest.raises(LabError, match="is a directory") as error:
        Bundle.load(tmp_path)
    assert "--root" in error.value.hint


def test_a_big_file_is_streamed_and_not_kept(tmp_path: Path) -> None:
    content = b"0123456789abcdef" * (1 << 20) + b"end"
    files = Bundle.load(archive(tmp_path / "b.tar", ("var/log/audit/audit.log", content), mode="w")).files
    assert b"".join(files.stream("/var/log/audit/audit.log")) == content
    assert files.read("/var/log/audit/audit.log", 10) == b"0123456789"


def test_what_is_more_than_64_mib_in_all_is_not_kept_and_read_all_the_same(tmp_path: Path) -> None:
    content = bytes(15 << 20)
    files = Bundle.load(
        archive(tmp_path / "b.tar.gz", *((f"var/log/{n}", content) for n in range(6)), ("var/log/last", b"end"))
    ).files
    assert sum(len(entry.content or b"") for entry in files._entries.values()) <= 64 << 20  # type: ignore[attr-defined]
    assert b"".join(files.stream("/var/log/5")) == content
    assert files.read("/var/log/last") == b"end"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, 4 << 30
    with gzip.open(tmp_path / "b.tar.gz", "wb", 1) as file:
        file.write(entry.tobuf())
        file.write(bytes(2 << 20))
    with pytest.raises(LabError, match="a header of 4294967296 bytes"):
        Bundle.load(tmp_path / "b.tar.gz")


def test_more_than_a_gibibyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("root/var/log/audit/audit.log")
    entry.size = (1 << 30) + 1
    (tmp_path / "b.tar").write_bytes(entry.tobuf())
    with pytest.raises(LabError, match="more than 100000 entries or 1 GiB") as error:
        Bundle.load(tmp_path / "b.tar")
    assert "cks-lab collect" in error.value.hint


class TestDirectory:
    def test_links_never_lead_out(self, tmp_path: Path) -> None:
        root, outside = tmp_path / "root", tmp_path / "secret"
        (root / "etc").mkdir(parents=True)
        outside.write_text("outside")
        (root / "etc/up").symlink_to("../../../secret")
        (root / "etc/abs").symlink_to(outside)
        files = DirectoryFiles(root)
        for path in ("/etc/up", "/etc/abs", "/../secret"):
            with pytest.raises(Missing):
                files.read(path)

    def test_absolute_links_start_at_the_root(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/real").write_text("x")
        (tmp_path / "link").symlink_to("/etc/real")
        assert DirectoryFiles(tmp_path).read("/link") == b"x"
        assert DirectoryFiles(tmp_path).stat("/link").link == "/etc/real"

    def test_a_fifo_does_not_hold_us(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(NotAFile) as error:
            DirectoryFiles(tmp_path).read("/pipe")
        assert error.value.kind is FileKind.FIFO

    def test_a_directory_is_not_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotAFile):
            DirectoryFiles(tmp_path).read("/")
        (tmp_path / "f").touch()
        with pytest.raises(NotAFile):
            DirectoryFiles(tmp_path).list("/f")

    def test_no_directory_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(LabError, match="no such directory"):
            DirectoryFiles(tmp_path / "nope")
