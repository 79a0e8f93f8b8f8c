"""Which files of the manifests folder speak for which pod, and when."""

from __future__ import annotations

import os

OTHER = "--secure-port=6444"


def uids(node):
    return {status.spec.pod_uid for status in node.runtime.list() if status.state == "running"}


def port(node):
    running = node.running()
    return None if running is None else running.spec.argv[-1]


def test_a_file_of_any_suffix_is_a_pod_and_a_dot_file_is_not(node, manifest):
    node.write(".kube-apiserver.yaml.swp", manifest)
    node.kubelet.start()
    node.run(30)
    assert node.running() is None
    node.write("README", manifest)
    node.run(0.1)
    assert node.running().spec.pod_name == "kube-apiserver-cks-control-plane"


def test_comments_touch_and_key_order_restart_nothing(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.write("kube-apiserver.yaml", "# a comment\n" + manifest + "\n")
    (node.manifests / "kube-apiserver.yaml").touch()
    (node.manifests / "kube-apiserver.yaml").chmod(0)
    node.run(60)
    assert len(node.starts()) == 1


def test_a_changed_manifest_starts_another_pod_with_attempt_0_once_the_old_is_gone(real_node, manifest):
    node = real_node
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(10)
    old = node.running()
    node.write("kube-apiserver.yaml", manifest.replace("--secure-port=6443", OTHER))
    node.run(29)
    assert len(node.starts()) == 1
    node.run(20)
    new = node.running()
    assert new.spec.pod_uid != old.spec.pod_uid
    assert (new.spec.attempt, new.spec.argv[-1]) == (0, OTHER)
    assert [status.id for status in node.runtime.list()] == [new.id]
    assert 40 < node.starts()[1] < 55
    assert node.runtime.graces == [30]


def test_in_the_fast_pace_a_changed_manifest_is_there_at_once(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.write("kube-apiserver.yaml", manifest.replace("--secure-port=6443", OTHER))
    node.run(0.01)
    assert port(node) == OTHER


def test_a_copy_to_bak_alone_restarts_the_pod_as_its_path_is_part_of_its_uid(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    before = uids(node)
    node.write("kube-apiserver.yaml.bak", manifest)
    node.run(1)
    assert uids(node) != before
    node.run(60)
    assert len(node.starts()) == 2


def test_a_bak_made_before_the_edit_takes_the_pod_back_at_the_relist(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(0.5)
    node.write("kube-apiserver.yaml.bak", manifest)
    node.write("kube-apiserver.yaml", manifest.replace("--secure-port=6443", OTHER))
    node.run(0.5)
    assert port(node) == OTHER, "the last touched file wins at first"
    node.run(30)
    assert port(node) == "--secure-port=6443", "the last file in sorted order wins at the relist"


def test_with_a_real_pace_the_edit_after_the_bak_never_runs(real_node, manifest):
    node = real_node
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.write("kube-apiserver.yaml.bak", manifest)
    node.run(0.2)
    node.write("kube-apiserver.yaml", manifest.replace("--secure-port=6443", OTHER))
    node.run(120)
    assert [spec.argv[-1] for _, spec in node.runtime.started] == ["--secure-port=6443"] * 2
    assert node.starts()[1] - 1 > 30


def test_a_backup_that_sorts_first_changes_nothing_after_the_relist(node, manifest):
    node.write("kube-apiserver.yaml", manifest.replace("--secure-port=6443", OTHER))
    node.kubelet.start()
    node.run(0.5)
    node.write("backup-kube-apiserver.yaml", manifest)
    node.run(30)
    assert port(node) == OTHER


def test_deleting_the_bak_stops_the_pod_until_the_relist(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.write("kube-apiserver.yaml.bak", manifest)
    node.kubelet.start()
    node.run(0.5)
    (node.manifests / "kube-apiserver.yaml.bak").unlink()
    node.run(0.5)
    assert node.running() is None
    node.run(30)
    assert node.running() is not None


def test_a_broken_manifest_keeps_the_pod_until_the_relist(real_node, manifest):
    node = real_node
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(15)
    node.write("kube-apiserver.yaml", manifest.replace("spec:\n", "spec:\n\t- x\n"))
    node.run(4)
    assert node.running() is not None
    assert node.errors()[-1].startswith(
        'E file.go:108] "Unable to process watch event" err="can\'t process config file'
    )
    node.run(40)
    assert node.runtime.list() == []
    assert [line for line in node.errors() if line.startswith('E file.go:187] "Could not process manifest file"')]


def test_a_broken_manifest_repaired_before_the_relist_does_no_harm(real_node, manifest):
    node = real_node
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.write("kube-apiserver.yaml", "broken: [")
    node.run(5)
    node.write("kube-apiserver.yaml", manifest)
    node.run(60)
    assert len(node.starts()) == 1


def test_mv_away_removes_the_pod_and_mv_back_starts_it_with_attempt_0(real_node, manifest):
    node = real_node
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    (node.manifests / "kube-apiserver.yaml").rename(node.root / "kept.yaml")
    node.run(45)
    assert node.runtime.list() == []
    (node.root / "kept.yaml").rename(node.manifests / "kube-apiserver.yaml")
    node.run(1)
    assert node.running().spec.attempt == 0


def test_mv_away_and_back_quickly_waits_for_the_end_of_the_old_one(real_node, manifest):
    node = real_node
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    (node.manifests / "kube-apiserver.yaml").rename(node.root / "kept.yaml")
    node.run(2)
    (node.root / "kept.yaml").rename(node.manifests / "kube-apiserver.yaml")
    node.run(27)
    assert len(node.starts()) == 1
    node.run(20)
    assert node.running().spec.attempt == 0


def test_a_renamed_file_is_another_pod(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(0.5)
    (node.manifests / "kube-apiserver.yaml").rename(node.manifests / "kube-api-server.yaml")
    node.run(0.5)
    assert len(node.starts()) == 2


def test_links_are_followed_and_folders_only_named(node, manifest, tmp_path):
    (tmp_path / "elsewhere.yaml").write_text(manifest)
    (node.manifests / "kube-apiserver.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    (node.manifests / "backup").mkdir()
    (node.manifests / "dangling").symlink_to("/nowhere/at/all")
    node.kubelet.start()
    node.run(1)
    assert node.running() is not None
    folder = "/etc/kubernetes/manifests"
    words = "Provided manifest path is a directory, not recursing into manifest path"
    assert f'E file.go:182] "{words}" path="{folder}/backup"' in node.errors()
    missing = f'err="stat {folder}/dangling: no such file or directory" path="{folder}/dangling"'
    assert f'E file.go:176] "Could not get metadata" {missing}' in node.errors()


def test_a_fifo_and_a_huge_file_do_not_hold_up_the_node(node, manifest):
    os.mkfifo(node.manifests / "pipe")
    with (node.manifests / "huge.yaml").open("wb") as file:
        file.truncate(11 << 20)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    assert node.running() is not None
    assert any('err="the read limit is reached"' in line for line in node.errors())


def test_the_folder_itself_may_go_and_come_back(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.manifests.rename(node.root / "away")
    node.run(10)
    assert node.running() is None
    (node.root / "away").rename(node.manifests)
    node.run(10)
    assert node.running() is not None


def test_two_pods_of_one_port_are_not_both_admitted(node, manifest):
    node.write("a.yaml", manifest)
    node.write("b.yaml", manifest.replace("  name: kube-apiserver\n  namespace", "  name: second\n  namespace"))
    node.kubelet.start()
    node.run(20)
    assert [spec.pod_name for _, spec in node.runtime.started] == ["kube-apiserver-cks-control-plane"]
    assert any('"Pod admission denied"' in line and 'reason="NodePorts"' in line for line in node.log())


def test_a_pod_that_asks_for_100_cores_is_refused(node, manifest):
    node.write("a.yaml", manifest.replace("cpu: 250m", "cpu: 100"))
    node.kubelet.start()
    node.run(20)
    assert node.runtime.started == []
    assert any('reason="UnexpectedAdmissionError"' in line and "q: 98000" in line for line in node.log())
