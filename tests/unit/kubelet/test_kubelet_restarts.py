"""When containers are started again: crash loops, volumes that are not there yet, images, init containers."""

from __future__ import annotations

from itertools import pairwise

import pytest


def gaps(moments):
    return [round(after - before, 1) for before, after in pairwise(moments)]


def test_restarts_come_at_once_then_after_10_20_40_80_160_300_seconds(real_node, manifest, life):
    node = real_node
    node.runtime.life = lambda spec: life(seconds=0.4, code=1)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1400)
    waits = [gap - 0.4 for gap in gaps(node.starts())]
    assert waits[0] == pytest.approx(0, abs=0.1)
    for wait, nominal in zip(waits[1:], (10, 20, 40, 80, 160, 300, 300), strict=False):
        assert nominal <= wait <= nominal + 5
    assert len(waits) >= 7


def test_in_the_fast_pace_the_words_stay_and_the_waits_shrink(node, manifest, life):
    node.runtime.life = lambda spec: life(seconds=0.4, code=1)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(20)
    assert gaps(node.starts())[:4] == [0.4, 1.4, 2.4, 4.4]
    assert any("back-off 10s restarting failed container=kube-apiserver" in line for line in node.errors())
    assert any("back-off 40s restarting failed container=kube-apiserver" in line for line in node.errors())


def test_the_crash_loop_line_is_the_recorded_one(real_node, manifest, life, recorded):
    node = real_node
    node.runtime.life = lambda spec: life(seconds=0.4, code=1)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(5)
    wanted = recorded["flag-log-file-flag"]["observed"]["kubelet_log"][-1]
    assert wanted in node.errors()


def test_only_the_newest_dead_container_and_its_log_stay(real_node, manifest, life):
    node = real_node
    node.runtime.life = lambda spec: life(seconds=0.4, code=1)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(100)
    states = [(status.spec.attempt, status.state) for status in node.runtime.list()]
    assert states == [(4, "exited")]
    logs = sorted(path.name for path in (node.root / "var/log/pods").rglob("*.log"))
    assert logs == ["4.log"]
    (link,) = (node.root / "var/log/containers").iterdir()
    identifier = node.runtime.list()[0].id
    assert link.name == f"kube-apiserver-cks-control-plane_kube-system_kube-apiserver-{identifier}.log"
    assert link.resolve().name == "4.log"


