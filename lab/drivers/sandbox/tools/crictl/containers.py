"""Owns `crictl logs`, `stop` and `rm`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ..client import ask
from ..crilog import follow
from .command import answer_of, fatal, found_by_id, needed, parser_of


def logs(words: Sequence[str]) -> int:
    """Print a container's log, and go on with it where asked."""
    parser = parser_of("logs")
    parser.add_argument("-f", "--follow", action="store_true")
    parser.add_argument("--tail", type=int, default=-1)
    parser.add_argument("-t", "--timestamps", action="store_true")
    parser.add_argument("-p", "--previous", action="store_true")
    parser.add_argument("-r", "--reopen", action="store_true")
    parser.add_argument("--since", default="")
    parser.add_argument("--limit-bytes", type=int, default=-1)
    parser.add_argument("id", nargs="?", default="")
    options = parser.parse_args(words)
    if not options.id:
        fatal("ID cannot be empty")
    answer = found_by_id("cri.inspect", "container", options.id)
    path = answer["status"]["logPath"]
    if options.previous:
        answer = _previous(answer["status"])
        path = answer["status"]["logPath"]

    def runs() -> bool:
        told = ask("cri.inspect", id=answer["status"]["id"])
        return bool(told.get("status", {}).get("state") == "CONTAINER_RUNNING")

    try:
        follow(path, tail=options.tail, stamps=options.timestamps, wait=options.follow, runs=runs)
    except FileNotFoundError:
        fatal(f'failed to try resolving symlinks in path "{path}": lstat {path}: no such file or directory')
    return 0


def _previous(status: dict[str, Any]) -> dict[str, Any]:
    wanted = status["metadata"]["attempt"] - 1
    same = (item for item in answer_of("cri.ps")["containers"] if item["labels"] == status["labels"])
    before = next((item["id"] for item in same if item["metadata"]["attempt"] == wanted), None)
    if before is None:
        fatal(f'failed to get the previous container of "{status["id"]}": not found')
    return found_by_id("cri.inspect", "container", before)


def stop(words: Sequence[str]) -> int:
    """Stop containers."""
    parser = parser_of("stop")
    parser.add_argument("-t", "--timeout", type=float, default=0)
    parser.add_argument("ids", nargs="*")
    options = parser.parse_args(words)
    for identifier in needed(options.ids):
        found_by_id("cri.stop", "container", identifier, timeout=options.timeout)
        sys.stdout.write(f"{identifier}\n")
    return 0


def rm(words: Sequence[str]) -> int:
    """Remove containers."""
    parser = parser_of("rm")
    parser.add_argument("-f", "--force", action="store_true")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("ids", nargs="*")
    options = parser.parse_args(words)
    ids = [item["id"] for item in answer_of("cri.ps")["containers"]] if options.all else options.ids
    for identifier in needed(ids):
        if "running" in found_by_id("cri.rm", "container", identifier, force=options.force):
            fatal(f'container "{identifier}" is running, please stop it first')
        sys.stdout.write(f"{identifier}\n")
    return 0
