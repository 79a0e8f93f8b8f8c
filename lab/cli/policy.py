"""The commands about audit policies: check, explain, compare. They read files, need no cluster, and ask the judge."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ..errors import EXIT_NO, EXIT_YES, LabError
from .talk import GivenPath, examples, format_option, out, out_json, say

if TYPE_CHECKING:
    from checkers.kube.audit_policy import Attributes, Decision, Policy
    from checkers.kube.policy.finding import Finding

_LIMIT = 16 << 20
_TEXTS = ("verb", "group", "resource", "subresource", "namespace", "name", "path")
_FILE = GivenPath()
_STDIN = "standard input"
_MOST_NOTES = 10


_OLDEST, _NEWEST = (1, 26), (1, 36)
"""The releases whose reading of a policy is known. Before 1.26 the decoder was another one; source: facts E."""
_ALIKE = ((1, 24), (1, 40))
"""Those beside them whose reading is not likely to differ; before 1.24 there were other versions of the API."""


def _version(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """Return a version of Kubernetes as people and servers write it: 1.34, v1.34, v1.34.4, v1.33.5-eks-113cf36."""
    known = f"{_dotted(_OLDEST)} to {_dotted(_NEWEST)}"
    found = re.fullmatch(r"v?([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]+)?(?:[-+]\S*)?", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no version; 1.34 is one, known are {known}", context, parameter)
    version = int(found[1]), int(found[2])
    if not _ALIKE[0] <= version <= _ALIKE[1]:
        raise click.BadParameter(f"{value!r} is not known here, {known} are", context, parameter)
    if _OLDEST <= version <= _NEWEST:
        return version
    like = min(max(version, _OLDEST), _NEWEST)
    if not context.resilient_parsing:
        say(f"Warning: {_dotted(version)} is not known here, {known} are: it is read as {_dotted(like)} would")
    return like


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


version_option = click.option(
    "--kubernetes-version",
    "version",
    callback=_version,
    default="1.34",
    show_default=True,
    metavar="V",
    help="Read it as that release does: 1.34, v1.34.4.",
)


@click.group(
    epilog=examples(
        "cks-lab policy check policy.yaml",
        """cks-lab policy explain policy.yaml --request '{"verb": "create", "resource": "configmaps"}'""",
        "cks-lab policy compare old.yaml new.yaml",
    )
)
def policy() -> None:
    """Check, explain and compare audit policies; no cluster needed."""


@policy.command(
    epilog=examples(
        "cks-lab policy check policy.yaml",
        "cks-lab policy check policy.yaml --format json",
        "ssh node cat policy.yaml | cks-lab policy check -",
    )
)
@click.argument("file", type=_FILE)
@click.option("--strict", is_flag=True, help="Exit 1 where an error or a warning is found.")
@version_option
@format_option
def check(file: str, strict: bool, version: tuple[int, int], form: str) -> int:
    """Say whether a kube-apiserver would load FILE (- is standard input), and what in it does not do what it says.

    Exit status: 0 it loads, 1 it would not; with --strict also 1 where something is found that is no mere note.
    """
    from checkers.kube.audit_policy import PolicyError, load_policy
    from checkers.kube.policy.finding import Severity
    from checkers.kube.policy.lint import lint_file
    from checkers.kube.policy.refusal import why_refused

    content = _read(file)
    try:
        loaded = load_policy(content, version=version)
    except PolicyError as error:
        why = why_refused(error.text, error.line)
        if form == "json":
            answer = {"valid": False, "error": error.text, "line": error.line, "rules": None, "warnings": []}
            out_json(answer | {"findings": [_finding(why)] if why else []})
        else:
            out(f"{_at(file, error.line)}: would not load: {error.text}")
            if why is not None:
                out(f"  {why.message}\n  instead: {why.fix}")
        return EXIT_NO
    rules, warnings, found = len(loaded.rules), list(loaded.warnings), lint_file(loaded, content)
    status = EXIT_NO if strict and any(f.severity is not Severity.NOTE for f in found) else EXIT_YES
    if form == "json":
        answer = {"valid": True, "error": None, "line": None, "rules": rules, "warnings": warnings}
        out_json(answer | {"findings": [_finding(f) for f in found]})
        return status
    out(f"{_at(file)}: loads, {rules} {'rule' if rules == 1 else 'rules'}")
    for warning in warnings:
        out(f"{_at(file)}: warning: {warning}")
    for finding in found:
        out(f"{_at(file, finding.line)}: {finding.severity}: {finding.message}\n  instead: {finding.fix}")
    return status


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "severity": str(finding.severity),
        "rule": finding.rule,
        "line": finding.line,
        "path": finding.path,
        "message": finding.message,
        "fix": finding.fix,
    }


@policy.command(
    epilog=examples(
        """cks-lab policy explain policy.yaml --request '{"verb": "create", "resource": "configmaps"}'""",
        "cks-lab policy explain policy.yaml --requests requests.jsonl --format json",
        """echo '{"verb": "get", "path": "/healthz"}' | cks-lab policy explain policy.yaml --requests -""",
    )
)
@click.argument("file", type=_FILE)
@click.option("--request", metavar="JSON", help="One request.")
@click.option("--requests", type=_FILE, metavar="FILE", help="A file with one request a line; - is standard input.")
@version_option
@format_option
def explain(file: str, request: str | None, requests: str | None, version: tuple[int, int], form: str) -> int:
    """Say at which level FILE (- is standard input) records a request, and which rule decides.

    A request is a JSON object with any of user, groups, verb, group (of the API), resource, subresource, namespace,
    name, path. Exit status: 0 answered, 1 the policy would not load.
    """
    from checkers.kube.audit_policy import PolicyError, evaluate, load_policy
    from checkers.kube.policy.asked import as_meant, oddities

    if (request is None) == (requests is None):
        raise click.UsageError("give one of --request and --requests")
    if file == requests == "-":
        raise click.UsageError("FILE and --requests cannot both be read from standard input")
    try:
        loaded = load_policy(_read(file), version=version)
    except PolicyError as error:
        if form == "json":
            out(json.dumps({"error": error.text}))
        else:
            out(f"{_at(file, error.line)}: would not load: {error.text}")
        return EXIT_NO
    noted: set[str] = set()
    for given, place in _requests(request, requests):
        attributes = as_meant(given)
        decision = evaluate(loaded, attributes)
        for note in (*oddities(given), *_groups_missing(file, loaded, attributes, decision)):
            if note not in noted and len(noted) < _MOST_NOTES:
                say(f"Note: {place}: {note}")
            noted.add(note)
        out(json.dumps(_answer(decision)) if form == "json" else _sentence(file, decision))
    return EXIT_YES


@policy.command(
    epilog=examples("cks-lab policy compare old.yaml new.yaml", "cks-lab policy compare a.yaml b.yaml --format json")
)
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@version_option
@format_option
def compare(a: str, b: str, version: tuple[int, int], form: str) -> int:
    """Say whether A and B record the same of every request; where not, with a request that shows it.

    One of them may be -: standard input. Exit status: 0 they do, 1 they do not.
    """
    from checkers.kube.policy.commands import request_words
    from checkers.kube.policy.compare import compare as differences

    if a == b == "-":
        raise click.UsageError("A and B cannot both be read from standard input")
    found = differences(_load(a, version), _load(b, version))
    if form == "json":
        out_json(
            {
                "equal": not found,
                "differences": [
                    {
                        "request": _request(difference.attributes),
                        "a": _answer(difference.one),
                        "b": _answer(difference.other),
                        "command": difference.command,
                        "managed_fields": difference.of_managed_fields,
                    }
                    for difference in found
                ],
            }
        )
    elif not found:
        out(f"{_at(a)} and {_at(b)} record the same of every request")
    else:
        for difference in found:
            out(f"{request_words(difference.attributes)}")
            out(f"  {_sentence(a, difference.one)}\n  {_sentence(b, difference.other)}")
            if difference.of_managed_fields:
                keeps, omits = (b, a) if difference.one.omit_managed_fields else (a, b)
                out(f"  metadata.managedFields in a body: kept by {_at(keeps)}, left out by {_at(omits)}")
                out("  (a body is recorded where the user is allowed to do this: a 403 has none)")
            out(f"  see it: {difference.command}")
    return EXIT_NO if found else EXIT_YES


def _answer(decision: Decision) -> dict[str, object]:
    rule = decision.rule
    return {
        "level": str(decision.level),
        "rule": None if rule is None else rule.index,
        "line": None if rule is None else rule.line,
        "stages": list(decision.stages),
    }


def _sentence(file: str, decision: Decision) -> str:
    if decision.rule is None:
        return f"{decision.level}: no rule of {_at(file)} matches"
    by = f"rule {decision.rule.index}, {_at(file, decision.rule.line)}"
    return f"{decision.level}: {by}" + (f"; stages {', '.join(decision.stages)}" if decision.stages else "")


def _groups_missing(file: str, loaded: Policy, attributes: Attributes, decision: Decision) -> Iterator[str]:
    """Yield a note where the answer is another one with the groups that the API server puts the user into."""
    from checkers.kube.audit_policy import evaluate
    from checkers.kube.policy.asked import with_usual_groups

    real = with_usual_groups(attributes)
    usual = evaluate(loaded, real)
    if usual != decision:
        missing = ", ".join(group for group in real.groups if group not in attributes.groups)
        who = f"the user {attributes.user!r}" if attributes.user else "a user"
        yield f"{who} is always in {missing} as well; with that: {_sentence(file, usual)}"


def _requests(request: str | None, requests: str | None) -> Iterator[tuple[Attributes, str]]:
    """Yield each request with the place where it stands."""
    if request is not None:
        yield _attributes(request, "--request"), "--request"
        return
    assert requests is not None
    name = _at(requests)
    try:
        with _opened(requests) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{name}:{number}"
                    yield _attributes(line, place), place
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LabError(f"{name}: {error.strerror}", "--requests wants a file with one JSON object a line") from error


def _attributes(text: str | bytes, place: str) -> Attributes:
    """Return the request that the JSON describes. Raises LabError that names the place and the field."""
    from checkers.kube.audit_policy import Attributes

    hint = """a request looks like {"user": "jane", "verb": "create", "resource": "configmaps", "namespace": "dev"}"""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabError(f"{place}: not JSON: {error}", hint) from None
    if not isinstance(given, dict):
        raise LabError(f"{place}: not a JSON object", hint)
    if unknown := sorted(given.keys() - {*_TEXTS, "user", "groups"}):
        known = ", ".join(("user", "groups", *_TEXTS))
        raise LabError(f"{place}: {unknown[0]!r} is no field of a request", f"the fields: {known}")
    texts = {name: _text(given, name, place) for name in _TEXTS}
    return Attributes(
        user=None if "user" in given and given["user"] is None else _text(given, "user", place),
        groups=_groups(given, place),
        verb=texts["verb"],
        group=texts["group"],
        resource=texts["resource"],
        subresource=texts["subresource"],
        namespace=texts["namespace"],
        name=texts["name"],
        path=texts["path"],
    )


def _text(given: Mapping[str, Any], name: str, place: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise LabError(f"{place}: {name!r} is not a text", f'"{name}": "…"')
    return value


def _groups(given: Mapping[str, Any], place: str) -> tuple[str, ...]:
    value = given.get("groups", [])
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise LabError(f"{place}: 'groups' is not a list of texts", '"groups": ["developers"]')
    return tuple(value)


def _read(file: str) -> bytes:
    """Return a file that a person named, - being standard input. Raises LabError."""
    try:
        with _opened(file) as content:
            found = content.read(_LIMIT + 1)
    except OSError as error:
        raise LabError(f"{_at(file)}: {error.strerror}", "name a file with an audit policy in it") from error
    if len(found) > _LIMIT:
        raise LabError(f"{_at(file)}: bigger than {_LIMIT >> 20} MiB", "name a file with an audit policy in it")
    return found


def _opened(file: str) -> BinaryIO:
    """Open what a person named. Raises OSError; LabError where it is a standard input that is closed."""
    if file != "-":
        return Path(file).open("rb")
    if sys.stdin is None:
        raise LabError("standard input is closed", "name a file, or: cks-lab policy check - < policy.yaml")
    return sys.stdin.buffer


def _at(file: str, line: int | None = None) -> str:
    name = _STDIN if file == "-" else file
    return name if line is None else f"{name}:{line}"


def _request(attributes: Attributes) -> dict[str, object]:
    """Return a request in the form that `explain` takes."""
    given = {"user": attributes.user, "groups": list(attributes.groups)}
    return given | {name: getattr(attributes, name) for name in _TEXTS}


def _load(file: str, version: tuple[int, int]) -> Policy:
    from checkers.kube.audit_policy import PolicyError, load_policy

    try:
        return load_policy(_read(file), version=version)
    except PolicyError as error:
        raise LabError(
            f"{_at(file, error.line)}: would not load: {error.text}", f"cks-lab policy check {file}"
        ) from error
