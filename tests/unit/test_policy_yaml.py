"""YAML as Kubernetes reads it: where it is not PyYAML's, lines, and files that are made to hurt."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.kube.goyaml import Document, YAMLError, decode, decode_yaml
from checkers.kube.goyaml.text import json_text


def value(text: str) -> Any:
    return decode(text.encode()).value


def refusal(data: bytes) -> YAMLError:
    with pytest.raises(YAMLError) as error:
        decode(data)
    return error.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: yes\nb: n\nc: on\n", {"a": True, "b": False, "c": True}),
        ("a: 017\nb: 0o17\nc: 08\nd: 1_000\ne: 0b11\n", {"a": 15, "b": 15, "c": 8, "d": 1000, "e": 3}),
        ("a: 1:30\nb: 2001-01-01\nc: =\nd: 1e400\n", {"a": "1:30", "b": "2001-01-01", "c": "=", "d": "1e400"}),
        ("a: 1e3\nb: 1.50\nc: .5\n", {"a": 1000, "b": 1.5, "c": 0.5}),
        ("a: ~\nb: null\nc:\nd: ''\n", {"a": None, "b": None, "c": None, "d": ""}),
        ("1: a\ntrue: b\n1.5: c\ny: d\n", {"1": "a", "true": "d", "1.5": "c"}),
        ("a: !!str 12\nb: !x y\nc: !!int '3'\nd: ! yes\n", {"a": "12", "b": "y", "c": 3, "d": "yes"}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ("a: {b: 0, <<: {b: 1, c: 1}}\n", {"a": {"b": 1, "c": 1}}),
        ("a: {<<: [{b: 1}, {b: 2, c: 2}]}\n", {"a": {"b": 1, "c": 2}}),
        ("a: [c:]\nb: {d:, e: f:}\n", {"a": ["c:"], "b": {"d:": None, "e": "f:"}}),
        ("a: [!!str, b]\n", {"a": ["b"]}),
        ("a: 1\na: 2\n", {"a": 2}),
        ("a: 1\n---\n{ broken", {"a": 1}),
        ("# nothing\n", None),
        ("", None),
        ("a:\t1\n", {"a": 1}),
        ("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
        ("\ufeffa: b\n", {"a": "b"}),
        ("a: b\n\ufeffc: d\n", {"a": "b", "\ufeffc": "d"}),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", {"a": "x\ny\n", "b": "x y"}),
        ("a: !!binary aGk=\n", {"a": "hi"}),
        ("a: 181446744073709551615\n", {"a": 181446744073709550000}),
    ],
)
def test_values_are_those_of_go_yaml(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert json_text(found) == json_text(expected)


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("a: b\nc: d: e\n", "yaml: line 2: mapping values are not allowed in this context", 2),
        ("a:\n  - b\n c: d\n", "yaml: line 2: did not find expected key", 3),
        ("a: [b?c]\n", "yaml: did not find expected ',' or ']'", 1),
        ("x: 1\na: {b?c: d}\n", "yaml: line 1: did not find expected ',' or '}'", 2),
        ('a: 1\nb: "x\\/y"\n', "yaml: line 2: found unknown escape character", 2),
        ("%YAML 1.2\n---\na: b\n", "yaml: found incompatible YAML document", 1),
        ("a: *x\n", "yaml: unknown anchor 'x' referenced", 1),
        ("a: 1\nb: &x [*x]\n", "yaml: anchor 'x' value contains itself", 2),
        (
            "a: {{ .Values.x }}\n",
            'yaml: invalid map key: map[interface {}]interface {}{".Values.x":interface {}(nil)}',
            1,
        ),
        ("a: 1\n~: z\n", 'unsupported map key of type: %!s(<nil>), key: <nil>, value: "z"', 2),
        ("a: 1\nb: .nan\n", "json: unsupported value: NaN", 2),
        ("a: !!int x\n", "yaml: cannot decode !!str `x` as a !!int", 1),
        ("<<: x\n", "yaml: map merge requires map or sequence of maps as the value", 1),
        ("a: 1\n\tb: 2\n", "yaml: line 2: found a tab character that violates indentation", 2),
        ('{"a": 1,}', "invalid character '}' looking for beginning of object key string", 1),
        ('{"a":\n tru }', "invalid character ' ' in literal true (expecting 'e')", 2),
        ('{"a": 1} x', "invalid character 'x' after top-level value", 1),
        ('{"a": "\x01"}', "invalid character '\\x01' in string literal", 1),
        ('{"a": 1', "unexpected end of JSON input", 1),
        ('{"a": 1.', "invalid character ' ' after decimal point in numeric literal", 1),
    ],
)
def test_errors_are_worded_as_by_go_and_know_the_real_line(text: str, said: str, line: int) -> None:
    error = refusal(text.encode())
    assert error.text == said
    assert error.line == line


def test_errors_of_the_decoding_come_after_those_of_the_parsing() -> None:
    assert refusal(b"a: !!int x\nb: c: d\n").text == "yaml: line 2: mapping values are not allowed in this context"
    assert refusal(b"~: .nan\nb: !!int x\n").text == "yaml: cannot decode !!str `x` as a !!int"


def test_duplicate_keys_are_told_by_the_line_of_the_value() -> None:
    document = decode(b"a: 1\nb:\n  c: 1\n  c:\n    - 2\na: 2\n")
    assert document.value == {"a": 2, "b": {"c": [2]}}
    assert document.duplicates == ('line 5: key "c" already set in map', 'line 6: key "a" already set in map')
    assert document.strict_error == "yaml: unmarshal errors:\n  " + "\n  ".join(document.duplicates)
    assert decode(b"a: 1\n").strict_error is None


def test_an_alias_repeats_what_is_wrong_in_its_anchor() -> None:
    document = decode(b"a: &x {b: 1, b: 2}\nc: *x\nd: {<<: *x, b: 3}\n")
    assert [d.split(":")[0] for d in document.duplicates] == ["line 1", "line 1", "line 1", "line 3"]


def test_every_key_and_item_has_its_line() -> None:
    text = "a: 1\nb:\n  - c: 1\n    d:\n      - x\n      - z\n  - {e: 1,\n     f: 2}\n"
    for data in (text.encode(), json.dumps(value(text), indent=1).encode()):
        document = decode(data)
        lines = data.decode().split("\n")

        def at(*path: str | int, found: Document = document, rows: list[str] = lines) -> str:
            return rows[found.line(path) - 1]

        assert "a" in at("a")
        assert "d" in at("b", 0, "d")
        assert "z" in at("b", 0, "d", 1)
        assert "f" in at("b", 1, "f")
        assert at("b", 1, "nothing") == at("b", 1)
        node = document.node(("b", 1, "f"))
        assert node is not None
        assert node.value == 2
        assert document.node(("b", 7)) is None
        assert document.node(("a", "x")) is None


def test_json_keeps_both_of_two_equal_keys_and_reads_strictly() -> None:
    document = decode(b' {"b": [1, -2.5, "\\u00e9\\ud83d\\ude00\\ud800"], "a": {}, "a": null}')
    assert document.is_json
    assert document.value == {"b": [1, -2.5, "é😀\ufffd"], "a": None}
    assert [key for key, _, _ in document.root.pairs or ()] == ["b", "a", "a"]
    assert not decode_yaml(b"{a: 1}").is_json


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00\x01\x02", "yaml: control characters are not allowed"),
        (b"a: \xff", "yaml: invalid leading UTF-8 octet"),
        (b"# caf\xe9\n", "yaml: incomplete UTF-8 octet sequence"),
        (b"# caf\xe9 au lait\n", "yaml: invalid trailing UTF-8 octet"),
        (b"a: \xc0\x80 \n", "yaml: invalid length of a UTF-8 sequence"),
        (b"a: \xed\xa0\x80 \n", "yaml: invalid Unicode character"),
        (b"\xff\xfea\x00:\x00 \x00\x00\xdcb\x00", "yaml: unexpected low surrogate area"),
        (b"\x7fELF" + bytes(range(256)) * 100, "yaml: control characters are not allowed"),
    ],
)
def test_binary_files_are_refused_in_go_yamls_words(data: bytes, said: str) -> None:
    assert refusal(data).text == said


def test_a_control_character_is_only_met_where_reading_comes_to_it() -> None:
    long = b"a: b\n" * 200
    assert refusal(b"a: b: c\n" + long + b"\x01").text == "yaml: mapping values are not allowed in this context"
    assert decode(b"a: b\n---\n" + long + b"\x01").value == {"a": "b"}
    assert refusal(b"a: b\n" + long + b"\x01").text == "yaml: control characters are not allowed"


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("k"))
)
MERGE_BOMB = b"a: &a {k: 1}\n" + b"".join(
    b"%c: &%c {<<: [%s]}\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("k"))
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BOMB, "yaml: document contains excessive aliasing"),
        (MERGE_BOMB, "yaml: document contains excessive aliasing"),
        (b"[" * 1_000_000, "yaml: exceeded max depth of 10000"),
        (b"{" * 1_000_000, "invalid character '{' looking for beginning of object key string"),
        (b'{"a":' * 200_000, "exceeded max depth"),
        (b"a: " + b"x" * 5_000_000 + b": y\n", "yaml: mapping values are not allowed in this context"),
        (b"a: '" + b"x" * 5_000_000, "yaml: found unexpected end of stream"),
        (b"\xff" * 5_000_000, "yaml: invalid leading UTF-8 octet"),
    ],
    ids=["bomb", "merge bomb", "brackets", "braces", "json", "long key", "open quote", "bytes"],
)
def test_hostile_files_are_refused_at_once(data: bytes, said: str) -> None:
    begun = time.process_time()
    assert refusal(data).text == said
    assert time.process_time() - begun < 30  # 0.3 s; those that are not refused at once take minutes


def test_a_deep_file_within_the_limit_is_read() -> None:
    deep = decode(b"a: " + b"[" * 5000 + b"]" * 5000)
    assert json_text(deep.value) == '{"a":' + "[" * 5000 + "]" * 5000 + "}"
    assert decode(b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}").value


def test_a_long_line_is_read() -> None:
    assert len(value("a: " + "x" * 5_000_000 + "\n")["a"]) == 5_000_000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_bring_it_down(data: bytes) -> None:
    for read in (decode, decode_yaml):
        with suppress(YAMLError):
            json_text(read(data).value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_json_is_read_as_json(expected: dict[str, Any]) -> None:
    text = json.dumps(expected)
    assert decode(text.encode()).value == json.loads(text.encode("utf-8", "replace"))
    assert decode(json_text(expected).encode("utf-8", "replace")).value.keys() == expected.keys()
