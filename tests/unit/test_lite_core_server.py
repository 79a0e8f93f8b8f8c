"""The lite API server's start: what it refuses and in which words, what it opens, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from checkers.kube.server.flags import parse_flags
from lab.drivers.sandbox.lite.klog import Klog
from lab.drivers.sandbox.lite.server import Server, StartError, serve, start
from tests.lite_cluster import CATCH_ALL, ISSUER, key_pem
from tests.lite_pki import lay


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    folder = lay(tmp_path / "pki")
    (folder / "sa.key").write_bytes(key_pem())
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(pki: Path, *flags: str) -> list[str]:
    """Return a manifest's command, on a free port."""
    return [
        "kube-apiserver",
        "--advertise-address=172.18.0.2",
        "--authorization-mode=Node,RBAC",
        "--bind-address=127.0.0.1",
        f"--client-ca-file={pki}/ca.crt",
        "--etcd-servers=https://127.0.0.1:2379",
        f"--secure-port={free_port()}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={pki}/sa.key",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--tls-cert-file={pki}/server.crt",
        f"--tls-private-key-file={pki}/server.key",
        *flags,
    ]


@contextlib.contextmanager
def started(pki: Path, *flags: str, log: StringIO | None = None) -> Iterator[Server]:
    server = start(parse_flags(command(pki, *flags)), Klog(log or StringIO(), lambda: datetime(2026, 11, 24, 1, 2, 3)))
    try:
        yield server
    finally:
        server.listener.close()
        if server.sink:
            server.sink.close()


def refused(pki: Path, *flags: str) -> str:
    with pytest.raises(StartError) as error, started(pki, *flags):
        pass
    return str(error.value)


def test_a_start_says_what_the_real_one_says(pki: Path) -> None:
    log = StringIO()
    with started(pki, log=log):
        pass
    lines = [line.split("] ", 1)[1] for line in log.getvalue().splitlines()]
    assert lines[:2] == ["external host was not specified, using 172.18.0.2", "Version: v1.34.4-lite"]
    assert log.getvalue().startswith(f"I1124 01:02:03.000000 {os.getpid():>7} options.go:263] ")


def test_a_policy_that_is_missing_a_folder_or_wrong_is_refused(pki: Path, tmp_path: Path) -> None:
    log = f"--audit-log-path={tmp_path}/audit.log"
    missing, folder, wrong = tmp_path / "nope.yaml", tmp_path / "folder", tmp_path / "wrong.yaml"
    folder.mkdir()
    wrong.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: metadata\n")
    prefix = "loading audit policy file: "
    assert refused(pki, log, f"--audit-policy-file={missing}") == (
        f'{prefix}failed to read file path "{missing}": open {missing}: no such file or directory'
    )
    assert refused(pki, log, f"--audit-policy-file={folder}") == (
        f'{prefix}failed to read file path "{folder}": read {folder}: is a directory'
    )
    assert refused(pki, log, f"--audit-policy-file={wrong}") == (
        f'{prefix}rules[0].level: Unsupported value: "metadata": supported values: "None", "Metadata", "Request", '
        f'"RequestResponse": from file {wrong}'
    )
    assert not (tmp_path / "audit.log").exists()


