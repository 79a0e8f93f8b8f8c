"""Owns the shape of a Pod: which fields each struct has and of which Go type, so that wrong and unknown ones are named.

Source: k8s.io/api/core/v1 and apimachinery meta/v1 of 1.34. Embedded structs are laid out flat, as JSON sees them.
A type is string, bool, int32, int64, quantity, intOrString, time, any, a struct's name, `[]T` or `map:T` (from string);
behind a slash stands the name Go prints where it has one of its own (`string/v1.HostPathType`). A star is a
pointer: there a zero value is another pod than no value; elsewhere it is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

_STRUCTS: Final = """
Pod: kind=string apiVersion=string metadata=ObjectMeta spec=PodSpec status=PodStatus
ObjectMeta: name=string generateName=string namespace=string selfLink=string uid=string/types.UID resourceVersion=string
  generation=int64 creationTimestamp=time deletionTimestamp=*time deletionGracePeriodSeconds=*int64 labels=map:string
  annotations=map:string ownerReferences=[]OwnerReference finalizers=[]string managedFields=[]ManagedFieldsEntry
OwnerReference: apiVersion=string kind=string name=string uid=string/types.UID controller=*bool blockOwnerDeletion=*bool
ManagedFieldsEntry: manager=string operation=string/v1.ManagedFieldsOperationType apiVersion=string time=*time
  fieldsType=string fieldsV1=*any subresource=string
PodSpec: volumes=[]Volume initContainers=[]Container containers=[]Container ephemeralContainers=[]EphemeralContainer
  restartPolicy=string/v1.RestartPolicy terminationGracePeriodSeconds=*int64 activeDeadlineSeconds=*int64
  dnsPolicy=string/v1.DNSPolicy nodeSelector=map:string serviceAccountName=string serviceAccount=string
  automountServiceAccountToken=*bool nodeName=string hostNetwork=bool hostPID=bool hostIPC=bool
  shareProcessNamespace=*bool securityContext=*PodSecurityContext imagePullSecrets=[]LocalObjectReference
  hostname=string subdomain=string affinity=*Affinity schedulerName=string tolerations=[]Toleration
  hostAliases=[]HostAlias priorityClassName=string priority=*int32 dnsConfig=*PodDNSConfig
  readinessGates=[]PodReadinessGate runtimeClassName=*string enableServiceLinks=*bool
  preemptionPolicy=*string/v1.PreemptionPolicy overhead=map:quantity/v1.ResourceList
  topologySpreadConstraints=[]TopologySpreadConstraint setHostnameAsFQDN=*bool os=*PodOS hostUsers=*bool
  schedulingGates=[]PodSchedulingGate resourceClaims=[]PodResourceClaim resources=*ResourceRequirements
  hostnameOverride=*string
Volume: name=string hostPath=*HostPathVolumeSource emptyDir=*EmptyDirVolumeSource
  gcePersistentDisk=*GCEPersistentDiskVolumeSource awsElasticBlockStore=*AWSElasticBlockStoreVolumeSource
  gitRepo=*GitRepoVolumeSource secret=*SecretVolumeSource nfs=*NFSVolumeSource iscsi=*ISCSIVolumeSource
  glusterfs=*GlusterfsVolumeSource persistentVolumeClaim=*PersistentVolumeClaimVolumeSource rbd=*RBDVolumeSource
  flexVolume=*FlexVolumeSource cinder=*CinderVolumeSource cephfs=*CephFSVolumeSource flocker=*FlockerVolumeSource
  downwardAPI=*DownwardAPIVolumeSource fc=*FCVolumeSource azureFile=*AzureFileVolumeSource
  configMap=*ConfigMapVolumeSource vsphereVolume=*VsphereVirtualDiskVolumeSource quobyte=*QuobyteVolumeSource
  azureDisk=*AzureDiskVolumeSource photonPersistentDisk=*PhotonPersistentDiskVolumeSource
  projected=*ProjectedVolumeSource portworxVolume=*PortworxVolumeSource scaleIO=*ScaleIOVolumeSource
  storageos=*StorageOSVolumeSource csi=*CSIVolumeSource ephemeral=*EphemeralVolumeSource image=*ImageVolumeSource
