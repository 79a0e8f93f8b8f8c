"""What a crashed API server said last is quoted; what its log held, on its standard output, is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkers.evidence import Evidence
from checkers.registry import outcome
from lab.evidence.directory import DirectoryFiles
from tests.nodes import audit_log, event, lay

SECRET = "c3VwZXItc2VjcmV0"
EVENT = event("create", "secrets", "Request", requestObject={"kind": "Secret", "data": {"password": SECRET}})
KLOG = 'E1123 10:00:00.000000 1 run.go:72] "command failed" err="json: cannot unmarshal {\\"a\\":1}"'


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ([KLOG], KLOG),
        ([KLOG, EVENT, ""], KLOG),
        (["Error: unknown flag: --x", EVENT[:200], EVENT[200:]], "Error: unknown flag: --x"),
        (["exec: no such file", f'"{SECRET}":"' + "x" * 20_000, SECRET * 1024], "exec: no such file"),
        ([EVENT], ""),
    ],
)
def test_the_last_words_are_the_servers_own(tmp_path: Path, said: list[str], quoted: str) -> None:
    container = {
        "name": "kube-apiserver",
        "state": "exited",
        "exit_code": 1,
        "id": "0123456789abcdef",
        "last_lines": said,
    }
    facts = {"containers": [container], "apiserver": {"readyz": {}}}
    evidence = Evidence(DirectoryFiles(lay(tmp_path, audit_log().solution)), facts)
    found = outcome("apiserver.running", evidence, audit_log().wants).found
    assert found == "it ended with exit code 1" + (f": {quoted}" if quoted else "")
    assert SECRET not in found
