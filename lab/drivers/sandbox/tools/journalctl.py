"""journalctl: what the kubelet and the other units of the node have said."""

from __future__ import annotations

import argparse
import calendar
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, NoReturn

JOURNAL = "/var/log/journal/units.log"
_POLL = 0.2
_ENTRY = re.compile(r"(\S+) (\S+) ([^\s\[]+)\[(\d+)\] (.*)")
_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600}
_UNITS |= {"d": 86400, "day": 86400, "w": 604800, "week": 604800}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal; `moment` in seconds since the epoch."""

    moment: float
    unit: str
    identifier: str
    pid: int
    message: str


def parse(line: str) -> Entry | None:
    """Return the entry of a line of the journal's file, None where it is no entry."""
    match = _ENTRY.fullmatch(line)
    if match is None:
        return None
    whole, _, part = match[1].removesuffix("Z").partition(".")
    try:
        moment = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{part or 0}")
    except ValueError:
        return None
    return Entry(moment, match[2], match[3], int(match[4]), match[5])


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        missing = re.search(r"argument ([^:]+): expected one argument", message)
        if unknown and unknown[1].startswith("--"):
            sys.stderr.write(f"journalctl: unrecognized option '{unknown[1]}'\n")
        elif unknown and unknown[1].startswith("-"):
            sys.stderr.write(f"journalctl: invalid option -- '{unknown[1][1]}'\n")
        elif unknown:
            sys.stderr.write(f"Failed to add match '{unknown[1]}': Invalid argument\n")
        elif missing:
            sys.stderr.write(
                f"journalctl: option requires an argument -- '{missing[1].partition('/')[0].lstrip('-')}'\n"
            )
        else:
            sys.stderr.write(f"{message}\n")
        raise SystemExit(1)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="journalctl", allow_abbrev=False)
    parser.add_argument("-u", "--unit", action="append", default=[])
    parser.add_argument("-f", "--follow", action="store_true")
    parser.add_argument("-n", "--lines", nargs="?", const="10", default=None)
    parser.add_argument("-o", "--output", default="short")
    parser.add_argument("-S", "--since", default=None)
    parser.add_argument("-U", "--until", default=None)
    parser.add_argument("-g", "--grep", default=None)
    parser.add_argument("-t", "--identifier", action="append", default=[])
    parser.add_argument("-p", "--priority", default=None)
    parser.add_argument("-b", "--boot", nargs="?", const="0", default=None)
    parser.add_argument("-r", "--reverse", action="store_true")
    for flag in ("-e", "-x", "-q", "-a", "-l", "-m", "-k"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("--no-hostname", action="store_true")
    parser.add_argument("--utc", action="store_true")
    parser.add_argument("--no-tail", action="store_true")
    # -xeu kubelet, -fu kubelet: letters in a row, as everybody types them.
    return parser.parse_args(list(arguments))


def moment(text: str, now: float) -> float:
    """Return the time that a person means, in seconds since the epoch. Raises ValueError."""
    text = text.strip()
    if text == "now":
        return now
    if text in ("today", "yesterday"):
        return now - now % 86400 - (86400 if text == "yesterday" else 0)
    relative = re.fullmatch(r"-?\s*((?:\d+\s*[a-z]+\s*)+?)(\s+ago)?", text)
    if relative and (text.startswith("-") or relative[2]):
        seconds = 0
        for count, unit in re.findall(r"(\d+)\s*([a-z]+)", relative[1]):
            seconds += int(count) * _UNITS[unit if unit in _UNITS else unit.rstrip("s")]
        return now - seconds
    if text.startswith("@"):
        return float(text[1:])
    text = re.sub(r"( ?UTC|Z)$", "", text).replace("T", " ")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return float(calendar.timegm(time.strptime(text.partition(".")[0], form)))
        except ValueError:
            continue
    for form in ("%H:%M:%S", "%H:%M"):
        try:
            clock = time.strptime(text, form)
        except ValueError:
            continue
        return now - now % 86400 + clock.tm_hour * 3600 + clock.tm_min * 60 + clock.tm_sec
    raise ValueError(text)


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return moment(text, time.time())
    except (ValueError, KeyError):
        sys.stderr.write(f"Failed to parse timestamp: {text}\n")
        raise SystemExit(1) from None


class _Filter:
    def __init__(self, options: argparse.Namespace) -> None:
        self._units = {re.sub(r"\.service$", "", unit) for unit in options.unit}
        self._identifiers = set(options.identifier)
        self._since, self._until = _moment(options.since), _moment(options.until)
        pattern = options.grep
        # As systemd does: a pattern without capitals does not mind them.
        self._grep = re.compile(pattern, 0 if pattern != pattern.lower() else re.IGNORECASE) if pattern else None

    def __call__(self, entry: Entry) -> bool:
        return (
            (not self._units or entry.unit in self._units)
            and (not self._identifiers or entry.identifier in self._identifiers)
            and (self._since is None or entry.moment >= self._since)
            and (self._until is None or entry.moment <= self._until)
            and (self._grep is None or self._grep.search(entry.message) is not None)
        )


def shown(entry: Entry, form: str, host: str) -> str:
    """Return an entry in one of journalctl's output formats. Raises ValueError for one that is not known."""
    if form == "cat":
        return entry.message
    if form in ("json", "json-pretty"):
        fields = {
            "__REALTIME_TIMESTAMP": str(int(entry.moment * 1e6)),
            "_HOSTNAME": host,
            "_SYSTEMD_UNIT": f"{entry.unit}.service",
            "SYSLOG_IDENTIFIER": entry.identifier,
            "_PID": str(entry.pid),
            "MESSAGE": entry.message,
        }
        return json.dumps(fields, indent="\t" if form == "json-pretty" else None)
    gmt = time.gmtime(entry.moment)
    part = f".{int(entry.moment % 1 * 1e6):06d}"
    stamps = {
        "short": time.strftime("%b %d %H:%M:%S", gmt),
        "short-precise": time.strftime("%b %d %H:%M:%S", gmt) + part,
        "short-iso": time.strftime("%Y-%m-%dT%H:%M:%S+0000", gmt),
        "short-iso-precise": time.strftime("%Y-%m-%dT%H:%M:%S", gmt) + part + "+0000",
        "short-full": time.strftime("%a %Y-%m-%d %H:%M:%S UTC", gmt),
        "short-unix": f"{entry.moment:.6f}",
        "with-unit": time.strftime("%a %Y-%m-%d %H:%M:%S UTC", gmt),
    }
    if form not in stamps:
        raise ValueError(form)
    who = f"{entry.unit}.service" if form == "with-unit" else entry.identifier
    name = f"{host} " if host else ""
    return f"{stamps[form]} {name}{who}[{entry.pid}]: {entry.message}"


def entries(path: str) -> Iterator[Entry]:
    """Yield the journal's entries, the oldest first; a journal that is not there has none."""
    for name in (re.sub(r"\.log$", ".log.1", path), path):
        try:
            with open(name, encoding="utf-8", errors="replace") as file:
                for line in file:
                    entry = parse(line.rstrip("\n"))
                    if entry is not None:
                        yield entry
        except FileNotFoundError:
            continue


def main(arguments: Sequence[str]) -> int:
    """Run the tool and return its exit status."""
    options = _options(arguments)
    wanted = _Filter(options)
    path = os.environ.get("CKS_LAB_JOURNAL", JOURNAL)
    host = "" if options.no_hostname else os.uname().nodename
    count = options.lines if options.lines is not None else ("10" if options.follow else "all")
    if count != "all" and not count.lstrip("+").isdigit():
        sys.stderr.write(f"Failed to parse lines '{count}'\n")
        return 1
    try:
        shown(Entry(0, "", "", 0, ""), options.output, host)
    except ValueError:
        sys.stderr.write(f"Unknown output format '{options.output}'.\n")
        return 1
    try:
        with _output(options) as out:
            _print(options, wanted, path, host, count, out)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _print(options: argparse.Namespace, wanted: _Filter, path: str, host: str, count: str, out: IO[str]) -> None:
    size = os.path.getsize(path) if os.path.exists(path) else 0
    found = [entry for entry in entries(path) if wanted(entry)]
    if count != "all":
        found = found[-int(count.lstrip("+")) :] if int(count.lstrip("+")) else []
    for entry in reversed(found) if options.reverse else found:
        out.write(shown(entry, options.output, host) + "\n")
    if not found and not options.follow and not options.q:
        out.write("-- No entries --\n")
    out.flush()
    while options.follow:
        time.sleep(_POLL)
        new = os.path.getsize(path) if os.path.exists(path) else 0
        if new < size:
            size = 0
        if new == size:
            continue
        with open(path, "rb") as file:
            file.seek(size)
            data = file.read()
        complete = data.rpartition(b"\n")[0]
        size += len(complete) + 1 if complete else 0
        for line in complete.decode("utf-8", "replace").splitlines():
            new_entry = parse(line)
            if new_entry is not None and wanted(new_entry):
                out.write(shown(new_entry, options.output, host) + "\n")
        out.flush()


class _output:  # noqa: N801  a context manager that reads like a function
    """The pager where there is a terminal and a pager, as with the real journalctl; else standard output."""

    def __init__(self, options: argparse.Namespace) -> None:
        pager = os.environ.get("SYSTEMD_PAGER", os.environ.get("PAGER", "less"))
        plain = options.no_pager or options.follow or not sys.stdout.isatty()
        self._pager = None if plain or pager in ("", "cat") else shutil.which(pager.split()[0])
        self._end = options.e
        self._child = 0
        self._out: IO[str] = sys.stdout

    def __enter__(self) -> IO[str]:
        if self._pager is None:
            return self._out
        reader, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.dup2(reader, 0)
            os.close(writer)
            os.environ.setdefault("LESS", "FRSXMK")
            os.execv(self._pager, [self._pager, *(["+G"] if self._end else [])])
        os.close(reader)
        self._out = os.fdopen(writer, "w")
        return self._out

    def __exit__(self, *exception: object) -> None:
        if self._child:
            try:
                self._out.close()
            finally:
                os.waitpid(self._child, 0)
