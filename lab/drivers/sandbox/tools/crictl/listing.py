"""Owns `crictl ps`, `pods` and `images`: which are chosen, and their columns."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..printing import ago, short, size, table
from .command import Parser, answer_of, fatal, formatted, parser_of


def _list_options(name: str) -> Parser:
    parser = parser_of(name)
    parser.add_argument("-o", "--output", default="table")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--no-trunc", action="store_true")
    parser.add_argument("--id", default="")
    parser.add_argument("--name", default="")
    parser.add_argument("-s", "--state", default="")
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("-n", "--last", type=int, default=0)
    parser.add_argument("-l", "--latest", action="store_true")
    return parser


def _matches(item: dict[str, Any], options: argparse.Namespace) -> bool:
    try:
        named = not options.name or re.search(options.name, item["metadata"]["name"])
    except re.error as error:
        fatal(f"failed to compile regular expression: {error}")
    labels = (label.partition("=") for label in options.label)
    return bool(
        named
        and item["id"].startswith(options.id)
        and all(item["labels"].get(key) == value for key, _, value in labels)
    )


def ps(words: Sequence[str]) -> int:
    """List containers."""
    parser = _list_options("ps")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("-p", "--pod", default="")
    parser.add_argument("--image", default="")
    parser.add_argument("--namespace", default="")
    parser.add_argument("-r", "--resolve-image-path", action="store_true")
    options = parser.parse_args(words)
    answer = answer_of("cri.ps")
    state = options.state.lower()
    if state and state not in ("created", "running", "exited", "unknown"):
        fatal(f'--state should be one of created, running, exited or unknown, but got "{options.state}"')
    if not state and not (options.all or options.latest or options.last or options.id):
        state = "running"
    found = [
        item
        for item in answer["containers"]
        if _matches(item, options)
        and (not state or item["state"] == f"CONTAINER_{state.upper()}")
        and item["podSandboxId"].startswith(options.pod)
        and options.image in (item["image"]["userSpecifiedImage"] or "")
        and options.namespace in ("", item["labels"]["io.kubernetes.pod.namespace"])
    ]
    found = found[: 1 if options.latest else options.last or None]
    cut: Callable[[str], str] = str if options.no_trunc else short

    def row(item: dict[str, Any]) -> list[str]:
        labels = item["labels"]
        return [
            cut(item["id"]),
            item["image"]["userSpecifiedImage"] if options.resolve_image_path else cut(item["imageRef"]),
            ago(answer["now"] - int(item["createdAt"]) / 1e9),
            item["state"].removeprefix("CONTAINER_").capitalize(),
            item["metadata"]["name"],
            str(item["metadata"]["attempt"]),
            cut(item["podSandboxId"]),
            labels["io.kubernetes.pod.name"],
            labels["io.kubernetes.pod.namespace"],
        ]

    header = ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"]
    return _print(options, "containers", found, header, row)


def pods(words: Sequence[str]) -> int:
    """List pods."""
    parser = _list_options("pods")
    parser.add_argument("--namespace", default="")
    options = parser.parse_args(words)
    answer = answer_of("cri.pods")
    state = options.state.lower()
    if state and state not in ("ready", "notready"):
        fatal(f'--state should be ready or notready, but got "{options.state}"')
    found = [
        item
        for item in answer["items"]
        if _matches(item, options)
        and re.search(options.namespace, item["metadata"]["namespace"])
        and (not state or item["state"] == f"SANDBOX_{state.upper()}")
    ]
    found = found[: 1 if options.latest else options.last or None]

    def row(item: dict[str, Any]) -> list[str]:
        metadata = item["metadata"]
        return [
            item["id"] if options.no_trunc else short(item["id"]),
            ago(answer["now"] - int(item["createdAt"]) / 1e9),
            "Ready" if item["state"] == "SANDBOX_READY" else "NotReady",
            metadata["name"],
            metadata["namespace"],
            str(metadata["attempt"]),
            "(default)",
        ]

    header = ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"]
    return _print(options, "items", found, header, row)


def images(words: Sequence[str]) -> int:
    """List images."""
    parser = _list_options("images")
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--pinned", action="store_true")
    parser.add_argument("repository", nargs="?", default="")
    options = parser.parse_args(words)
    found = [item for item in answer_of("cri.images")["images"] if item["repoTags"][0].startswith(options.repository)]

    def row(item: dict[str, Any]) -> list[str]:
        name, _, tag = item["repoTags"][0].rpartition(":")
        return [name, tag, item["id"] if options.no_trunc else short(item["id"]), size(int(item["size"]))]

    return _print(options, "images", found, ["IMAGE", "TAG", "IMAGE ID", "SIZE"], row, least=20)


def _print(
    options: argparse.Namespace,
    key: str,
    found: list[dict[str, Any]],
    header: list[str],
    row: Callable[[dict[str, Any]], list[str]],
    least: int = 10,
) -> int:
    """Print what was found as the options want it: ids, JSON or YAML under `key`, or a table."""
    if options.quiet:
        sys.stdout.write("".join(f"{item['id']}\n" for item in found))
    elif options.output != "table":
        sys.stdout.write(formatted({key: found}, options.output))
    else:
        sys.stdout.write(table([header, *(row(item) for item in found)], least=least))
    return 0
