"""crictl: the containers, pods, images and logs of the node. Options and output are crictl 1.34's."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .client import Unreachable, ask
from .crilog import follow
from .printing import ago, as_json, as_yaml, short, size, table

_ENDPOINT = "unix:///run/containerd/containerd.sock"
_USAGE = """\
NAME:
   crictl - client for CRI

USAGE:
   crictl [global options] command [command options] [arguments...]

COMMANDS:
   images, image, img  List images
   info                Display information of the container runtime
   inspect             Display the status of one or more containers
   inspecti            Return the status of one or more images
   inspectp            Display the status of one or more pods
   logs                Fetch the logs of a container
   pods                List pods
   ps                  List containers
   rm                  Remove one or more containers
   stop                Stop one or more running containers
   version             Display runtime version information

GLOBAL OPTIONS:
   --runtime-endpoint value, -r value  Endpoint of CRI container runtime service
   --image-endpoint value, -i value    Endpoint of CRI image manager service
   --timeout value, -t value           Timeout of connecting to the server in seconds (default: 2s)
   --debug, -D                         Enable debug mode (default: false)
   --help, -h                          show help
   --version, -v                       print the version
"""


def fatal(message: str) -> NoReturn:
    """End as crictl does: with status 1 and logrus's line, which differs on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"FATA[0000] {message}\n")
    else:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        quoted = message.replace("\\", "\\\\").replace('"', '\\"')
        sys.stderr.write(f'time="{stamp}" level=fatal msg="{quoted}"\n')
    raise SystemExit(1)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        if unknown:
            fatal(f"flag provided but not defined: -{unknown[1].lstrip('-').partition('=')[0]}")
        missing = re.search(r"argument ([^:]+): expected one argument", message)
        if missing:
            fatal(f"flag needs an argument: {missing[1].rpartition('/')[2]}")
        fatal(message)


def _parser(name: str) -> _Parser:
    return _Parser(prog=f"crictl {name}", allow_abbrev=False)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    words = list(arguments)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in ("-h", "--help"):
            words = []
        elif option in ("-v", "--version"):
            sys.stdout.write("crictl version v1.34.0\n")
            return 0
        elif option in ("-r", "--runtime-endpoint", "-i", "--image-endpoint", "-t", "--timeout", "-c", "--config"):
            del words[:1]
        elif "=" not in option and option not in ("-D", "--debug", "--enable-tracing"):
            sys.stderr.write(f"Incorrect Usage: flag provided but not defined: -{option.lstrip('-')}\n\n{_USAGE}")
            fatal(f"flag provided but not defined: -{option.lstrip('-')}")
    if not words or words[0] in ("help", "h"):
        sys.stdout.write(_USAGE)
        return 0
    command = _COMMANDS.get(words[0])
    if command is None:
        sys.stderr.write(f"No help topic for '{words[0]}'\n")
        return 3
    try:
        return command(words[1:])
    except Unreachable as error:
        path = _ENDPOINT.removeprefix("unix://")
        dial = f"transport: Error while dialing: dial unix {path}: connect: {error}"
        desc = f'rpc error: code = Unavailable desc = connection error: desc = "{dial}"'
        fatal(f'validate service connection: validate CRI v1 runtime API for endpoint "{_ENDPOINT}": {desc}')
    except BrokenPipeError:
        # `crictl logs … | head`: nobody reads the rest. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130


def _told(operation: str, **values: Any) -> dict[str, Any]:
    answer = ask(operation, **values)
    if "error" in answer:
        fatal(str(answer["error"]))
    return answer


def _formatted(value: Any, form: str) -> str:
    if form == "yaml":
        return as_yaml(value)
    if form == "json":
        return as_json(value)
    fatal(f'unsupported output format "{form}"')


def _list_options(name: str) -> _Parser:
    parser = _parser(name)
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


