"""Owns what kube-apiserver checks about values that parsed: the audit options and the everyday others.

Source: kube-apiserver 1.34, apiserver/pkg/server/options and pkg/controlplane/apiserver/options/validation.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from checkers.kube import gotext
from checkers.kube.goyaml.text import format_float
from checkers.kube.server.flag_table import ADMISSION_PLUGINS

_MODES: Final = ("batch", "blocking", "blocking-strict")
_OIDC: Final = (
    "ca-file", "client-id", "groups-claim", "groups-prefix", "issuer-url", "required-claim", "signing-algs",
    "username-claim", "username-prefix",
)  # fmt: skip
_FORMATS: Final = ("legacy", "json")
_AUTHORIZATION_MODES: Final = frozenset(("AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node"))
_MEDIA_TYPES: Final = (
    "application/cbor",
    "application/json",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
)


class FlagValues(Protocol):
    """The typed look at parsed flags that the options are read from."""

    def given(self, name: str) -> bool: ...
    def get(self, name: str) -> str: ...
    def get_list(self, name: str) -> tuple[str, ...]: ...
    def get_bool(self, name: str) -> bool: ...
    def get_int(self, name: str) -> int: ...
    def get_float(self, name: str) -> float: ...
    def get_duration(self, name: str) -> float: ...


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a backend sends events: `mode` batch, blocking or blocking-strict; `max_wait` in seconds."""

    mode: str
    buffer_size: int
    max_size: int
    max_wait: float
    throttle_enable: bool
    throttle_qps: float
    throttle_burst: int


@dataclass(frozen=True, slots=True)
class TruncateOptions:
    """How big an event and a batch may be, in bytes."""

    enabled: bool
    max_batch_size: int
    max_event_size: int


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The log backend. `path` "" is off, "-" is standard output; max_age in days, max_size in MiB."""

    path: str
    max_age: int
    max_backups: int
    max_size: int
    format: str
    group_version: str
    compress: bool
    batch: BatchOptions
    truncate: TruncateOptions


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """The webhook backend, off where `config_file` is ""; `initial_backoff` in seconds."""

    config_file: str
    initial_backoff: float
    group_version: str
    batch: BatchOptions
    truncate: TruncateOptions


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Everything that decides whether and where the server audits."""

    policy_file: str
    log: LogOptions
    webhook: WebhookOptions

    @property
    def writes_log(self) -> bool:
        """Whether events reach a log: it needs a policy and a path."""
        return bool(self.policy_file and self.log.path)


def read_audit_options(flags: FlagValues) -> AuditOptions:
    """Read the audit options out of parsed flags."""
    backoff = "audit-webhook-batch-initial-backoff" if flags.given("audit-webhook-batch-initial-backoff") else None
    return AuditOptions(
        policy_file=flags.get("audit-policy-file"),
        log=LogOptions(
            path=flags.get("audit-log-path"),
            max_age=flags.get_int("audit-log-maxage"),
            max_backups=flags.get_int("audit-log-maxbackup"),
            max_size=flags.get_int("audit-log-maxsize"),
            format=flags.get("audit-log-format"),
            group_version=flags.get("audit-log-version"),
            compress=flags.get_bool("audit-log-compress"),
            batch=_batch(flags, "log"),
            truncate=_truncate(flags, "log"),
        ),
        webhook=WebhookOptions(
            config_file=flags.get("audit-webhook-config-file"),
            initial_backoff=flags.get_duration(backoff or "audit-webhook-initial-backoff"),
            group_version=flags.get("audit-webhook-version"),
            batch=_batch(flags, "webhook"),
            truncate=_truncate(flags, "webhook"),
        ),
    )