def test_an_unknown_field_is_a_warning(pki: Path, tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.yaml", StringIO()
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: None\n  resource: []\n")
    with started(pki, f"--audit-policy-file={policy}", log=log):
        pass
    words = "Audit policy contains errors, falling back to lenient decoding: strict decoding error: unknown field"
    assert f'reader.go:81] {words} "rules[0].resource"\n' in log.getvalue()


def test_files_of_the_pki_that_are_missing_are_refused_by_name(pki: Path) -> None:
    nope = pki / "nope"
    missing = f"open {nope}: no such file or directory"
    assert refused(pki, f"--tls-cert-file={nope}") == missing
    assert refused(pki, f"--client-ca-file={nope}") == missing
    signing = refused(pki, f"--service-account-signing-key-file={nope}")
    assert signing == f"failed to parse service-account-issuer-key-file: {missing}"
    assert refused(pki, f"--tls-private-key-file={pki}/bob.key") == "tls: private key does not match public key"


def test_a_port_that_is_taken_is_refused(pki: Path) -> None:
    with started(pki) as server:
        port = server.listener.getsockname()[1]
        words = refused(pki, f"--secure-port={port}")
    at = f"127.0.0.1:{port}"
    assert (
        words == f"failed to create listener: failed to listen on {at}: listen tcp {at}: bind: address already in use"
    )


def test_a_refusal_ends_with_1_and_the_command_failed_line(pki: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve(command(pki, "--audit-policy-file=/nope.yaml")) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("E")
    assert last.endswith(
        'run.go:72] "command failed" err="loading audit policy file: failed to read file path \\"/nope.yaml\\": '
        'open /nope.yaml: no such file or directory"'
    )


def test_an_unknown_flag_is_one_plain_line(pki: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve(command(pki, "--audit-log-file=/x")) == 1
    assert capsys.readouterr().err == "Error: unknown flag: --audit-log-file\n"


def test_a_storage_that_cannot_be_used_ends_with_1(
    pki: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = pki / "file"
    file.touch()
    monkeypatch.setenv("CKS_LITE_STORAGE", str(file / "etcd"))
    assert serve(command(pki)) == 1
    assert 'run.go:72] "command failed" err=' in capsys.readouterr().err.splitlines()[-1]


def _recorded(row: dict[str, Any]) -> str:
    last = str(row["stderr"][-1])
    marker = 'E run.go:72] "command failed" err='
    return str(json.loads(last.removeprefix(marker))) if last.startswith(marker) else last


def test_every_recorded_set_of_audit_flags_starts_or_fails_as_recorded(
    pki: Path, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source: golden/policy/flags.jsonl; the files that were made and their modes are compared as well."""
    differences = []
    for number, line in enumerate((shared / "golden/policy/flags.jsonl").read_text().splitlines()):
        row = json.loads(line)
        folder = tmp_path / str(number)
        (folder / "flags").mkdir(parents=True)
        monkeypatch.chdir(folder)
        for name in ("policy.yaml", "flags/policy.yaml", "mode000.yaml"):
            (folder / name).write_text(CATCH_ALL)
        (folder / "bad.yaml").write_text(CATCH_ALL.replace("RequestResponse", "metadata"))
        (folder / "wh.yaml").touch()
        (folder / "link.yaml").symlink_to("policy.yaml")
        (folder / "dangling.yaml").symlink_to("gone.yaml")
        flags = [flag.replace("<dir>", str(folder)) for flag in row["flags"]]
        try:
            with started(pki, *flags):
                words = None
        except (StartError, ValueError) as error:
            words = str(error)
        wanted = None if row["accepted"] else _recorded(row).replace("<dir>", str(folder))
        made = {
            str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*audit.log")
        }
        if row["accepted"] and row["files"]:
            made |= {"second.log": "0o600"} if (folder / "second.log").exists() else {}
            expected = {name: about["mode"] for name, about in row["files"].items()}
            if made != expected:
                differences.append(f"{row['note']}: files {made}, wanted {expected}")
        if words != wanted:
            differences.append(f"{row['note']}: {words!r}, wanted {wanted!r}")
    assert not differences, "\n".join(differences)


async def _get(server: Server, pki: Path, path: str, user: str = "") -> tuple[bytes, bytes]:
    """Ask over TLS and return the status line and the body."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    if user:
        context.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")
    reader, writer = await asyncio.open_connection(*server.listener.getsockname(), ssl=context)
    writer.write(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
    writer.close()
    return head.split(b"\r\n")[0], body


async def test_a_certificate_says_who_asks_and_none_is_nobody(pki: Path, tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text(CATCH_ALL)
    with started(pki, f"--audit-policy-file={policy}", f"--audit-log-path={log}") as server:
        await server.open()
        assert await _get(server, pki, "/healthz", "jane") == (b"HTTP/1.1 200 OK", b"ok")
        status, _ = await _get(server, pki, "/api/v1/nodes")
        assert status == b"HTTP/1.1 403 Forbidden"
        await server.close()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    theirs = [event for event in events if event["user"].get("username") != "system:apiserver"]
    assert [event["user"]["username"] for event in theirs] == ["jane", "jane", "system:anonymous", "system:anonymous"]
    (identity,) = theirs[0]["user"]["extra"]["authentication.kubernetes.io/credential-id"]
    assert identity.startswith("X509SHA256=")
    assert theirs[0]["user"]["groups"] == ["developers", "system:authenticated"]


async def test_a_start_is_seen_in_the_log_by_the_servers_own_requests(pki: Path, tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text(CATCH_ALL.replace("RequestResponse", "Metadata"))
    with started(pki, f"--audit-policy-file={policy}", f"--audit-log-path={log}") as server:
        await server.open()
        await asyncio.sleep(0)
        await server.close()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert {event["user"]["username"] for event in events} == {"system:apiserver"}
    complete = {
        (event["verb"], event["objectRef"]["resource"]) for event in events if event["stage"] == "ResponseComplete"
    }
    assert {("get", "namespaces"), ("create", "leases"), ("list", "clusterroles"), ("watch", "pods")} <= complete
    assert all(event["userAgent"].startswith("kube-apiserver/v1.34.4 ") for event in events)


async def test_a_stop_ends_watches_and_is_quick(pki: Path) -> None:
    with started(pki) as server:
        await server.open()
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "super.crt", pki / "super.key")
        reader, writer = await asyncio.open_connection(*server.listener.getsockname(), ssl=context)
        writer.write(b"GET /api/v1/namespaces?watch=1 HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b'"ADDED"'), 60)
        begun = asyncio.get_running_loop().time()
        await server.close()
        assert asyncio.get_running_loop().time() - begun < 1
        await asyncio.wait_for(reader.read(), 60)
        assert server.health.stopping
        writer.close()


async def test_a_watch_may_hold_up_the_end_for_the_time_it_is_given(pki: Path) -> None:
    with started(pki) as server:
        await server.open()
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "super.crt", pki / "super.key")
        reader, writer = await asyncio.open_connection(*server.listener.getsockname(), ssl=context)
        writer.write(b"GET /api/v1/namespaces?watch=1 HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b'"ADDED"'), 60)
        closing = asyncio.ensure_future(server.close(grace=30))
        await asyncio.sleep(0.1)
        assert not closing.done()
        writer.close()
        await asyncio.wait_for(closing, 60)
