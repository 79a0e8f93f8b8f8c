"""The commands about audit logs: check and stats. They read files, need no cluster, and ask the judge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import EXIT_NO, EXIT_YES, LabError
from .policy import version_option
from .talk import GivenPath, examples, format_option, out, out_json, say

if TYPE_CHECKING:
    from ..logs import LogFile

_FILE = GivenPath()
_POLICY_LIMIT = 16 << 20
_BAR_FROM = 8 << 20
logs_argument = click.argument("logs", nargs=-1, required=True, type=_FILE, metavar="LOG...")


@click.group(
    epilog=examples(
        "cks-lab log check /var/log/audit/audit.log --policy policy.yaml",
        "cks-lab log stats /var/log/audit",
    )
)
def log() -> None:
    """Check an audit log against a policy; count what is in one."""


@log.command(
    epilog=examples(
        "cks-lab log check audit.log --policy policy.yaml",
        "cks-lab log check /var/log/audit --policy policy.yaml --format json",
        "zcat audit-*.log.gz | cks-lab log check - --policy policy.yaml",
    )
)
@logs_argument
@click.option(
    "--policy", "policy_file", type=_FILE, required=True, metavar="FILE", help="The policy it is held against."
)
@click.option("--since", metavar="TIME", help="When the policy came into force; default: the last start that is seen.")
@click.option(
    "--all", "everything", is_flag=True, help="Hold events from before the API server's start against it too."
)
@version_option
@format_option
def check(
    logs: Sequence[str], policy_file: str, since: str | None, everything: bool, version: tuple[int, int], form: str
) -> int:
    """Say for every event of a log whether this policy can have produced it, and which ones are missing.

    LOG is a file, plain or gzip'ed, a folder of them, or - for standard input; several are put in the order of time.
    What was logged before the API server's last start may be another policy's, and is told apart. No log can tell of a
    request that left no event at all.

    Exit status: 0 nothing impossible was found, 1 something was.
    """
    from checkers.kube.logs.files import normal_time

    from ..logs import check_logs, log_files
    from .log_text import check_json, check_text

    if since is not None and normal_time(since) is None:
        raise click.UsageError(f"--since {since!r} is no time; 2026-11-23T06:36:38Z is one")
    if since is not None and everything:
        raise click.UsageError("give one of --since and --all")
    if policy_file == "-":
        raise click.UsageError("the policy is a file; standard input is for the log")
    policy = _policy(policy_file, version)
    files = log_files(logs)
    with _bar(files, "Checking") as progress:
        report = check_logs(files, policy, version, since=since, everything=everything, progress=progress)
    _has_events(report.events, [file.name for file in files], sum(file.size for file in report.files))
    if form == "json":
        out_json(check_json(report, policy_file))
    else:
        out(check_text(report, policy_file))
    return EXIT_NO if report.impossible else EXIT_YES


@log.command(
    epilog=examples(
        "cks-lab log stats audit.log",
        "cks-lab log stats /var/log/audit --top 20",
        "ssh node sudo cat /var/log/audit/audit.log | cks-lab log stats - --format json",
    )
)
@logs_argument
@click.option(
    "--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="So many of each in the tables."
)
@format_option
def stats(logs: Sequence[str], top: int, form: str) -> int:
    """Count the events of a log by level, verb, resource, user, stage and code, and say how they come over time.

    LOG is a file, plain or gzip'ed, a folder of them, or - for standard input. Exit status: 0 counted.
    """
    from ..logs import count_logs, log_files
    from .log_text import stats_json, stats_text

    files = log_files(logs)
    with _bar(files, "Counting") as progress:
        counts, each = count_logs(files, progress=progress)
    _has_events(counts.events, [file.name for file in files], counts.size)
    if form == "json":
        out_json(stats_json(counts, each))
    else:
        out(stats_text(counts, each, top))
    return EXIT_YES


def _policy(file: str, version: tuple[int, int]) -> bytes:
    """Return a policy that loads. Raises LabError."""
    from checkers.kube.audit_policy import PolicyError, load_policy

    try:
        with Path(file).open("rb") as content:
            found = content.read(_POLICY_LIMIT + 1)
    except OSError as error:
        raise LabError(f"{file}: {error.strerror}", "--policy wants the file with the audit policy") from error
    if len(found) > _POLICY_LIMIT:
        raise LabError(
            f"{file}: bigger than {_POLICY_LIMIT >> 20} MiB", "--policy wants the file with the audit policy"
        )
    try:
        loaded = load_policy(found, version=version)
    except PolicyError as error:
        place = file if error.line is None else f"{file}:{error.line}"
        raise LabError(f"{place}: would not load: {error.text}", f"cks-lab policy check {file}") from error
    for warning in loaded.warnings:
        say(f"{file}: warning: {warning}")
    return found


def _has_events(events: int, names: Sequence[str], size: int) -> None:
    """Raise LabError where there are bytes, and no event in them: nothing was answered."""
    if not events and size:
        raise LabError(
            f"{', '.join(names[:3])}: no audit event in it",
            'an audit log has one JSON object a line: {"kind":"Event","apiVersion":"audit.k8s.io/v1",…',
        )


@contextmanager
def _bar(files: Sequence[LogFile], label: str) -> Iterator[Callable[[int], None]]:
    """Give what takes the bytes that were read; on a terminal they move a bar."""
    total = sum(file.size for file in files)
    hidden = not sys.stderr.isatty() or total < _BAR_FROM
    with click.progressbar(
        length=max(total, 1), label=label, file=sys.stderr, hidden=hidden, update_min_steps=max(total // 500, 1)
    ) as bar:
        yield bar.update
