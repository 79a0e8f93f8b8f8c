"""crictl: the containers, pods, images and logs of the node. Options and output are crictl 1.34's.

Here are its global options and the table of its commands; each module has those of one subject.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from ..client import Unreachable
from . import containers, listing, status
from .command import ENDPOINT, fatal

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
_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "ps": listing.ps,
    "pods": listing.pods,
    "images": listing.images,
    "image": listing.images,
    "img": listing.images,
    "inspect": status.inspect,
    "inspectp": status.inspectp,
    "inspecti": status.inspecti,
    "logs": containers.logs,
    "stop": containers.stop,
    "rm": containers.rm,
    "version": status.version,
    "info": status.info,
}


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
        path = ENDPOINT.removeprefix("unix://")
        dial = f"transport: Error while dialing: dial unix {path}: connect: {error}"
        desc = f'rpc error: code = Unavailable desc = connection error: desc = "{dial}"'
        fatal(f'validate service connection: validate CRI v1 runtime API for endpoint "{ENDPOINT}": {desc}')
    except BrokenPipeError:
        # `crictl logs … | head`: nobody reads the rest. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130
