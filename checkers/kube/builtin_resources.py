"""Owns the table of Kubernetes' built-in resources: which exist, in which group, with which verbs and subresources.

Source: the aggregated discovery of kube-apiserver 1.34 (golden/discovery), and from 1.35 on what is new in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

ALL_VERBS = frozenset(("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"))
_RWU = frozenset(("get", "patch", "update"))
_PROXY = frozenset(("create", "delete", "get", "patch", "update"))
_CREATE = frozenset(("create",))

_SUBRESOURCES: Mapping[str, frozenset[str]] = {
    "status": _RWU,
    "scale": _RWU,
    "approval": _RWU,
    "ephemeralcontainers": _RWU,
    "resize": _RWU,
    "proxy": _PROXY,
    "attach": frozenset(("create", "get")),
    "exec": frozenset(("create", "get")),
    "portforward": frozenset(("create", "get")),
    "log": frozenset(("get",)),
    "binding": _CREATE,
    "eviction": _CREATE,
    "token": _CREATE,
    "finalize": frozenset(("update",)),
}

# group: name singular scope (N namespaced, C cluster) [short names] [/subresource …] [!verb … where not all]
_TABLE = """
: configmaps configmap N cm
: secrets secret N
: pods pod N po /attach /binding /ephemeralcontainers /eviction /exec /log /portforward /proxy /resize /status
: services service N svc /proxy /status
: serviceaccounts serviceaccount N sa /token
: namespaces namespace C ns /finalize /status !create !delete !get !list !patch !update !watch
: nodes node C no /proxy /status
: events event N ev
: endpoints endpoints N ep
: persistentvolumeclaims persistentvolumeclaim N pvc /status
: persistentvolumes persistentvolume C pv /status
: replicationcontrollers replicationcontroller N rc /scale /status
: resourcequotas resourcequota N quota /status
: limitranges limitrange N limits
: podtemplates podtemplate N
: bindings binding N !create
: componentstatuses componentstatus C cs !get !list
apps: deployments deployment N deploy /scale /status
apps: daemonsets daemonset N ds /status
apps: statefulsets statefulset N sts /scale /status
apps: replicasets replicaset N rs /scale /status
apps: controllerrevisions controllerrevision N
batch: jobs job N /status
batch: cronjobs cronjob N cj /status
rbac.authorization.k8s.io: roles role N
rbac.authorization.k8s.io: rolebindings rolebinding N
rbac.authorization.k8s.io: clusterroles clusterrole C
rbac.authorization.k8s.io: clusterrolebindings clusterrolebinding C
networking.k8s.io: networkpolicies networkpolicy N netpol
networking.k8s.io: ingresses ingress N ing /status
networking.k8s.io: ingressclasses ingressclass C
networking.k8s.io: ipaddresses ipaddress C ip
networking.k8s.io: servicecidrs servicecidr C /status
policy: poddisruptionbudgets poddisruptionbudget N pdb /status
autoscaling: horizontalpodautoscalers horizontalpodautoscaler N hpa /status
coordination.k8s.io: leases lease N
coordination.k8s.io: leasecandidates leasecandidate N
discovery.k8s.io: endpointslices endpointslice N
events.k8s.io: events event N ev
storage.k8s.io: storageclasses storageclass C sc
storage.k8s.io: volumeattachments volumeattachment C /status
storage.k8s.io: volumeattributesclasses volumeattributesclass C vac
storage.k8s.io: csidrivers csidriver C
storage.k8s.io: csinodes csinode C
storage.k8s.io: csistoragecapacities csistoragecapacity N
authentication.k8s.io: tokenreviews tokenreview C !create
authentication.k8s.io: selfsubjectreviews selfsubjectreview C !create
authorization.k8s.io: subjectaccessreviews subjectaccessreview C !create
authorization.k8s.io: selfsubjectaccessreviews selfsubjectaccessreview C !create
authorization.k8s.io: selfsubjectrulesreviews selfsubjectrulesreview C !create
authorization.k8s.io: localsubjectaccessreviews localsubjectaccessreview N !create
certificates.k8s.io: certificatesigningrequests certificatesigningrequest C csr /approval /status
certificates.k8s.io: clustertrustbundles clustertrustbundle C
certificates.k8s.io: podcertificaterequests podcertificaterequest N /status
admissionregistration.k8s.io: validatingwebhookconfigurations validatingwebhookconfiguration C
admissionregistration.k8s.io: mutatingwebhookconfigurations mutatingwebhookconfiguration C
admissionregistration.k8s.io: validatingadmissionpolicies validatingadmissionpolicy C /status
admissionregistration.k8s.io: validatingadmissionpolicybindings validatingadmissionpolicybinding C
admissionregistration.k8s.io: mutatingadmissionpolicies mutatingadmissionpolicy C
admissionregistration.k8s.io: mutatingadmissionpolicybindings mutatingadmissionpolicybinding C
apiextensions.k8s.io: customresourcedefinitions customresourcedefinition C crd crds /status
apiregistration.k8s.io: apiservices apiservice C /status
scheduling.k8s.io: priorityclasses priorityclass C pc
scheduling.k8s.io: workloads workload N
scheduling.k8s.io: podgroups podgroup N /status
node.k8s.io: runtimeclasses runtimeclass C
resource.k8s.io: deviceclasses deviceclass C
resource.k8s.io: resourceclaims resourceclaim N /status
resource.k8s.io: resourceclaimtemplates resourceclaimtemplate N
resource.k8s.io: resourceslices resourceslice C
resource.k8s.io: devicetaintrules devicetaintrule C /status
flowcontrol.apiserver.k8s.io: flowschemas flowschema C /status
flowcontrol.apiserver.k8s.io: prioritylevelconfigurations prioritylevelconfiguration C /status
storagemigration.k8s.io: storageversionmigrations storageversionmigration C /status
internal.apiserver.k8s.io: storageversions storageversion C /status
"""

# The version under which a group is asked for in a path; v1 where it is not here.
_VERSIONS = {
    ("autoscaling", ""): "v2",
    ("coordination.k8s.io", "leasecandidates"): "v1beta1",
    ("certificates.k8s.io", "clustertrustbundles"): "v1beta1",
    ("certificates.k8s.io", "podcertificaterequests"): "v1beta1",
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): "v1beta1",
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): "v1beta1",
    ("scheduling.k8s.io", "workloads"): "v1alpha1",
    ("scheduling.k8s.io", "podgroups"): "v1alpha1",
    ("resource.k8s.io", "devicetaintrules"): "v1alpha3",
    ("storagemigration.k8s.io", ""): "v1beta1",
    ("internal.apiserver.k8s.io", ""): "v1alpha1",
}


@dataclass(frozen=True)
class BuiltinResource:
    """A resource that every API server has. `subresources` maps each to the verbs it takes."""

    group: str
    name: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...]
    verbs: frozenset[str]
    subresources: Mapping[str, frozenset[str]]

    @property
    def version(self) -> str:
        """Return the version it is asked for under: v1 as a rule."""
        return _VERSIONS.get((self.group, self.name)) or _VERSIONS.get((self.group, ""), "v1")


@cache
def builtin_resources() -> Mapping[tuple[str, str], BuiltinResource]:
    """Return the table by (group, resource), the everyday ones first."""
    table: dict[tuple[str, str], BuiltinResource] = {}
    for line in _TABLE.strip().splitlines():
        group, _, rest = line.partition(": ")
        name, singular, scope, *more = rest.split()
        verbs = frozenset(m[1:] for m in more if m[0] == "!") or ALL_VERBS
        subresources = {m[1:]: _SUBRESOURCES[m[1:]] for m in more if m[0] == "/"}
        short = tuple(m for m in more if m[0] not in "!/")
        table[group, name] = BuiltinResource(group, name, singular, scope == "N", short, verbs, subresources)
    return table


@cache
def builtin_groups() -> frozenset[str]:
    """Return the API groups of the built-in resources."""
    return frozenset(group for group, _ in builtin_resources())
