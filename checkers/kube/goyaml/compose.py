"""Owns what becomes of YAML's events in go-yaml: the decoding with aliases, merge keys and duplicate keys.

go-yaml first parses the whole document and then decodes it, so an error of the decoding is only told where parsing
went well to the end; errors of the step to JSON (keys, infinities) come last. One pass here keeps them apart.
"""

from __future__ import annotations

import math
from typing import Any

from checkers.kube.gotext import go_text
from checkers.kube.goyaml.nodes import Document, Node, YAMLError
from checkers.kube.goyaml.scalars import BINARY, MERGE, ScalarError, resolve
from checkers.kube.goyaml.text import format_float, go_syntax, json_float

# Up to so many decoded nodes 99 % of them may come out of aliases, from the second number on 10 %.
_FEW, _MANY = 400_000, 4_000_000


_NO_MERGE = "map merge requires map or sequence of maps as the value"


class _Set:
    """The assignment of one key of a mapping; `line` is the value's, 1-based, which duplicates are told by."""

    __slots__ = ("identity", "key", "key_line", "line", "value")

    def __init__(self, key: Any, key_line: int, value: _Value, line: int) -> None:
        # NaN is no key that could be found again.
        self.identity = (type(key), key if key == key else self)
        self.key = key
        self.key_line = key_line
        self.value = value
        self.line = line


class _Value:
    """A decoded node: its tree, what strict decoding complains of in it, and how many nodes an alias to it decodes.

    `log` is, for a mapping, all that was set in it, in order and with the complaints in between: what a merge repeats.
    """

    __slots__ = ("complaints", "count", "is_merge", "log", "node", "parts", "raw")

    def __init__(self, node: Node, raw: Any, count: int) -> None:
        self.node = node
        self.raw = raw
        self.count = count
        self.complaints: list[str] = []
        self.log: list[_Set | str] | None = None
        self.parts: list[_Value] | None = None
        self.is_merge = False


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("anchor", "count", "key", "line", "log", "mapping", "parts")

    def __init__(self, line: int, anchor: str | None, *, mapping: bool) -> None:
        self.line = line
        self.anchor = anchor
        self.mapping = mapping
        self.count = 1
        self.key: _Value | None = None
        self.log: list[_Set | str] = []
        self.parts: list[_Value] = []


