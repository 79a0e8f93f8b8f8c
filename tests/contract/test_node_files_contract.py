"""What every way to look at a node's files keeps to: what is there, what is not, what is something else."""

from __future__ import annotations

import io
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator

import pytest

from checkers.evidence import FileKind, Missing, NodeFiles, NotAFile
from lab import procs
from lab.drivers.base import LabSpec
from lab.drivers.container.engine import Engine
from lab.drivers.container.node import ContainerNode
from lab.drivers.sandbox.driver import SandboxDriver
from lab.evidence.directory import DirectoryFiles

BIG = bytes(range(256)) * 12_000  # 3 MB: more than one chunk
MTIME = 1_700_000_000


def tree() -> bytes:
    """Return the tar of what each implementation shows below /srv."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:

        def add(
            name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "", mode: int = 0o644
        ) -> None:
            entry = tarfile.TarInfo(f"srv/{name}")
            entry.type, entry.size, entry.linkname, entry.mode, entry.mtime = kind, len(content), link, mode, MTIME
            tar.addfile(entry, io.BytesIO(content))

        add("plain", content=b"one\ntwo\n", mode=0o640)
        add("empty")
        add("big", content=BIG)
        add("folder", tarfile.DIRTYPE, mode=0o755)
        for name in ("b", "a", "Z", "ä", ".hidden"):
            add(f"folder/{name}", content=name.encode())
        add("blank name", content=b"blank")
        add("link", tarfile.SYMTYPE, link="plain")
        add("absolute", tarfile.SYMTYPE, link="/srv/folder/a")
        add("outwards", tarfile.SYMTYPE, link="../../../../../../../../srv/plain")
        add("way", tarfile.SYMTYPE, link="folder")
        add("dangling", tarfile.SYMTYPE, link="nowhere")
        add("loop", tarfile.SYMTYPE, link="loop")
        add("pipe", tarfile.FIFOTYPE)
    return out.getvalue()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeFiles]:
    driver = SandboxDriver(tmp_path_factory.mktemp("labs"))
    info = driver.probe()
    if not info.available and not os.environ.get("CI"):
        pytest.skip(info.reason)
    lab = driver.create(LabSpec("files", "audit-log"))
    node = driver.node(lab)
    assert node.run(["tar", "-C", "/", "-xpf", "-"], timeout=20, stdin=tree()).exit_code == 0
    yield node.files
    driver.destroy(lab)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> NodeFiles:
    root = tmp_path_factory.mktemp("root")
    procs.run(["tar", "-C", str(root), "-xpf", "-"], timeout=20, stdin=tree())
    return DirectoryFiles(root)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeFiles]:
    """A container with what a node of kind has: no Kubernetes is needed to look at files."""
    name = f"cks-lab-files-{secrets.token_hex(4)}"
    image = os.environ["CKS_LAB_E2E_IMAGE"]
    procs.run(["docker", "run", "--detach", "--name", name, "--entrypoint", "sleep", image, "600"], timeout=60)
    try:
        node = ContainerNode("files", name, name, tmp_path_factory.mktemp("none") / "none", engine=Engine.connect)
        assert node.run(["tar", "-C", "/", "-xpf", "-"], timeout=20, stdin=tree()).exit_code == 0
        yield node.files
        node.close()
    finally:
        procs.run(["docker", "rm", "--force", name], timeout=60)


@pytest.fixture(
    params=[
        pytest.param("sandbox", marks=pytest.mark.sandbox),
        "directory",
        pytest.param("container", marks=pytest.mark.cluster),
    ]
)
def files(request: pytest.FixtureRequest) -> NodeFiles:
    found: NodeFiles = request.getfixturevalue(request.param)
    return found


def test_a_file_is_read_whole_or_up_to_a_limit(files: NodeFiles) -> None:
    assert files.read("/srv/plain") == b"one\ntwo\n"
    assert files.read("/srv/plain", 3) == b"one"
    assert files.read("/srv/empty") == b""
    assert files.read("/srv/big") == BIG
    assert files.read("/srv/blank name") == b"blank"


def test_a_big_file_comes_in_chunks_and_may_be_left_half_way(files: NodeFiles) -> None:
    chunks = list(files.stream("/srv/big"))
    assert len(chunks) > 1
    assert b"".join(chunks) == BIG
    assert list(files.stream("/srv/empty")) == []
    half = iter(files.stream("/srv/big"))
    assert BIG.startswith(next(half))
    del half
    assert files.read("/srv/plain", 3) == b"one"


def test_stat_says_what_is_there_and_follows_links(files: NodeFiles) -> None:
    plain = files.stat("/srv/plain")
    assert (plain.kind, plain.mode, plain.size, plain.link) == (FileKind.FILE, 0o640, 8, None)
    assert plain.mtime == MTIME * 10**9
    link = files.stat("/srv/link")
    assert (link.kind, link.size, link.link) == (FileKind.FILE, 8, "plain")
    assert files.stat("/srv/way").link == "folder"
    assert files.stat("/srv/way").kind is FileKind.DIRECTORY
    assert files.stat("/srv/folder/").kind is FileKind.DIRECTORY
    assert files.stat("/srv/pipe").kind is FileKind.FIFO
    assert files.stat("/").kind is FileKind.DIRECTORY


def test_names_come_sorted_by_code_point(files: NodeFiles) -> None:
    assert files.list("/srv/folder") == [".hidden", "Z", "a", "b", "ä"]
    assert files.list("/srv/way") == files.list("/srv/folder")


def test_links_are_followed_as_on_the_node_and_never_out_of_it(files: NodeFiles) -> None:
    assert files.read("/srv/link") == b"one\ntwo\n"
    assert files.read("/srv/absolute") == b"a"
    assert files.read("/srv/way/b") == b"b"
    assert files.read("/srv/way/../plain", 3) == b"one"
    assert files.read("/srv/outwards", 3) == b"one"
    assert files.read("/../../srv/plain", 3) == b"one"


def asks() -> dict[str, Callable[[NodeFiles, str], object]]:
    return {
        "read": lambda files, path: files.read(path),
        "stat": lambda files, path: files.stat(path),
        "list": lambda files, path: files.list(path),
        "stream": lambda files, path: list(files.stream(path)),
    }


@pytest.mark.parametrize("ask", asks())
@pytest.mark.parametrize("path", ["/srv/none", "/srv/none/below", "/srv/dangling", "/srv/plain/below"])
def test_what_is_not_there_is_missing(files: NodeFiles, ask: str, path: str) -> None:
    with pytest.raises(Missing) as missing:
        asks()[ask](files, path)
    assert missing.value.path == path


@pytest.mark.parametrize("ask", ["read", "stream"])
def test_what_is_no_file_is_named_and_never_waited_for(files: NodeFiles, ask: str) -> None:
    for path, kind in (
        ("/srv/folder", FileKind.DIRECTORY),
        ("/srv/way", FileKind.DIRECTORY),
        ("/srv/pipe", FileKind.FIFO),
    ):
        with pytest.raises(NotAFile) as other:
            asks()[ask](files, path)
        assert other.value.kind is kind


def test_a_file_has_no_names(files: NodeFiles) -> None:
    with pytest.raises(NotAFile):
        files.list("/srv/plain")


def test_a_loop_of_links_leads_nowhere(files: NodeFiles) -> None:
    with pytest.raises(Missing):
        files.read("/srv/loop")
