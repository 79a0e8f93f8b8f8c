"""Makes the README's picture of the lab screen: `python -m tests.tui.picture OUT.svg`.

The screen is the real one; the node is one of files in memory, with the widely published wrong answer and its grade.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from textual.containers import VerticalScroll

from lab.tui.widgets.checks import Checks
from tests.tui.fake_session import FakeSession, lab
from tests.tui.support import in_lab, make_app, until

SIZE = (120, 32)
_SHELL = r"""
printf 'root@cks-control-plane:~# cat /etc/kubernetes/audit/policy.yaml\n'
printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages:\n  - RequestReceived\nrules:\n'
printf '  - \033[32mlevel\033[0m: Metadata\n  - \033[32mlevel\033[0m: Request\n    resources:\n'
printf '      - group: ""\n        resources: ["configmaps"]\n'
printf 'root@cks-control-plane:~# kubectl get nodes\n'
printf 'NAME                STATUS   ROLES           AGE   VERSION\n'
printf 'cks-control-plane   Ready    control-plane   7m    v1.34.4\n'
printf 'root@cks-control-plane:~# kubectl create configmap seen --from-literal=key=value\n'
printf 'configmap/seen created\n'
printf 'root@cks-control-plane:~# '; exec cat
"""


async def lab_screen() -> str:
    """Return the picture of a graded lab, as SVG."""
    session = FakeSession([lab()])
    session.the_node.shell = ["sh", "-c", _SHELL]
    app = make_app(session)
    async with app.run_test(size=SIZE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
        screen.query_one("#task-scroll", VerticalScroll).scroll_home(animate=False)
        await pilot.pause()
        return app.export_screenshot(title="CKS Lab")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(lab_screen()))
