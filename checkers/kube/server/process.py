"""Owns what kube-apiserver does in its container until it serves: flags, files, policy, log, etcd; the first failure
ends it, told in its own words.

Source: kube-apiserver v1.34.4 (the order of its steps is server_files'); golden/static-pods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from checkers.evidence import FileKind, Missing, NotAFile, Unreadable
from checkers.kube.audit_policy import Policy, PolicyError, load_policy
from checkers.kube.pods.container_view import ContainerView, Place
from checkers.kube.pods.decode import Path
from checkers.kube.pods.host_tree import NO_SUCH_FILE, clean
from checkers.kube.server.etcd import Etcd
from checkers.kube.server.files import (
    AFTER_ETCD,
    AFTER_LOG,
    BEFORE_FLAGS,
    BEFORE_POLICY,
    ETCD_WORDS,
    Read,
    pair_problem,
    paths,
)
from checkers.kube.server.flag_table import Version
from checkers.kube.server.flags import FlagError, Flags, aggregate, parse_flags
from checkers.kube.server.options import cluster_range_error, validate_token_request
from checkers.kube.static_pod import Container, program

Failure = tuple[str, Path | None]
"""What the server ends with, and the field of the pod to blame."""

# What kubeadm makes: where neither file of a pair is known, nobody has looked, rather than that both were removed.
_MADE_BY_KUBEADM: Final = "/etc/kubernetes/pki/"


@dataclass(slots=True)
class ServerProcess:
    """One process of kube-apiserver, step by step: `words` is its command line, `user` the user it runs as.

    `etcd` is the node's own, as far as it is known.
    """

    container: Container
    words: Sequence[str]
    view: ContainerView
    user: int
    version: Version
    etcd: Etcd | None
    flags: Flags | None = None
    policy: Policy | None = None
    policy_place: Place | None = None
    log_place: Place | None = None

    def run(self) -> Failure | None:
        """Return what it ends with; None where it comes to serve."""
        first = program(list(self.words)) or 0
        try:
            flags = self.flags = parse_flags(list(self.words[first:]), self.version)
        except FlagError as error:
            index = None if error.index is None else first + error.index
            return error.line or error.text, None if index is None else self.container.word_path(index)
        if flags.help or flags.print_version is not None:
            return "it prints and ends", self.flag_path("help" if flags.help else "version")
        wrong_range = cluster_range_error(flags)
        if wrong_range is not None:
            return wrong_range, self.flag_path("service-cluster-ip-range")
        failure = self._files(BEFORE_FLAGS, flags)
        if failure:
            return failure
        errors = [*flags.validate(), *validate_token_request(flags), *self._authorization(flags)]
        if errors:
            return aggregate(errors), None
        return (
            self._serving_pair(flags)
            or self._files(BEFORE_POLICY, flags)
            or self._load_policy(self.view, flags)
            or self._open_log(self.view, flags)
            or self._webhook(self.view, flags)
            or self._storage(flags)
            or self._files(AFTER_ETCD, flags)
        )

    def flag_path(self, name: str) -> Path | None:
        """Return the field of the pod that holds a flag."""
        index = self.flags.position(name) if self.flags is not None else None
        return None if index is None else self.container.word_path((program(list(self.words)) or 0) + index)

    def _authorization(self, flags: Flags) -> Sequence[str]:
        """Return why --authorization-config cannot be read: told among what is wrong with flags."""
        path = flags.get("authorization-config")
        error = self._unreadable(path, Read("authorization-config"), flags)
        return [error] if error else []

    def _serving_pair(self, flags: Flags) -> Failure | None:
        certificate, key = (flags.get(f"tls-{name}-file") for name in ("cert", "private-key"))
        if bool(certificate) == bool(key):
            return None
        return "missing filename for serving cert", self.flag_path("tls-cert-file") or self.flag_path(
            "tls-private-key-file"
        )

    def _storage(self, flags: Flags) -> Failure | None:
        failure = self._files(AFTER_LOG[:1], flags)
        if failure:
            return failure
        problem = pair_problem(flags)
        if problem:
            return problem, self.flag_path("etcd-certfile") or self.flag_path("etcd-keyfile")
        failure = self._files(AFTER_LOG[1:], flags)
        if failure:
            return failure
        if self.etcd is not None and not self.etcd.answers(flags):
            return ETCD_WORDS.replace("{error}", "context deadline exceeded"), self.flag_path("etcd-servers")
        return None

    def _files(self, reads: Sequence[Read], flags: Flags) -> Failure | None:
        for read in reads:
            for path in paths(read, flags):
                error = self._unreadable(path, read, flags)
                if error:
                    return read.say(path, error), self.flag_path(read.flag)
        return None

    def _unreadable(self, path: str, read: Read, flags: Flags) -> str | None:
        """Say why a file cannot be read; None also where the tree knows nothing of its folder."""
        if not path:
            return None
        place = self.view.locate(path)
        if place.host_path is None:
            return f"{read.call} {path}: {place.error or NO_SUCH_FILE}" if place.entry is None else None
        if place.error is None and place.entry is not None:
            if place.entry.kind is FileKind.DIRECTORY and read.call == "open":
                return f"read {path}: is a directory"
            return f"open {path}: permission denied" if self._denied(place) else None
        if self.view.scratch.is_known(place.host_path.rpartition("/")[0] or "/"):
            partner = flags.get(read.partner) if read.partner else ""
            if partner and path.startswith(_MADE_BY_KUBEADM) and self.view.locate(partner).entry is None:
                return None
            return f"{read.call} {path}: {place.error or NO_SUCH_FILE}"
        return f"open {path}: permission denied" if path.endswith(".key") and self.user else None

    def _denied(self, place: Place, want: int = 0o4) -> bool:
        if self.user == 0 or place.entry is None:
            return False
        shift = 6 if place.entry.uid == self.user else 0
        return not place.entry.mode >> shift & want

    def _load_policy(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        path = flags.get("audit-policy-file")
        if not path:
            return None
        place = self.policy_place = view.locate(path)
        at = self.flag_path("audit-policy-file")
        before = f'loading audit policy file: failed to read file path "{path}": '
        if place.entry is None:
            return f"{before}open {path}: {place.error or NO_SUCH_FILE}", at
        if place.entry.kind is FileKind.DIRECTORY:
            return f"{before}read {path}: is a directory", at
        if self._denied(place):
            return f"{before}open {path}: permission denied", at
        if place.host_path is None:
            return None
        try:
            self.policy = load_policy(view.scratch.read(place.host_path), version=self.version)
        except PolicyError as error:
            decoding = error.text.startswith("failed to read")
            return f"loading audit policy file: {error.text}" + ("" if decoding else f": from file {path}"), at
        except (Missing, NotAFile, Unreadable) as error:
            return f"{before}{error}", at
        return None

    def _open_log(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        path = flags.get("audit-log-path")
        if not path or path == "-":
            return None
        at = self.flag_path("audit-log-path")
        error = self._make_log_folder(view, path)
        if error:
            return f"ensureLogFile: {error}", at
        # A folder in the container's own files, outside of this model: it is there now.
        just_made = view.locate(_folder_of(path)).entry is None
        place = self.log_place = view.locate(path)
        if path.endswith("/") or (place.entry is not None and place.entry.kind is FileKind.DIRECTORY):
            return f"ensureLogFile: open {path}: is a directory", at
        if place.error is not None and not (just_made and place.host_path is None):
            return f"ensureLogFile: open {path}: {place.error}", at
        if place.read_only:
            return f"ensureLogFile: open {path}: read-only file system", at
        if self.user and (place.entry is None or self._denied(place, 0o2)):
            return f"ensureLogFile: open {path}: permission denied", at
        return None

    def _make_log_folder(self, view: ContainerView, path: str) -> str | None:
        """Go's MkdirAll of the log's folder, mode 0700: returns its error."""
        folder = _folder_of(path)
        place = view.locate(folder)
        if place.entry is not None:
            return None if place.entry.kind is FileKind.DIRECTORY else f"mkdir {folder}: not a directory"
        parts = folder.split("/")
        for length in range(1, len(parts) + 1):
            prefix = "/".join(parts[:length]) or "/"
            here = view.locate(prefix)
            if here.entry is not None and here.error is None:
                if here.entry.kind is not FileKind.DIRECTORY:
                    return f"mkdir {prefix}: not a directory"
                continue
            if here.error is not None and here.error != NO_SUCH_FILE:
                return f"mkdir {prefix}: {here.error}"
            if here.read_only:
                return f"mkdir {prefix}: read-only file system"
            if self.user:
                return f"mkdir {prefix}: permission denied"
            if here.host_path is None:
                return None
            error = view.scratch.make_folders(here.host_path)
            if error:
                return f"mkdir {prefix}: {error}"
        return None

    def _webhook(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        path = flags.get("audit-webhook-config-file")
        if not path or not flags.get("audit-policy-file"):
            return None
        place = view.locate(path)
        if place.entry is None:
            words = f"initializing audit webhook: stat {path}: {place.error or NO_SUCH_FILE}"
            return words, self.flag_path("audit-webhook-config-file")
        return None


def _folder_of(path: str) -> str:
    """filepath.Dir: a relative path stays relative."""
    folder = path.rpartition("/")[0] if "/" in path else "."
    if path.startswith("/"):
        return clean(folder)
    return clean(folder)[1:] or "."