HostPathVolumeSource: path=string type=*string/v1.HostPathType
EmptyDirVolumeSource: medium=string/v1.StorageMedium sizeLimit=*quantity
GCEPersistentDiskVolumeSource: pdName=string fsType=string partition=int32 readOnly=bool
AWSElasticBlockStoreVolumeSource: volumeID=string fsType=string partition=int32 readOnly=bool
GitRepoVolumeSource: repository=string revision=string directory=string
SecretVolumeSource: secretName=string items=[]KeyToPath defaultMode=*int32 optional=*bool
KeyToPath: key=string path=string mode=*int32
NFSVolumeSource: server=string path=string readOnly=bool
ISCSIVolumeSource: targetPortal=string iqn=string lun=int32 iscsiInterface=string fsType=string readOnly=bool
  portals=[]string chapAuthDiscovery=bool chapAuthSession=bool secretRef=*LocalObjectReference initiatorName=*string
LocalObjectReference: name=string
GlusterfsVolumeSource: endpoints=string path=string readOnly=bool
PersistentVolumeClaimVolumeSource: claimName=string readOnly=bool
RBDVolumeSource: monitors=[]string image=string fsType=string pool=string user=string keyring=string
  secretRef=*LocalObjectReference readOnly=bool
FlexVolumeSource: driver=string fsType=string secretRef=*LocalObjectReference readOnly=bool options=map:string
CinderVolumeSource: volumeID=string fsType=string readOnly=bool secretRef=*LocalObjectReference
CephFSVolumeSource: monitors=[]string path=string user=string secretFile=string secretRef=*LocalObjectReference
  readOnly=bool
FlockerVolumeSource: datasetName=string datasetUUID=string
DownwardAPIVolumeSource: items=[]DownwardAPIVolumeFile defaultMode=*int32
DownwardAPIVolumeFile: path=string fieldRef=*ObjectFieldSelector resourceFieldRef=*ResourceFieldSelector mode=*int32
ObjectFieldSelector: apiVersion=string fieldPath=string
ResourceFieldSelector: containerName=string resource=string divisor=quantity
FCVolumeSource: targetWWNs=[]string lun=*int32 fsType=string readOnly=bool wwids=[]string
AzureFileVolumeSource: secretName=string shareName=string readOnly=bool
ConfigMapVolumeSource: name=string items=[]KeyToPath defaultMode=*int32 optional=*bool
VsphereVirtualDiskVolumeSource: volumePath=string fsType=string storagePolicyName=string storagePolicyID=string
QuobyteVolumeSource: registry=string volume=string readOnly=bool user=string group=string tenant=string
AzureDiskVolumeSource: diskName=string diskURI=string cachingMode=*string/v1.AzureDataDiskCachingMode fsType=*string
  readOnly=*bool kind=*string/v1.AzureDataDiskKind
PhotonPersistentDiskVolumeSource: pdID=string fsType=string
ProjectedVolumeSource: sources=[]VolumeProjection defaultMode=*int32
VolumeProjection: secret=*SecretProjection downwardAPI=*DownwardAPIProjection configMap=*ConfigMapProjection
  serviceAccountToken=*ServiceAccountTokenProjection clusterTrustBundle=*ClusterTrustBundleProjection
  podCertificate=*PodCertificateProjection
SecretProjection: name=string items=[]KeyToPath optional=*bool
DownwardAPIProjection: items=[]DownwardAPIVolumeFile
ConfigMapProjection: name=string items=[]KeyToPath optional=*bool
ServiceAccountTokenProjection: audience=string expirationSeconds=*int64 path=string
ClusterTrustBundleProjection: name=*string signerName=*string labelSelector=*LabelSelector optional=*bool path=string
LabelSelector: matchLabels=map:string matchExpressions=[]LabelSelectorRequirement
LabelSelectorRequirement: key=string operator=string/v1.LabelSelectorOperator values=[]string
PodCertificateProjection: signerName=string keyType=string maxExpirationSeconds=*int32 credentialBundlePath=string
  keyPath=string certificateChainPath=string
PortworxVolumeSource: volumeID=string fsType=string readOnly=bool
ScaleIOVolumeSource: gateway=string system=string secretRef=*LocalObjectReference sslEnabled=bool
  protectionDomain=string storagePool=string storageMode=string volumeName=string fsType=string readOnly=bool
StorageOSVolumeSource: volumeName=string volumeNamespace=string fsType=string readOnly=bool
  secretRef=*LocalObjectReference