class Composer:
    """Takes the nodes of one document in order and gives its tree. Lines are 1-based."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, _Open | _Value] = {}
        self._root: _Value | None = None
        self._decoded = 1
        self._by_alias = 0
        self._decode_error: YAMLError | None = None
        self._key_error: YAMLError | None = None
        self._infinite = False

    def scalar(self, line: int, text: str, tag: str, anchor: str | None, *, implicit: bool) -> None:
        """Take a scalar: a plain (`implicit`) or tagged one is resolved, a quoted one is text."""
        raw: Any = text
        if (tag or implicit) and not self._is_merged():
            try:
                raw = resolve(tag, text)
            except ScalarError as error:
                self._fail(str(error), line)
        value = go_text(raw) if tag == BINARY else raw
        if type(raw) is float:
            if not math.isfinite(raw):
                self._infinite = True
            elif raw.is_integer() and abs(raw) < 1e21:
                value = int(json_float(raw))
        done = _Value(Node(value, line), raw, 1)
        done.is_merge = text == "<<" and (implicit or tag == MERGE)
        if done.is_merge and self._open and self._open[-1].mapping and self._open[-1].key is None:
            # A merge key is not decoded itself, nor is a list of what is merged.
            done.count = 0
        self._decoded += done.count
        if anchor:
            self._anchors[anchor] = done
        self._add(done, line)

    def start(self, line: int, anchor: str | None, *, mapping: bool) -> None:
        """Take the start of a mapping or a sequence."""
        collection = _Open(line, anchor, mapping=mapping)
        if not mapping and self._open and self._open[-1].mapping and self._is_merged():
            collection.count = 0
        self._decoded += collection.count
        if anchor:
            self._anchors[anchor] = collection
        self._open.append(collection)

    def end(self) -> None:
        """Take the end of the innermost collection."""
        collection = self._open.pop()
        done = self._mapping(collection) if collection.mapping else self._sequence(collection)
        if collection.anchor and self._anchors[collection.anchor] is collection:
            self._anchors[collection.anchor] = done
        self._add(done, collection.line)

    def alias(self, line: int, name: str) -> None:
        """Take an alias: the node again, with all that decoding it again costs and complains of.

        Raises YAMLError where there is no such anchor yet.
        """
        target = self._anchors.get(name)
        if target is None:
            raise YAMLError(f"yaml: unknown anchor '{name}' referenced", line)
        of_mapping = target.mapping if isinstance(target, _Open) else target.log is not None
        if not of_mapping and self._is_merged():
            self._fail(_NO_MERGE, line)
        if isinstance(target, _Open):
            self._fail(f"anchor '{name}' value contains itself", line)
            self._add(_Value(Node(None, line), None, 1), line)
            return
        node = target.node
        done = _Value(Node(node.value, line, node.pairs, node.items), target.raw, 1 + target.count)
        self._decoded += done.count
        self._by_alias += target.count
        if self._decode_error is None and self._excessive():
            self._fail("document contains excessive aliasing", line)
        if self._decode_error is None:
            done.complaints, done.log, done.parts = target.complaints, target.log, target.parts
        else:
            # Nothing that follows is told any more, and a bomb must not go off here.
            done.count = 1
        self._add(done, line)

    def document(self) -> Document:
        """Return the finished document.

        Raises YAMLError with the first error of the decoding, else of the step to JSON.
        """
        root = self._root or _Value(Node(None, 1), None, 1)
        if self._decode_error or self._key_error:
            raise self._decode_error or self._key_error  # type: ignore[misc]
        if self._infinite:
            _refuse_infinities(root.node)
        return Document(root.node, tuple(root.complaints))

    def _is_merged(self) -> bool:
        """Say whether what comes is the value of a merge key, or an item of it: a scalar there is not decoded."""
        place = len(self._open) - 1
        if place > 0 and not self._open[place].mapping:
            place -= 1
        key = self._open[place].key if place >= 0 else None
        return key is not None and key.is_merge

    def _fail(self, text: str, line: int) -> None:
        self._decode_error = self._decode_error or YAMLError(f"yaml: {text}", line)

    def _excessive(self) -> bool:
        if self._by_alias <= 100 or self._decoded <= 1000:
            return False
        over = min(max(self._decoded - _FEW, 0) / (_MANY - _FEW), 1.0)
        return self._by_alias / self._decoded > 0.99 - 0.89 * over

    def _add(self, done: _Value, line: int) -> None:
        if not self._open:
            self._root = done
            return
        parent = self._open[-1]
        parent.count += done.count
        if not parent.mapping:
            parent.parts.append(done)
        elif parent.key is None:
            parent.key = done
            if not done.is_merge and (done.log is not None or done.parts is not None):
                self._fail(f"invalid map key: {_syntax(done)}", line)
        else:
            key, parent.key = parent.key, None
            if key.is_merge:
                self._merge(parent, done, line)
            else:
                parent.log += done.complaints
                raw = key.raw if key.log is None and key.parts is None else None
                parent.log.append(_Set(raw, key.node.line, done, line))

    def _merge(self, parent: _Open, done: _Value, line: int) -> None:
        # Of several merged mappings the first one counts, so it comes last.
        sources = [done] if done.parts is None else list(reversed(done.parts))
        for source in sources:
            if source.log is None:
                self._fail(_NO_MERGE, line)
                return
            parent.log += source.log

    def _sequence(self, collection: _Open) -> _Value:
        parts = collection.parts
        node = Node([p.node.value for p in parts], collection.line, items=tuple(p.node for p in parts))
        done = _Value(node, None, collection.count)
        done.parts = parts
        for part in parts:
            done.complaints += part.complaints
        return done

    def _mapping(self, collection: _Open) -> _Value:
        last: dict[tuple[type, Any], _Set] = {}
        complaints: list[str] = []
        for entry in collection.log:
            if isinstance(entry, str):
                complaints.append(entry)
                continue
            if entry.identity in last:
                complaints.append(f"line {entry.line}: key {go_syntax(entry.key)} already set in map")
            last[entry.identity] = entry
        named = {self._key(entry): entry for entry in last.values()}
        pairs = tuple((name, named[name].key_line, named[name].value.node) for name in sorted(named))
        done = _Value(Node({name: node.value for name, _, node in pairs}, collection.line, pairs=pairs), None, 0)
        done.count = collection.count
        done.log = collection.log
        done.complaints = complaints
        return done

    def _key(self, entry: _Set) -> str:
        """Return the text that a key becomes in JSON."""
        key = entry.key
        if isinstance(key, str):
            return go_text(key)
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, float):
            text = format_float(key, 32)
            return {"+Inf": ".inf", "-Inf": "-.inf", "NaN": ".nan"}.get(text, text)
        if isinstance(key, int) and key < 1 << 63:
            return str(key)
        kind, shown = ("%!s(<nil>)", "<nil>") if key is None else ("uint64", f"{key:#x}")
        value = entry.value
        is_nil = value.log is None and value.parts is None and value.raw is None
        told = "<nil>" if is_nil else _syntax(value)
        text = f"unsupported map key of type: {kind}, key: {shown}, value: {told}"
        self._key_error = self._key_error or YAMLError(text, entry.key_line)
        return ""


# In which order the fmt package prints keys of several types: it goes by where a build has put the types.
_KEY_TYPES = (type(None), str, int, float, bool)


def _key_order(entry: _Set) -> tuple[int, bool, Any]:
    key = entry.key
    return _KEY_TYPES.index(type(key)), type(key) is int and key < 1 << 63, 0 if key is None else key


def _syntax(value: _Value) -> str:
    """Return what the verb %#v prints of a decoded node, as it is before the step to JSON; any depth of nesting."""
    out: list[str] = []
    waiting: list[_Value | str] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            out.append(item)
        elif item.log is not None:
            last = {entry.identity: entry for entry in item.log if isinstance(entry, _Set)}
            entries = sorted(last.values(), key=_key_order)
            waiting.append("}")
            for at in range(len(entries) - 1, -1, -1):
                waiting += (entries[at].value, f"{', ' if at else ''}{go_syntax(entries[at].key)}:")
            waiting.append("map[interface {}]interface {}{")
        elif item.parts is not None:
            waiting.append("}")
            for at in range(len(item.parts) - 1, -1, -1):
                waiting += (item.parts[at], ", " if at else "")
            waiting.append("[]interface {}{")
        else:
            out.append(go_syntax(item.raw))
    return "".join(out)


def _refuse_infinities(root: Node) -> None:
    """Raise YAMLError for the first number, in the order of JSON, that JSON has no text for."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise YAMLError(f"json: unsupported value: {format_float(node.value)}", node.line)
        children = [child for _, _, child in node.pairs or ()] + list(node.items or ())
        waiting += [child for child in reversed(children) if id(child.value) not in seen]
        seen.update(id(child.value) for child in children if child.pairs or child.items)
