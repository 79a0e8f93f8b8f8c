"""Owns which labs there are: found by their drivers, looked up by name, and where a new one goes and why."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .drivers import DRIVERS, driver
from .drivers.base import Driver, DriverInfo, Lab, NodeHandle
from .errors import LabError
from .home import Home, made

if TYPE_CHECKING:
    from .catalog import Scenario

PREFERENCE = ("kind", "minikube", "sandbox")
"""Drivers that `auto` tries, in this order: what a person has already comes before what we bring."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Plan:
    """What `start` is going to do: on which driver and why, under which name, and the lab that is there already.

    `lab` running: it is used as it is. `lab` stopped: it is started again with its files as they were.
    """

    driver: str
    why: str
    name: str
    lab: Lab | None = None


class Labs:
    """The labs on this machine, by all drivers."""

    def __init__(self, home: Home | None = None) -> None:
        self.home = home or Home.of()
        self._drivers: dict[str, Driver] = {}
        self.unreachable: dict[str, str] = {}
        """Driver name -> why it could not be asked for its labs the last time."""

    def scenarios(self) -> list[Scenario]:
        """Return the tasks in their order."""
        from . import catalog

        return catalog.load_all()

    def scenario(self, scenario_id: str, seed: int | None = None) -> Scenario:
        """Return a task with the names that the seed draws; None is the text exactly as printed. Raises LabError."""
        from . import catalog

        return catalog.load(scenario_id, seed)

    def probes(self) -> list[DriverInfo]:
        """Say of each driver whether it can be used here."""
        return [self._driver(name).probe() for name in DRIVERS]

    def probe(self, name: str) -> DriverInfo:
        """Say of one driver whether it can be used here. Raises LabError for an unknown name."""
        return self._driver(name).probe()

    def labs(self) -> list[Lab]:
        """Return the labs that are there, oldest start first."""
        found: list[Lab] = []
        self.unreachable.clear()
        for name in DRIVERS:
            try:
                found += self._driver(name).find()
            except LabError as error:
                self.unreachable[name] = error.message
        return sorted(found, key=lambda lab: (lab.started or datetime.min.replace(tzinfo=UTC), lab.name))

    def lab(self, name: str | None = None, scenario_id: str | None = None) -> Lab:
        """Return the lab of that name; without one the only lab, or the one started last. Raises LabError.

        With `scenario_id` only labs of that task count.
        """
        labs = [lab for lab in self.labs() if scenario_id in (None, lab.scenario)]
        if name is not None:
            for lab in labs:
                if lab.name == name:
                    return lab
            known = ", ".join(lab.name for lab in labs)
            raise LabError(f"no lab is called {name!r}" + (f"; there are: {known}" if known else ""), "cks-lab status")
        if not labs:
            of_task = f" of the task {scenario_id}" if scenario_id else ""
            raise LabError(f"there is no lab{of_task}", f"cks-lab start {scenario_id or 'audit-log'}")
        running = [lab for lab in labs if lab.state != "stopped"]
        return (running or labs)[-1]

    def node(self, lab: Lab) -> NodeHandle:
        """Return the lab's node. Raises LabError where the lab is not up."""
        if lab.state == "stopped":
            why = f": {lab.detail}" if lab.detail else ""
            raise LabError(f"the lab {lab.name} is stopped{why}", f"cks-lab start {lab.scenario} --lab {lab.name}")
        if lab.state == "broken":
            raise LabError(
                f"the lab {lab.name} is broken: {lab.detail or 'its node does not answer'}",
                f"cks-lab stop --lab {lab.name}",
            )
        return self._driver(lab.driver).node(lab)

    def choose(self, on: str = "auto", needs: frozenset[str] = frozenset()) -> tuple[str, str]:
        """Return the driver to start a new lab on, and why this one. `needs`: capabilities (see `DriverInfo`).

        Raises LabError where the driver asked for, or every one of them, cannot be used here or lacks what is needed.
        """
        if on != "auto":
            info = self._capable(self._driver(on).probe(), needs)
            if not info.available:
                raise LabError(f"the {on} driver cannot be used here: {info.reason}", info.hint or "cks-lab doctor")
            return on, "as asked"
        refused: list[DriverInfo] = []
        for name in [name for name in PREFERENCE if name in DRIVERS]:
            info = self._capable(self._driver(name).probe(), needs)
            if info.available:
                why = info.reason or "it can be used here"
                others = "; ".join(f"{other.name}: {other.reason}" for other in refused)
                return name, why + (f" ({others})" if others else "")
            refused.append(info)
        raise LabError(
            "no kind of node can be made here: " + "; ".join(f"{info.name}: {info.reason}" for info in refused),
            next((info.hint for info in reversed(refused) if info.hint), "cks-lab doctor"),
        )

    @staticmethod
    def _capable(info: DriverInfo, needs: frozenset[str]) -> DriverInfo:
        """Return the driver's word, which is no where it lacks what is needed."""
        lacks = sorted(needs - info.capabilities)
        if not info.available or not lacks:
            return info
        options = ", ".join("--apiserver lite" if name == "lite" else f"--{name}" for name in lacks)
        return replace(info, available=False, reason=f"it has no {options}", hint="cks-lab start --help")

    def plan(
        self,
        scenario_id: str,
        *,
        on: str = "auto",
        seed: int | None = None,
        name: str | None = None,
        needs: frozenset[str] = frozenset(),
        apiserver: str = "auto",
    ) -> Plan:
        """Say what `start` would do now. Raises LabError for an unknown scenario, a bad name or one in use.

        `apiserver`: a lab that is there with one of the other kind, lite or real, is not the one that is meant.
        """
        self.scenario(scenario_id, seed)
        labs = self.labs()
        if name is not None:
            if not _NAME.fullmatch(name):
                raise LabError(
                    f"{name!r} cannot name a lab: up to 40 small letters, digits and dashes, no dash at an end",
                    f"cks-lab start {scenario_id} --lab my-lab",
                )
            for lab in labs:
                if lab.name != name:
                    continue
                if lab.state == "stopped" and lab.scenario == scenario_id and (seed is None or lab.seed == seed):
                    return Plan(lab.driver, "it was started there before", name, lab)
                raise LabError(
                    f"a lab called {name!r} is there already ({lab.scenario}, {lab.state})",
                    f"give another name, or: cks-lab stop --lab {name}",
                )
            chosen, why = self.choose(on, needs)
            return Plan(chosen, why, name)
        same = [lab for lab in labs if lab.scenario == scenario_id and lab.seed == seed and on in ("auto", lab.driver)]
        if apiserver != "auto":
            same = [lab for lab in same if (lab.apiserver or "").startswith("lite") == (apiserver == "lite")]
        if "adopt" in needs:
            same = []
        for state, why in (("running", "it is running already"), ("stopped", "it was started there before")):
            if of_state := [lab for lab in same if lab.state == state]:
                return Plan(of_state[-1].driver, why, of_state[-1].name, of_state[-1])
        chosen, why = self.choose(on, needs)
        return Plan(chosen, why, _free_name(scenario_id, {lab.name for lab in labs}))

    def _driver(self, name: str) -> Driver:
        if name not in self._drivers:
            self._drivers[name] = driver(name)
        return self._drivers[name]

    @contextmanager
    def _claimed(self, name: str) -> Iterator[None]:
        """Hold a lab's name against other programs that start one; wait while another holds it."""
        path = made(self.home.data) / f".start-{name}.lock"
        while True:
            with path.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    if not os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                        continue
                except FileNotFoundError:
                    # The one before us has removed the file that we waited for: nobody else waits for this one.
                    continue
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _free_name(scenario_id: str, taken: set[str]) -> str:
    numbered = (f"{scenario_id}-{number}" for number in range(2, 10_000))
    return next(name for name in (scenario_id, *numbered) if name not in taken)