CSIVolumeSource: driver=string readOnly=*bool fsType=*string volumeAttributes=map:string
  nodePublishSecretRef=*LocalObjectReference
EphemeralVolumeSource: volumeClaimTemplate=*PersistentVolumeClaimTemplate
PersistentVolumeClaimTemplate: metadata=ObjectMeta spec=PersistentVolumeClaimSpec
PersistentVolumeClaimSpec: accessModes=[]string/v1.PersistentVolumeAccessMode selector=*LabelSelector
  resources=VolumeResourceRequirements volumeName=string storageClassName=*string
  volumeMode=*string/v1.PersistentVolumeMode dataSource=*TypedLocalObjectReference dataSourceRef=*TypedObjectReference
  volumeAttributesClassName=*string
VolumeResourceRequirements: limits=map:quantity/v1.ResourceList requests=map:quantity/v1.ResourceList
TypedLocalObjectReference: apiGroup=*string kind=string name=string
TypedObjectReference: apiGroup=*string kind=string name=string namespace=*string
ImageVolumeSource: reference=string pullPolicy=string/v1.PullPolicy
Container: name=string image=string command=[]string args=[]string workingDir=string ports=[]ContainerPort
  envFrom=[]EnvFromSource env=[]EnvVar resources=ResourceRequirements resizePolicy=[]ContainerResizePolicy
  restartPolicy=*string/v1.ContainerRestartPolicy restartPolicyRules=[]ContainerRestartRule volumeMounts=[]VolumeMount
  volumeDevices=[]VolumeDevice livenessProbe=*Probe readinessProbe=*Probe startupProbe=*Probe lifecycle=*Lifecycle
  terminationMessagePath=string terminationMessagePolicy=string/v1.TerminationMessagePolicy
  imagePullPolicy=string/v1.PullPolicy securityContext=*SecurityContext stdin=bool stdinOnce=bool tty=bool
ContainerPort: name=string hostPort=int32 containerPort=int32 protocol=string/v1.Protocol hostIP=string
EnvFromSource: prefix=string configMapRef=*ConfigMapEnvSource secretRef=*SecretEnvSource
ConfigMapEnvSource: name=string optional=*bool
SecretEnvSource: name=string optional=*bool
EnvVar: name=string value=string valueFrom=*EnvVarSource
EnvVarSource: fieldRef=*ObjectFieldSelector resourceFieldRef=*ResourceFieldSelector
  configMapKeyRef=*ConfigMapKeySelector secretKeyRef=*SecretKeySelector fileKeyRef=*FileKeySelector
ConfigMapKeySelector: name=string key=string optional=*bool
SecretKeySelector: name=string key=string optional=*bool
FileKeySelector: volumeName=string path=string key=string optional=*bool
ResourceRequirements: limits=map:quantity/v1.ResourceList requests=map:quantity/v1.ResourceList claims=[]ResourceClaim
ResourceClaim: name=string request=string
ContainerResizePolicy: resourceName=string/v1.ResourceName restartPolicy=string/v1.ResourceResizeRestartPolicy
ContainerRestartRule: action=string/v1.ContainerRestartRuleAction exitCodes=*ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes: operator=string/v1.ContainerRestartRuleOnExitCodesOperator values=[]int32
VolumeMount: name=string readOnly=bool recursiveReadOnly=*string/v1.RecursiveReadOnlyMode mountPath=string
  subPath=string mountPropagation=*string/v1.MountPropagationMode subPathExpr=string
VolumeDevice: name=string devicePath=string
Probe: exec=*ExecAction httpGet=*HTTPGetAction tcpSocket=*TCPSocketAction grpc=*GRPCAction initialDelaySeconds=int32
  timeoutSeconds=int32 periodSeconds=int32 successThreshold=int32 failureThreshold=int32
  terminationGracePeriodSeconds=*int64
ExecAction: command=[]string
HTTPGetAction: path=string port=intOrString host=string scheme=string/v1.URIScheme httpHeaders=[]HTTPHeader
HTTPHeader: name=string value=string
TCPSocketAction: port=intOrString host=string
GRPCAction: port=int32 service=*string
Lifecycle: postStart=*LifecycleHandler preStop=*LifecycleHandler stopSignal=*string/v1.Signal
LifecycleHandler: exec=*ExecAction httpGet=*HTTPGetAction tcpSocket=*TCPSocketAction sleep=*SleepAction
SleepAction: seconds=int64
SecurityContext: capabilities=*Capabilities privileged=*bool seLinuxOptions=*SELinuxOptions
  windowsOptions=*WindowsSecurityContextOptions runAsUser=*int64 runAsGroup=*int64 runAsNonRoot=*bool
  readOnlyRootFilesystem=*bool allowPrivilegeEscalation=*bool procMount=*string/v1.ProcMountType
  seccompProfile=*SeccompProfile appArmorProfile=*AppArmorProfile
