"""The commands about policies, to the letter of what scripts rely on."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.cli.run import run

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n"
WRONG = HEAD + "- level: Metadata\n- level: Request\n  resources:\n  - resources: [configmaps]\n"
RIGHT = HEAD + "- level: Request\n  resources:\n  - resources: [configmaps]\n- level: Metadata\n"
CREATE = '{"verb": "create", "resource": "configmaps", "namespace": "dev", "user": "jane"}'

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Return what types a command in a folder with wrong.yaml, right.yaml, broken.yaml and odd.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text(WRONG)
    Path("right.yaml").write_text(RIGHT)
    Path("broken.yaml").write_text(HEAD + "- level: metadata\n")
    Path("odd.yaml").write_text(RIGHT.replace("resources: [", "resource: ["))

    def type_in(*args: str) -> tuple[int, str, str]:
        status = run(["policy", *args])
        said = capsys.readouterr()
        return status, said.out, said.err

    return type_in


class TestCheck:
    def test_a_policy_that_loads(self, typed: Typed) -> None:
        assert typed("check", "right.yaml") == (0, "right.yaml: loads, 2 rules\n", "")

    def test_a_policy_that_does_not_load_is_told_in_the_servers_words_with_the_line(self, typed: Typed) -> None:
        status, out, _ = typed("check", "broken.yaml")
        assert status == 1
        assert out.startswith('broken.yaml:5: would not load: rules[0].level: Unsupported value: "metadata"')

    def test_a_misspelt_field_loads_with_the_servers_warning(self, typed: Typed) -> None:
        status, out, _ = typed("check", "odd.yaml")
        assert status == 0
        assert 'unknown field "rules[0].resources[0].resource"' in out

    def test_for_scripts(self, typed: Typed) -> None:
        status, out, _ = typed("check", "broken.yaml", "--format", "json")
        value = json.loads(out)
        assert (status, value["valid"], value["line"]) == (1, False, 5)

    def test_what_a_rule_does_not_do_is_told_with_its_line_and_what_to_write(self, typed: Typed) -> None:
        status, out, _ = typed("check", "wrong.yaml")
        assert status == 0
        assert "wrong.yaml:6: warning: rule 1 can never fire: rule 0 (line 5) comes first" in out
        assert "\n  instead: move it before rule 0" in out

    def test_strict_is_for_scripts_that_refuse_what_is_found(self, typed: Typed) -> None:
        assert typed("check", "wrong.yaml", "--strict")[0] == 1
        assert typed("check", "right.yaml", "--strict")[0] == 0

    def test_findings_for_scripts(self, typed: Typed) -> None:
        value = json.loads(typed("check", "wrong.yaml", "--format", "json")[1])
        [never] = [f for f in value["findings"] if f["id"] == "rule-never-fires"]
        assert (never["rule"], never["line"], never["path"], never["severity"]) == (1, 6, "rules[1]", "warning")
        assert json.loads(typed("check", "right.yaml", "--format", "json")[1])["findings"] == []
        [refused] = json.loads(typed("check", "broken.yaml", "--format", "json")[1])["findings"]
        assert (refused["id"], refused["fix"]) == ("unknown-level", "level: Metadata")

    def test_what_loads_depends_on_the_version(self, typed: Typed) -> None:
        Path("star.yaml").write_text(HEAD + "- level: Metadata\n  resources:\n  - group: '*'\n")
        assert typed("check", "star.yaml")[0] == 1
        assert typed("check", "star.yaml", "--kubernetes-version", "v1.36.3")[0] == 0

    @pytest.mark.parametrize(
        "version", ["1.26", "v1.34", "1.34.4", "v1.33.5-eks-113cf36", "v1.34.4+k3s1", "1.29+", "1.36"]
    )
    def test_a_version_is_written_as_people_and_servers_write_it(self, typed: Typed, version: str) -> None:
        status, _, said = typed("check", "right.yaml", "--kubernetes-version", version)
        assert (status, said) == (0, "")

    @pytest.mark.parametrize(
        "version",
        ["9.99", "0.34", "2.0", "1.4", "1.23", "1.99", "1.340", "1", "1.34.x", "1.34 ", "1.34.4.4", "١.٣٤", ""],
    )
    def test_a_version_that_no_release_has_is_refused_with_those_that_are_known(
        self, typed: Typed, version: str
    ) -> None:
        status, out, said = typed("check", "right.yaml", "--kubernetes-version", version)
        assert (status, out) == (2, "")
        assert "1.26 to 1.36" in said

    @pytest.mark.parametrize(("version", "like"), [("1.37", "1.36"), ("v1.40.2", "1.36"), ("1.25", "1.26")])
    def test_a_release_beside_those_that_are_known_is_read_as_the_next_one_with_a_warning(
        self, typed: Typed, version: str, like: str
    ) -> None:
        status, out, said = typed("check", "right.yaml", "--kubernetes-version", version, "--format", "json")
        assert status == 0
        assert json.loads(out)["valid"]
        assert said.startswith("Warning: ")
        assert f"as {like} would" in said
        assert len(said.splitlines()) == 1


class TestExplain:
    def test_for_people(self, typed: Typed) -> None:
        status, out, _ = typed("explain", "wrong.yaml", "--request", CREATE)
        assert status == 0
        assert out.startswith("Metadata: rule 0, wrong.yaml:5")

    def test_for_scripts_one_answer_a_line_in_order(self, typed: Typed) -> None:
        Path("requests").write_text(f'{CREATE}\n\n{{"user": null, "path": "/healthz"}}\n')
        status, out, _ = typed("explain", "right.yaml", "--requests", "requests", "--format", "json")
        answers = [json.loads(line) for line in out.splitlines()]
        assert status == 0
        stages = ["ResponseStarted", "ResponseComplete", "Panic"]
        assert answers == [
            {"level": "Request", "rule": 0, "line": 5, "stages": stages},
            {"level": "Metadata", "rule": 1, "line": 8, "stages": stages},
        ]
        assert list(answers[0]) == ["level", "rule", "line", "stages"]

    def test_no_rule(self, typed: Typed) -> None:
        Path("one.yaml").write_text(HEAD + "- level: Request\n  users: [bob]\n")
        _, out, _ = typed("explain", "one.yaml", "--request", "{}", "--format", "json")
        assert json.loads(out) == {"level": "None", "rule": None, "line": None, "stages": []}

    @pytest.mark.parametrize(
        ("request_", "note"),
        [
            ({"resource": "pods/log"}, """'pods/log' is read as "resource": "pods", "subresource": "log\""""),
            (
                {"path": "/api/v1/namespaces/x/pods/y/log"},
                'write "resource": "pods", "subresource": "log", "namespace": "x", "name": "y" in place of "path"',
            ),
            ({"path": "/healthz", "resource": "pods"}, "the path '/healthz' does not count beside a resource"),
            ({"path": "healthz"}, "no request has the path 'healthz': a path starts with /"),
            ({"verb": "GET", "resource": "pods"}, "no request has the verb 'GET'"),
            ({"group": "v1", "resource": "pods"}, """no API group is called 'v1': write "group": \"\""""),
            ({"group": "apps/v1", "resource": "pods"}, """no API group is called 'apps/v1': write "group": "apps\""""),
        ],
    )
    def test_what_no_real_request_has_is_said_beside_the_answer(
        self, typed: Typed, request_: dict[str, str], note: str
    ) -> None:
        status, out, said = typed("explain", "right.yaml", "--request", json.dumps(request_), "--format", "json")
        assert status == 0
        assert json.loads(out)["level"] == "Metadata"
        assert said.startswith("Note: --request: ")
        assert note in said

    def test_a_subresource_in_the_resource_is_one(self, typed: Typed) -> None:
        Path("logs.yaml").write_text(HEAD + "- level: Request\n  resources: [{resources: ['*/log']}]\n")
        assert typed("explain", "logs.yaml", "--request", '{"resource": "pods/log"}')[1].startswith("Request")

    @pytest.mark.parametrize(
        ("user", "group"),
        [
            ("jane", "system:authenticated"),
            ("system:anonymous", "system:unauthenticated"),
            ("system:serviceaccount:dev:robot", "system:serviceaccounts"),
            ("system:serviceaccount:dev:robot", "system:serviceaccounts:dev"),
        ],
    )
    def test_the_groups_that_a_user_is_always_in_are_missed_where_they_matter(
        self, typed: Typed, user: str, group: str
    ) -> None:
        Path("groups.yaml").write_text(HEAD + f"- level: Request\n  userGroups: ['{group}']\n- level: Metadata\n")
        _, out, said = typed("explain", "groups.yaml", "--request", json.dumps({"user": user, "resource": "pods"}))
        assert out.startswith("Metadata: rule 1")
        assert said.startswith(f"Note: --request: the user {user!r} is always in ")
        assert group in said
        assert "with that: Request: rule 0, groups.yaml:5" in said
        asked = {"user": user, "groups": [group], "resource": "pods"}
        assert typed("explain", "groups.yaml", "--request", json.dumps(asked))[2] == ""
        assert typed("explain", "right.yaml", "--request", json.dumps({"user": user}))[2] == ""

    def test_a_note_is_given_once_and_so_are_few(self, typed: Typed) -> None:
        lines = ['{"verb": "GET", "resource": "pods"}'] * 3 + [f'{{"path": "x{n}"}}' for n in range(50)]
        Path("requests").write_text("\n".join(lines))
        _, out, said = typed("explain", "right.yaml", "--requests", "requests")
        assert len(out.splitlines()) == 53
        assert said.count("'GET'") == 1
        assert len(said.splitlines()) == 10

    def test_requests_from_a_pipe(self, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CREATE.encode())))
        assert typed("explain", "right.yaml", "--requests", "-")[1].startswith("Request")

    def test_a_policy_that_does_not_load(self, typed: Typed) -> None:
        status, out, _ = typed("explain", "broken.yaml", "--request", CREATE, "--format", "json")
        value = json.loads(out)
        assert status == 1
        assert list(value) == ["error"]
        assert value["error"].startswith('rules[0].level: Unsupported value: "metadata"')

    def test_every_refused_policy_is_refused_in_the_servers_words(self, typed: Typed, shared: Path) -> None:
        lines = (shared / "golden/policy/refused.jsonl").read_text().splitlines()
        for recorded in [json.loads(line) for line in lines[::7]]:
            if "policy" not in recorded or not recorded.get("message"):
                continue
            Path("refused.yaml").write_text(recorded["policy"])
            status, out, _ = typed("explain", "refused.yaml", "--request", "{}", "--format", "json")
            assert status == 1
            # The recorded server was built from modules, which shows in the place that this one message names.
            said = recorded["message"].replace("pkg/runtime/scheme.go:110", "pkg/audit/scheme.go:30")
            assert json.loads(out)["error"] in said

    def test_the_level_and_stages_are_those_a_real_server_recorded(self, typed: Typed, shared: Path) -> None:
        folder = shared / "golden/policy"
        battery = json.loads((folder / "battery.json").read_text())
        with gzip.open(folder / "truth.jsonl.gz", "rt") as lines:
            truth = json.loads(next(lines))
        asked = []
        for request in battery:
            seen = request["attributes"]
            about = {key: seen.get(key) or "" for key in ("verb", "resource", "subresource", "namespace", "name")}
            path = {} if seen["resourceRequest"] else {"path": seen["path"]}
            user = {"user": seen["user"], "groups": seen.get("groups") or []}
            asked.append((request["id"], about | path | user | {"group": seen.get("apiGroup") or ""}))
        Path("requests").write_text("".join(json.dumps(request) + "\n" for _, request in asked))
        policy = folder / f"policies/{truth['policy']}.yaml"
        _, out, _ = typed("explain", str(policy), "--requests", "requests", "--format", "json")
        for (battery_id, _), line in zip(asked, out.splitlines(), strict=True):
            answer = json.loads(line)
            for event in truth["results"].get(battery_id) or []:
                assert event["level"] == answer["level"], battery_id
                assert event["stage"] in answer["stages"], battery_id


