"""Owns what kube-apiserver decodes a policy file into that says it is something else: `kind: Event`, `PolicyList`, …

Such a file is refused in the end; a value of a wrong type is found before that, and told instead.
Source: the types in the scheme of k8s.io/apiserver 0.34 pkg/audit, by reflection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from checkers.kube.goyaml.types import BOOL, INT64, RAW, TEXT, GoType, list_of, struct_type, text_type

# A type a line, then its fields in pairs of name and type; what an internal type is embedded in comes as `<Name>`.
# `[]` is a list, `*` a pointer.
_TABLE: Final = """
v1.ListMeta selfLink s resourceVersion s continue s remainingItemCount *int64
v1.UserInfo username s uid s groups []s extra extra
v1.ObjectReference resource s namespace s name s uid types.UID apiGroup s apiVersion s resourceVersion s subresource s
v1.StatusCause reason v1.CauseType message s field s
v1.StatusDetails name s group s kind s uid types.UID causes []v1.StatusCause retryAfterSeconds int32
v1.Status metadata v1.ListMeta status s message s reason v1.StatusReason details *v1.StatusDetails code int32
v1.Event level v1.Level auditID types.UID stage v1.Stage requestURI s verb s user v1.UserInfo\
 impersonatedUser *v1.UserInfo sourceIPs []s userAgent s objectRef *v1.ObjectReference responseStatus *v1.Status\
 requestObject any responseObject any\
 requestReceivedTimestamp any stageTimestamp any annotations texts
v1.EventList metadata v1.ListMeta items []v1.Event
v1.PolicyList metadata v1.ListMeta items []v1.Policy
v1.WatchEvent type s object any
v1.InternalEvent Type watch.EventType Object object
v1.GetOptions resourceVersion s
v1.ListOptions labelSelector s fieldSelector s watch b allowWatchBookmarks b resourceVersion s\
 resourceVersionMatch v1.ResourceVersionMatch timeoutSeconds *int64 limit int64 continue s sendInitialEvents *b
v1.Preconditions uid *types.UID resourceVersion *s
v1.DeleteOptions gracePeriodSeconds *int64 preconditions *v1.Preconditions orphanDependents *b\
 propagationPolicy *v1.DeletionPropagation dryRun []s ignoreStoreReadErrorWithClusterBreakingPotential *b
v1.CreateOptions dryRun []s fieldManager s fieldValidation s
v1.UpdateOptions dryRun []s fieldManager s fieldValidation s
v1.PatchOptions dryRun []s force *b fieldManager s fieldValidation s
v1.GroupVersionForDiscovery groupVersion s version s
v1.ServerAddressByClientCIDR clientCIDR s serverAddress s
v1.APIGroup name s versions []v1.GroupVersionForDiscovery preferredVersion v1.GroupVersionForDiscovery\
 serverAddressByClientCIDRs []v1.ServerAddressByClientCIDR
v1.APIGroupList groups []v1.APIGroup
v1.APIVersions versions []s serverAddressByClientCIDRs []v1.ServerAddressByClientCIDR
v1.APIResource name s singularName s namespaced b group s version s kind s verbs verbs shortNames []s categories []s\
 storageVersionHash s
v1.APIResourceList groupVersion s resources []v1.APIResource
audit.ObjectReference Resource s Namespace s Name s UID types.UID APIGroup s APIVersion s ResourceVersion s\
 Subresource s
audit.Event Level audit.Level AuditID types.UID Stage audit.Stage RequestURI s Verb s User v1.UserInfo\
 ImpersonatedUser *v1.UserInfo SourceIPs []s UserAgent s ObjectRef *audit.ObjectReference ResponseStatus *v1.Status\
 RequestObject any ResponseObject any RequestReceivedTimestamp any StageTimestamp any Annotations texts
audit.EventList <ListMeta> Items []audit.Event
audit.PolicyList <ListMeta> Items []audit.Policy
"""
# Those that are no objects of their own have no kind and apiVersion.
_PARTS: Final = frozenset(
    (
        "v1.ListMeta",
        "v1.UserInfo",
        "v1.ObjectReference",
        "v1.StatusCause",
        "v1.StatusDetails",
        "v1.WatchEvent",
        "v1.InternalEvent",
        "v1.Preconditions",
        "v1.GroupVersionForDiscovery",
        "v1.ServerAddressByClientCIDR",
        "v1.APIResource",
        "audit.ObjectReference",
    )
)
_TEXTS: Final = GoType("map[string]string", "map", TEXT)
_PLAIN: Final = {
    "s": TEXT,
    "b": BOOL,
    "int64": INT64,
    "int32": GoType("int32", "int32"),
    "any": RAW,
    # An interface takes nothing but null.
    "object": GoType("runtime.Object", "interface"),
    "texts": _TEXTS,
    "verbs": GoType("v1.Verbs", "list", TEXT),
    "extra": GoType("map[string]v1.ExtraValue", "map", GoType("v1.ExtraValue", "list", TEXT)),
}


def struct_of(name: str, policy: GoType, internal_policy: GoType, *, names_embedded: bool) -> GoType:
    """Return the Go type of that name (`v1.Event`). Raises KeyError.

    `policy` and `internal_policy` are what lists of policies hold; `names_embedded`: errors name embedded structs.
    """
    known: dict[str, GoType] = {**_PLAIN, "v1.Policy": policy, "audit.Policy": internal_policy}
    for line in _TABLE.strip().splitlines():
        own, *words = line.split()
        fields: dict[str, GoType] = {} if own in _PARTS else {"kind": TEXT, "apiVersion": TEXT}
        embedded: dict[str, str] = {}
        if words[0].startswith("<"):
            outer = words.pop(0)[1:-1]
            fields |= known[f"v1.{outer}"].fields
            embedded = dict.fromkeys(known[f"v1.{outer}"].fields, outer)
        for field, type_name in zip(words[::2], words[1::2], strict=True):
            fields[field] = _type(type_name, known)
        known[own] = replace(struct_type(own, fields), embedded=embedded if names_embedded else {})
    return known[name]


def _type(name: str, known: dict[str, GoType]) -> GoType:
    if name.startswith("[]"):
        return list_of(_type(name[2:], known))
    if name.startswith("*"):
        return replace(_type(name[1:], known), pointer=True)
    return known.get(name) or text_type(name)
