"""The judge over every manifest that a real kubelet was given: it passes what worked there, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from checkers.evidence import Evidence, FileKind, FileStat, Missing, NotAFile
from checkers.grade import NodeName, Report, grade
from checkers.kube.pods.host_tree import Found, follow
from checkers.result import Status
from lab.catalog import load
from tests.golden.test_static_pods import Node, node_of, recorded_summary, rows

#: What decides is not in the files: the node's cores, its images, and whether a registry can be reached.
NOT_IN_THE_FILES = {"pod-cpu-100", "pod-cpu-100-no-priority", "pod-image-never", "pod-pull-always"}


class Files:
    """The recorded node's files, as any evidence gives them."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def _at(self, path: str) -> Found:
        found = follow(self.node, path)
        if found.error or found.entry is None:
            raise Missing(path)
        return found

    def read(self, path: str, limit: int = 10 << 20) -> bytes:
        found = self._at(path)
        if found.entry is not None and found.entry.kind is not FileKind.FILE:
            raise NotAFile(path, found.entry.kind)
        return self.node.contents.get(found.path, b"")[:limit]

    def stream(self, path: str) -> Iterator[bytes]:
        yield self.read(path)

    def stat(self, path: str) -> FileStat:
        found = self._at(path)
        assert found.entry is not None
        folder, _, name = path.rpartition("/")
        own = self.node.entries.get(f"{follow(self.node, folder or '/').path.rstrip('/')}/{name}")
        link = own.target if own is not None and own.kind is FileKind.SYMLINK else None
        return FileStat(found.entry.kind, found.entry.mode, 0, 0, 0, 0, link)

    def list(self, path: str) -> list[str]:
        found = self._at(path)
        if found.entry is not None and found.entry.kind is not FileKind.DIRECTORY:
            raise NotAFile(path, found.entry.kind)
        prefix = found.path.rstrip("/") + "/"
        names = {entry[len(prefix) :].split("/")[0] for entry in self.node.entries if entry.startswith(prefix)}
        return sorted(names - {""})


def report_of(node: Node) -> Report:
    """Grade the files of a recorded node."""
    scenario = load("audit-log")
    name = NodeName("directory", "x")
    evidence = Evidence(Files(node))
    return grade(
        evidence,
        scenario.checks,
        scenario.wants,
        version="0",
        scenario="audit-log",
        node=name,
        started=None,
        finished=None,
    )


def test_what_worked_on_a_real_node_passes_and_what_did_not_fails(shared: Path) -> None:
    wrong = {}
    for row in rows(shared):
        if row["id"] in NOT_IN_THE_FILES:
            continue
        seen = recorded_summary(row)
        worked = seen["server"] == "runs" and seen["auditing"] == "on the node" and bool(seen["requestObject"])
        # The recorded nodes had no log before: what it would hold is the other checks' to tell.
        lines = [line for line in report_of(node_of(row)).lines if not line.id.startswith("log.")]
        failed = [line.id for line in lines if line.result.status is Status.FAIL]
        if worked == bool(failed):
            wrong[row["id"]] = (seen, failed)
    assert wrong == {}
