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

# Letters in whose place libyaml is shown others, so that it reads what go-yaml reads; the composer puts them back.
# go-yaml takes a `:` into a plain word of a flow collection where libyaml refuses it (`[a:]`, `{a:, b}`), and a
# byte-order mark at the start of a line where libyaml skips it.
_COLON, _MARK = "\U0010fffd", "\U0010fffc"
HIDDEN = {_COLON: ":", _MARK: "\ufeff"}
# go-yaml takes these into a tag, where they make it one that nobody knows; for libyaml any letter does for that.
_IN_TAG = re.compile(r"[,\[\]]")
_TAG = re.compile(r"(?:&\S+\s+)?![\w;/?:@&=+$,.!~*'()\[\]%-]*", re.ASCII)
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_TAG_PROBLEMS = ("did not find expected whitespace or line break", "did not find expected tag URI")
_MOST_REWRITES = 1000

_SLASH = re.compile(r'"(?:[^"\\]|\\[^/])*\\/')
_EMPTY = re.compile(r"[\[{][\s,]*[\]}]")
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
    if read.problem is not None and read.seen == 0:
        raise _unreadable(read)
    text = read.text.replace("\ufeff", _MARK)
    for _ in range(_MOST_REWRITES):
        try:
            return _document(text, read)
        except _RewrittenError as rewritten:
            text = rewritten.text
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark.index if error.problem_mark else 0
            if read.problem is not None and at >= read.seen:
                raise _unreadable(read) from None
            letter = text[at : at + 1]
            if error.problem == "found unexpected ':'" and letter == ":":
                text = f"{text[:at]}{_COLON}{text[at + 1 :]}"
            elif error.problem in _TAG_PROBLEMS and letter and letter in ",[]":
                text = f"{text[:at]}Z{text[at + 1 :]}"
            else:
                raise _marked(error) from None
    raise YAMLError("yaml: found unexpected ':'")


class _RewrittenError(Exception):
    """libyaml has to be shown another text: one in which it sees what go-yaml sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


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


class _Collections:
    """The collections that are open, each as what opens it: `{`, `[`, or for those by indentation `:` and `-`."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._columns: list[int] = []

    def start(self, text: str, event: Any, *, mapping: bool) -> None:
        """Open one. Raises YAMLError where it is nested too deeply."""
        if not event.flow_style:
            opening = ":" if mapping else "-"
        else:
            # A single pair in a list has no brace of its own, and reads on as the list.
            opening = "{" if mapping and text[event.end_mark.index - 1] == "{" else "["
        self._open.append(opening)
        self._columns.append(event.start_mark.column)
        if len(self._open) > MOST_DEPTH:
            line = event.start_mark.line
            raise _worded(f"exceeded max depth of {MOST_DEPTH}", line, line + 1, scanner=True)

    def end(self) -> None:
        """Close the innermost one."""
        self._open.pop()
        self._columns.pop()

    def has_mapping_at(self, column: int) -> bool:
        """Say whether one of the mappings by indentation starts in this column."""
        return any(o == ":" and c == column for o, c in zip(self._open, self._columns, strict=True))

    @property
    def innermost(self) -> str:
        """Return what opened the innermost one; nothing outside of all."""
        return self._open[-1] if self._open else ""


def _document(text: str, read: Characters) -> Document:
    """Compose the first document.

    Raises YAMLError for what go-yaml alone refuses, yaml.MarkedYAMLError for what libyaml refuses as well.
    """
    # Only the parser half of the loader is used: no constructor of PyYAML sees the file.
    parser: Any = CLoader(text)
    composer = Composer(HIDDEN)
    collections = _Collections()
    while True:
        try:
            event = parser.get_event()
        except yaml.MarkedYAMLError as error:
            _refuse_earlier(text, error, collections, composer)
            raise
        kind = type(event)
        if read.problem is not None and event.end_mark.index >= read.seen:
            raise _unreadable(read)
        if getattr(event, "tag", None):
            _rewrite_tag(text, event)
        if kind is yaml.ScalarEvent:
            if event.style == '"':
                _refuse_slash(text, _after_properties(text, event), event.start_mark)
            elif not event.style and collections.innermost in ("{", "["):
                _refuse_question_mark(text, event, collections.innermost)
            composer.scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            mapping = kind is yaml.MappingStartEvent
            collections.start(text, event, mapping=mapping)
            composer.start(event, mapping=mapping)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            collections.end()
            composer.end()
        elif kind is yaml.AliasEvent:
            composer.alias(event)
        elif kind is yaml.DocumentStartEvent:
            if event.version == (1, 2):
                found = _VERSION.search(text)
                line = len(_BREAK.findall(text[: found.start()])) if found else 0
                raise _worded("found incompatible YAML document", line, line + 1, scanner=False)
        elif kind is yaml.DocumentEndEvent or kind is yaml.StreamEndEvent:
            return composer.document()


def _refuse_earlier(text: str, error: yaml.MarkedYAMLError, collections: _Collections, composer: Composer) -> None:
    """Raise what go-yaml says of a place that libyaml has passed before it found this error."""
    mark = error.context_mark
    if mark is None:
        return
    if text[mark.index : mark.index + 1] == '"':
        _refuse_slash(text, mark.index, mark)
    by_indentation = collections.innermost in (":", "-") and not composer.awaits_value
    if error.problem == "could not find expected ':'" and by_indentation and _EMPTY.match(text, mark.index):
        # An empty collection is no key to go-yaml, so it stumbles over it at once.
        wanted = "key" if collections.has_mapping_at(mark.column) else "'-' indicator"
        raise _worded(f"did not find expected {wanted}", mark.line, mark.line + 1, scanner=False)


def _rewrite_tag(text: str, event: Any) -> None:
    """Show libyaml a tag without the `,` `[` `]` that end it for libyaml and not for go-yaml: `[!!str, a]`."""
    found = _TAG.match(text, event.start_mark.index)
    if found is not None and _IN_TAG.search(found[0]):
        start, end = found.span()
        raise _RewrittenError(text[:start] + _IN_TAG.sub("Z", found[0]) + text[end:])


def _after_properties(text: str, event: Any) -> int:
    """Return where a node itself starts: behind its anchor and its tag."""
    start: int = event.start_mark.index
    if event.anchor or event.tag or event.implicit[0] is False:
        found = _PROPERTIES.match(text, start)
        start = found.end() if found else start
    return start


def _refuse_slash(text: str, at: int, mark: Any) -> None:
    """Refuse `\\/`, which libyaml has learnt from YAML 1.2 and go-yaml has not."""
    found = _SLASH.match(text, at)
    if found is not None:
        line = mark.line + len(_BREAK.findall(text, mark.index, found.end()))
        raise _worded("found unknown escape character", line, line + 1, scanner=True)


def _refuse_question_mark(text: str, event: Any, collection: str) -> None:
    """Refuse a `?` inside an unquoted word of a flow collection: to go-yaml it starts a key there."""
    at = text.find("?", _after_properties(text, event), event.end_mark.index)
    if at >= 0:
        line = event.start_mark.line + len(_BREAK.findall(text, event.start_mark.index, at))
        closing = "}" if collection == "{" else "]"
        raise _worded(f"did not find expected ',' or '{closing}'", line, line + 1, scanner=False)