Capabilities: add=[]string/v1.Capability drop=[]string/v1.Capability
SELinuxOptions: user=string role=string type=string level=string
WindowsSecurityContextOptions: gmsaCredentialSpecName=*string gmsaCredentialSpec=*string runAsUserName=*string
  hostProcess=*bool
SeccompProfile: type=string/v1.SeccompProfileType localhostProfile=*string
AppArmorProfile: type=string/v1.AppArmorProfileType localhostProfile=*string
EphemeralContainer: name=string image=string command=[]string args=[]string workingDir=string ports=[]ContainerPort
  envFrom=[]EnvFromSource env=[]EnvVar resources=ResourceRequirements resizePolicy=[]ContainerResizePolicy
  restartPolicy=*string/v1.ContainerRestartPolicy restartPolicyRules=[]ContainerRestartRule volumeMounts=[]VolumeMount
  volumeDevices=[]VolumeDevice livenessProbe=*Probe readinessProbe=*Probe startupProbe=*Probe lifecycle=*Lifecycle
  terminationMessagePath=string terminationMessagePolicy=string/v1.TerminationMessagePolicy
  imagePullPolicy=string/v1.PullPolicy securityContext=*SecurityContext stdin=bool stdinOnce=bool tty=bool
  targetContainerName=string
PodSecurityContext: seLinuxOptions=*SELinuxOptions windowsOptions=*WindowsSecurityContextOptions runAsUser=*int64
  runAsGroup=*int64 runAsNonRoot=*bool supplementalGroups=[]int64
  supplementalGroupsPolicy=*string/v1.SupplementalGroupsPolicy fsGroup=*int64 sysctls=[]Sysctl
  fsGroupChangePolicy=*string/v1.PodFSGroupChangePolicy seccompProfile=*SeccompProfile appArmorProfile=*AppArmorProfile
  seLinuxChangePolicy=*string/v1.PodSELinuxChangePolicy
Sysctl: name=string value=string
Affinity: nodeAffinity=*NodeAffinity podAffinity=*PodAffinity podAntiAffinity=*PodAntiAffinity
NodeAffinity: requiredDuringSchedulingIgnoredDuringExecution=*NodeSelector
  preferredDuringSchedulingIgnoredDuringExecution=[]PreferredSchedulingTerm
NodeSelector: nodeSelectorTerms=[]NodeSelectorTerm
NodeSelectorTerm: matchExpressions=[]NodeSelectorRequirement matchFields=[]NodeSelectorRequirement
NodeSelectorRequirement: key=string operator=string/v1.NodeSelectorOperator values=[]string
PreferredSchedulingTerm: weight=int32 preference=NodeSelectorTerm
PodAffinity: requiredDuringSchedulingIgnoredDuringExecution=[]PodAffinityTerm
  preferredDuringSchedulingIgnoredDuringExecution=[]WeightedPodAffinityTerm
PodAffinityTerm: labelSelector=*LabelSelector namespaces=[]string topologyKey=string namespaceSelector=*LabelSelector
  matchLabelKeys=[]string mismatchLabelKeys=[]string
WeightedPodAffinityTerm: weight=int32 podAffinityTerm=PodAffinityTerm
PodAntiAffinity: requiredDuringSchedulingIgnoredDuringExecution=[]PodAffinityTerm
  preferredDuringSchedulingIgnoredDuringExecution=[]WeightedPodAffinityTerm
Toleration: key=string operator=string/v1.TolerationOperator value=string effect=string/v1.TaintEffect
  tolerationSeconds=*int64
