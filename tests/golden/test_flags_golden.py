"""kube-apiserver's command line, as recorded from a real 1.34: accepted or refused, and in which words."""

from __future__ import annotations

import json
from pathlib import Path

from checkers.kube.server.flags import FlagError, aggregate, parse_flags

# What kube-apiserver finds only once it reads files or listens: not a matter of the command line.
_BEYOND_THE_FLAGS = ("loading audit policy file: ", "ensureLogFile: ", "initializing audit webhook: ")

# The recorder's own flags: without them the server stops at what every server needs.
_BASE = ["--etcd-servers=https://127.0.0.1:2379", "--service-account-issuer=https://kubernetes.default.svc"]
_BASE += ["--service-account-key-file=/sa.pub", "--authorization-mode=Node,RBAC"]


def _recorded_words(stderr: list[str]) -> str:
    last = stderr[-1]
    if last.startswith("Error: "):
        return last
    assert last.startswith('E run.go:72] "command failed" err=')
    return str(json.loads(last.removeprefix('E run.go:72] "command failed" err=')))


def _our_words(flags: list[str]) -> str | None:
    try:
        parsed = parse_flags(["kube-apiserver", *_BASE, *flags])
    except FlagError as error:
        return error.line or error.text
    errors = parsed.validate()
    return aggregate(errors) if errors else None


def test_every_recorded_command_line_is_accepted_or_refused_in_the_real_words(shared: Path) -> None:
    differences = []
    for line in (shared / "golden/policy/flags.jsonl").read_text().splitlines():
        row = json.loads(line)
        words = None if row["accepted"] else _recorded_words(row["stderr"])
        if words is not None and words.startswith(_BEYOND_THE_FLAGS):
            words = None
        if _our_words(row["flags"]) != words:
            differences.append((row["note"], words, _our_words(row["flags"])))
    assert differences == []
