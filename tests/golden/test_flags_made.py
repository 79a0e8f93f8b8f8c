"""Made-up command lines as the flag sets of kube-apiserver 1.34.4 parsed and validated them (audit options only)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkers.kube.server.flags import FlagError, aggregate, parse_flags

ROWS = [json.loads(line) for line in (Path(__file__).parent / "flags_made.jsonl").read_text().splitlines()]


def answer(args: list[str]) -> dict[str, Any]:
    try:
        flags = parse_flags(["kube-apiserver", *args])
    except FlagError as error:
        return {"error": error.text}
    if flags.help:
        return {"help": True}
    errors = flags.validate_audit()
    return {
        **({"invalid": aggregate(errors)} if errors else {}),
        "maxage": str(flags.get_int("audit-log-maxage")),
        "path": flags.get("audit-log-path"),
        "mode": flags.get("audit-log-mode"),
    }


def test_made_up_command_lines_are_taken_or_refused_in_the_same_words() -> None:
    found = []
    for row in ROWS:
        expected = {k: v for k, v in row.items() if k != "args"}
        if answer(row["args"]) != expected:
            found.append((row["args"], expected, answer(row["args"])))
    assert found == []
    assert sum("error" in row for row in ROWS) > 50
