"""Where the demonstration takes place."""

from __future__ import annotations

import pytest

from lab.demo import Demonstration
from lab.drivers import DRIVERS
from lab.drivers.base import DriverInfo, Lab
from lab.session import Session
from tests.fakes import FakeDriver


class Kind(FakeDriver):
    name = "kind"

    def probe(self) -> DriverInfo:
        return DriverInfo("kind", True, "kind 0.30")

    def find(self) -> list[Lab]:
        return []


@pytest.fixture(autouse=True)
def drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRIVERS, "kind", "tests.unit.test_demo:Kind")
    monkeypatch.setitem(DRIVERS, "sandbox", "tests.fakes:FakeDriver")


@pytest.mark.parametrize(
    ("on", "works", "taken"), [("auto", True, "sandbox"), ("auto", False, "kind"), ("kind", True, "kind")]
)
def test_auto_is_the_sandbox_which_needs_no_minutes_for_an_edit(
    monkeypatch: pytest.MonkeyPatch, on: str, works: bool, taken: str
) -> None:
    monkeypatch.setattr(FakeDriver, "available", works)
    assert Demonstration(print, on=on)._choose(Session())[0] == taken
