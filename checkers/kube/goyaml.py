"""Owns YAML as Kubernetes reads it: go-yaml v2 and sigs.k8s.io/yaml, which is not what PyYAML's loaders make of a file.

libyaml's event stream is the common ground of both. What go-yaml does differently from it is here (`?` and `:` in
flow collections, `\\/`, %YAML 1.2), and its texts of errors, with its idea of a line; what becomes of the events is
in goyaml_compose, and JSON, which has rules of its own, in goyaml_json.

Sources: gopkg.in/yaml.v2 2.4 (the fork in sigs.k8s.io/yaml), sigs.k8s.io/yaml YAMLToJSON, golden/policy.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.cyaml import CLoader

from .goyaml_compose import MOST_DEPTH, Composer
from .goyaml_json import decode_json, is_json
from .goyaml_nodes import Document, Node, YAMLError
from .goyaml_reader import Characters, characters

__all__ = ["Document", "Node", "YAMLError", "decode", "decode_yaml"]

# Stands for a `:` that go-yaml takes into a plain word of a flow collection and libyaml refuses: `[a:]`, `{a:, b}`.
_COLON = "\U0010fffd"
_MOST_COLONS = 1000

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_VERSION = re.compile("^%YAML", re.MULTILINE)


def decode(data: bytes) -> Document:
    """Decode a file as the API server does: `{` as its first letter makes it JSON, anything else YAML.

    Only the first document of YAML is read. Raises YAMLError. Bounded in nesting, aliases and time.
    """
    if is_json(data):
        return decode_json(data)
    return decode_yaml(data)


def decode_yaml(data: bytes) -> Document:
    """Decode a file as YAML even where it starts with `{`: what the kubelet does with a manifest.

    Raises YAMLError.
    """
    read = characters(data or b"\n")
    text = read.text
    for _ in range(_MOST_COLONS):
        try:
            return _document(text, read)
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark.index if error.problem_mark else 0
            if read.problem is not None and at >= read.seen:
                raise _unreadable(read) from None
            if error.problem != "found unexpected ':'" or text[at : at + 1] != ":":
                raise _marked(error) from None
            text = f"{text[:at]}{_COLON}{text[at + 1 :]}"
    raise YAMLError("yaml: found unexpected ':'")


def _unreadable(read: Characters) -> YAMLError:
    return YAMLError(f"yaml: {read.problem}", len(_BREAK.findall(read.text)) + 1)


def _marked(error: yaml.MarkedYAMLError) -> YAMLError:
    """Word an error of the scanner or the parser as go-yaml does, whose line is one too small for the parser's."""
    problem, context = error.problem_mark, error.context_mark
    scanner = isinstance(error, yaml.scanner.ScannerError)
    line = problem.line + 1 if problem else None
    if problem and problem.line:
        return _worded(str(error.problem), problem.line, line, scanner=scanner)
    return _worded(str(error.problem), context.line if context else 0, line, scanner=False)


def _worded(problem: str, line0: int, line: int | None, *, scanner: bool) -> YAMLError:
    said = line0 + 1 if scanner and line0 else line0
    return YAMLError(f"yaml: line {said}: {problem}" if said else f"yaml: {problem}", line)


def _document(text: str, read: Characters) -> Document:
    """Compose the first document.

    Raises YAMLError for what go-yaml alone refuses, yaml.MarkedYAMLError for what libyaml refuses as well.
    """
    # Only the parser half of the loader is used: no constructor of PyYAML sees the file.
    parser: Any = CLoader(text)
    composer = Composer(_COLON)
    collections: list[tuple[bool, int]] = []
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if event.style == '"':
                _refuse_slash(text, event)
            elif collections and collections[-1][0] and not event.style:
                _refuse_question_mark(text, event, collections[-1][1])
            composer.scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            collections.append((bool(event.flow_style), event.start_mark.index))
            if len(collections) > MOST_DEPTH:
                line = event.start_mark.line
                raise _worded(f"exceeded max depth of {MOST_DEPTH}", line, line + 1, scanner=True)
            composer.start(event, mapping=kind is yaml.MappingStartEvent)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            collections.pop()
            composer.end()
        elif kind is yaml.AliasEvent:
            composer.alias(event)
        elif kind is yaml.DocumentStartEvent:
            if event.version == (1, 2):
                found = _VERSION.search(text)
                line = len(_BREAK.findall(text[: found.start()])) if found else 0
                raise _worded("found incompatible YAML document", line, line + 1, scanner=False)
        elif kind is yaml.DocumentEndEvent or kind is yaml.StreamEndEvent:
            if read.problem is not None and event.start_mark.index >= read.seen:
                raise _unreadable(read)
            return composer.document()


def _refuse_slash(text: str, event: Any) -> None:
    """Refuse `\\/`, which libyaml has learnt from YAML 1.2 and go-yaml has not."""
    start, end = event.start_mark.index, event.end_mark.index
    if "\\/" not in text[start:end]:
        return
    for found in _ESCAPE.finditer(text, start, end):
        if found[1] == "/":
            line = event.start_mark.line + len(_BREAK.findall(text, start, found.start()))
            raise _worded("found unknown escape character", line, line + 1, scanner=True)


def _refuse_question_mark(text: str, event: Any, collection: int) -> None:
    """Refuse a `?` inside an unquoted word of a flow collection: to go-yaml it starts a key there."""
    start, end = event.start_mark.index, event.end_mark.index
    at = text.find("?", start, end)
    if at < 0:
        return
    line = event.start_mark.line + len(_BREAK.findall(text, start, at))
    closing = "}" if text[collection : collection + 1] == "{" else "]"
    raise _worded(f"did not find expected ',' or '{closing}'", line, line + 1, scanner=False)
