"""Owns kube-apiserver's command line: what pflag and cobra make of it, and the words in which they refuse it.

Source: kube-apiserver 1.34 (cmd/kube-apiserver/app), spf13/pflag 1.0.6, spf13/cobra; recordings in
golden/policy/flags.jsonl.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from checkers.kube import gotext
from checkers.kube.gocsv import split_csv
from checkers.kube.server.flag_table import FEATURE_GATES, REMOVED_FEATURE_GATES, FlagKind, Version, flags_of
from checkers.kube.server.flag_values import check_value
from checkers.kube.server.options import AuditOptions, read_audit_options, validate_audit, validate_options

_SHORTHANDS: Final = {"h": "help", "v": "v"}
_LISTS: Final = frozenset(("strings", "stringArray"))


class FlagError(ValueError):
    """A command line that kube-apiserver refuses.

    `text` is the message; `line` is what it prints on stderr: `Error: …` for what is found while the flags are parsed,
    and None where the words go to the log as `"command failed" err=…` (`logged`). The exit code is 1 either way.
    `index` is the entry of argv that is to blame, where one is.
    """

    def __init__(self, text: str, *, index: int | None = None, logged: bool = False) -> None:
        super().__init__(text if logged else f"Error: {text}")
        self.text = text
        self.index = index
        self.logged = logged

    @property
    def line(self) -> str | None:
        return None if self.logged else f"Error: {self.text}"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One flag on the command line: `index` is its entry in argv, `value_index` the entry that holds its value."""

    name: str
    value: str
    index: int
    value_index: int


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line amounts to.

    `occurrences` holds every flag given, in order; the last of a name counts (lists of strings add up).
    With `help` (`-h`) or `print_version` (`--version`) the server prints and ends with 0.
    """

    version: Version
    known: Mapping[str, FlagKind]
    occurrences: tuple[Occurrence, ...]

    @property
    def help(self) -> bool:
        return self.get_bool("help")

    @property
    def print_version(self) -> str | None:
        """The last value of `--version` ("true", "raw", "v1.34.4"), None where the version is not asked for."""
        last = self._last("version")
        return None if last is None or last.value in ("0", "f", "F", "FALSE", "false", "False") else last.value

    @property
    def values(self) -> dict[str, str]:
        """The effective value of every flag given, by its name with dashes."""
        return {name: self.get(name) for name in dict.fromkeys(given.name for given in self.occurrences)}

    def given(self, name: str) -> bool:
        return any(occurrence.name == name for occurrence in self.occurrences)

    def get(self, name: str) -> str:
        """Return the effective value, the default where the flag is not given. Raises KeyError for an unknown flag."""
        flag = self.known[name]
        if flag.kind in _LISTS:
            return ",".join(self.get_list(name))
        last = self._last(name)
        return flag.default if last is None else last.value

    def get_list(self, name: str) -> tuple[str, ...]:
        """Return a list of strings: every time the flag is given adds to it, the first time replaces the default."""
        flag = self.known[name]
        split = split_csv if flag.kind == "strings" else lambda text: [text]
        given = [item for found in self.occurrences if found.name == name for item in split(found.value)]
        if not self.given(name) and flag.default:
            return tuple(split(flag.default))
        return tuple(given)

    def get_bool(self, name: str) -> bool:
        return gotext.parse_bool(self.get(name))

    def get_int(self, name: str) -> int:
        return gotext.parse_int(self.get(name))

    def get_float(self, name: str) -> float:
        return gotext.parse_float(self.get(name))

    def get_duration(self, name: str) -> float:
        """Return seconds."""
        return gotext.parse_duration(self.get(name)) / 1e9

    def position(self, name: str) -> int | None:
        """Return the entry of argv that holds the value that counts, None where the flag is not given."""
        last = self._last(name)
        return None if last is None else last.value_index

    def _last(self, name: str) -> Occurrence | None:
        return next((found for found in reversed(self.occurrences) if found.name == name), None)

    @property
    def audit(self) -> AuditOptions:
        """The audit options with their types."""
        return read_audit_options(self)

    def validate_audit(self) -> tuple[str, ...]:
        """Return what the server finds wrong with the audit options, in its order and words."""
        return validate_audit(self.audit)

    def validate(self) -> tuple[str, ...]:
        """Return what the server finds wrong with all options that are known here, in its order and words.

        `aggregate()` makes of them the one message that is logged.
        """
        return validate_options(self)


def aggregate(errors: Sequence[str]) -> str:
    """Join several errors as Go's aggregate does: one bare, several as `[e1, e2]`, repeats left out."""
    once = list(dict.fromkeys(errors))
    return once[0] if len(once) == 1 else f"[{', '.join(once)}]"


