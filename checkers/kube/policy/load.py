"""Owns the way from a policy file's bytes to a policy, as the API server goes it: decode, convert, validate.

Every refusal is worded as the API server words it, without the path around it.
Sources: kube-apiserver 1.34, pkg/audit/policy/reader.go and pkg/apis/audit/validation; golden/policy/refused.jsonl.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from checkers.kube.gotext import quote
from checkers.kube.goyaml import decode
from checkers.kube.goyaml.nodes import Document, Node, YAMLError
from checkers.kube.goyaml.text import json_string, json_text
from checkers.kube.goyaml.types import (
    BOOL,
    BOOL_POINTER,
    OBJECT_META,
    TEXT,
    GoType,
    Struct,
    TypeMismatch,
    decode_struct,
    interpret,
    list_of,
    struct_type,
    text_type,
)
from checkers.kube.pods.names import subdomain_problems
from checkers.kube.policy.kinds import struct_of

STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
GROUP = "audit.k8s.io"

_GROUP_RESOURCES = struct_type(
    "v1.GroupResources", {"group": TEXT, "resources": list_of(TEXT), "resourceNames": list_of(TEXT)}
)
_STAGES_TYPE = list_of(text_type("v1.Stage"))
_RULE = struct_type(
    "v1.PolicyRule",
    {
        "level": text_type("v1.Level"),
        "users": list_of(TEXT),
        "userGroups": list_of(TEXT),
        "verbs": list_of(TEXT),
        "resources": list_of(_GROUP_RESOURCES),
        "namespaces": list_of(TEXT),
        "nonResourceURLs": list_of(TEXT),
        "omitStages": _STAGES_TYPE,
        "omitManagedFields": BOOL_POINTER,
    },
)
POLICY = struct_type(
    "v1.Policy",
    {
        "kind": TEXT,
        "apiVersion": TEXT,
        "metadata": OBJECT_META,
        "rules": list_of(_RULE),
        "omitStages": _STAGES_TYPE,
        "omitManagedFields": BOOL,
    },
)

# Without an apiVersion the file is decoded into the internal type, whose fields have no JSON names of their own.
_INTERNAL_STAGES = list_of(text_type("audit.Stage"))
_INTERNAL = struct_type(
    "audit.Policy",
    {
        "kind": TEXT,
        "apiVersion": TEXT,
        **OBJECT_META.fields,
        "Rules": list_of(
            struct_type(
                "audit.PolicyRule",
                {
                    "Level": text_type("audit.Level"),
                    "Users": list_of(TEXT),
                    "UserGroups": list_of(TEXT),
                    "Verbs": list_of(TEXT),
                    "Resources": list_of(
                        struct_type(
                            "audit.GroupResources",
                            {"Group": TEXT, "Resources": list_of(TEXT), "ResourceNames": list_of(TEXT)},
                        )
                    ),
                    "Namespaces": list_of(TEXT),
                    "NonResourceURLs": list_of(TEXT),
                    "OmitStages": _INTERNAL_STAGES,
                    "OmitManagedFields": BOOL,
                },
            )
        ),
        "OmitStages": _INTERNAL_STAGES,
        "OmitManagedFields": BOOL,
    },
)

# sigs.k8s.io/json of 2025, in 1.35 and later, names embedded structs in its errors.
_INTERNAL_1_35 = replace(_INTERNAL, embedded=dict.fromkeys(OBJECT_META.fields, "ObjectMeta"))

_OPTIONS = frozenset(
    ("WatchEvent", "ListOptions", "GetOptions", "DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions")
)
# The kinds that the decoder's scheme knows beside Policy, by group and version.
_KINDS = {
    (GROUP, "v1"): _OPTIONS | {"Event", "EventList", "PolicyList"},
    (GROUP, "__internal"): frozenset(("Event", "EventList", "PolicyList")),
    ("", "v1"): _OPTIONS,
}
# Kinds that are known in every version.
_UNVERSIONED = frozenset(("Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"))


class PolicyError(ValueError):
    """A kube-apiserver would not start with this policy.

    `text` is its message without `loading audit policy file: ` before and `: from file P` after; `line` the 1-based
    line of the (first) trouble, where one line can be named.
    """

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


@dataclass(frozen=True)
class LoadedGroup:
    """An entry of a rule's `resources`."""

    group: str
    resources: tuple[str, ...]
    resource_names: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class LoadedRule:
    """A rule with the text of its level."""

    line: int
    level: str
    users: tuple[str, ...]
    user_groups: tuple[str, ...]
    verbs: tuple[str, ...]
    resources: tuple[LoadedGroup, ...]
    namespaces: tuple[str, ...]
    non_resource_urls: tuple[str, ...]
    omit_stages: tuple[str, ...]
    omit_managed_fields: bool | None