def _batch(flags: FlagValues, backend: str) -> BatchOptions:
    return BatchOptions(
        mode=flags.get(f"audit-{backend}-mode"),
        buffer_size=flags.get_int(f"audit-{backend}-batch-buffer-size"),
        max_size=flags.get_int(f"audit-{backend}-batch-max-size"),
        max_wait=flags.get_duration(f"audit-{backend}-batch-max-wait"),
        throttle_enable=flags.get_bool(f"audit-{backend}-batch-throttle-enable"),
        throttle_qps=flags.get_float(f"audit-{backend}-batch-throttle-qps"),
        throttle_burst=flags.get_int(f"audit-{backend}-batch-throttle-burst"),
    )


def _truncate(flags: FlagValues, backend: str) -> TruncateOptions:
    return TruncateOptions(
        enabled=flags.get_bool(f"audit-{backend}-truncate-enabled"),
        max_batch_size=flags.get_int(f"audit-{backend}-truncate-max-batch-size"),
        max_event_size=flags.get_int(f"audit-{backend}-truncate-max-event-size"),
    )


def validate_audit(options: AuditOptions) -> tuple[str, ...]:
    """Return what is wrong with the audit options, in the server's order. A backend that is off is not looked at."""
    errors: list[str] = []
    log, webhook = options.log, options.webhook
    if log.path:
        errors += _validate_backend("log", log.batch, log.truncate, log.group_version)
        if log.format not in _FORMATS:
            allowed = gotext.quote(",".join(_FORMATS))
            errors.append(f"invalid audit log format {log.format}, allowed formats are {allowed}")
        for name, value in (("maxage", log.max_age), ("maxbackup", log.max_backups), ("maxsize", log.max_size)):
            if value < 0:
                errors.append(f"--audit-log-{name} {value} can't be a negative number")
    if webhook.config_file:
        errors += _validate_backend("webhook", webhook.batch, webhook.truncate, webhook.group_version)
    return tuple(errors)


def _validate_backend(name: str, batch: BatchOptions, truncate: TruncateOptions, group_version: str) -> list[str]:
    found = (_validate_batch(name, batch), _validate_truncate(name, truncate), _validate_group_version(group_version))
    return [error for error in found if error is not None]


def _validate_batch(name: str, batch: BatchOptions) -> str | None:
    if batch.mode not in _MODES:
        return f"invalid audit {name} mode {batch.mode}, allowed modes are {gotext.quote(','.join(_MODES))}"
    if batch.mode != "batch":
        return None
    limits = [("buffer size", str(batch.buffer_size), batch.buffer_size > 0)]
    limits.append(("max batch size", str(batch.max_size), batch.max_size > 0))
    if batch.throttle_enable:
        # Not a number is not refused.
        refused = batch.throttle_qps <= 0
        limits.append(("throttle QPS", format_float(batch.throttle_qps, 32), not refused))
        limits.append(("throttle burst", str(batch.throttle_burst), batch.throttle_burst > 0))
    for what, value, good in limits:
        if not good:
            return f"invalid audit batch {name} {what} {value}, must be a positive number"
    return None


def _validate_truncate(name: str, truncate: TruncateOptions) -> str | None:
    if truncate.max_event_size <= 0:
        return f"invalid audit truncate {name} max event size {truncate.max_event_size}, must be a positive number"
    if truncate.max_batch_size < truncate.max_event_size:
        return (
            f"invalid audit truncate {name} max batch size {truncate.max_batch_size}, "
            f"must be greater than max event size ({truncate.max_event_size})"
        )
    return None


def _validate_group_version(group_version: str) -> str | None:
    if group_version.count("/") > 1:
        return f"unexpected GroupVersion string: {group_version}"
    if group_version != "audit.k8s.io/v1":
        return 'invalid group version, allowed versions are ["audit.k8s.io/v1"]'
    return None


def validate_options(flags: FlagValues) -> tuple[str, ...]:
    """Return what is wrong with the options, in the server's order (audit after authorization, before admission)."""
    return (
        *_validate_generic(flags),
        *_validate_etcd(flags),
        *_validate_serving(flags),
        *_validate_authentication(flags),
        *_validate_authorization(flags),
        *validate_audit(read_audit_options(flags)),
        *_validate_admission(flags),
        *_validate_ranges(flags),
    )


