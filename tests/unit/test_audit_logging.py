"""The judge over directories: each answer of the scenario, and the right answers that look unusual."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checkers.result import CheckResult, Status
from lab.drivers.sandbox import pki
from lab.overlay import ManifestEdits, Overlay
from tests.nodes import GOOD_LOG, LOG, POLICY, audit_log, event, grade, lay, of, told, write_log

SCENARIO = audit_log()
MISTAKES = {mistake.name: mistake for mistake in SCENARIO.mistakes}
LIVE = {"apiserver.running", "live.probe"}
FROM_THE_LOG = {"log.written", "log.metadata", "log.configmaps-body"}
MANIFEST = "etc/kubernetes/manifests/kube-apiserver.yaml"


def result(root: Path, check_id: str) -> CheckResult:
    """Return what one check says of a directory."""
    report = grade(root)
    return next(line.result for line in report.lines if line.id == check_id)


def solved(root: Path, *edits: ManifestEdits) -> Path:
    """Lay the solution, with more edits of the manifest, and a good log."""
    return write_log(lay(root, SCENARIO.solution.then(Overlay({}, edits))))


def with_policy(root: Path, rules: str) -> Path:
    """Lay the solution with other rules."""
    solved(root)
    (root / POLICY).write_text(f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}")
    return root


class TestTheScenario:
    def test_the_untouched_node_is_worth_nothing(self, tmp_path: Path) -> None:
        report = grade(lay(tmp_path, SCENARIO.start))
        assert report.points == 0, told(report)
        assert of(report) == list(SCENARIO.start_fails), told(report)
        assert set(of(report, Status.SKIP)) >= {"mounts.policy", "mounts.log", *FROM_THE_LOG}

    def test_the_solution_gets_full_marks(self, tmp_path: Path) -> None:
        report = grade(solved(tmp_path))
        assert report.percent == 100, told(report)
        assert report.verdict is Status.PASS
        assert of(report, Status.SKIP) == ["apiserver.running", "live.probe"]

    @pytest.mark.parametrize("name", MISTAKES)
    def test_a_mistake_fails_where_it_says(self, tmp_path: Path, name: str) -> None:
        mistake = MISTAKES[name]
        report = grade(write_log(lay(tmp_path, mistake.overlay)))
        wanted = set(mistake.fails) - LIVE - FROM_THE_LOG
        assert set(of(report)) - FROM_THE_LOG == wanted, told(report)
        assert report.verdict is Status.FAIL


class TestRightAnswersThatLookUnusual:
    """Marking one of these wrong is the worst that can happen here."""

    def passes(self, root: Path) -> None:
        report = grade(root)
        assert of(report) == [], told(report)
        assert report.percent == 100, told(report)

    def test_flags_and_values_as_separate_words(self, tmp_path: Path) -> None:
        edits = ManifestEdits(
            drop_flags=("audit-policy-file", "audit-log-path"),
            replace=(
                (
                    "    image: registry.k8s.io/kube-apiserver",
                    "    args: [--audit-policy-file, /etc/kubernetes/audit/policy.yaml, --audit-log-path, /var/log/audit/audit.log]\n"
                    "    image: registry.k8s.io/kube-apiserver",
                ),
            ),
        )
        self.passes(solved(tmp_path, edits))

    def test_the_last_of_a_repeated_flag_counts(self, tmp_path: Path) -> None:
        twice = ("    - --audit-log-path=/var/log/audit/audit.log\n",)
        edits = ManifestEdits(replace=((twice[0], "    - --audit-log-path=/tmp/x\n" + twice[0]),))
        root = solved(tmp_path, edits)
        self.passes(root)
        assert "2 times" in result(root, "flags.log-path").warnings[0]

    def test_other_paths_in_the_container_that_lead_to_the_asked_files(self, tmp_path: Path) -> None:
        edits = ManifestEdits(
            set_flags={"audit-policy-file": "/audit/policy.yaml", "audit-log-path": "/logs/audit.log"},
            replace=(
                ("mountPath: /etc/kubernetes/audit/policy.yaml", "mountPath: /audit/policy.yaml"),
                ("mountPath: /var/log/audit\n", "mountPath: /logs\n"),
            ),
        )
        self.passes(solved(tmp_path, edits))

    def test_folders_mounted_higher_up(self, tmp_path: Path) -> None:
        edits = ManifestEdits(
            replace=(
                (
                    "path: /etc/kubernetes/audit/policy.yaml\n      type: File",
                    "path: /etc/kubernetes\n      type: Directory",
                ),
                ("mountPath: /etc/kubernetes/audit/policy.yaml", "mountPath: /etc/kubernetes"),
                ("path: /var/log/audit\n      type: DirectoryOrCreate", "path: /var/log"),
                ("mountPath: /var/log/audit\n", "mountPath: /var/log/\n"),
            )
        )
        self.passes(solved(tmp_path, edits))

    def test_json_is_yaml(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        (root / POLICY).write_text(
            '{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": ['
            '{"level": "Request", "resources": [{"group": "", "resources": ["configmaps"]}]}, {"level": "Metadata"}]}'
        )
        self.passes(root)

    def test_a_manifest_of_another_name(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        (root / MANIFEST).rename(root / "etc/kubernetes/manifests/api")
        self.passes(root)

    def test_reads_of_configmaps_may_be_metadata(self, tmp_path: Path) -> None:
        rules = "- level: Request\n  verbs: [create, update, patch]\n  resources: [{resources: [configmaps]}]\n- level: Metadata\n"
        root = with_policy(tmp_path, rules)
        self.passes(root)
        assert "deletes" in result(root, "policy.configmaps-body").warnings[0]

    def test_silenced_health_checks_are_fine(self, tmp_path: Path) -> None:
        rules = "- level: None\n  nonResourceURLs: ['/*']\n- level: Request\n  resources: [{resources: [configmaps]}]\n- level: Metadata\n"
        self.passes(with_policy(tmp_path, rules))

    def test_a_log_mounted_as_a_file_passes_with_a_warning(self, tmp_path: Path) -> None:
        edits = ManifestEdits(
            replace=(
                (
                    "path: /var/log/audit\n      type: DirectoryOrCreate",
                    "path: /var/log/audit/audit.log\n      type: FileOrCreate",
                ),
                ("mountPath: /var/log/audit\n", "mountPath: /var/log/audit/audit.log\n"),
            )
        )
        root = solved(tmp_path, edits)
        self.passes(root)
        assert "cannot be rotated" in result(root, "mounts.log").warnings[0]

    def test_an_unknown_field_in_the_policy_is_a_warning(self, tmp_path: Path) -> None:
        rules = "- level: Request\n  resource: x\n  resources: [{resources: [configmaps]}]\n- level: Metadata\n"
        root = with_policy(tmp_path, rules)
        self.passes(root)
        assert 'unknown field "rules[0].resource"' in result(root, "policy.valid").warnings[0]

    def test_files_without_a_log_folder_are_not_held_against_anyone(self, tmp_path: Path) -> None:
        root = lay(tmp_path, SCENARIO.solution)
        for folder in ("var/log", "var"):
            (root / folder).rmdir()
        report = grade(root)
        assert of(report) == [], told(report)
        assert report.percent == 100

    def test_a_refused_write_has_no_body_and_that_is_right(self, tmp_path: Path) -> None:
        refused = event("create", "configmaps", "Request", responseStatus={"metadata": {}, "code": 403})
        self.passes(write_log(lay(tmp_path, SCENARIO.solution), (*GOOD_LOG, refused)))

    def test_rotated_logs_count(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        (root / LOG).rename((root / LOG).with_name("audit-2026-11-23T02-36-32.662.log"))
        (root / LOG).write_text("")
        self.passes(root)

    def test_a_twin_that_says_the_same_is_a_warning(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        (root / MANIFEST).with_suffix(".bak").write_bytes((root / MANIFEST).read_bytes())
        self.passes(root)
        assert "no harm" in result(root, "manifest.single").warnings[0]

    def test_a_server_that_its_probes_will_kill_is_a_warning(self, tmp_path: Path) -> None:
        root = solved(tmp_path, ManifestEdits(set_flags={"anonymous-auth": "false"}))
        self.passes(root)
        (warning,) = result(root, "manifest.valid").warnings
        assert warning == (
            "the startup probe fails (/livez answers 401: --anonymous-auth is false): "
            "the kubelet kills the server about every 250 s"
        )


class TestWhatIsSaid:
    def test_the_hidden_rule_comes_with_a_request_the_rule_and_its_line(self, tmp_path: Path) -> None:
        found = result(lay(tmp_path, MISTAKES["catch-all-first"].overlay), "policy.configmaps-body")
        assert found.where is not None
        assert (found.where.file, found.where.line, found.where.path) == ("/" + POLICY, 9, "rules[1]")
        assert "kubectl create configmap" in found.fix

    def test_a_volume_without_a_name_is_shown_with_its_line(self, tmp_path: Path) -> None:
        root = lay(tmp_path, MISTAKES["published-answer"].overlay)
        found = result(root, "manifest.valid")
        assert "name: Required value" in found.found
        assert found.where is not None
        assert found.where.line is not None
        assert "hostPath" in (root / MANIFEST).read_text().splitlines()[found.where.line - 1]

    def test_readonly_is_no_field_and_the_meant_one_is_named(self, tmp_path: Path) -> None:
        found = result(lay(tmp_path, MISTAKES["published-answer"].overlay), "manifest.valid")
        assert any("readonly" in warning and "readOnly" in warning for warning in found.warnings)

    def test_the_flag_s_line_is_right(self, tmp_path: Path) -> None:
        root = lay(tmp_path, MISTAKES["log-elsewhere"].overlay)
        found = result(root, "flags.log-path")
        assert found.where is not None
        assert found.where.line is not None
        assert "--audit-log-path" in (root / MANIFEST).read_text().splitlines()[found.where.line - 1]

    def test_an_unknown_flag_is_told_in_the_server_s_words(self, tmp_path: Path) -> None:
        found = result(lay(tmp_path, MISTAKES["unknown-flag"].overlay), "flags.log-path")
        assert "unknown flag: --audit-log-file" in found.found

    def test_a_bad_value_of_an_audit_flag_fails_the_log_s_flag(self, tmp_path: Path) -> None:
        root = solved(tmp_path, ManifestEdits(set_flags={"audit-log-maxage": "7d"}))
        assert 'invalid argument "7d"' in result(root, "flags.log-path").found
        assert result(root, "flags.policy-file").status is Status.PASS

    def test_a_shell_in_the_servers_place_is_told_as_such(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        manifest = root / MANIFEST
        text = manifest.read_text().replace(
            "    - kube-apiserver\n", "    - /bin/sh\n    - -c\n    - exec kube-apiserver\n", 1
        )
        manifest.write_text(text)
        assert set(of(grade(root))) == {"flags.policy-file", "flags.log-path"}
        assert "runs /bin/sh" in result(root, "flags.policy-file").found
        assert result(root, "manifest.valid").warnings == ()

    def test_the_legacy_format_holds_no_bodies(self, tmp_path: Path) -> None:
        root = solved(tmp_path, ManifestEdits(set_flags={"audit-log-format": "legacy"}))
        assert of(grade(root)) == ["flags.log-path"]
        assert "legacy" in result(root, "flags.log-path").found

    def test_bodies_that_may_be_cut_are_a_warning(self, tmp_path: Path) -> None:
        flags = {"audit-log-truncate-enabled": "true", "audit-log-truncate-max-event-size": "1100"}
        root = solved(tmp_path, ManifestEdits(set_flags=flags))
        assert of(grade(root)) == []
        assert "max-event-size=1100: larger events lose their bodies" in result(root, "flags.log-path").warnings[0]

    def test_a_flag_that_the_server_refuses_fails_both(self, tmp_path: Path) -> None:
        root = solved(tmp_path, ManifestEdits(set_flags={"no-such-flag": "x"}))
        assert of(grade(root)) == ["flags.policy-file", "flags.log-path"]

    def test_a_directory_in_place_of_the_policy_is_named(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        (root / POLICY).unlink()
        (root / POLICY).mkdir()
        found = result(root, "policy.valid")
        assert "is a directory" in found.found
        assert "rmdir" in found.fix

    def test_no_manifests_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        report = grade(tmp_path)
        assert of(report)[:2] == ["policy.valid", "manifest.valid"]
        assert report.points == 0

    def test_a_missing_manifest_of_the_api_server(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        (root / MANIFEST).unlink()
        assert "defines a pod that runs kube-apiserver" in result(root, "manifest.valid").found

    def test_a_broken_manifest_is_told_in_the_kubelet_s_words_with_its_line(self, tmp_path: Path) -> None:
        root = solved(tmp_path)
        text = (root / MANIFEST).read_text().replace("  hostNetwork: true", "  hostNetwork: true\n bad")
        (root / MANIFEST).write_text(text)
        found = result(root, "manifest.valid")
        assert "couldn't parse as pod(yaml: line" in found.found
        assert found.where is not None
        assert found.where.line is not None


class TestTheLog:
    def test_a_missing_log_fails_where_its_folder_could_be_seen(self, tmp_path: Path) -> None:
        assert of(grade(lay(tmp_path, SCENARIO.solution))) == ["log.written"]

    def test_a_folder_that_the_volume_s_type_wants_and_the_node_lacks_fails(self, tmp_path: Path) -> None:
        root = lay(tmp_path, SCENARIO.solution)
        text = (
            (root / MANIFEST)
            .read_text()
            .replace(
                "path: /var/log/audit\n      type: DirectoryOrCreate", "path: /var/log/audit\n      type: Directory"
            )
        )
        (root / MANIFEST).write_text(text)
        assert of(grade(root)) == ["mounts.log"]

    def test_events_before_the_last_start_do_not_count(self, tmp_path: Path) -> None:
        root = lay(tmp_path, SCENARIO.solution)
        logs = root / "var/log/pods/kube-system_kube-apiserver-x_uid/kube-apiserver"
        logs.mkdir(parents=True)
        (logs / "0.log").write_text("2026-11-24T00:00:00.000000001Z stderr F hello\n")
        write_log(root)
        found = result(root, "log.written")
        assert found.status is Status.FAIL
        assert "before the API server's last start" in found.found

    def test_a_write_without_its_body_is_shown(self, tmp_path: Path) -> None:
        root = write_log(lay(tmp_path, SCENARIO.solution), (*GOOD_LOG, event("patch", "configmaps", "Metadata")))
        found = result(root, "log.configmaps-body")
        assert found.status is Status.FAIL
        assert found.where is not None
        assert found.where.line == 3

    def test_no_write_at_all_cannot_be_judged(self, tmp_path: Path) -> None:
        report = grade(write_log(lay(tmp_path, SCENARIO.solution), GOOD_LOG[1:]))
        line = next(line for line in report.lines if line.id == "log.configmaps-body")
        assert (line.result.status, line.possible) == (Status.SKIP, 0)
        assert report.percent == 100

    def test_only_configmaps_fail_the_metadata_of_others(self, tmp_path: Path) -> None:
        assert of(grade(write_log(lay(tmp_path, SCENARIO.solution), GOOD_LOG[:1]))) == ["log.metadata"]

    @pytest.mark.parametrize(
        "damage", [b"\x00\xff\x80binary\n", b'{"kind":"Event","level":"Meta', b"x" * 5_000_000 + b"\n", b"[]\n"]
    )
    def test_damaged_lines_do_no_harm(self, tmp_path: Path, damage: bytes) -> None:
        root = solved(tmp_path)
        (root / LOG).write_bytes((root / LOG).read_bytes() + damage)
        report = grade(root)
        assert report.percent == 100, told(report)
        assert "no audit event" in result(root, "log.written").warnings[0]

    def test_an_empty_log_is_told(self, tmp_path: Path) -> None:
        assert "is empty" in result(write_log(lay(tmp_path, SCENARIO.solution), ()), "log.written").found

    def test_a_directory_in_place_of_the_log(self, tmp_path: Path) -> None:
        root = lay(tmp_path, SCENARIO.solution)
        (root / LOG).mkdir(parents=True)
        assert "mounts.log" in of(grade(root))


class TestBadInput:
    @pytest.mark.parametrize(
        "text",
        [
            b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
            b"\x00\x01\x02\xff\xfe",
            b"[" * 100_000,
            b"apiVersion: " + b"x" * 5_000_000,
            b"\t- x",
            b"",
        ],
        ids=["bomb", "binary", "deep", "long line", "tab", "empty"],
    )
    def test_a_bad_policy_or_manifest_is_a_result(self, tmp_path: Path, text: bytes) -> None:
        root = solved(tmp_path)
        (root / POLICY).write_bytes(text)
        (root / MANIFEST).write_bytes(text)
        assert of(grade(root))[:2] == ["policy.valid", "manifest.valid"]


class TestWhatADirectoryCannotTell:
    """A directory is a part of a node: what it lacks is no proof that the node lacks it."""

    @pytest.mark.parametrize("folder", ["etc/kubernetes/pki", "etc/kubernetes/pki/etcd"])
    def test_a_node_copied_without_its_private_keys_is_graded(self, tmp_path: Path, folder: str) -> None:
        solved(tmp_path)
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in ("apiserver.crt", "ca.crt", "sa.pub"):
            (tmp_path / "etc/kubernetes/pki" / name).write_text("-----BEGIN CERTIFICATE-----\n")
        report = grade(tmp_path)
        assert (report.percent, of(report)) == (100, []), told(report)

    @pytest.mark.parametrize("digest", ["", f"@sha256:{'a' * 64}"])
    def test_the_version_is_the_tags_whatever_digest_follows(self, tmp_path: Path, digest: str) -> None:
        with_policy(tmp_path, STAR)
        _image(tmp_path, f"registry.k8s.io/kube-apiserver:v1.36.1{digest}")
        report = grade(tmp_path)
        assert (report.percent, of(report)) == (100, []), told(report)

    def test_how_a_start_ends_is_foretold_for_the_version_of_the_manifest(self, tmp_path: Path) -> None:
        with_policy(tmp_path, STAR)
        _image(tmp_path, "registry.k8s.io/kube-apiserver:v1.36.1")
        for path, file in pki.make("node", "172.30.0.2", datetime(2026, 1, 1, tzinfo=UTC))[0].items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content if isinstance(file.content, bytes) else file.content.encode())
        found = result(tmp_path, "manifest.valid")
        assert "resources.group" not in found.found


STAR = """- level: Request
  resources: [{group: "", resources: [configmaps]}]