def parse_flags(argv: Sequence[str], version: Version = (1, 34)) -> Flags:
    """Parse kube-apiserver's whole command line; `argv[0]` is the program, as in execve.

    Raises FlagError in the words of the real one, for the first thing that it would stumble over. What is wrong with
    values that parse (a negative maxage) is the business of `Flags.validate()`: the real one finds it later, too.
    """
    parser = _Parser(argv, flags_of(version))
    parser.run()
    flags = Flags(version, parser.known, tuple(parser.found))
    if flags.help:
        return flags
    if any(parser.rest):
        raise FlagError(
            f'"kube-apiserver" does not take any arguments, got {gotext.quote_list(parser.rest)}',
            index=parser.rest_index,
        )
    _check_feature_gates(flags)
    return flags


class _Parser:
    """pflag's walk over the arguments: flags and words may stand in any order, `--` ends the flags."""

    def __init__(self, argv: Sequence[str], known: dict[str, FlagKind]) -> None:
        self.argv = list(argv)
        self.known = known
        self.next = 1
        self.found: list[Occurrence] = []
        self.rest: list[str] = []
        self.rest_index: int | None = None

    def run(self) -> None:
        while self.next < len(self.argv):
            index = self.next
            word = self.argv[index]
            self.next += 1
            if word == "--":
                self._words(index + 1, self.argv[index + 1 :])
                return
            if word.startswith("--"):
                self._long(word, index)
            elif word.startswith("-") and len(word) > 1:
                self._short(word, index)
            else:
                self._words(index, [word])

    def _words(self, index: int, words: list[str]) -> None:
        if self.rest_index is None and words:
            self.rest_index = index
        self.rest += words

    def _long(self, word: str, index: int) -> None:
        body = word[2:]
        if body[0] in "-=":
            raise FlagError(f"bad flag syntax: {word}", index=index)
        name, equals, value = body.partition("=")
        flag = self.known.get(name.replace("_", "-"))
        if flag is None:
            raise FlagError(f"unknown flag: --{name}", index=index)
        self._take(flag, value if equals else None, index, f"flag needs an argument: {word}")

    def _short(self, word: str, index: int) -> None:
        letters = word[1:]
        while letters:
            # pflag takes it byte by byte.
            letter, rest = chr(letters[0].encode("utf-8", "surrogateescape")[0]), letters[1:]
            flag = self.known.get(_SHORTHANDS.get(letter, ""))
            if flag is None:
                raise FlagError(f"unknown shorthand flag: {gotext.quote(letter, chr(39))} in -{letters}", index=index)
            value = None
            if len(rest) > 1 and rest[0] == "=":
                value, rest = rest[1:], ""
            elif flag.optional_value is None and rest:
                value, rest = rest, ""
            self._take(flag, value, index, f"flag needs an argument: {gotext.quote(letter, chr(39))} in -{letters}")
            letters = rest

    def _take(self, flag: FlagKind, value: str | None, index: int, missing: str) -> None:
        value_index = index
        if value is None:
            value = flag.optional_value
        if value is None:
            if self.next >= len(self.argv):
                raise FlagError(missing, index=index)
            value_index = self.next
            value = self.argv[value_index]
            self.next += 1
        try:
            check_value(flag, value)
        except gotext.GoValueError as error:
            short = next((f"-{letter}, " for letter, name in _SHORTHANDS.items() if name == flag.name), "")
            shown = f"{short}--{flag.name}"
            raise FlagError(
                f"invalid argument {gotext.quote(value)} for {gotext.quote(shown)} flag: {error}", index=value_index
            ) from None
        self.found.append(Occurrence(flag.name, value, index, value_index))


def _check_feature_gates(flags: Flags) -> None:
    """Refuse gates as the registry of gates does, once all flags are parsed: `E run.go:72] "command failed"`."""
    found = [occurrence for occurrence in flags.occurrences if occurrence.name == "feature-gates"]
    for occurrence in found:
        for pair in filter(None, occurrence.value.split(",")):
            component, colon, setting = pair.partition(":")
            if not colon:
                setting = pair
            elif component.strip() != "kube":
                raise FlagError(f"component not registered: {component.strip()}", index=occurrence.index, logged=True)
            name, equals, value = setting.partition("=")
            name, value = name.strip(), value.strip()
            if not equals:
                raise FlagError(f"missing bool value for {name}", index=occurrence.index, logged=True)
            try:
                gotext.parse_bool(value)
            except gotext.GoValueError as error:
                words = f"invalid value of {name}={value}, err: {error}"
                raise FlagError(words, index=occurrence.index, logged=True) from None
            unknown = flags.version == (1, 34) and name not in FEATURE_GATES
            if unknown or name in REMOVED_FEATURE_GATES:
                raise FlagError(f"unrecognized feature gate: {name}", index=occurrence.index, logged=True)