@dataclass(frozen=True)
class LoadedPolicy:
    """A valid policy, in plain values."""

    rules: tuple[LoadedRule, ...]
    omit_stages: tuple[str, ...]
    omit_managed_fields: bool
    warnings: tuple[str, ...]


def load(data: bytes, *, version: tuple[int, int], scheme: str) -> LoadedPolicy:
    """Load a policy as `audit_policy.load_policy` says. Raises PolicyError."""
    try:
        document = decode(data)
    except YAMLError as error:
        is_json = not error.text.startswith(("yaml:", "json:", "unsupported map key"))
        prefix = "couldn't get version/kind; json parse error: " if is_json else ""
        raise PolicyError(f"failed decoding: {prefix}{error.text}", error.line) from None
    policy, strict = _convert(document, data, scheme, version)
    warnings: tuple[str, ...] = ()
    if document.strict_error is not None:
        strict.insert(0, document.strict_error)
    if strict:
        said = ", ".join(strict)
        warnings = (f"Audit policy contains errors, falling back to lenient decoding: strict decoding error: {said}",)
    _validate(policy, version)
    rules = tuple(map(_rule, _rule_nodes(policy), policy.get("rules") or ()))
    if not rules:
        raise PolicyError("loaded illegal policy with 0 rules", document.line(("rules",)))
    return LoadedPolicy(rules, _texts(policy, "omitStages"), bool(policy.get("omitManagedFields")), warnings)


def _convert(document: Document, data: bytes, scheme: str, server: tuple[int, int]) -> tuple[Struct, list[str]]:
    """Decode the document into a policy; returns it with the strict errors of its fields."""
    root = document.root
    try:
        meta = interpret(root)
    except YAMLError as error:
        raise PolicyError(f"failed decoding: {error.text}", error.line) from None
    group, version, kind = meta.group, meta.version, meta.kind or "Policy"
    if not version and group in ("", GROUP):
        # Without a version the decoder fills in that of its target, the internal one.
        group, version = GROUP, "__internal"
    line = document.line(("apiVersion",))
    if not version:
        missing = f"Object 'apiVersion' is missing in '{data.decode('utf-8', 'replace')}'"
        raise PolicyError(f"failed decoding: {missing}", line)
    internal = _INTERNAL if server < (1, 35) else _INTERNAL_1_35
    if kind != "Policy" or (group, version) not in ((GROUP, "v1"), (GROUP, "__internal")):
        package = "audit" if version == "__internal" and kind not in _UNVERSIONED else "v1"
        name = f"{package}.{kind}" if kind in _UNVERSIONED or kind in _KINDS.get((group, version), ()) else ""
        if group in ("", GROUP) and (version, kind) == ("__internal", "WatchEvent"):
            name = "v1.InternalEvent"
        if name:
            _refuse_types(root, struct_of(name, POLICY, internal, names_embedded=server >= (1, 35)))
            said = f"converting ({name}) to (audit.Policy): unknown conversion"
            raise PolicyError(f"failed decoding: {said}", document.line(("kind",)))
        if (group, version) in ((GROUP, "v1"), (GROUP, "__internal")):
            line = document.line(("kind",))
        said = f"version {quote(f'{group}/{version}' if group else version)}"
        if version == "__internal":
            said = f"the internal version of group {quote(group)}"
        raise PolicyError(
            f"failed decoding: no kind {quote(kind)} is registered for {said} in scheme {quote(scheme)}", line
        )
    decoded = _refuse_types(root, internal if version == "__internal" else POLICY)
    if version == "__internal":
        raise PolicyError(f"unknown group version field {GROUP}/__internal, Kind=Policy in policy", line)
    return decoded


def _refuse_types(root: Node, into: GoType) -> tuple[Struct, list[str]]:
    try:
        return decode_struct(root, into)
    except TypeMismatch as error:
        raise PolicyError(f"failed decoding: {error.text}", error.line) from None


def _texts(struct: Struct, name: str) -> tuple[str, ...]:
    return tuple(text or "" for text in struct.get(name) or ())


def _rule_nodes(policy: Struct) -> list[Node]:
    rules = policy.node.get("rules")
    return list(rules or ())