- level: Metadata
  resources: [{group: "*"}]
- level: Metadata
"""


def _image(root: Path, image: str) -> None:
    text = (root / MANIFEST).read_text()
    (root / MANIFEST).write_text(re.sub(r"image: \S+", f"image: {image}", text))


@pytest.mark.parametrize(("size", "status"), [(10, Status.FAIL), (299, Status.FAIL), (2000, Status.PASS)])
def test_a_limit_that_no_event_fits_into_writes_none(tmp_path: Path, size: int, status: Status) -> None:
    flags = {"audit-log-truncate-enabled": "true", "audit-log-truncate-max-event-size": str(size)}
    solved(tmp_path, ManifestEdits(set_flags=flags))
    found = result(tmp_path, "flags.log-path")
    assert found.status is status
    if status is Status.FAIL:
        assert "none is written" in found.found
    else:
        assert "are not written" in found.warnings[0]


def test_a_log_file_to_be_made_in_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    solved(tmp_path)
    text = (tmp_path / MANIFEST).read_text()
    assert "path: /var/log/audit\n      type: DirectoryOrCreate" in text
    text = text.replace(
        "path: /var/log/audit\n      type: DirectoryOrCreate",
        "path: /var/log/audit/audit.log\n      type: FileOrCreate",
    )
    (tmp_path / MANIFEST).write_text(
        text.replace("mountPath: /var/log/audit\n", "mountPath: /var/log/audit/audit.log\n")
    )
    assert result(tmp_path, "mounts.log").status is Status.PASS
    shutil.rmtree(tmp_path / "var/log/audit")
    assert result(tmp_path, "mounts.log").status is Status.FAIL
    shutil.rmtree(tmp_path / "var")
    assert result(tmp_path, "mounts.log").status is not Status.FAIL
