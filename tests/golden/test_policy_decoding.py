"""Broken and odd policies as the loader of k8s.io/apiserver (pkg/audit/policy) took or refused them.

That of 0.34.4, or, where a row names a version, of 0.36.3 or 0.37.2.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from checkers.kube.audit_policy import PolicyError, load_policy

ROWS = [json.loads(line) for line in (Path(__file__).parent / "policy_decoding.jsonl").read_text().splitlines()]
SCHEME = "pkg/runtime/scheme.go:110"


def test_odd_policies_are_loaded_or_refused_in_the_same_words() -> None:
    found = []
    for row in ROWS:
        data = row["policy"].encode() if "policy" in row else base64.b64decode(row["base64"])
        try:
            major, minor = map(int, row.get("version", "1.34").split("."))
            policy = load_policy(data, version=(major, minor), scheme=SCHEME)
            said = {"warning": "\n".join(policy.warnings)} if policy.warnings else {}
        except PolicyError as error:
            said = {"error": error.text}
        expected = {k: row[k] for k in ("error", "warning") if k in row}
        if said != expected:
            found.append((data, expected, said))
    assert found == []
    assert len(ROWS) >= 450