def test_the_log_lies_where_the_kubelet_puts_it(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    spec = node.running().spec
    name = f"kube-system_kube-apiserver-cks-control-plane_{spec.pod_uid}"
    assert spec.log_path == str(node.root / f"var/log/pods/{name}/kube-apiserver/0.log")
    (node.manifests / "kube-apiserver.yaml").unlink()
    node.run(10)
    assert list((node.root / "var/log/pods").iterdir()) == []
    assert list((node.root / "var/log/containers").iterdir()) == []


def test_a_manifest_change_forgets_the_back_off(real_node, manifest, life):
    node = real_node
    node.runtime.life = lambda spec: life(seconds=0.4, code=1)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(120)
    before = len(node.starts())
    node.write("kube-apiserver.yaml", manifest.replace("6443\n    image", "6444\n    image"))
    node.run(9)
    after = node.starts()[before:]
    assert len(after) == 2
    assert gaps(after)[0] < 1


def test_a_restart_of_the_kubelet_forgets_the_back_off_and_leaves_running_containers(node, manifest, life):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    before = node.running().id
    assert node.kubelet.handle({"op": "unit.restart", "unit": "kubelet"}) == {}
    node.run(30)
    assert node.running().id == before
    node.runtime.life = lambda spec: life(seconds=0.1, code=1)
    node.runtime.kill("kube-apiserver")
    node.run(60)
    count = len(node.starts())
    node.kubelet.handle({"op": "unit.restart", "unit": "kubelet"})
    node.run(0.5)
    assert len(node.starts()) == count + 1


def test_a_stopped_kubelet_restarts_nothing(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.kubelet.handle({"op": "unit.stop", "unit": "kubelet"})
    node.runtime.kill("kube-apiserver")
    node.run(30)
    assert node.running() is None
    node.kubelet.handle({"op": "unit.start", "unit": "kubelet"})
    node.run(1)
    assert node.running().spec.attempt == 1


def test_a_repaired_policy_file_is_picked_up_at_the_next_restart(node, manifest, life):
    good: list[int] = []
    node.runtime.life = lambda spec: life() if good else life(seconds=0.4, code=1)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(5)
    good.append(1)
    node.run(5)
    running = node.running()
    assert running is not None
    assert running.spec.attempt == len(node.starts()) - 1


def test_a_healthy_time_forgets_the_back_off(real_node, manifest, life):
    node = real_node
    lives = iter([life(0.4, 1), life(0.4, 1), life(1300, 1), life(0.4, 1), life()])
    node.runtime.life = lambda spec: next(lives)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1400)
    assert node.starts()[3] - node.starts()[2] == pytest.approx(1300, abs=1)


# Volumes


@pytest.mark.parametrize(
    ("kind", "there", "words"),
    [
        ("Directory", None, "is not a directory"),
        ("Directory", "file", "is not a directory"),
        ("DirectoryOrCreate", "file", "is not a directory"),
        ("File", None, "is not a file"),
        ("File", "folder", "is not a file"),
        ("FileOrCreate", "folder", "is not a file"),
        ("Socket", "file", "is not a socket file"),
        ("CharDevice", None, "is not a character device"),
        ("BlockDevice", None, "is not a block device"),
    ],
)
def test_a_host_path_of_the_wrong_type_holds_the_container_back(node, manifest_with_log, kind, there, words):
    (node.root / "var/log").mkdir(parents=True)
    if there == "file":
        (node.root / "var/log/audit").write_text("")
    elif there == "folder":
        (node.root / "var/log/audit").mkdir()
    node.write("kube-apiserver.yaml", manifest_with_log(kind))
    node.kubelet.start()
    node.run(30)
    assert node.runtime.started == []
    assert node.errors()[0].endswith(f": hostPath type check failed: /var/log/audit {words}")


@pytest.mark.parametrize(("kind", "made"), [("DirectoryOrCreate", "folder"), ("", "folder"), ("FileOrCreate", "file")])
def test_what_is_missing_is_made(node, manifest_with_log, kind, made):
    (node.root / "var/log").mkdir(parents=True)
    node.write("kube-apiserver.yaml", manifest_with_log(kind))
    node.kubelet.start()
    node.run(1)
    assert node.running() is not None
    path = node.root / "var/log/audit"
    assert (path.is_dir(), oct(path.stat().st_mode & 0o777)) == (
        (True, "0o755") if made == "folder" else (False, "0o644")
    )


def test_file_or_create_makes_no_parent(node, manifest_with_log):
    node.write(
        "kube-apiserver.yaml", manifest_with_log("FileOrCreate").replace("path: /var/log/audit", "path: /srv/a/b")
    )
    node.kubelet.start()
    node.run(1)
    assert node.errors()[0].endswith(" : open /srv/a/b: no such file or directory")


def test_the_check_is_repeated_after_half_a_second_doubling_and_heals(real_node, manifest_with_log, recorded):
    node = real_node
    node.write("kube-apiserver.yaml", manifest_with_log("Directory"))
    node.kubelet.start()
    node.run(50)
    wanted = [
        line.split(" s ", 1)[1].replace("audit-logs", "audit")
        for line in recorded["save-type-check-then-healed"]["observed"]["kubelet_log"]
        if "nestedpendingoperations" in line
    ]
    assert node.errors() == wanted
    assert "durationBeforeRetry 32s" in wanted[-1]
    (node.root / "var/log/audit").mkdir(parents=True)
    node.run(14)
    assert node.starts() == [pytest.approx(63.5, abs=0.1)]


def test_a_dangling_link_in_the_place_of_the_folder_is_containerds_error(node, manifest_with_log, recorded):
    (node.root / "var/log").mkdir(parents=True)
    (node.root / "var/log/audit").symlink_to("/nowhere/at/all")
    node.write("kube-apiserver.yaml", manifest_with_log(""))
    node.kubelet.start()
    node.run(0.5)
    wanted = recorded["wrong-log-dir-symlink-dangling"]["observed"]["kubelet_log"]
    for line in wanted:
        if line.startswith("E ") and "CrashLoopBackOff" not in line:
            assert line in node.errors()


def test_a_container_that_cannot_be_started_says_so_and_loops(node, manifest, life, recorded):
    words = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    )
    words += 'unable to start container process: exec: "kube-apiserver": executable file not found in $PATH: unknown'
    node.runtime.life = lambda spec: life(refuses=words)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(4)
    wanted = recorded["pod-image-other-program"]["observed"]["kubelet_log"]
    for line in wanted:
        if line.startswith("E ") and "CrashLoopBackOff" not in line:
            assert line in node.errors()
    assert node.runtime.list()[0].exit_code == 128


