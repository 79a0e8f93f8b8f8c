"""What the RequestInfoFactory of k8s.io/apiserver 0.34.4 makes of methods and URLs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from checkers.kube.request_info import UnreadableUrl, parse, query_of

ROWS = [json.loads(line) for line in (Path(__file__).parent / "request_info.jsonl").read_text().splitlines()]
FIELDS = ("is_resource", "verb", "group", "version", "namespace", "resource", "subresource", "name")


def test_urls_mean_what_they_mean_to_the_real_server() -> None:
    found = []
    for row in ROWS:
        path, _, query = row["url"].partition("?")
        expected: dict[str, Any] = {k: v for k, v in row.items() if k in (*FIELDS, "refused")}
        try:
            info = parse(row["method"], unquote(path), query_of(query))
            said = {f: getattr(info, f) for f in FIELDS if f in ("is_resource", "verb") or getattr(info, f)}
        except UnreadableUrl:
            said = {"refused": True}
        if said != expected:
            found.append((row["method"], row["url"], expected, said))
    assert found == []
    assert len(ROWS) > 200