def _validate_generic(flags: FlagValues) -> list[str]:
    errors = []
    if flags.get_duration("livez-grace-period") < 0:
        errors.append("--livez-grace-period can not be a negative value")
    for name in ("max-requests-inflight", "max-mutating-requests-inflight"):
        if flags.get_int(name) < 0:
            errors.append(f"--{name} can not be negative value")
    if flags.get_duration("request-timeout") < 0:
        errors.append("--request-timeout can not be negative value")
    if not 0 <= flags.get_float("goaway-chance") <= 0.02:
        errors.append("--goaway-chance can not be less than 0 or greater than 0.02")
    if flags.get_int("min-request-timeout") < 0:
        errors.append("--min-request-timeout can not be negative value")
    for name in ("storage-initialization-timeout", "shutdown-delay-duration"):
        if flags.get_duration(name) < 0:
            errors.append(f"--{name} can not be negative value")
    return errors


def _validate_etcd(flags: FlagValues) -> list[str]:
    errors = []
    if not flags.get_list("etcd-servers"):
        errors.append("--etcd-servers must be specified")
    if flags.get("storage-backend") not in ("", "etcd3"):
        errors.append("--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'")
    if flags.get_bool("encryption-provider-config-automatic-reload") and not flags.get("encryption-provider-config"):
        errors.append("--encryption-provider-config-automatic-reload must be set with --encryption-provider-config")
    media_type = flags.get("storage-media-type")
    if media_type and media_type not in _MEDIA_TYPES:
        allowed = ", ".join(_MEDIA_TYPES)
        errors.append(f"--storage-media-type {gotext.quote(media_type)} invalid, allowed values: {allowed}")
    return errors


def _validate_serving(flags: FlagValues) -> list[str]:
    port = flags.get_int("secure-port")
    if 1 <= port <= 65535:
        return []
    return [f"--secure-port {port} must be between 1 and 65535, inclusive. It cannot be turned off with 0"]


def _validate_authentication(flags: FlagValues) -> list[str]:
    errors = []
    if any(flags.given(f"oidc-{name}") for name in _OIDC):
        if flags.get("authentication-config"):
            errors.append("authentication-config file and oidc-* flags are mutually exclusive")
        elif not (flags.get("oidc-issuer-url") and flags.get("oidc-client-id")):
            together = "must be specified together when any oidc-* flags are set"
            errors.append(f"oidc-issuer-url and oidc-client-id {together}")
    issuers = flags.get_list("service-account-issuer")
    for index, issuer in enumerate(issuers):
        if not issuer:
            errors.append("service-account-issuer should not be an empty string")
        elif issuer in issuers[:index]:
            errors.append(f"service-account-issuer {gotext.quote(issuer)} is already specified")
    if not issuers:
        errors.append("service-account-issuer is a required flag")
    if not flags.get_list("service-account-key-file") and not flags.get("service-account-signing-endpoint"):
        errors.append("either `--service-account-key-file` or `--service-account-signing-endpoint` must be set")
    return errors


def validate_token_request(flags: FlagValues) -> list[str]:
    """Return what is missing for signing tokens: a key, or a signer elsewhere, and who issues them.

    Every server needs it; it is apart from `validate_options` since command lines are also judged without their files.
    """
    issuers = flags.get_list("service-account-issuer")
    signs = flags.get("service-account-signing-key-file") or flags.get("service-account-signing-endpoint")
    issued = bool(issuers and issuers[0])
    if signs and issued:
        return []
    if not signs and not issued and not flags.get_list("api-audiences"):
        return ["--service-account-signing-key-file and --service-account-issuer are required flags"]
    names = "--service-account-signing-key-file, --service-account-issuer, and --api-audiences"
    return [f"{names} should be specified together"]


