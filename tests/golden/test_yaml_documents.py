"""Odd YAML documents as sigs.k8s.io/yaml 1.6 (go-yaml v2 2.4.3) made JSON of them or refused them.

Made at random out of 120 bits of YAML; of each kind of answer a few of the shortest are kept. Both readers are held
against them: go-yaml's own steps on all, libyaml's on those that it is trusted with.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from checkers.kube.goyaml import Document, YAMLError, decode_yaml
from checkers.kube.goyaml.compose import Composer
from checkers.kube.goyaml.parser import parse
from checkers.kube.goyaml.reader import characters
from checkers.kube.goyaml.text import json_text

ROWS = [json.loads(line) for line in (Path(__file__).parent / "yaml_documents.jsonl").read_text().splitlines()]


def source(row: dict[str, Any]) -> bytes:
    return row["yaml"].encode() if "yaml" in row else base64.b64decode(row["base64"])


def answer(document: Document) -> dict[str, str]:
    # Go writes what stands for a byte that is no UTF-8 as an escape.
    said = {"json": json_text(document.root.value).replace("\ufffd", "\\ufffd")}
    if document.strict_error is not None:
        said["strict"] = document.strict_error
    return said


def step_for_step(data: bytes) -> Document:
    composer = Composer()
    parse(characters(data), composer)
    return composer.document()


def test_odd_documents_are_read_or_refused_in_the_same_words() -> None:
    found = []
    for row in ROWS:
        for read in (decode_yaml, step_for_step):
            try:
                said = answer(read(source(row)))
            except YAMLError as error:
                said = {"error": error.text}
            expected = {k: row[k] for k in ("error", "json", "strict") if k in row}
            if said != expected:
                found.append((source(row), read.__name__, expected, said))
    assert found == []
    assert sum("error" in row for row in ROWS) > 250
    assert sum("json" in row for row in ROWS) > 350
