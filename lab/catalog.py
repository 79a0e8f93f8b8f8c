"""Loads and validates scenarios: a directory each, YAML for texts, points and wishes, never code.

All problems of a scenario are found in one pass and told in one message, each with its file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from checkers.kube.audit_policy import Level
from checkers.kube.policy_proof import Selector, Wish
from checkers.registry import CHECKS
from checkers.wants import Scored, Wants

from .errors import LabError
from .overlay import ManifestEdits, Overlay

FORMAT_VERSION = 1

_T = TypeVar("_T", bound=msgspec.Struct)


class _Schema(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Select(_Schema):
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class _Wish(_Schema):
    select: _Select
    least: str | None = None
    most: str | None = None


class _Body(_Schema):
    group: str
    resource: str
    verbs: tuple[str, ...]


class _Wants(_Schema):
    policy_file: str
    log_file: str
    body: _Body
    wishes: dict[str, tuple[_Wish, ...]]


class _Check(_Schema):
    id: str
    title: str
    points: int
    needs: tuple[str, ...] = ()
    why: str = ""


class _Start(_Schema):
    fails: tuple[str, ...]


class _Scenario(_Schema):
    format_version: int
    id: str
    title: str
    domain: str
    minutes: int
    pages: tuple[str, ...]
    wants: _Wants
    checks: tuple[_Check, ...]
    start: _Start


class _Edits(_Schema):
    set_flags: dict[str, str] = {}
    drop_flags: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    replace: tuple[tuple[str, str], ...] = ()
    backup: str | None = None
    raw: str | None = None


class _Mistake(_Schema):
    title: str
    fails: tuple[str, ...]
    edits: _Edits | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint: Markdown under its title."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer, laid over the start and the solution, with the ids it must fail and no others."""

    name: str
    title: str
    overlay: Overlay
    fails: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """A task with all that belongs to it. `solution` (an overlay) and the mistakes are laid on top of `start`."""

    folder: Path
    id: str
    title: str
    domain: str
    minutes: int
    pages: tuple[str, ...]
    wants: Wants
    checks: tuple[Scored, ...]
    start_fails: tuple[str, ...]

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    def seeded(self, seed: int) -> Scenario:
        """Return the task as that seed draws it."""
        return replace(self, wants=replace(self.wants, variant={"seed": seed}))

    @cached_property
    def task(self) -> str:
        """The task in Markdown, as an exam would put it."""
        return _text(self.folder / "task.md")

    @cached_property
    def solution_text(self) -> str:
        """The solution with its explanation, in Markdown."""
        return _text(self.folder / "solution.md")

    @cached_property
    def hints(self) -> tuple[Hint, ...]:
        """The hints in the order in which they are given."""
        parts = ("\n" + _text(self.folder / "hints.md")).split("\n## ")[1:]
        return tuple(Hint(title.strip(), text.strip()) for title, _, text in (p.partition("\n") for p in parts))

    @cached_property
    def start(self) -> Overlay:
        return _overlay(self.folder / "start")

    @cached_property
    def solution(self) -> Overlay:
        return self.start.then(_overlay(self.folder / "solution"))

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        return tuple(
            _mistake(folder, self.solution)
            for folder in sorted((self.folder / "mistakes").iterdir())
            if folder.is_dir()
        )


def scenarios_folder() -> Path:
    """Return the folder of the scenarios: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def load_all(folder: Path | None = None) -> list[Scenario]:
    """Load every scenario, in the order of the folders' numbers. Raises LabError with all problems of all of them."""
    folder = folder or scenarios_folder()
    if not folder.is_dir():
        raise LabError(f"{folder}: no scenarios there", "install CKS Lab again: its scenarios are missing")
    found: list[Scenario] = []
    problems: list[str] = []
    for path in sorted(p for p in folder.iterdir() if (p / "scenario.yaml").is_file()):
        try:
            found.append(load_folder(path))
        except LabError as error:
            problems.append(error.message)
    if problems:
        raise LabError("\n".join(problems), "mend these lines, then: cks-lab list")
    return found


@cache
def _shipped() -> tuple[Scenario, ...]:
    return tuple(load_all())


def load(scenario_id: str, seed: int | None = None) -> Scenario:
    """Return a shipped scenario by its id; a seed is noted, and changes nothing in a task without parameters.

    Raises LabError, with the known ids, for any other id.
    """
    for scenario in _shipped():
        if scenario.id == scenario_id:
            return scenario if seed is None else scenario.seeded(seed)
    raise LabError(f"no scenario {scenario_id!r}", f"known: {', '.join(s.id for s in _shipped())}; see: cks-lab list")


