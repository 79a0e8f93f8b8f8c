"""Makes the README's picture of the lab screen: `python -m tests.tui.picture OUT.svg`.

Nothing in it is arranged: a real sandbox, with the catch-all rule first, and the grade of it. Only the clock is set.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from textual.containers import VerticalScroll

from lab.catalog import load
from lab.overlay import MANIFEST
from lab.session import Session
from lab.tui.app import LabApp
from lab.tui.widgets.checks import Checks
from tests.tui.support import in_lab, until

SIZE = (120, 34)
COMMANDS = (
    "cat /etc/kubernetes/audit/policy.yaml",
    "kubectl get nodes",
    "kubectl create configmap seen --from-literal=key=value",
)


async def lab_screen() -> str:
    """Return the picture of a graded lab, as SVG."""
    scenario = load("audit-log")
    answer = next(mistake.overlay for mistake in scenario.mistakes if mistake.name == "catch-all-first")
    session = Session()
    lab = session.start(scenario.id, on="sandbox")
    try:
        node = session.node(lab)
        archive = answer.tar(node.files.read(MANIFEST).decode())
        node.run(["tar", "-xpf", "-", "-C", "/"], stdin=archive, timeout=20)
        assert lab.started is not None
        moment = lab.started + timedelta(minutes=7, seconds=41)
        app = LabApp(lambda: session, now=lambda: moment)
        app.animation_level = "none"
        async with app.run_test(size=SIZE) as pilot:
            screen = await in_lab(pilot)
            await pilot.press("f5")
            await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
            terminal = screen.terminal
            assert terminal is not None
            for command in COMMANDS:
                await until(pilot, lambda: terminal.at_prompt, "the prompt")
                terminal.type(command + "\n")
                await pilot.pause(1.0)
            await until(pilot, lambda: terminal.at_prompt, "the last prompt")
            screen.query_one("#task-scroll", VerticalScroll).scroll_home(animate=False)
            await pilot.pause()
            return app.export_screenshot(title="CKS Lab")
    finally:
        session.stop(lab)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CKS_LAB_HOME"] = folder
        Path(sys.argv[1]).write_text(asyncio.run(lab_screen()))