def _rule(node: Node, found: Struct | None) -> LoadedRule:
    rule = found if found is not None else Struct()
    nodes = list(node.get("resources") or ())
    return LoadedRule(
        line=node.line,
        level=rule.get("level") or "",
        users=_texts(rule, "users"),
        user_groups=_texts(rule, "userGroups"),
        verbs=_texts(rule, "verbs"),
        resources=tuple(_resources(rule, nodes)),
        namespaces=_texts(rule, "namespaces"),
        non_resource_urls=_texts(rule, "nonResourceURLs"),
        omit_stages=_texts(rule, "omitStages"),
        omit_managed_fields=rule.get("omitManagedFields"),
    )


def _resources(rule: Struct, nodes: list[Node]) -> list[LoadedGroup]:
    groups = []
    for i, found in enumerate(rule.get("resources") or ()):
        entry = found if found is not None else Struct()
        line = nodes[i].line if i < len(nodes) else 1
        groups.append(
            LoadedGroup(entry.get("group") or "", _texts(entry, "resources"), _texts(entry, "resourceNames"), line)
        )
    return groups


class _Refusals:
    """The validation errors of a policy, in the order of the API server."""

    def __init__(self, document: Node, version: tuple[int, int]) -> None:
        self._document = Document(document)
        self._version = version
        self.texts: dict[str, int] = {}

    def add(self, text: str, *path: str | int) -> None:
        self.texts.setdefault(text, self._document.line(path))

    def named(self, text: str) -> str:
        """Print a level, which is no plain string to Go: as JSON from 1.34 on, as %#v before."""
        return json_string(text) if self._version >= (1, 34) else quote(text)

    def listed(self, texts: tuple[str, ...]) -> str:
        if self._version >= (1, 34):
            return json_text(list(texts))
        return "[]string{" + ", ".join(map(quote, texts)) + "}"

    def stages(self, stages: tuple[str, ...], name: str, *path: str | int) -> None:
        for i, stage in enumerate(stages):
            if stage not in STAGES:
                allowed = ",".join(STAGES)
                said = f"{name}[{i}]: Invalid value: {quote(stage)}: allowed stages are {allowed}"
                self.add(said, *path, i)


def _validate(policy: Struct, version: tuple[int, int]) -> None:
    refusals = _Refusals(policy.node, version)
    refusals.stages(_texts(policy, "omitStages"), "omitStages", "omitStages")
    rules: list[Any] = policy.get("rules") or []
    for index, (node, found) in enumerate(zip(_rule_nodes(policy), rules, strict=False)):
        _validate_rule(_rule(node, found), index, refusals, version)
    if not refusals.texts:
        return
    texts = list(refusals.texts)
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    raise PolicyError(joined, refusals.texts[texts[0]])


def _validate_rule(rule: LoadedRule, index: int, refusals: _Refusals, version: tuple[int, int]) -> None:
    name = f"rules[{index}]"
    at = ("rules", index)
    if not rule.level:
        refusals.add(f"{name}.level: Required value", *at, "level")
    elif rule.level not in LEVELS:
        supported = ", ".join(map(quote, LEVELS))
        refusals.add(
            f"{name}.level: Unsupported value: {refusals.named(rule.level)}: supported values: {supported}",
            *at,
            "level",
        )
    for i, url in enumerate(rule.non_resource_urls):
        if url == "*":
            continue
        said = f"{name}.nonResourceURLs[{i}]: Invalid value: {quote(url)}"
        if not url.startswith("/"):
            refusals.add(f"{said}: non-resource URL rules must begin with a '/' character", *at, "nonResourceURLs", i)
        if "*" in url[:-1]:
            said += ": non-resource URL wildcards '*' must be the final character of the rule"
            refusals.add(said, *at, "nonResourceURLs", i)
    for i, entry in enumerate(rule.resources):
        wildcard = entry.group == "*" and version >= (1, 36)
        problems = subdomain_problems(entry.group) if entry.group and not wildcard else []
        if problems:
            said = f"{name}.resources.group: Invalid value: {quote(entry.group)}: {','.join(problems)}"
            refusals.add(said, *at, "resources", i, "group")
        if entry.resource_names and not entry.resources:
            said = f"{name}.resources.resourceNames: Invalid value: {refusals.listed(entry.resource_names)}"
            refusals.add(f"{said}: using resourceNames requires at least one resource", *at, "resources", i)
    refusals.stages(rule.omit_stages, f"{name}.omitStages", *at, "omitStages")
    if rule.non_resource_urls and (rule.resources or rule.namespaces):
        said = f"{name}.nonResourceURLs: Invalid value: {refusals.listed(rule.non_resource_urls)}"
        refusals.add(
            f"{said}: rules cannot apply to both regular resources and non-resource URLs", *at, "nonResourceURLs"
        )
