"""Owns what the commands share: options as crictl reads them, refusals in its words, and what process 1 is asked."""

from __future__ import annotations

import argparse
import re
import sys
import time
from typing import Any, NoReturn

from ..client import ask
from ..printing import as_json, as_yaml

ENDPOINT = "unix:///run/containerd/containerd.sock"


def fatal(message: str) -> NoReturn:
    """End as crictl does: with status 1 and logrus's line, which differs on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"FATA[0000] {message}\n")
    else:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        quoted = message.replace("\\", "\\\\").replace('"', '\\"')
        sys.stderr.write(f'time="{stamp}" level=fatal msg="{quoted}"\n')
    raise SystemExit(1)


class Parser(argparse.ArgumentParser):
    """Options that are refused in crictl's words."""

    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        if unknown:
            fatal(f"flag provided but not defined: -{unknown[1].lstrip('-').partition('=')[0]}")
        missing = re.search(r"argument ([^:]+): expected one argument", message)
        if missing:
            fatal(f"flag needs an argument: {missing[1].rpartition('/')[2]}")
        fatal(message)


def parser_of(name: str) -> Parser:
    """Return the parser of a command."""
    return Parser(prog=f"crictl {name}", allow_abbrev=False)


def answer_of(operation: str, **values: Any) -> dict[str, Any]:
    """Return what process 1 answers; end where it tells of an error."""
    answer = ask(operation, **values)
    if "error" in answer:
        fatal(str(answer["error"]))
    return answer


def found_by_id(operation: str, kind: str, identifier: str, **values: Any) -> dict[str, Any]:
    """Return what process 1 answers about one thing; end where there is none, or more than one."""
    answer = answer_of(operation, id=identifier, **values)
    if "missing" in answer:
        desc = f'an error occurred when try to find {kind} "{identifier}": not found'
        fatal(f'getting the status of the {kind} "{identifier}": rpc error: code = NotFound desc = {desc}')
    if "ambiguous" in answer:
        desc = f'an error occurred when try to find {kind} "{identifier}": ambiguous identifier'
        fatal(f'getting the status of the {kind} "{identifier}": rpc error: code = Unknown desc = {desc}')
    return answer


def formatted(value: Any, form: str) -> str:
    """Return a value as `-o` wants it."""
    if form == "yaml":
        return as_yaml(value)
    if form == "json":
        return as_json(value)
    fatal(f'unsupported output format "{form}"')


def needed(ids: list[str]) -> list[str]:
    """Return the ids a command was given; end where there are none."""
    if not ids:
        fatal("ID cannot be empty")
    return ids