class TestCompare:
    def test_equal(self, typed: Typed) -> None:
        Path("same.yaml").write_text("# the same\n" + RIGHT)
        status, out, _ = typed("compare", "right.yaml", "same.yaml")
        assert (status, out) == (0, "right.yaml and same.yaml record the same of every request\n")
        assert json.loads(typed("compare", "right.yaml", "same.yaml", "--format", "json")[1]) == {
            "equal": True,
            "differences": [],
        }

    def test_different(self, typed: Typed) -> None:
        status, out, _ = typed("compare", "wrong.yaml", "right.yaml")
        assert status == 1
        assert out.splitlines()[0] == "create configmaps in namespace default by kubernetes-admin"
        assert "  Metadata: rule 0, wrong.yaml:5;" in out
        assert "  Request: rule 0, right.yaml:5;" in out
        assert "  see it: kubectl create configmap x --from-literal=a=b" in out

    def test_managed_fields_are_named(self, typed: Typed) -> None:
        Path("bare.yaml").write_text(HEAD + "- {level: Request, verbs: [create], omitManagedFields: true}\n")
        Path("full.yaml").write_text(HEAD + "- {level: Request, verbs: [create]}\n")
        status, out, _ = typed("compare", "bare.yaml", "full.yaml")
        assert status == 1
        assert "  metadata.managedFields in a body: kept by full.yaml, left out by bare.yaml\n" in out
        assert """| kubectl create --raw /api/v1/namespaces/default/configmaps -f -\n""" in out
        value = json.loads(typed("compare", "bare.yaml", "full.yaml", "--format", "json")[1])
        assert value["differences"][0]["managed_fields"] is True

    def test_its_requests_can_be_explained(self, typed: Typed) -> None:
        value = json.loads(typed("compare", "wrong.yaml", "right.yaml", "--format", "json")[1])
        assert value["equal"] is False
        for difference in value["differences"]:
            request = json.dumps(difference["request"])
            for side, file in (("a", "wrong.yaml"), ("b", "right.yaml")):
                answer = json.loads(typed("explain", file, "--request", request, "--format", "json")[1])
                assert answer == difference[side]

    def test_one_that_does_not_load_cannot_be_compared(self, typed: Typed) -> None:
        status, out, err = typed("compare", "right.yaml", "broken.yaml")
        assert (status, out) == (2, "")
        assert "broken.yaml:5: would not load" in err
