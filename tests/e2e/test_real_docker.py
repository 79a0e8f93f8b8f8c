"""What only real Docker can show: its words. Skipped where there is none."""

from __future__ import annotations

import pytest

from lab import procs
from lab.errors import LabError
from lab.session import Session

pytestmark = pytest.mark.docker


def test_no_such_container() -> None:
    try:
        procs.run(["docker", "ps"], timeout=60)
    except LabError as error:
        pytest.skip(f"no Docker here: {error.message.splitlines()[0]}")
    with pytest.raises(LabError, match="there is no container 'cks-lab-nobody'"):
        Session().grade_node("docker://cks-lab-nobody", "audit-log")