def test_an_unknown_variable_in_a_sub_path_expression_is_a_config_error(node, manifest_with_log, recorded):
    text = manifest_with_log("DirectoryOrCreate")
    node.write(
        "kube-apiserver.yaml", text.replace("      name: audit\n", "      name: audit\n      subPathExpr: $(NOPE)\n")
    )
    node.kubelet.start()
    node.run(0.5)
    wanted = recorded["wrong-sub-path-expr-unset"]["observed"]["kubelet_log"]
    assert wanted == node.errors()


def test_an_image_that_is_not_there_is_never_pulled(node, manifest, recorded):
    text = manifest.replace(":v1.34.4", ":v1.34.99\n    imagePullPolicy: Never")
    node.write("kube-apiserver.yaml", text)
    node.kubelet.start()
    node.run(0.5)
    wanted = recorded["pod-image-never"]["observed"]["kubelet_log"]
    assert wanted == node.errors()


def test_pulling_fails_and_backs_off(node, manifest):
    node.write("kube-apiserver.yaml", manifest.replace(":v1.34.4", ":v1.34.4\n    imagePullPolicy: Always"))
    node.kubelet.start()
    node.run(5)
    assert any("ErrImagePull" in line and "ImagePullBackOff" not in line for line in node.errors())
    assert any('with ImagePullBackOff: \\"Back-off' in line or "ImagePullBackOff" in line for line in node.errors())
    assert node.runtime.started == []


# Several containers

INIT = """\
  initContainers:
  - name: first
    image: registry.k8s.io/pause:3.10.1
    command: [/first]
"""


def test_init_containers_run_one_after_the_other_before_the_rest(node, manifest, life):
    node.runtime.life = lambda spec: life(seconds=2) if spec.name == "first" else life()
    node.write("kube-apiserver.yaml", manifest + INIT)
    node.kubelet.start()
    node.run(1)
    assert node.running("first") is not None
    assert node.running() is None
    node.run(2)
    assert node.running() is not None


def test_an_init_container_that_fails_is_repeated_and_one_that_never_ends_holds_all_up(node, manifest, life):
    node.runtime.life = lambda spec: life(seconds=0.1, code=3)
    node.write("kube-apiserver.yaml", manifest + INIT)
    node.kubelet.start()
    node.run(3)
    assert len(node.starts("first")) == 3
    assert node.starts() == []


def test_a_sidecar_runs_beside_the_rest(node, manifest):
    node.write("kube-apiserver.yaml", manifest + INIT + "    restartPolicy: Always\n")
    node.kubelet.start()
    node.run(1)
    assert node.running("first") is not None
    assert node.running() is not None


def test_restart_policy_never_is_kept(node, manifest, life):
    node.runtime.life = lambda spec: life(seconds=0.4, code=1)
    node.write("kube-apiserver.yaml", manifest + "  restartPolicy: Never\n")
    node.kubelet.start()
    node.run(60)
    assert len(node.starts()) == 1


def test_a_killed_server_is_back_at_once_the_first_time(node, manifest):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.runtime.kill("kube-apiserver")
    node.run(0.1)
    assert node.running().spec.attempt == 1
