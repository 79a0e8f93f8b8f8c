"""Owns `crictl inspect`, `inspectp`, `inspecti`, `version` and `info`: one thing at a time, with all that is known."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

from .command import ENDPOINT, Parser, answer_of, fatal, formatted, found_by_id, needed, parser_of


def _status_options(name: str) -> Parser:
    parser = parser_of(name)
    parser.add_argument("-o", "--output", default="json")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("--template", default="")
    parser.add_argument("ids", nargs="*")
    return parser


def _show(value: dict[str, Any], options: argparse.Namespace) -> None:
    if options.output == "go-template":
        sys.stdout.write(_template(options.template, value) + "\n")
    elif options.output == "table":
        status = value["status"]
        lines = [f"ID: {status['id']}", f"Name: {status['metadata']['name']}", f"State: {status['state']}"]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    else:
        sys.stdout.write(formatted({"status": value["status"]} if options.quiet else value, options.output))


def _template(text: str, value: Any) -> str:
    """Return a Go template with its plain field references (`{{.status.id}}`) replaced."""

    def replaced(match: re.Match[str]) -> str:
        found = value
        for name in match[1].split(".")[1:]:
            found = found.get(name) if isinstance(found, dict) else None
        return "<no value>" if found is None else str(found)

    return re.sub(r"\{\{\s*((?:\.\w+)+)\s*\}\}", replaced, text)


def inspect(words: Sequence[str]) -> int:
    """Show containers."""
    return _inspected("inspect", "container", words)


def inspectp(words: Sequence[str]) -> int:
    """Show pods."""
    return _inspected("inspectp", "sandbox", words)


def _inspected(command: str, kind: str, words: Sequence[str]) -> int:
    options = _status_options(command).parse_args(words)
    for identifier in needed(options.ids):
        _show(found_by_id(f"cri.{command}", kind, identifier), options)
    return 0


def inspecti(words: Sequence[str]) -> int:
    """Show images."""
    options = _status_options("inspecti").parse_args(words)
    names = needed(options.ids)
    images = answer_of("cri.images")["images"]
    for name in names:
        image = next(
            (i for i in images if name in i["repoTags"] or i["id"].removeprefix("sha256:").startswith(name)), None
        )
        if image is None:
            fatal(f'no such image "{name}" present')
        _show({"status": image, "info": {}}, options)
    return 0


def version(words: Sequence[str]) -> int:
    """Say which runtime it is."""
    parser_of("version").parse_args(words)
    told = answer_of("cri.version")
    sys.stdout.write(
        f"Version:  0.1.0\nRuntimeName:  {told['runtimeName']}\nRuntimeVersion:  {told['runtimeVersion']}\n"
        f"RuntimeApiVersion:  {told['runtimeApiVersion']}\n"
    )
    return 0


def info(words: Sequence[str]) -> int:
    """Show what the runtime is like."""
    options = _status_options("info").parse_args(words)
    told = answer_of("cri.version")
    conditions = [
        {"type": kind, "status": True, "reason": "", "message": ""} for kind in ("RuntimeReady", "NetworkReady")
    ]
    config = {"containerdEndpoint": ENDPOINT.removeprefix("unix://"), "runtimeVersion": told["runtimeVersion"]}
    sys.stdout.write(formatted({"status": {"conditions": conditions}, "config": config}, options.output))
    return 0
