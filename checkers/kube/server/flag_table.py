"""Owns the table of kube-apiserver's flags: name, kind of value, default, and the versions that know it.

Source: the flag sets that kube-apiserver 1.34 registers; other versions
where they differ and it matters here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Version = tuple[int, int]

_ALWAYS: Final[Version] = (1, 0)
_EVER: Final[Version] = (99, 0)

# One flag a line: name, kind, default ("-" is empty), then since=1.N / until=1.N (both inclusive).
_TABLE: Final = """
admission-control strings -
admission-control-config-file string -
advertise-address ip -
aggregator-reject-forwarding-redirect bool true
allow-metric-labels stringToString -
allow-metric-labels-manifest string -
allow-privileged bool false
anonymous-auth bool true
api-audiences strings -
apiserver-count int 1
audit-log-batch-buffer-size int 10000
audit-log-batch-max-size int 1
audit-log-batch-max-wait duration 0s
audit-log-batch-throttle-burst int 0
audit-log-batch-throttle-enable bool false
audit-log-batch-throttle-qps float32 0
audit-log-compress bool false
audit-log-format string json
audit-log-maxage int 0 until=1.35
audit-log-maxage int 366 since=1.36
audit-log-maxbackup int 0 until=1.35
audit-log-maxbackup int 100 since=1.36
audit-log-maxsize int 0 until=1.35
audit-log-maxsize int 100 since=1.36
audit-log-mode string blocking
audit-log-path string -
audit-log-truncate-enabled bool false
audit-log-truncate-max-batch-size int64 10485760
audit-log-truncate-max-event-size int64 102400
audit-log-version string audit.k8s.io/v1
audit-policy-file string -
audit-webhook-batch-buffer-size int 10000
audit-webhook-batch-initial-backoff duration 10s
audit-webhook-batch-max-size int 400
audit-webhook-batch-max-wait duration 30s
audit-webhook-batch-throttle-burst int 15
audit-webhook-batch-throttle-enable bool true
audit-webhook-batch-throttle-qps float32 10
audit-webhook-config-file string -
audit-webhook-initial-backoff duration 10s
audit-webhook-mode string batch
audit-webhook-truncate-enabled bool false
audit-webhook-truncate-max-batch-size int64 10485760
audit-webhook-truncate-max-event-size int64 102400
audit-webhook-version string audit.k8s.io/v1
authentication-config string - since=1.29
authentication-token-webhook-cache-ttl duration 2m0s
authentication-token-webhook-config-file string -
authentication-token-webhook-version string v1beta1
authorization-config string - since=1.29
authorization-mode strings AlwaysAllow
authorization-policy-file string -
authorization-webhook-cache-authorized-ttl duration 5m0s
authorization-webhook-cache-unauthorized-ttl duration 30s
authorization-webhook-config-file string -
authorization-webhook-version string v1beta1
bind-address ip 0.0.0.0
cert-dir string /var/run/kubernetes
client-ca-file string -
cloud-config string - until=1.32
cloud-provider string - until=1.32
cloud-provider-gce-l7lb-src-cidrs strings 130.211.0.0/22,35.191.0.0/16 until=1.30
cloud-provider-gce-lb-src-cidrs strings 130.211.0.0/22,209.85.152.0/22,209.85.204.0/22,35.191.0.0/16 until=1.30
contention-profiling bool false
coordinated-leadership-lease-duration duration 15s since=1.31
coordinated-leadership-renew-deadline duration 10s since=1.31
coordinated-leadership-retry-period duration 2s since=1.31
cors-allowed-origins strings -
debug-socket-path string -
default-not-ready-toleration-seconds int64 300
default-unreachable-toleration-seconds int64 300
default-watch-cache-size int 100
delete-collection-workers int 1
disable-admission-plugins strings -
disable-http2-serving bool false
disabled-metrics strings -
egress-selector-config-file string -
emulated-version strings - since=1.31
emulation-forward-compatible bool false since=1.33
enable-admission-plugins strings -
enable-aggregator-routing bool false
enable-bootstrap-token-auth bool false
enable-garbage-collector bool true
enable-logs-handler bool false
enable-priority-and-fairness bool true
encryption-provider-config string -
encryption-provider-config-automatic-reload bool false
endpoint-reconciler-type string lease
etcd-cafile string -
etcd-certfile string -
etcd-compaction-interval duration 5m0s
etcd-count-metric-poll-period duration 1m0s
etcd-db-metric-poll-interval duration 30s
etcd-healthcheck-timeout duration 2s
etcd-keyfile string -
etcd-prefix string /registry
etcd-readycheck-timeout duration 2s
etcd-servers strings -
etcd-servers-overrides strings -
event-ttl duration 1h0m0s
external-hostname string -
feature-gates featureGates -
goaway-chance float64 0
help bool false
http2-max-streams-per-connection int 0
kubelet-certificate-authority string -
kubelet-client-certificate string -
kubelet-client-key string -
kubelet-port uint 10250
kubelet-preferred-address-types strings Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP
kubelet-read-only-port uint 10255
kubelet-timeout duration 5s
kubernetes-service-node-port int 0
lease-reuse-duration-seconds int64 60
livez-grace-period duration 0s
log-flush-frequency duration 5s
log-json-info-buffer-size quantity 0
log-json-split-stream bool false
log-text-info-buffer-size quantity 0
log-text-split-stream bool false
logging-format string text
max-connection-bytes-per-sec int64 0
max-mutating-requests-inflight int 200
max-requests-inflight int 400
min-request-timeout int 1800
oidc-ca-file string -
oidc-client-id string -
oidc-groups-claim string -
oidc-groups-prefix string -
oidc-issuer-url string -
oidc-required-claim pair -
oidc-signing-algs strings RS256
oidc-username-claim string sub
oidc-username-prefix string -
peer-advertise-ip string -
peer-advertise-port string -
peer-ca-file string -
permit-address-sharing bool false
permit-port-sharing bool false
profiling bool true
proxy-client-cert-file string -
proxy-client-key-file string -
request-timeout duration 1m0s
requestheader-allowed-names strings -
requestheader-client-ca-file string -
requestheader-extra-headers-prefix strings -
requestheader-group-headers strings -
requestheader-uid-headers strings - since=1.32
requestheader-username-headers strings -
runtime-config keyValues -
runtime-config-emulation-forward-compatible bool false since=1.34
secure-port int 6443
service-account-extend-token-expiration bool true
service-account-issuer stringArray -
service-account-jwks-uri string -
service-account-key-file stringArray -
service-account-lookup bool true
service-account-max-token-expiration duration 0s
service-account-signing-endpoint string - since=1.32
service-account-signing-key-file string -
service-cluster-ip-range string -
service-node-port-range portRange 30000-32767
show-hidden-metrics-for-version string -
shutdown-delay-duration duration 0s
shutdown-send-retry-after bool false
shutdown-watch-termination-grace-period duration 0s
storage-backend string -
storage-initialization-timeout duration 1m0s
storage-media-type string application/vnd.kubernetes.protobuf
strict-transport-security-directives strings -
target-ram-mb int 0 until=1.20
tls-cert-file string -
tls-cipher-suites strings -
tls-min-version string -
tls-private-key-file string -
tls-sni-cert-key certKey -
token-auth-file string -
tracing-config-file string -
v level 0
version version false
vmodule vmodule -
watch-cache bool true
watch-cache-sizes strings -
"""


@dataclass(frozen=True, slots=True)
class FlagKind:
    """One flag as kube-apiserver registers it: `kind` says how a value is read, `default` is its text."""

    name: str
    kind: str
    default: str
    since: Version
    until: Version

    @property
    def optional_value(self) -> str | None:
        """The value it takes when it stands without one (`--allow-privileged`), None where one is needed."""
        return "true" if self.kind in ("bool", "version") else None


def _read_table() -> tuple[FlagKind, ...]:
    flags = []
    for line in _TABLE.strip().splitlines():
        name, kind, default, *span = line.split(" ")
        bounds = {"since": _ALWAYS, "until": _EVER}
        for bound in span:
            key, _, number = bound.partition("=")
            major, _, minor = number.partition(".")
            bounds[key] = (int(major), int(minor))
        flags.append(FlagKind(name, kind, "" if default == "-" else default, bounds["since"], bounds["until"]))
    return tuple(flags)


_FLAGS: Final = _read_table()


def flags_of(version: Version) -> dict[str, FlagKind]:
    """Return the flags that a kube-apiserver of this version knows, by name."""
    return {flag.name: flag for flag in _FLAGS if flag.since <= version <= flag.until}


_PLUGINS: Final = """
AlwaysAdmit AlwaysDeny AlwaysPullImages CertificateApproval CertificateSigning CertificateSubjectRestriction
ClusterTrustBundleAttest DefaultIngressClass DefaultStorageClass DefaultTolerationSeconds DenyServiceExternalIPs
EventRateLimit ExtendedResourceToleration ImagePolicyWebhook LimitPodHardAntiAffinityTopology LimitRanger
MutatingAdmissionPolicy MutatingAdmissionWebhook NamespaceAutoProvision NamespaceExists NamespaceLifecycle
NodeRestriction OwnerReferencesPermissionEnforcement PersistentVolumeClaimResize PodNodeSelector PodSecurity
PodTolerationRestriction PodTopologyLabels Priority ResourceQuota RuntimeClass ServiceAccount
StorageObjectInUseProtection TaintNodesByCondition ValidatingAdmissionPolicy ValidatingAdmissionWebhook
"""

_GATES: Final = """
APIResponseCompression APIServerIdentity APIServerTracing APIServingWithRoutine AggregatedDiscoveryRemoveBetaType
AllAlpha AllBeta AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests
AllowOverwriteTerminationGracePeriodSeconds AllowParsingUserUIDFromCertAuth AllowServiceLBStatusOnNonLB
AllowUnsafeMalformedObjectDeletion AnonymousAuthConfigurableEndpoints AnyVolumeDataSource AuthorizeNodeWithSelectors
AuthorizeWithSelectors BtreeWatchCache CBORServingAndStorage CPUManagerPolicyAlphaOptions CPUManagerPolicyBetaOptions
CPUManagerPolicyOptions CRDValidationRatcheting CSIMigrationPortworx CSIVolumeHealth
ClearingNominatedNodeNameAfterBinding ClientsAllowCBOR ClientsPreferCBOR ClusterTrustBundle
ClusterTrustBundleProjection ComponentFlagz ComponentSLIs ComponentStatusz ConcurrentWatchObjectDecode
ConsistentListFromCache ContainerCheckpoint ContainerRestartRules ContainerStopSignals ContextualLogging
CoordinatedLeaderElection CronJobsScheduledAnnotation CrossNamespaceVolumeDataSource CustomCPUCFSQuotaPeriod
CustomResourceFieldSelectors DRAAdminAccess DRAConsumableCapacity DRADeviceBindingConditions DRADeviceTaints
DRAExtendedResource DRAPartitionableDevices DRAPrioritizedList DRAResourceClaimDeviceStatus DRASchedulerFilterTimeout
DeclarativeValidation DeclarativeValidationTakeover DeploymentReplicaSetTerminatingReplicas DetectCacheInconsistency
DisableAllocatorDualWrite DisableCPUQuotaWithExclusiveCPUs DisableNodeKubeProxyVersion DynamicResourceAllocation
EnvFiles EventedPLEG ExecProbeTimeout ExternalServiceAccountTokenSigner GitRepoVolumeDriver GracefulNodeShutdown
GracefulNodeShutdownBasedOnPodPriority HPAConfigurableTolerance HPAScaleToZero HonorPVReclaimPolicy HostnameOverride
ImageMaximumGCAge ImageVolume InOrderInformers InPlacePodVerticalScaling InPlacePodVerticalScalingAllocatedStatus
InPlacePodVerticalScalingExclusiveCPUs InPlacePodVerticalScalingExclusiveMemory InTreePluginPortworxUnregister
InformerResourceVersion JobBackoffLimitPerIndex JobManagedBy JobPodReplacementPolicy JobSuccessPolicy KMSv1
KubeletCgroupDriverFromCRI KubeletCrashLoopBackOffMax KubeletEnsureSecretPulledImages KubeletFineGrainedAuthz
KubeletInUserNamespace KubeletPSI KubeletPodResourcesDynamicResources KubeletPodResourcesGet
KubeletPodResourcesListUseActivePods KubeletRegistrationGetOnExistsOnly KubeletSeparateDiskGC
KubeletServiceAccountTokenForCredentialProviders KubeletTracing ListFromCacheSnapshot LoadBalancerIPMode
LocalStorageCapacityIsolationFSQuotaMonitoring LogarithmicScaleDown LoggingAlphaOptions LoggingBetaOptions
LoggingStableOptions MatchLabelKeysInPodAffinity MatchLabelKeysInPodTopologySpread
MatchLabelKeysInPodTopologySpreadSelectorMerge MaxUnavailableStatefulSet MemoryManager MemoryQoS
MultiCIDRServiceAllocator MutableCSINodeAllocatableCount MutatingAdmissionPolicy NFTablesProxyMode
NodeInclusionPolicyInPodTopologySpread NodeLogQuery NodeSwap NominatedNodeNameForExpectation OpenAPIEnums
OrderedNamespaceDeletion PodAndContainerStatsFromCRI PodCertificateRequest PodDeletionCost PodIndexLabel
PodLevelResources PodLifecycleSleepAction PodLifecycleSleepActionAllowZero PodLogsQuerySplitStreams
PodObservedGenerationTracking PodReadyToStartContainersCondition PodSchedulingReadiness PodTopologyLabelsAdmission
PortForwardWebsockets PreferSameTrafficDistribution PreventStaticPodAPIReferences ProbeHostPodSecurityStandards
ProcMountType QOSReserved RecoverVolumeExpansionFailure RecursiveReadOnlyMounts ReduceDefaultCrashLoopBackOffDecay
RelaxedDNSSearchValidation RelaxedEnvironmentVariableValidation RelaxedServiceNameValidation
ReloadKubeletServerCertificateFile RemoteRequestHeaderUID ResilientWatchCacheInitialization ResourceHealthStatus
RetryGenerateName RotateKubeletServerCertificate RuntimeClassInImageCriApi SELinuxChangePolicy SELinuxMount
SELinuxMountReadWriteOncePod SchedulerAsyncAPICalls SchedulerAsyncPreemption SchedulerPopFromBackoffQ
SchedulerQueueingHints SeparateCacheWatchRPC SeparateTaintEvictionController ServiceAccountNodeAudienceRestriction
ServiceAccountTokenJTI ServiceAccountTokenNodeBinding ServiceAccountTokenNodeBindingValidation
ServiceAccountTokenPodNodeInfo ServiceTrafficDistribution SidecarContainers SizeBasedListCostEstimate
SizeMemoryBackedVolumes StatefulSetAutoDeletePVC StorageCapacityScoring StorageNamespaceIndex StorageVersionAPI
StorageVersionHash StorageVersionMigrator StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf
StrictCostEnforcementForVAP StrictCostEnforcementForWebhooks StrictIPCIDRValidation
StructuredAuthenticationConfiguration StructuredAuthenticationConfigurationEgressSelector
StructuredAuthorizationConfiguration SupplementalGroupsPolicy TokenRequestServiceAccountUIDValidation
TopologyAwareHints TopologyManagerPolicyAlphaOptions TopologyManagerPolicyBetaOptions TopologyManagerPolicyOptions
TranslateStreamCloseWebsocketRequests UnauthenticatedHTTP2DOSMitigation UnknownVersionInteroperabilityProxy
UserNamespacesPodSecurityStandards UserNamespacesSupport VolumeAttributesClass WatchCacheInitializationPostStartHook
WatchFromStorageWithoutResourceVersion WatchList WatchListClient WinDSR WinOverlay WindowsCPUAndMemoryAffinity
WindowsGracefulNodeShutdown WindowsHostNetwork
"""

_REMOVED_GATES: Final = """
AdvancedAuditing BoundServiceAccountTokenVolume CSRDuration DryRun DynamicAuditing EphemeralContainers PodSecurity
PodSecurityPolicy RotateKubeletClientCertificate SeccompDefault ServerSideApply StreamingProxyRedirects
TTLAfterFinished TokenRequest
"""

#: The admission plug-ins of kube-apiserver 1.34.
ADMISSION_PLUGINS: Final = frozenset(_PLUGINS.split())

#: The feature gates of kube-apiserver 1.34; other versions have others, so only 1.34 refuses by this list.
FEATURE_GATES: Final = frozenset(_GATES.split())

#: Gates of the past that every version from 1.29 refuses; people copy them out of old articles.
REMOVED_FEATURE_GATES: Final = frozenset(_REMOVED_GATES.split())