HostAlias: ip=string hostnames=[]string
PodDNSConfig: nameservers=[]string searches=[]string options=[]PodDNSConfigOption
PodDNSConfigOption: name=string value=*string
PodReadinessGate: conditionType=string/v1.PodConditionType
TopologySpreadConstraint: maxSkew=int32 topologyKey=string whenUnsatisfiable=string/v1.UnsatisfiableConstraintAction
  labelSelector=*LabelSelector minDomains=*int32 nodeAffinityPolicy=*string/v1.NodeInclusionPolicy
  nodeTaintsPolicy=*string/v1.NodeInclusionPolicy matchLabelKeys=[]string
PodOS: name=string/v1.OSName
PodSchedulingGate: name=string
PodResourceClaim: name=string resourceClaimName=*string resourceClaimTemplateName=*string
PodStatus: observedGeneration=int64 phase=string/v1.PodPhase conditions=[]PodCondition message=string reason=string
  nominatedNodeName=string hostIP=string hostIPs=[]HostIP podIP=string podIPs=[]PodIP startTime=*time
  initContainerStatuses=[]ContainerStatus containerStatuses=[]ContainerStatus qosClass=string/v1.PodQOSClass
  ephemeralContainerStatuses=[]ContainerStatus resize=string/v1.PodResizeStatus
  resourceClaimStatuses=[]PodResourceClaimStatus extendedResourceClaimStatus=*PodExtendedResourceClaimStatus
PodCondition: type=string/v1.PodConditionType observedGeneration=int64 status=string/v1.ConditionStatus
  lastProbeTime=time lastTransitionTime=time reason=string message=string
HostIP: ip=string
PodIP: ip=string
ContainerStatus: name=string state=ContainerState lastState=ContainerState ready=bool restartCount=int32 image=string
  imageID=string containerID=string started=*bool allocatedResources=map:quantity/v1.ResourceList
  resources=*ResourceRequirements volumeMounts=[]VolumeMountStatus user=*ContainerUser
  allocatedResourcesStatus=[]ResourceStatus stopSignal=*string/v1.Signal
ContainerState: waiting=*ContainerStateWaiting running=*ContainerStateRunning terminated=*ContainerStateTerminated
ContainerStateWaiting: reason=string message=string
ContainerStateRunning: startedAt=time
ContainerStateTerminated: exitCode=int32 signal=int32 reason=string message=string startedAt=time finishedAt=time
  containerID=string
VolumeMountStatus: name=string mountPath=string readOnly=bool recursiveReadOnly=*string/v1.RecursiveReadOnlyMode
ContainerUser: linux=*LinuxContainerUser
LinuxContainerUser: uid=int64 gid=int64 supplementalGroups=[]int64
ResourceStatus: name=string/v1.ResourceName resources=[]ResourceHealth
ResourceHealth: resourceID=string/v1.ResourceID health=string/v1.ResourceHealthStatus
PodResourceClaimStatus: name=string resourceClaimName=*string
PodExtendedResourceClaimStatus: requestMappings=[]ContainerExtendedResourceRequest resourceClaimName=string
ContainerExtendedResourceRequest: containerName=string resourceName=string requestName=string
"""


@dataclass(frozen=True, slots=True)
class GoType:
    """One Go type: `kind` is a scalar, struct, list or map, `name` how Go prints it, `item` what a list or map has.

    `pointer` says that Go tells its zero value from no value.
    """

    kind: str
    name: str
    item: GoType | None = None
    pointer: bool = False


def _parse_type(text: str) -> GoType:
    text, _, printed = text.partition("/")
    if text.startswith("*"):
        return replace(_parse_type(f"{text[1:]}/{printed}"), pointer=True)
    if text.startswith("[]"):
        item = _parse_type(f"{text[2:]}/{printed}" if printed else text[2:])
        return GoType("list", f"[]{item.name}", item)
    if text.startswith("map:"):
        item = _parse_type(text[4:])
        return GoType("map", printed or f"map[string]{item.name}", item)
    if text[0].isupper():
        return GoType("struct", f"v1.{text}")
    return GoType(text, printed or text)


def _read_structs() -> dict[str, dict[str, GoType]]:
    structs: dict[str, dict[str, GoType]] = {}
    fields: dict[str, GoType] = {}
    for line in _STRUCTS.strip().splitlines():
        if not line.startswith(" "):
            name, _, line = line.partition(": ")
            fields = structs[name] = {}
        for field in line.split():
            key, _, kind = field.partition("=")
            fields[key] = _parse_type(kind)
    return structs


#: Struct -> field -> type, for everything that hangs on a Pod.
STRUCTS: Final = _read_structs()
