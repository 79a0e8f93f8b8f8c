"""The commands of a control-plane node that a learner types: crictl, journalctl, systemctl, service, sudo.

They print what the real ones print. Each is a small script that runs one module of this folder, with nothing but the
standard library, so that it answers at once.
"""

from __future__ import annotations

import shlex

_PYTHON_TOOLS = ("crictl", "journalctl", "systemctl")
_SHELL_TOOLS = {
    "service": """\
if [ $# -lt 2 ]; then
    echo 'Usage: service < option > | --status-all | [ service_name [ command | --full-restart ] ]' >&2
    exit 1
fi
exec systemctl "$2" "$1"
""",
    "sudo": """\
# Whoever is on this node is root already: only the command is left of it.
login=
while [ $# -gt 0 ]; do
    case "$1" in
    -u | -g | -p | -C | -D | -R | -T | -U | -r | -t | --user | --group | --chdir) shift; [ $# -gt 0 ] && shift ;;
    -i | -s | --login | --shell) login=1; shift ;;
    -V | --version) echo 'Sudo version 1.9.15p5'; exit 0 ;;
    -l | --list) echo 'User root may run the following commands on this host:'; echo '    (ALL : ALL) ALL'; exit 0 ;;
    -v | -k | -K) exit 0 ;;
    --) shift; break ;;
    -*) shift ;;
    [A-Za-z_]*=*) export "$1"; shift ;;
    *) break ;;
    esac
done
if [ $# -gt 0 ]; then
    exec "$@"
fi
if [ -n "$login" ]; then
    exec "${SHELL:-/bin/bash}"
fi
echo 'usage: sudo -h | -K | -k | -V' >&2
echo 'usage: sudo [-ABbEHknPS] [-C num] [-D directory] [-g group] [-u user] [-i | -s] [command [arg ...]]' >&2
exit 1
""",
}
TOOLS = (*_PYTHON_TOOLS, *_SHELL_TOOLS)
"""Their names, as they are to stand on the node's PATH."""


def launcher(name: str, python: str, import_path: str) -> str:
    """Return the script of a tool. `import_path`: where `lab` is found by `python`, several separated by colons.

    Raises KeyError for a name that is not in TOOLS.
    """
    if name not in _PYTHON_TOOLS:
        return f"#!/bin/sh\n{_SHELL_TOOLS[name]}"
    # -P: a json.py in the learner's directory must not be taken for ours. -S: nothing of site-packages is needed.
    code = f"import sys; sys.path[:0] = {import_path.split(':')!r}; "
    code += f"from lab.drivers.sandbox.tools.{name} import main; sys.exit(main(sys.argv[1:]))"
    return f'#!/bin/sh\nexec {shlex.quote(python)} -PSB -c {shlex.quote(code)} "$@"\n'
