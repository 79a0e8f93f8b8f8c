"""Static pods: what the kubelet makes of a manifest, what it ignores, what it refuses, and in which words."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from checkers.kube.static_pod import ManifestError, Pod, api_server, argv, environment, expand, load_pod

FILE = "/etc/kubernetes/manifests/kube-apiserver.yaml"
POD = """apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
  namespace: kube-system
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.34.4
    command:
    - kube-apiserver
    - --audit-log-path=/var/log/audit/audit.log
    - --audit-policy-file=/etc/kubernetes/audit/policy.yaml
    volumeMounts:
    - mountPath: /etc/kubernetes/audit
      name: policy
      readOnly: true
    - mountPath: /var/log/audit
      name: log
  hostNetwork: true
  volumes:
  - name: policy
    hostPath:
      path: /etc/kubernetes/audit
      type: Directory
  - name: log
    hostPath:
      path: /var/log/audit
      type: DirectoryOrCreate
"""


def load(text: str | bytes, file: str = FILE, node: str = "cks") -> Pod:
    return load_pod(text.encode() if isinstance(text, str) else text, file, node)


def refusal(text: str | bytes) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        load(text)
    return caught.value


def line_of(text: str, needle: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if needle in line)


def test_a_manifest_becomes_the_pod_of_the_node() -> None:
    pod = load(POD)
    assert (pod.name, pod.namespace, pod.full_name) == (
        "kube-apiserver-cks",
        "kube-system",
        "kube-system/kube-apiserver-cks",
    )
    assert [(v.name, v.kind, v.host_path, v.type) for v in pod.volumes] == [
        ("policy", "hostPath", "/etc/kubernetes/audit", "Directory"),
        ("log", "hostPath", "/var/log/audit", "DirectoryOrCreate"),
    ]
    container = api_server(pod)
    assert container is not None
    assert [(m.name, m.mount_path, m.read_only) for m in container.mounts] == [
        ("policy", "/etc/kubernetes/audit", True),
        ("log", "/var/log/audit", False),
    ]
    assert container.pull_policy == "IfNotPresent"
    assert pod.restart_policy == "Always"
    assert pod.warnings == ()


def test_lines_are_those_of_the_file() -> None:
    pod = load(POD)
    container = pod.containers[0]
    assert pod.line(container.word_path(2)) == line_of(POD, "--audit-policy-file")
    assert pod.line(container.mounts[1].path) == line_of(POD, "mountPath: /var/log/audit")
    assert pod.line(("spec", "volumes", 1, "hostPath", "type")) == line_of(POD, "type: DirectoryOrCreate")
    assert pod.line(("spec", "volumes", 1, "hostPath", "nothing")) == line_of(POD, "path: /var/log/audit") - 1
    assert pod.line(("spec", "nowhere")) == line_of(POD, "spec:")


def test_the_identity_is_the_decoded_pod_and_the_path() -> None:
    pod = load(POD)
    commented = "# a comment\n" + POD.replace("  hostNetwork: true\n", "") + "  hostNetwork: true\n  bogus: 1\n"
    assert load(commented).identity == pod.identity
    assert load(POD, file=FILE + ".bak").identity != pod.identity
    assert load(POD.replace("Directory\n", "DirectoryOrCreate\n")).identity != pod.identity
    assert len(pod.identity) == 32


@pytest.mark.parametrize(
    ("before", "after", "path", "meant"),
    [
        ("readOnly: true", "readonly: true", "spec.containers[0].volumeMounts[0].readonly", "readOnly"),
        ("    volumeMounts:\n    - mountPath: /etc", "    volumeMount:\n    - mountPath: /etc", "spec.containers[0].volumeMount", "volumeMounts"),
        ("hostNetwork", "hostnetwork", "spec.hostnetwork", "hostNetwork"),
        ("  hostNetwork: true", "  args: [x]", "spec.args", "args under spec.containers[*]"),
        ("    command:", "    volumes: []\n    command:", "spec.containers[0].volumes", "volumes under spec"),
        ("  namespace: kube", "  restartPolicy: kube", "metadata.restartPolicy", "restartPolicy under spec"),
        ("    image:", "    comand: 3\n    image:", "spec.containers[0].comand", "command"),
        ("kind: Pod", "kind: Pod\nzebra: {a: 1}", "zebra", None),
    ],
)  # fmt: skip
def test_a_field_that_is_none_is_ignored_and_named(before: str, after: str, path: str, meant: str | None) -> None:
    text = POD.replace(before, after, 1)
    assert text != POD
    pod = load(text)
    assert [(warning.path, warning.meant) for warning in pod.warnings] == [(path, meant)]
    assert pod.warnings[0].line == line_of(text, path.rpartition(".")[2].partition("[")[0] + ":")


def test_a_volume_without_a_source_becomes_an_empty_dir() -> None:
    pod = load(POD.replace("    hostPath:\n      path: /var", "    hostpath:\n      path: /var"))
    assert (pod.volumes[1].kind, pod.volumes[1].defaulted, pod.volumes[1].host_path) == ("emptyDir", True, None)
    asked = load(POD + "  - name: scratch\n    emptyDir: {}\n")
    assert (asked.volumes[2].kind, asked.volumes[2].defaulted) == ("emptyDir", False)


@pytest.mark.parametrize(
    ("before", "after", "words", "needle"),
    [
        ("      name: log", "      name: logs", 'invalid pod: [spec.containers[0].volumeMounts[1].name: Not found: "logs"]', "name: logs"),
        ("  - name: log", "  - name: policy", 'invalid pod: [spec.volumes[1].name: Duplicate value: "policy" spec.containers[0].volumeMounts[1].name: Not found: "log"]', "  - name: policy\n    hostPath:\n      path: /var"),
        ("type: DirectoryOrCreate", "type: Dir", 'invalid pod: [spec.volumes[1].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket" spec.containers[0].volumeMounts[1].name: Not found: "log"]', "type: Dir\n"),
        ("mountPath: /var/log/audit", "mountPath: /etc/kubernetes/audit", 'invalid pod: [spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/etc/kubernetes/audit": must be unique]', None),
        ("  name: kube-apiserver\n  name", "  labels: {}\n  name", "invalid pod: name is needed for the pod", "metadata:"),
        ("      path: /var/log/audit", "      path: /var/log/../audit", "invalid pod: [spec.volumes[1].hostPath.path: Invalid value: \"/var/log/../audit\": must not contain '..' spec.containers[0].volumeMounts[1].name: Not found: \"log\"]", "/var/log/../audit"),
        ("      readOnly: true", "      subPath: /x", 'invalid pod: [spec.containers[0].volumeMounts.subPath: Invalid value: "/x": must be a relative path]', "subPath: /x"),
        ("  - name: kube-apiserver\n    image: registry.k8s.io/kube-apiserver:v1.34.4", "  - name: Kube", "invalid pod: [spec.containers[0].name: Invalid value: \"Kube\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?') spec.containers[0].image: Required value]", "name: Kube"),
        ("  hostNetwork: true", "  restartPolicy: always", 'invalid pod: [spec.restartPolicy: Unsupported value: "always": supported values: "Always", "OnFailure", "Never"]', "restartPolicy"),
        ("  hostNetwork: true", "  serviceAccountName: default", "static pods may not reference serviceaccounts", "serviceAccountName"),
        ("    command:", "    env: [{name: A, valueFrom: {secretKeyRef: {name: x, key: k}}}]\n    command:", "static pods may not reference secrets", "env:"),
        ("    command:", "    envFrom: [{configMapRef: {name: x}}]\n    command:", "static pods may not reference configmaps", "envFrom:"),
        ("    command:", "    resources: {requests: {cpu: 2}, limits: {cpu: 1}}\n    command:", 'invalid pod: [spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1]', "resources:"),
        ("    command:", "    securityContext: {runAsUser: -1}\n    command:", "invalid pod: [spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive]", "securityContext:"),
        ("    command:", "    lifecycle: {postStart: {}}\n    command:", "invalid pod: [spec.containers[0].lifecycle.postStart: Required value: must specify a handler type]", "lifecycle:"),
        ("  hostNetwork: true", "  dnsPolicy: None", "invalid pod: [spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None]", None),
        ("  hostNetwork: true", "  tolerations: [{operator: Exists, value: x}]", "invalid pod: [spec.tolerations[0].operator: Invalid value: \"x\": value must be empty when `operator` is 'Exists']", "tolerations:"),
        ("    command:", '    restartPolicy: Always\n    command:', "invalid pod: [spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers]", "restartPolicy"),
        ("  namespace: kube-system", "  namespace: kube-system\n  labels: {a/b/c: x}", "invalid pod: [metadata.labels: Invalid value: \"a/b/c\": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')]", "labels:"),
        ("  hostNetwork: true", "  imagePullSecrets: [{name: x}]", "static pods may not reference secrets", "imagePullSecrets"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_with_its_line(before: str, after: str, words: str, needle: str | None) -> None:
    text = POD.replace(before, after, 1)
    assert text != POD
    error = refusal(text)
    assert error.text == words
    if needle is not None:
        start = text.index(needle)
        assert error.line == text[:start].count("\n") + 1 + (1 if needle.startswith("\n") else 0)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("    - --audit-log-path=", "    - --audit-log-path: ", "json: cannot unmarshal object into Go struct field Container.spec.containers.command of type string"),
        ("    command:\n    - kube-apiserver\n", "    command:\n    - 1\n", "json: cannot unmarshal number into Go struct field Container.spec.containers.command of type string"),
        ("      readOnly: true", '      readOnly: "true"', "json: cannot unmarshal string into Go struct field VolumeMount.spec.containers.volumeMounts.readOnly of type bool"),
        ("  hostNetwork: true", "  hostNetwork: 1", "json: cannot unmarshal number into Go struct field PodSpec.spec.hostNetwork of type bool"),
        ("  hostNetwork: true", "  priority: 1.5", "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
        ("  hostNetwork: true", "  priority: 3000000000", "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32"),
        ("  namespace: kube-system", "  labels: {tier: 1}", "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
        ("  namespace: kube-system", "  labels: [a]", "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string"),
        ("    command:", "    env: [{name: A, value: 1}]\n    command:", "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string"),
        ("    command:", '    ports: [{containerPort: "6443"}]\n    command:', "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        ("      path: /var/log/audit\n      type: DirectoryOrCreate", "    - /var/log/audit", "json: cannot unmarshal array into Go struct field Volume.spec.volumes.hostPath of type v1.HostPathVolumeSource"),
        ("    command:", "    resources: {requests: {cpu: fast}}\n    command:", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ("    command:", "    livenessProbe: {httpGet: {port: true}}\n    command:", "json: cannot unmarshal bool into Go struct field HTTPGetAction.spec.containers.livenessProbe.httpGet.port of type int32"),
        ("spec:", "spec: 3\nspecs:", "json: cannot unmarshal number into Go struct field Pod.spec of type v1.PodSpec"),
        ("kind: Pod", "kind: pod", 'no kind "pod" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
        ("apiVersion: v1", "apiVersion: v2", 'no kind "Pod" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
        ("kind: Pod", "kind: 1", "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string"),
    ],
)  # fmt: skip
def test_what_does_not_decode_is_refused_in_gos_words(before: str, after: str, words: str) -> None:
    text = POD.replace(before, after, 1)
    assert text != POD
    assert refusal(text).text == f"{FILE}: couldn't parse as pod({words}), please check config file"


def test_the_first_wrong_type_in_the_order_of_sorted_keys_is_told() -> None:
    text = POD.replace("hostNetwork: true", "hostNetwork: 1").replace("    - kube-apiserver\n", "    - 1\n")
    assert "Container.spec.containers.command" in refusal(text).text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Object 'Kind' is missing in 'null'"),
        ("~\n---\n" + POD, "Object 'Kind' is missing in 'null'"),
        ("kind: Pod\nx: <a>\n", "Object 'apiVersion' is missing in '{\"kind\":\"Pod\",\"x\":\"\\u003ca\\u003e\"}'"),
        ("- a\n", "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }"),
        ("apiVersion: v1\nkind: List\nitems: []\n", "invalid pod: &core.List{…}"),
        ("apiVersion: v1\nkind: PodList\n", "invalid pod: &core.PodList{…}"),
    ],
)  # fmt: skip
def test_files_that_are_no_pod(text: str, words: str) -> None:
    assert refusal(text).text == f"{FILE}: couldn't parse as pod({words}), please check config file"


def test_only_the_first_document_counts_and_json_bom_and_crlf_are_fine() -> None:
    pod = load(POD)
    assert load(POD + "---\nnonsense: [\n").identity == pod.identity
    assert load("\ufeff" + POD).identity == pod.identity
    assert load(POD.replace("\n", "\r\n")).identity == pod.identity
    raw: dict[str, Any] = json.loads(json.dumps(dict(pod.raw)))
    raw["metadata"]["name"] = "kube-apiserver"
    assert load(json.dumps(raw)).name == pod.name


def test_too_big_a_file_is_not_read_to_its_end() -> None:
    assert refusal(b"# " + b"x" * (10 << 20)).text == "the read limit is reached"


def test_a_rule_that_is_broken_leaves_the_pod_to_look_at() -> None:
    error = refusal(POD.replace("      name: log", "      name: logs"))
    assert error.pod is not None
    assert api_server(error.pod) is not None
    assert refusal("kind: Pod").pod is None


def test_duplicate_keys_are_told_and_the_last_counts() -> None:
    pod = load(POD + "  hostNetwork: false\n")
    assert not pod.host_network
    assert len(pod.duplicates) == 1
    assert 'key "hostNetwork" already set in map' in pod.duplicates[0]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)/x", "1/x"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("a$", "a$"),
        ("$$$(A)", "$1"),
        ("$()", "$()"),
    ],
)
def test_variables_are_put_in_as_kubernetes_does(text: str, result: str) -> None:
    assert expand(text, {"A": "1"})[0] == result


def test_the_command_line_is_command_and_args_with_variables() -> None:
    env = """    env:
    - name: DIR
      value: /var/log/audit
    - name: LOG
      value: $(DIR)/audit.log
    - name: NODE
      valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
    args: ["--audit-log-path=$(LOG)", "--x=$(NODE)"]
    command:"""
    pod = load(POD.replace("    command:", env))
    container = pod.containers[0]
    assert environment(pod, container) == {"DIR": "/var/log/audit", "LOG": "/var/log/audit/audit.log", "NODE": "cks"}
    assert argv(pod, container)[-2:] == ["--audit-log-path=/var/log/audit/audit.log", "--x=cks"]
    assert container.word_path(3) == ("spec", "containers", 0, "args", 0)


def test_the_api_server_is_found_by_what_runs() -> None:
    renamed = POD.replace("  - name: kube-apiserver", "  - name: x").replace(
        "    - kube-apiserver\n", "    - /usr/local/bin/kube-apiserver\n"
    )
    found = api_server(load(renamed.replace("  name: kube-apiserver\n", "  name: other\n")))
    assert found is not None
    assert found.name == "x"
    scheduler = POD.replace("    - kube-apiserver\n", "    - kube-scheduler\n").replace(
        "kube-apiserver:v1", "kube-scheduler:v1"
    )
    assert api_server(load(scheduler)) is None


def test_no_damage_to_a_manifest_raises_anything_but_a_refusal() -> None:
    chance = random.Random(7)
    refused = 0
    lines = POD.splitlines()
    scraps = [
        "",
        "  ",
        "- ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "&a ",
        "*a",
        "null",
        "~",
        "!!int ",
        "\t",
        "|",
        ">",
        "? ",
        "0x",
        "-",
    ]
    for _ in range(1500):
        damaged = list(lines)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(damaged))
            line = damaged[at]
            where = chance.randint(0, len(line))
            damaged[at] = chance.choice(
                [
                    line[:where] + chance.choice(scraps) + line[where:],
                    line[:where],
                    " " * chance.randint(0, 8) + line.strip(),
                    chance.choice(lines),
                    line.partition(":")[0] + ": " + chance.choice(scraps),
                ]
            )
        try:
            pod = load("\n".join(damaged))
        except ManifestError:
            refused += 1
            continue
        for container in pod.all_containers():
            argv(pod, container)
        assert pod.identity
    assert 100 < refused < 1400
