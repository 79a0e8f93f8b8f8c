"""The checks policy.*: that an API server loads the policy, and the proofs of what it records."""

from __future__ import annotations

from checkers.evidence import Evidence
from checkers.kube.audit_policy import Attributes, Level, evaluate
from checkers.kube.policy.finding import Severity
from checkers.kube.policy.lint import lint_file
from checkers.kube.policy_proof import Counterexample, prove
from checkers.node_picture import PolicyFile, picture
from checkers.result import CheckResult, Status, Where, blocked
from checkers.wants import Wants

# The loader's own warning names these.
_LOADER_SAYS = ("unknown-field", "duplicate-field")
_MOST_LINTS = 20


def policy_valid(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether an API server would load the policy at the asked path."""
    seen = picture(evidence, wants)
    file = seen.policy_file
    expected = f"{wants.policy_file} is an audit policy that kube-apiserver loads"
    if file.policy is None:
        fix = (
            f"rmdir {wants.policy_file}, then write the policy there" if file.is_directory else "mend the policy there"
        )
        where = Where(wants.policy_file, file.line)
        return CheckResult(Status.FAIL, expected, f"loading audit policy file: {file.problem}", where, fix=fix)
    rules = len(file.policy.rules)
    return CheckResult(
        Status.PASS,
        expected,
        f"it loads, with {rules} rule{'s' * (rules != 1)}",
        Where(wants.policy_file),
        warnings=(*file.policy.warnings, *_lints(file, wants)),
    )


def _lints(file: PolicyFile, wants: Wants) -> tuple[str, ...]:
    """Return a warning for each serious finding in a policy that loads."""
    if file.policy is None:
        return ()
    serious = [
        f for f in lint_file(file.policy, file.data) if f.severity is not Severity.NOTE and f.id not in _LOADER_SAYS
    ]
    return tuple(f"{wants.policy_file}:{f.line}: {f.message}; instead: {f.fix}" for f in serious[:_MOST_LINTS])


def policy_metadata_everywhere(evidence: Evidence, wants: Wants) -> CheckResult:
    """Prove that every request for a resource is recorded, or show one that is not."""
    return _proved(
        "policy.metadata-everywhere", "every request for a resource is recorded at Metadata or above", evidence, wants
    )


def policy_configmaps_body(evidence: Evidence, wants: Wants) -> CheckResult:
    """Prove that every write of the asked resource is recorded with its body, or show one that is not."""
    what = f"every {', '.join(wants.body_verbs[:-1])} and {wants.body_verbs[-1]} of {wants.body_resource}"
    result = _proved("policy.configmaps-body", f"{what} is recorded at Request or above", evidence, wants)
    policy = picture(evidence, wants).policy_file.policy
    if result.status is Status.PASS and policy is not None and "delete" not in wants.body_verbs:
        gone = evaluate(policy, _delete(wants))
        if gone.level < Level.REQUEST:
            warning = f"deletes are recorded at {gone.level}: fine here, their body holds only options"
            return CheckResult(result.status, result.expected, result.found, result.where, warnings=(warning,))
    return result


def _delete(wants: Wants) -> Attributes:
    """Return the administrator's deletion of one thing of the asked resource."""
    return Attributes(
        user="kubernetes-admin",
        groups=("kubeadm:cluster-admins", "system:authenticated"),
        verb="delete",
        group=wants.body_group,
        resource=wants.body_resource,
        namespace="default",
        name="x",
    )


def policy_nothing_more(evidence: Evidence, wants: Wants) -> CheckResult:
    """Prove that nothing is recorded above what was asked, or show a request that is."""
    body = wants.body_resource
    return _proved(
        "policy.nothing-more", f"{body} at most at Request, other resources at most at Metadata", evidence, wants
    )


def _proved(check_id: str, expected: str, evidence: Evidence, wants: Wants) -> CheckResult:
    policy = picture(evidence, wants).policy_file.policy
    if policy is None:
        return blocked(expected, "policy.valid")
    proof = prove(policy, wants.wishes[check_id])
    if not proof.counterexamples:
        found = f"proven for all requests: {proof.classes} classes of them, none disagrees"
        return CheckResult(Status.PASS, expected, found, Where(wants.policy_file))
    shown = proof.counterexamples[0]
    rule = shown.decision.rule
    return CheckResult(
        Status.FAIL,
        expected,
        shown.found,
        Where(wants.policy_file, rule.line if rule else None, f"rules[{rule.index}]" if rule else None),
        fix=f"{_advice(shown)}. See it:\n  {shown.command}",
    )


def _advice(shown: Counterexample) -> str:
    rule = shown.decision.rule
    if rule is None:
        return "no rule matches that request: add one that does"
    if shown.wish.least is not None and shown.decision.level >= shown.wish.least:
        return "the stage ResponseComplete must not be in omitStages"
    if shown.wish.least is not None:
        return f"the first rule that matches decides, and that is rule {rule.index}: put the right rule before it"
    return f"lower the level of rule {rule.index}, or put a rule before it"
