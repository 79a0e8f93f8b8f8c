"""What captures a node: the same code for every kind of node, also where nothing of ours is.

Its parts need nothing but the standard library of Python 3.6 and each other, so that `script` can make one file of them
that is sent to a node as it is. CKS Lab's own labs are captured with them too, through another `Host`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PARTS = ("host", "facts", "files", "kube_api", "this_machine")
"""The modules of this package in the order in which one file holds them."""

_HEAD = '''#!/usr/bin/env python3
"""Collects what a grade of CKS Lab looks at on a control-plane node, into one file.

    sudo python3 collect.py -o FILE.tar.gz                  on the node
    ssh HOST sudo python3 - < collect.py > FILE.tar.gz      from elsewhere
    cks-lab grade --bundle FILE.tar.gz                      anywhere, then

It needs Python 3.6 or newer and nothing else. It reads files, and changes none; where the API server answers, a few
requests are sent to it (a ConfigMap is made and removed again) to see whether they are recorded.
No private key and no kubeconfig is taken.
"""

'''


def script(task: Mapping[str, Any]) -> str:
    """Return the collector as one Python program for a task (see `files.collect`)."""
    parts = "\n\n".join(Path(__file__).with_name(f"{part}.py").read_text() for part in PARTS)
    return f"{_HEAD}{parts}\n\nsys.exit(main(json.loads({json.dumps(task, sort_keys=True)!r}), sys.argv[1:]))\n"