def _ps(words: Sequence[str]) -> int:
    parser = _list_options("ps")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("-p", "--pod", default="")
    parser.add_argument("--image", default="")
    parser.add_argument("--namespace", default="")
    parser.add_argument("-r", "--resolve-image-path", action="store_true")
    options = parser.parse_args(words)
    answer = _told("cri.ps")
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
    if options.quiet:
        sys.stdout.write("".join(f"{item['id']}\n" for item in found))
        return 0
    if options.output != "table":
        sys.stdout.write(_formatted({"containers": found}, options.output))
        return 0
    rows = [["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"]]
    cut: Callable[[str], str] = str if options.no_trunc else short
    for item in found:
        labels = item["labels"]
        rows.append(
            [
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
        )
    sys.stdout.write(table(rows))
    return 0


def _pods(words: Sequence[str]) -> int:
    parser = _list_options("pods")
    parser.add_argument("--namespace", default="")
    options = parser.parse_args(words)
    answer = _told("cri.pods")
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
    if options.quiet:
        sys.stdout.write("".join(f"{item['id']}\n" for item in found))
        return 0
    if options.output != "table":
        sys.stdout.write(_formatted({"items": found}, options.output))
        return 0
    rows = [["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"]]
    for item in found:
        metadata = item["metadata"]
        rows.append(
            [
                item["id"] if options.no_trunc else short(item["id"]),
                ago(answer["now"] - int(item["createdAt"]) / 1e9),
                "Ready" if item["state"] == "SANDBOX_READY" else "NotReady",
                metadata["name"],
                metadata["namespace"],
                str(metadata["attempt"]),
                "(default)",
            ]
        )
    sys.stdout.write(table(rows))
    return 0


def _images(words: Sequence[str]) -> int:
    parser = _list_options("images")
    parser.add_argument("--digests", action="store_true")
    parser.add_argument("--pinned", action="store_true")
    parser.add_argument("repository", nargs="?", default="")
    options = parser.parse_args(words)
    found = [item for item in _told("cri.images")["images"] if item["repoTags"][0].startswith(options.repository)]
    if options.quiet:
        sys.stdout.write("".join(f"{item['id']}\n" for item in found))
        return 0
    if options.output != "table":
        sys.stdout.write(_formatted({"images": found}, options.output))
        return 0
    rows = [["IMAGE", "TAG", "IMAGE ID", "SIZE"]]
    for item in found:
        name, _, tag = item["repoTags"][0].rpartition(":")
        identifier = item["id"] if options.no_trunc else short(item["id"])
        rows.append([name, tag, identifier, size(int(item["size"]))])
    sys.stdout.write(table(rows, least=20))
    return 0


def _status_options(name: str) -> _Parser:
    parser = _parser(name)
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
        sys.stdout.write(_formatted({"status": value["status"]} if options.quiet else value, options.output))


def _template(text: str, value: Any) -> str:
    """Return a Go template with its plain field references (`{{.status.id}}`) replaced."""

    def replaced(match: re.Match[str]) -> str:
        found = value
        for name in match[1].split(".")[1:]:
            found = found.get(name) if isinstance(found, dict) else None
        return "<no value>" if found is None else str(found)

    return re.sub(r"\{\{\s*((?:\.\w+)+)\s*\}\}", replaced, text)


def _found(operation: str, kind: str, identifier: str, **values: Any) -> dict[str, Any]:
    answer = _told(operation, id=identifier, **values)
    if "missing" in answer:
        desc = f'an error occurred when try to find {kind} "{identifier}": not found'
        fatal(f'getting the status of the {kind} "{identifier}": rpc error: code = NotFound desc = {desc}')
    if "ambiguous" in answer:
        desc = f'an error occurred when try to find {kind} "{identifier}": ambiguous identifier'
        fatal(f'getting the status of the {kind} "{identifier}": rpc error: code = Unknown desc = {desc}')
    return answer


def _inspect(words: Sequence[str]) -> int:
    options = _status_options("inspect").parse_args(words)
    if not options.ids:
        fatal("ID cannot be empty")
    for identifier in options.ids:
        _show(_found("cri.inspect", "container", identifier), options)
    return 0


def _inspectp(words: Sequence[str]) -> int:
    options = _status_options("inspectp").parse_args(words)
    if not options.ids:
        fatal("ID cannot be empty")
    for identifier in options.ids:
        _show(_found("cri.inspectp", "sandbox", identifier), options)
    return 0


def _inspecti(words: Sequence[str]) -> int:
    options = _status_options("inspecti").parse_args(words)
    if not options.ids:
        fatal("ID cannot be empty")
    images = _told("cri.images")["images"]
    for name in options.ids:
        image = next(
            (i for i in images if name in i["repoTags"] or i["id"].removeprefix("sha256:").startswith(name)), None
        )
        if image is None:
            fatal(f'no such image "{name}" present')
        _show({"status": image, "info": {}}, options)
    return 0


def _logs(words: Sequence[str]) -> int:
    parser = _parser("logs")
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
    answer = _found("cri.inspect", "container", options.id)
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
    for item in _told("cri.ps")["containers"]:
        same = item["labels"] == status["labels"]
        if same and item["metadata"]["attempt"] == wanted:
            return _found("cri.inspect", "container", item["id"])
    fatal(f'failed to get the previous container of "{status["id"]}": not found')


def _stop(words: Sequence[str]) -> int:
    parser = _parser("stop")
    parser.add_argument("-t", "--timeout", type=float, default=0)
    parser.add_argument("ids", nargs="*")
    options = parser.parse_args(words)
    if not options.ids:
        fatal("ID cannot be empty")
    for identifier in options.ids:
        _found("cri.stop", "container", identifier, timeout=options.timeout)
        sys.stdout.write(f"{identifier}\n")
    return 0


def _rm(words: Sequence[str]) -> int:
    parser = _parser("rm")
    parser.add_argument("-f", "--force", action="store_true")
    parser.add_argument("-a", "--all", action="store_true")
    parser.add_argument("ids", nargs="*")
    options = parser.parse_args(words)
    ids = [item["id"] for item in _told("cri.ps")["containers"]] if options.all else options.ids
    if not ids:
        fatal("ID cannot be empty")
    for identifier in ids:
        if "running" in _found("cri.rm", "container", identifier, force=options.force):
            fatal(f'container "{identifier}" is running, please stop it first')
        sys.stdout.write(f"{identifier}\n")
    return 0


def _version(words: Sequence[str]) -> int:
    _parser("version").parse_args(words)
    told = _told("cri.version")
    sys.stdout.write(
        f"Version:  0.1.0\nRuntimeName:  {told['runtimeName']}\nRuntimeVersion:  {told['runtimeVersion']}\n"
        f"RuntimeApiVersion:  {told['runtimeApiVersion']}\n"
    )
    return 0


def _info(words: Sequence[str]) -> int:
    options = _status_options("info").parse_args(words)
    told = _told("cri.version")
    conditions = [
        {"type": kind, "status": True, "reason": "", "message": ""} for kind in ("RuntimeReady", "NetworkReady")
    ]
    config = {"containerdEndpoint": _ENDPOINT.removeprefix("unix://"), "runtimeVersion": told["runtimeVersion"]}
    sys.stdout.write(_formatted({"status": {"conditions": conditions}, "config": config}, options.output))
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "ps": _ps,
    "pods": _pods,
    "images": _images,
    "image": _images,
    "img": _images,
    "inspect": _inspect,
    "inspectp": _inspectp,
    "inspecti": _inspecti,
    "logs": _logs,
    "stop": _stop,
    "rm": _rm,
    "version": _version,
    "info": _info,
}
