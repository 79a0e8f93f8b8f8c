"""Owns what a lint says of an audit policy: one finding, with its place in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from checkers.kube.goyaml.nodes import Document


class Severity(StrEnum):
    """How bad a finding is: it does not do what it says, it is likely not what is meant, it is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is found in a policy.

    `id` is stable, for scripts. `rule` is the 0-based index of the rule, None where it is about the whole policy;
    `line` is 1-based; `path` says the field (`rules[1].resources[0].resources[0]`). `fix` says what to write instead.
    """

    id: str
    severity: Severity
    rule: int | None
    line: int
    path: str
    message: str
    fix: str


Path = Sequence[str | int]


def path_text(path: Path) -> str:
    """Return a path as the API server writes it: `rules[0].verbs[1]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Finder:
    """Makes findings with their lines in one file."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def __call__(self, name: str, severity: Severity, path: Path, message: str, fix: str) -> Finding:
        """Return the finding at a path; one that is not in the file stands at its nearest parent."""
        rule = path[1] if len(path) > 1 and path[0] == "rules" else None
        line = self.document.line(path)
        return Finding(name, severity, rule if isinstance(rule, int) else None, line, path_text(path), message, fix)


def listed(words: Sequence[str], most: int = 6) -> str:
    """Return words as a sentence has them: `a`, `a and b`, `a, b and c`; of very many only the first."""
    words = list(dict.fromkeys(words))
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def flow(words: Sequence[str]) -> str:
    """Return words as a list that can be typed into a policy: `[get, list]`; what needs quotes has them."""
    return "[" + ", ".join(quoted(word) for word in dict.fromkeys(words)) + "]"


_NEEDS_QUOTES = frozenset("*/,[]{}#&!|>'\"%@`? ")
_BOOLEANS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"))


def quoted(word: str) -> str:
    """Return a word as YAML for a list: in quotes where it is empty or has a letter with a meaning."""
    if not word or word.endswith(":") or word.casefold() in _BOOLEANS or _NEEDS_QUOTES.intersection(word):
        return f'"{word}"'
    return word
