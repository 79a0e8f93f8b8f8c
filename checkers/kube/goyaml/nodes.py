"""Owns the tree that a decoded YAML or JSON file becomes: plain values beside the lines they stand on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final


class YAMLError(ValueError):
    """The bytes are not YAML (or JSON) that Kubernetes would read.

    `text` is the API server's or kubelet's words (`yaml: line 4: did not find expected key`; the line in it is
    go-yaml's, which is often one too small), `line` the 1-based line on which the trouble really is, where known.
    """

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


MOST_WORDS: Final = 60_000
"""How many words, starts and ends of collections of one file are read: half a second. Big policies have 2,000."""


class TooBig(Exception):
    """A file that Kubernetes may well read, and that is too big to be judged within a second: nobody's fault."""

    def __init__(self) -> None:
        super().__init__(f"too big to be judged: more than {MOST_WORDS:,} words or lines of YAML")


class Node:
    """A value and the 1-based line it starts on.

    `value` is what JSON would hold: dict, list, str, int, float, bool or None; treat it as read-only, aliases share
    it. A mapping has `pairs` (key, line of the key, node), in the order in which Kubernetes decodes them: by key for
    YAML, which is turned into sorted JSON first; as written, duplicates included, for JSON. A list has `items`.
    """

    __slots__ = ("items", "line", "pairs", "value")

    def __init__(
        self,
        value: Any,
        line: int,
        pairs: tuple[tuple[str, int, Node], ...] | None = None,
        items: tuple[Node, ...] | None = None,
    ) -> None:
        self.value = value
        self.line = line
        self.pairs = pairs
        self.items = items

    def __repr__(self) -> str:
        return f"Node({self.value!r}, line={self.line})"

    @property
    def kind(self) -> str:
        """Return the JSON kind: object, array, string, number, bool or null."""
        if self.pairs is not None:
            return "object"
        if self.items is not None:
            return "array"
        if self.value is None:
            return "null"
        if isinstance(self.value, bool):
            return "bool"
        return "string" if isinstance(self.value, str) else "number"

    def get(self, key: str) -> Node | None:
        """Return the node under a key of a mapping: the last one where a key is there twice."""
        found = self.entry(key)
        return found[1] if found else None

    def entry(self, key: str) -> tuple[int, Node] | None:
        """Return the line of a key and the node under it; the last one where a key is there twice."""
        for name, line, node in reversed(self.pairs or ()):
            if name == key:
                return line, node
        return None

    def __iter__(self) -> Iterator[Node]:
        """Yield the items of a list."""
        return iter(self.items or ())


@dataclass(frozen=True)
class Document:
    """What one file decodes to.

    `duplicates` are go-yaml's complaints about keys that are there twice (`line 7: key "level" already set in map`);
    the strict decoder reports them, the lenient one takes the last. `is_json` says that the file was read as JSON,
    by rules of its own.
    """

    root: Node
    duplicates: tuple[str, ...] = ()
    is_json: bool = False

    @property
    def value(self) -> Any:
        """Return the plain value: what json.loads would give."""
        return self.root.value

    @property
    def strict_error(self) -> str | None:
        """Return what a strict decoding of the YAML says about duplicate keys; None where there are none."""
        if not self.duplicates:
            return None
        return "yaml: unmarshal errors:\n" + "\n".join(f"  {d}" for d in self.duplicates)

    def node(self, path: Sequence[str | int]) -> Node | None:
        """Return the node at a path such as ("rules", 0, "verbs"); None where there is none."""
        node: Node | None = self.root
        for step in path:
            if node is None:
                return None
            if isinstance(step, str):
                node = node.get(step)
            else:
                node = node.items[step] if node.items is not None and step < len(node.items) else None
        return node

    def line(self, path: Sequence[str | int] = ()) -> int:
        """Return the 1-based line of a path: of its key or its list item; of the nearest parent where it is missing."""
        node, line = self.root, self.root.line
        for step in path:
            if isinstance(step, str):
                entry = node.entry(step)
                if entry is None:
                    return line
                line, node = entry
            else:
                if node.items is None or step >= len(node.items):
                    return line
                node = node.items[step]
                line = node.line
        return line
