"""The demonstration that `make lab` runs where there is no terminal, on a real sandbox."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from lab.session import Session

DEMO = [sys.executable, "-m", "lab", "demo", "--on", "sandbox"]
SECONDS = 120

pytestmark = pytest.mark.sandbox


def test_every_grade_comes_out_as_it_must_and_nothing_is_left() -> None:
    done = subprocess.run(DEMO, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    grades = re.findall(r"^  (PASS|FAIL): .* (\d+) %$", done.stdout, re.M)
    assert [verdict for verdict, _ in grades] == ["FAIL", "FAIL", "PASS"]
    assert (grades[0][1], grades[2][1]) == ("0", "100")
    assert (
        "create configmaps in namespace default by kubernetes-admin: recorded at Metadata, rule 1 (line 9)"
        in done.stdout
    )
    assert "See it:" in done.stdout
    assert "  kubectl create configmap x --from-literal=a=b\n" in done.stdout
    assert "configmap/demo created" in done.stdout
    assert '{"colour": "green"}' in done.stdout
    assert "Every grade came out as it must." in done.stdout
    assert len(re.findall(r"^ +\d+\.\d\d s  ", done.stdout, re.M)) >= 10
    assert "NOT AS IT MUST BE" not in done.stdout
    session = Session()
    assert session.labs() == []
    assert session.history() == [], "the demonstration is not the person's own work"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_the_middle_removes_the_node(number: signal.Signals) -> None:
    process = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Grade the untouched node"):
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert Session().labs() == []


def test_an_interrupt_during_the_start_leaves_nothing() -> None:
    process = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "[3/5]" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, out + err
    assert Session().labs() == []
