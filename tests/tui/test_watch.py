"""What the look at a node finds, once a second."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import LabError
from lab.tui import watch as watching
from lab.tui.messages import ApiServerState, LogAbsent, LogGrew, PolicySaved
from lab.tui.watch import NodeWatch
from tests.tui.fake_session import LOG_FILE, POLICY_FILE, FakeNode, container

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def watch(node: FakeNode) -> NodeWatch:
    return NodeWatch(node, POLICY_FILE, LOG_FILE, MANIFEST, clock=lambda: 0.0)  # type: ignore[arg-type]


def lines(found: list[Any]) -> list[bytes]:
    return [line for message in found if isinstance(message, LogGrew) for line in message.lines]


def test_nothing_new_is_said_twice(watch: NodeWatch) -> None:
    kinds = [type(message) for message in watch.look()]
    assert kinds == [PolicySaved, LogAbsent, ApiServerState]
    assert watch.look() == []


def test_a_saved_policy_is_seen(watch: NodeWatch, node: FakeNode) -> None:
    watch.look()
    node.files.write(POLICY_FILE, b"new")
    assert [message.content for message in watch.look() if isinstance(message, PolicySaved)] == [b"new"]


def test_a_deleted_policy_is_told_with_its_path(watch: NodeWatch, node: FakeNode) -> None:
    watch.look()
    del node.files.content[POLICY_FILE]
    [message] = [message for message in watch.look() if isinstance(message, PolicySaved)]
    assert message.content is None
    assert POLICY_FILE in message.problem


def test_the_log_is_followed_line_by_line(watch: NodeWatch, node: FakeNode) -> None:
    node.files.write(LOG_FILE, b"one\ntwo\nhal")
    assert lines(watch.look()) == [b"one", b"two"]
    node.files.write(LOG_FILE, b"one\ntwo\nhalf\nthree\n")
    assert lines(watch.look()) == [b"half", b"three"]


def test_a_log_that_was_cut_starts_anew(watch: NodeWatch, node: FakeNode) -> None:
    node.files.write(LOG_FILE, b"one\ntwo\n")
    watch.look()
    node.files.write(LOG_FILE, b"new\n")
    [message] = [message for message in watch.look() if isinstance(message, LogGrew)]
    assert (message.fresh, message.lines) == (True, [b"new"])


def test_a_rotated_log_starts_anew_even_where_it_is_longer(watch: NodeWatch, node: FakeNode) -> None:
    node.files.write(LOG_FILE, b"one\n")
    watch.look()
    node.inode = 2
    node.files.write(LOG_FILE, b"after\nrotation\n")
    [message] = [message for message in watch.look() if isinstance(message, LogGrew)]
    assert (message.fresh, message.lines) == (True, [b"after", b"rotation"])


def test_a_long_log_is_shown_from_its_end(watch: NodeWatch, node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_TAIL", 100)
    node.files.write(LOG_FILE, b"".join(b"line %03d\n" % n for n in range(200)))
    found = lines(watch.look())
    assert found[-1] == b"line 199"
    assert all(len(line) == 8 for line in found)
    assert len(found) <= 12


def test_a_flood_leaves_out_what_nobody_could_read(
    watch: NodeWatch, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.files.write(LOG_FILE, b"first\n")
    watch.look()
    monkeypatch.setattr(watching, "CHUNK", 100)
    node.files.write(LOG_FILE, b"first\n" + b"".join(b"line %03d\n" % n for n in range(200)))
    found = lines(watch.look())
    assert found[-1] == b"line 199"
    assert len(found) <= 12


def test_a_log_that_cannot_be_read_says_why(watch: NodeWatch, node: FakeNode) -> None:
    node.files.broken[LOG_FILE] = "permission denied"
    [message] = [message for message in watch.look() if isinstance(message, LogAbsent)]
    assert message.reason == f"{LOG_FILE}: permission denied"


def states(watch: NodeWatch) -> list[tuple[str, str]]:
    return [(message.state, message.detail) for message in watch.look() if isinstance(message, ApiServerState)]


def test_an_api_server_is_up_once_it_answers(watch: NodeWatch, node: FakeNode) -> None:
    node.answers = False
    assert states(watch) == [("starting", "")]
    node.answers = True
    assert states(watch) == [("up", "")]


def test_an_api_server_that_answered_is_not_asked_again(watch: NodeWatch, node: FakeNode) -> None:
    assert states(watch) == [("up", "")]
    node.answers = False
    node.files.write(MANIFEST, b"touched")
    assert states(watch) == []


def test_a_crashing_api_server_is_told_with_its_own_words(watch: NodeWatch, node: FakeNode) -> None:
    node.containers = [container("CONTAINER_EXITED", 2), container("CONTAINER_EXITED", 1)]
    node.last_words = 'I1 x\nE1 run.go:72] "command failed" err="loading audit policy file: open \\"/p\\""\n'
    assert states(watch) == [("crashing", 'loading audit policy file: open "/p" (start 3)')]


def test_a_refused_manifest_is_told_with_the_kubelets_words(watch: NodeWatch, node: FakeNode) -> None:
    node.containers = []
    node.kubelet = 'E1 file.go:187] "Could not process manifest file" err="couldn\'t parse as pod" path="/m"\n'
    assert states(watch) == [("absent", "couldn't parse as pod")]


def test_a_node_is_gone_at_its_second_silence_and_can_come_back(watch: NodeWatch, node: FakeNode) -> None:
    watch.look()
    node.files.gone = LabError("the node is gone")
    assert watch.look() == []
    assert states(watch) == [("gone", "the node is gone")]
    assert watch.look() == []
    node.files.gone = None
    node.files.write(MANIFEST, b"x")
    assert states(watch) == [("up", "")]


def test_where_crictl_does_not_answer_the_api_server_may(watch: NodeWatch, node: FakeNode) -> None:
    node.crictl_works = False
    assert states(watch) == [("up", "")]
    node.answers = False
    watch._next_api = 0.0
    node.kubelet = "Unit kubelet.service: a manifest"
    assert states(watch) == [("absent", "Unit kubelet.service: a manifest")]


def test_what_the_kubelet_says_of_the_folder_itself_is_no_trouble_of_a_manifest(
    watch: NodeWatch, node: FakeNode
) -> None:
    # So it does when the folder's mode or owner changes.
    node.containers = []
    folder = MANIFEST.rpartition("/")[0]
    node.kubelet = (
        'E1124 file.go:187] "Could not process manifest file" err="invalid pod: a reason"\n'
        f'E1124 file.go:108] "Unable to process watch event" err="can\'t process config file \\"{folder}\\": '
        f'read {folder}: is a directory"\n'
    )
    assert states(watch) == [("absent", "invalid pod: a reason")]