def _validate_authorization(flags: FlagValues) -> list[str]:
    if flags.get("authorization-config"):
        return []
    modes = flags.get_list("authorization-mode")
    errors = [] if modes else ["at least one authorization-mode must be passed"]
    for mode in modes:
        if mode not in _AUTHORIZATION_MODES:
            errors.append(f"authorization-mode {gotext.quote(mode)} is not a valid mode")
        if mode == "ABAC" and not flags.get("authorization-policy-file"):
            errors.append("authorization-mode ABAC's authorization policy file not passed")
        if mode == "Webhook" and not flags.get("authorization-webhook-config-file"):
            errors.append("authorization-mode Webhook's authorization config file not passed")
    if flags.get("authorization-policy-file") and "ABAC" not in modes:
        errors.append("cannot specify --authorization-policy-file without mode ABAC")
    if flags.get("authorization-webhook-config-file") and "Webhook" not in modes:
        errors.append("cannot specify --authorization-webhook-config-file without mode Webhook")
    if len(set(modes)) != len(modes):
        errors.append(f"authorization-mode {gotext.quote_list(modes)} has mode specified more than once")
    return errors


def _validate_admission(flags: FlagValues) -> list[str]:
    enabled, disabled = flags.get_list("enable-admission-plugins"), flags.get_list("disable-admission-plugins")
    errors = []
    if flags.given("admission-control") and (enabled or disabled):
        errors.append(
            "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive"
        )
    lists: Sequence[tuple[str, Sequence[str]]] = (
        ("admission-control", flags.get_list("admission-control")),
        ("enable-admission-plugins", enabled),
        ("disable-admission-plugins", disabled),
    )
    for flag, names in lists:
        errors += [f"{flag} plugin {gotext.quote(name)} is unknown" for name in names if name not in ADMISSION_PLUGINS]
    both = sorted(set(enabled) & set(disabled))
    if both:
        errors.append(f"[{' '.join(both)}] in enable-admission-plugins and disable-admission-plugins overlapped")
    return errors


def cluster_range_error(flags: FlagValues) -> str | None:
    """Return what is wrong with --service-cluster-ip-range, found before anything is validated; only one is told.

    Source: cmd/kube-apiserver/app/options/completion.go and pkg/controlplane/services.go.
    """
    text = flags.get("service-cluster-ip-range")
    if not text:
        return None
    ranges = text.split(",")
    primary = _network_bits(ranges[0])
    if primary is None:
        return "service-cluster-ip-range[0] is not a valid cidr"
    if primary < 3:
        words = "the service cluster IP range must be at least 8 IP addresses"
        return f"error determining service IP ranges for primary service cidr: {words}"
    if len(ranges) > 1 and _network_bits(ranges[1]) is None:
        return "service-cluster-ip-range[1] is not an ip net"
    return None


def _network_bits(text: str) -> int | None:
    """Return how many bits of its addresses a network leaves open, None for what is none. Zeros may lead an octet."""
    address, slash, mask = text.partition("/")
    if not (slash and mask.isascii() and mask.isdigit()) or "%" in address:
        return None
    if ":" not in address:
        address = ".".join(octet.lstrip("0") or "0" if octet else "" for octet in address.split("."))
    try:
        bits = ipaddress.ip_address(address).max_prefixlen
    except ValueError:
        return None
    return bits - int(mask) if len(mask) < 10 and int(mask) <= bits else None


def _validate_ranges(flags: FlagValues) -> list[str]:
    errors = []
    if flags.get("service-cluster-ip-range").count(",") > 1:
        errors.append("--service-cluster-ip-range must not contain more than two entries")
    node_port = flags.get_int("kubernetes-service-node-port")
    if not 0 <= node_port <= 65535:
        errors.append(
            f"--kubernetes-service-node-port {node_port} must be between 0 and 65535, inclusive. "
            "If 0, the Kubernetes master service will be of type ClusterIP"
        )
    count = flags.get_int("apiserver-count")
    if count <= 0:
        errors.append(f"--apiserver-count should be a positive number, but value '{count}' provided")
    return errors
