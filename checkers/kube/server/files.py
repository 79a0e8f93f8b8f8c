"""Owns the files that kube-apiserver reads at its start beside policy and log: in which order, and what it says of one
that it cannot read.

Source: kube-apiserver v1.34.4, started with each of them missing, and with each two of them missing, which gives the
order: tests/golden/server_start_files.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from checkers.kube.gotext import quote
from checkers.kube.server.flags import Flags


@dataclass(frozen=True, slots=True)
class Read:
    """One file that is read: by which flag, and the words in which an error is told: `{path}` and `{error}` in them.

    `call` is what fails where there is no file: open, or stat. `partner` is the flag of the file that belongs to it.
    """

    flag: str
    words: str = "{error}"
    call: str = "open"
    partner: str | None = None

    def say(self, path: str, error: str) -> str:
        """Return the server's words for an error of the system's (`open /x: no such file or directory`)."""
        return self.words.replace("{path}", quote(path)).replace("{error}", error)


BEFORE_FLAGS: Final = (
    Read("service-account-signing-key-file", "failed to parse service-account-issuer-key-file: {error}"),
)
"""Read before the flags are validated."""

_SNI: Final = "failed to load SNI cert and key: {error}"
_EGRESS: Final = "failed to read egress selector config: unable to read egress selector configuration from"
_ENCRYPTION: Final = (
    "error while parsing file: error while loading file: error reading encryption provider configuration"
)
BEFORE_POLICY: Final = (
    Read("tls-cert-file", partner="tls-private-key-file"),
    Read("tls-private-key-file", partner="tls-cert-file"),
    Read("tls-sni-cert-key", _SNI),
    Read("egress-selector-config-file", f"{_EGRESS} {{path}} [{{error}}]"),
    Read(
        "tracing-config-file",
        "failed to read tracing config: unable to read tracing configuration from {path}: {error}",
    ),
    Read("encryption-provider-config", f"{_ENCRYPTION} file {{path}}: {{error}}"),
    Read("client-ca-file"),
    Read("authentication-config", "failed to load authentication configuration from file {path}: {error}"),
    Read("oidc-ca-file"),
    Read("requestheader-client-ca-file"),
    Read("service-account-key-file"),
    Read("token-auth-file"),
    Read("authentication-token-webhook-config-file", call="stat"),
)
"""Read before the audit policy; what follows them is the log and the audit webhook's configuration."""

_ADMISSION: Final = (
    "failed to apply admission: failed to read plugin config: unable to read admission control configuration"
)
ETCD_WORDS: Final = "Error creating leases: error creating storage factory: {error}"
_CORE: Final = 'problem initializing API group "": {error}'
AFTER_LOG: Final = (
    Read("admission-control-config-file", f"{_ADMISSION} from {{path}} [{{error}}]"),
    Read("etcd-certfile", ETCD_WORDS, partner="etcd-keyfile"),
    Read("etcd-keyfile", ETCD_WORDS, partner="etcd-certfile"),
    Read("etcd-cafile", ETCD_WORDS),
)
"""Read once the log is open; what follows them is etcd."""

AFTER_ETCD: Final = (
    Read("kubelet-certificate-authority", _CORE),
    Read("kubelet-client-certificate", _CORE, partner="kubelet-client-key"),
    Read("kubelet-client-key", _CORE, partner="kubelet-client-certificate"),
    Read("proxy-client-cert-file", partner="proxy-client-key-file"),
    Read("proxy-client-key-file", partner="proxy-client-cert-file"),
)


def paths(read: Read, flags: Flags) -> Iterator[str]:
    """Yield the files that a flag names; none for one that is not set, or not read without its partner."""
    if read.flag.startswith("proxy-client-") and not (read.partner and flags.get(read.partner)):
        return
    if read.flag == "service-account-signing-key-file" and not any(flags.get_list("service-account-issuer")[:1]):
        return
    if read.flag == "service-account-key-file":
        yield from flags.get_list(read.flag)
    elif read.flag == "tls-sni-cert-key":
        for pair in flags.get(read.flag).split(";"):
            yield from filter(None, pair.strip("[]").partition(":")[0].split(","))
    elif flags.get(read.flag):
        yield flags.get(read.flag)


def pair_problem(flags: Flags) -> str | None:
    """Say what is wrong with the certificate for etcd where half of it is not named; None where nothing is."""
    certificate, key = flags.get("etcd-certfile"), flags.get("etcd-keyfile")
    if bool(certificate) == bool(key):
        return None
    words = f"KeyFile and CertFile must both be present[key: {key}, cert: {certificate}]"
    return ETCD_WORDS.replace("{error}", words)
