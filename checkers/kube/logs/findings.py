"""Owns what can be found in an audit log: the kinds of findings, how bad each is, and what a person does about it.

`impossible` is what no kube-apiserver with this policy writes, or loses; `warning` is what is strange, or cannot be
known for sure. A kind that is `by_policy` says nothing of events from before the last start of the API server: that
one may have had another policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["impossible", "warning"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding: its id (stable, for scripts), a title that follows a number, and what to do."""

    id: str
    severity: Severity
    title: str
    hint: str
    by_policy: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one event. `rule` is the policy's deciding rule (0-based), `policy_line` its line."""

    kind: str
    message: str
    rule: int | None = None
    policy_line: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with its place: `file` is the log's name as given, `line` is 1-based in it."""

    file: str
    line: int
    problem: Problem
    audit_id: str = ""

    @property
    def kind(self) -> Kind:
        return KINDS[self.problem.kind]


_FORGED: Final = "a kube-apiserver does not write this: look who else can write to the log"
_LOST: Final = "taken out, or lost: a full disk and --audit-log-mode=batch lose events too"

_ALL: Final = (
    # The policy.
    Kind(
        "level",
        "impossible",
        "at another level than the policy gives",
        "forged, or written under another policy: was the API server restarted after the policy changed?",
        by_policy=True,
    ),
    Kind(
        "not-recorded",
        "impossible",
        "of requests that the policy does not record",
        "forged, or written under another policy: was the API server restarted after the policy changed?",
        by_policy=True,
    ),
    Kind(
        "stage-omitted",
        "impossible",
        "of a stage that the policy omits",
        "see omitStages, of the policy and of the rule; a policy counts from the API server's next start on",
        by_policy=True,
    ),
    Kind(
        "managed-fields",
        "impossible",
        "with managedFields that the policy omits",
        "see omitManagedFields; a policy counts from the API server's next start on",
        by_policy=True,
    ),
    # Bodies.
    Kind("body-above-level", "impossible", "with a body that their level has not", _FORGED),
    Kind("body-missing", "impossible", "without the body that their level has", "the body was taken out"),
    Kind("body-unexpected", "impossible", "with a body where there is none to log", _FORGED),
    # One event.
    Kind("not-an-event", "impossible", "that are JSON but no audit event", _FORGED),
    Kind("field", "impossible", "with a field that cannot be so", _FORGED),
    Kind("uri", "impossible", "whose URI does not ask for what they say", _FORGED),
    Kind("user", "impossible", "without a user", _FORGED),
    Kind("stage", "impossible", "of a stage that such a request does not have", _FORGED),
    Kind("time", "impossible", "with an impossible time", _FORGED),
    Kind("time-outside", "impossible", "with a time far from that of all lines around", _FORGED),
    # One request.
    Kind("stage-order", "impossible", "out of the order of stages", "a kube-apiserver writes them in order"),
    Kind("stage-twice", "impossible", "that are there twice", "the same lines twice? Was a file given twice?"),
    Kind("stages-differ", "impossible", "unlike an earlier stage of the same request", _FORGED),
    Kind("received-missing", "impossible", "without their RequestReceived", _LOST, by_policy=True),
    Kind("started-missing", "impossible", "without their ResponseStarted", _LOST, by_policy=True),
    # Warnings.
    Kind(
        "end-missing",
        "warning",
        "of requests that have no end",
        "taken out, or lost; a request may also hang, and server-side apply with a YAML body loses its end up to 1.36",
        by_policy=True,
    ),
    Kind(
        "unanswered",
        "warning",
        "of long-running requests that have neither ResponseStarted nor an end",
        "taken out, or lost; a request may also hang",
        by_policy=True,
    ),
    Kind(
        "extract",
        "warning",
        "without an earlier stage of theirs, as so many here: what is missing cannot be known",
        "an extract of a log? Give the whole one",
        by_policy=True,
    ),
    Kind(
        "received-unknown",
        "warning",
        "without their RequestReceived, which may be a line that cannot be read",
        "it cannot be known which line was lost",
        by_policy=True,
    ),
    Kind("stage-odd", "warning", "of a stage that only an extended API server has for such a request", ""),
    Kind("out-of-order", "warning", "more than a minute older than the lines before", "sorted or merged by hand?"),
    Kind("clock-back", "warning", "where the clock went back", "the machine's clock was set, or the lines were moved"),
    Kind("gap", "warning", "after which a lease was not renewed as before", "was its holder down, or were lines lost?"),
    Kind("audit-id-again", "warning", "with an auditID that another request had", "a client may set its Audit-ID"),
    Kind("audit-id", "warning", "whose auditID is no UUID", "a client may set its Audit-ID"),
    Kind("written", "warning", "not as a kube-apiserver writes them", "by hand, or by what collects the log"),
    Kind("user-odd", "warning", "by a user that nobody is by default", "only odd authenticators know such a user"),
    Kind("allow-missing", "warning", "answered well without a word of who allowed it", ""),
    Kind("legacy", "warning", "in the legacy format", "it does not say at which level: use --audit-log-format=json"),
    Kind("unreadable", "warning", "that cannot be read", "a crash or a full disk cuts lines; so does an editor"),
    Kind("truncated", "warning", "cut at the end of the log", "the log was copied while it was written, or cut"),
    Kind("huge", "warning", "too long to be an event", "passed over"),
    Kind("damaged", "warning", "after which a gzip cannot be read", "gzip -t says what is wrong with it"),
)

#: By id, the worst and most telling first.
KINDS: Final[Mapping[str, Kind]] = {kind.id: kind for kind in _ALL}
