"""Owns YAML as Kubernetes reads it: go-yaml v2 and sigs.k8s.io/yaml, which is not what PyYAML's loaders make of a file.

`scanner` and `parser` read as go-yaml does, step for step, and decide wherever it matters. Files as people
write them are read by libyaml, which is eight times as fast and gives the same events: those with none of the signs
that the two take differently, and nothing that libyaml refuses. JSON, which has rules of its own, is in `json`.

Sources: go.yaml.in/yaml/v2 2.4.2, sigs.k8s.io/yaml YAMLToJSON, golden/policy; tests/golden/yaml_documents.jsonl.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.cyaml import CLoader

from checkers.kube.goyaml.compose import Composer
from checkers.kube.goyaml.json import decode_json, is_json
from checkers.kube.goyaml.nodes import MOST_WORDS, Document, Node, TooBig, YAMLError
from checkers.kube.goyaml.parser import parse
from checkers.kube.goyaml.reader import characters

__all__ = ["Document", "Node", "TooBig", "YAMLError", "decode", "decode_yaml"]

# What libyaml takes otherwise than go-yaml, or may: keys after brackets, `:` before a bracket, `?`, tags, directives,
# escapes, and all white space but blanks and newlines.
_ODD = re.compile("[?!%\\\\\t\r\x85\u2028\u2029\ufeff]|[\\]}](?! *(?:[],}\n#]|$))|:[],[{}]")
# libyaml's stack is not go-yaml's.
_DEEP = 500


def decode(data: bytes) -> Document:
    """Decode a file as the API server does: `{` as its first letter makes it JSON, anything else YAML.

    Only the first document of YAML is read. Raises YAMLError, TooBig. Bounded in nesting, aliases and time.
    """
    if is_json(data):
        return decode_json(data)
    return decode_yaml(data)


def decode_yaml(data: bytes) -> Document:
    """Decode a file as YAML even where it starts with `{`: what the kubelet does with a manifest.

    Raises YAMLError, TooBig.
    """
    read = characters(data or b"\n")
    composer = Composer()
    if read.problem is not None or _ODD.search(read.text) or not _by_libyaml(read.text, composer):
        composer = Composer()
        parse(read, composer)
    return composer.document()


def _by_libyaml(text: str, composer: Composer) -> bool:
    """Give the first document to the composer, and say whether that went well. Raises YAMLError, TooBig."""
    # Only the parser half of the loader is used: no constructor of PyYAML sees the file.
    parser: Any = CLoader(text)
    depth = 0
    try:
        for _ in range(MOST_WORDS):
            event = parser.get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                line = event.start_mark.line + 1
                composer.scalar(line, event.value, event.tag or "", event.anchor, implicit=event.implicit[0])
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                depth += 1
                if depth > _DEEP:
                    return False
                composer.start(event.start_mark.line + 1, event.anchor, mapping=kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                depth -= 1
                composer.end()
            elif kind is yaml.AliasEvent:
                composer.alias(event.start_mark.line + 1, event.anchor)
            elif kind is yaml.DocumentEndEvent or kind is yaml.StreamEndEvent:
                return True
    except yaml.YAMLError:
        return False
    raise TooBig