def load_folder(folder: Path) -> Scenario:
    """Load one scenario from its directory. Raises LabError with every problem, one a line: file:line: what."""
    path = folder / "scenario.yaml"
    problems: list[str] = []
    data = _yaml(path, _Scenario, problems)
    for name in ("task.md", "hints.md", "solution.md"):
        text = folder / name
        if not text.is_file() or not text.read_text().strip():
            problems.append(f"{text}: the scenario has no {name.removesuffix('.md')}; write it there")
    if data is None:
        raise LabError("\n".join(problems))
    ids = [check.id for check in data.checks]
    mistakes = sorted((folder / "mistakes").glob("*/mistake.yaml"))
    named = [("start.fails", data.start.fails), ("wants.wishes", tuple(data.wants.wishes))]
    named += [(f"needs of {check.id}", check.needs) for check in data.checks]
    for mistake in mistakes:
        parsed = _yaml(mistake, _Mistake, problems)
        if parsed is not None:
            named.append((f"fails of mistakes/{mistake.parent.name}", parsed.fails))
    problems += [f"{path}: check {i!r} is not known; known: {', '.join(CHECKS)}" for i in ids if i not in CHECKS]
    problems += [f"{path}: check {i!r} is listed twice" for i in sorted(set(ids)) if ids.count(i) > 1]
    problems += [
        f"{path}: {place} names {i!r}, which is no check of this task" for place, n in named for i in n if i not in ids
    ]
    wishes = {}
    for check_id, clauses in data.wants.wishes.items():
        try:
            wishes[check_id] = tuple(_wish(clause) for clause in clauses)
        except ValueError as error:
            problems.append(f"{path}: wishes of {check_id}: {error}")
    if data.format_version != FORMAT_VERSION:
        problems.append(f"{path}: format_version {data.format_version} is not {FORMAT_VERSION}, the one known here")
    if problems:
        raise LabError("\n".join(problems), "mend these lines, then: cks-lab list")
    body = data.wants.body
    wants = Wants(
        policy_file=data.wants.policy_file,
        log_file=data.wants.log_file,
        wishes=wishes,
        body_group=body.group,
        body_resource=body.resource,
        body_verbs=body.verbs,
        variant={"seed": None},
    )
    return Scenario(
        folder=folder,
        id=data.id,
        title=data.title,
        domain=data.domain,
        minutes=data.minutes,
        pages=data.pages,
        wants=wants,
        checks=tuple(Scored(c.id, c.title, c.points, c.needs, c.why) for c in data.checks),
        start_fails=data.start.fails,
    )


def _wish(clause: _Wish) -> Wish:
    select = Selector.written(**{name: getattr(clause.select, name) for name in clause.select.__struct_fields__})
    return Wish(select, _level(clause.least), _level(clause.most))


def _level(name: str | None) -> Level | None:
    if name is None:
        return None
    known = {str(level): level for level in Level}
    if name not in known:
        raise ValueError(f"{name!r} is no level; the levels are {', '.join(known)}")
    return known[name]


def _mistake(folder: Path, solution: Overlay) -> Mistake:
    problems: list[str] = []
    data = _yaml(folder / "mistake.yaml", _Mistake, problems)
    if data is None:
        raise LabError("\n".join(problems))
    overlay = Overlay(_files(folder), (_edits(data.edits),) if data.edits else ())
    return Mistake(folder.name, data.title, solution.then(overlay), data.fails)


def _overlay(folder: Path) -> Overlay:
    edits_file = folder / "edits.yaml"
    if not edits_file.is_file():
        return Overlay(_files(folder))
    problems: list[str] = []
    data = _yaml(edits_file, _Edits, problems)
    if data is None:
        raise LabError("\n".join(problems))
    return Overlay(_files(folder), (_edits(data),))


def _edits(data: _Edits) -> ManifestEdits:
    return ManifestEdits(**{name: getattr(data, name) for name in data.__struct_fields__})


def _files(folder: Path) -> dict[str, bytes]:
    own = {folder / "edits.yaml", folder / "mistake.yaml"}
    files = (p for p in folder.rglob("*") if p.is_file() and p not in own)
    return {f"/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in files}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}", "install CKS Lab again: a text of this task is missing") from error


def _yaml(path: Path, schema: type[_T], problems: list[str]) -> _T | None:
    """Decode a YAML file by a schema; what is wrong with it is added to `problems`, every field's own fault."""
    try:
        text = path.read_text()
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problems.append(f"{path}{line}: {getattr(error, 'problem', None) or error}")
        return None
    if not isinstance(data, dict):
        problems.append(f"{path}:1: a mapping is expected here")
        return None
    before = len(problems)
    fields: Mapping[str, Any] = {f.name: f for f in msgspec.structs.fields(schema)}
    for name in data:
        if name not in fields:
            problems.append(
                f"{path}:{_line(root, [name])}: {name!r} is not a field; the fields are {', '.join(fields)}"
            )
    for name, spec in fields.items():
        if name not in data:
            if spec.required:
                problems.append(f"{path}:1: {name!r} is missing")
            continue
        try:
            msgspec.convert(data[name], spec.type)
        except msgspec.ValidationError as error:
            said, _, at = str(error).partition(" - at `")
            keys = [name, *at.strip("`$").replace("[", ".").replace("]", "").strip(".").split(".")]
            problems.append(f"{path}:{_line(root, [k for k in keys if k])}: {name}{at.strip('`$')}: {said}")
    return msgspec.convert(data, schema) if len(problems) == before else None


def _line(node: yaml.Node | None, keys: list[str]) -> int:
    """Return the line (1-based) of the deepest key of a path that is there."""
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == key), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
    return line
