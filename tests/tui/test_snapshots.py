"""What every screen and state looks like, small and wide: pictures that a person has looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher

from lab.errors import LabError
from lab.tui.screens.dialog import Dialog
from lab.tui.screens.viewer import Scrollback, Viewer
from lab.tui.widgets.banner import Banner
from lab.tui.widgets.checks import Checks
from lab.tui.widgets.lens import Lens
from lab.tui.widgets.log import AuditLog
from tests.tui.fake_session import LOG_FILE, POLICY_FILE, FakeSession, attempt, container, event, lab, report
from tests.tui.support import SMALL, WIDE, at_home, in_lab, make_app, starting, until

Setup = Callable[[FakeSession], None]
State = Callable[[Pilot[Any], FakeSession], Awaitable[object]]
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
GOOD = b"""apiVersion: audit.k8s.io/v1
kind: Policy
rules:
  - level: None
    nonResourceURLs: ["/healthz*"]
  - level: Request
    verbs: [create, update, patch]
    resources:
      - group: ""
        resources: ["configmaps"]
  - level: RequestResponse
    resources:
      - group: ""
        resources: ["secrets"]
  - level: Metadata
"""


SETUP: dict[State, Setup] = {}


def after(setup: Setup) -> Callable[[State], State]:
    """Name what is set in the session before the app looks at it."""

    def named(state: State) -> State:
        SETUP[state] = setup
        return state

    return named


def log(count: int) -> bytes:
    """Return a log of so many events."""
    lines = []
    for number in range(count):
        if number % 5 == 2:
            lines.append(event(number, "configmaps", "create", "Request", requestObject={"kind": "ConfigMap"}))
        elif number % 7 == 3:
            lines.append(event(number, "secrets", "update", "RequestResponse", stage="ResponseStarted"))
        else:
            lines.append(event(number))
    return b"\n".join(lines) + b"\n"


def _home(session: FakeSession) -> None:
    session.rows = [attempt(72, id=1), attempt(40, id=2)]


@after(_home)
async def home(pilot: Pilot[Any], session: FakeSession) -> None:
    await at_home(pilot)


def _home_first_time(session: FakeSession) -> None:
    session._labs = []


@after(_home_first_time)
async def home_first_time(pilot: Pilot[Any], session: FakeSession) -> None:
    await at_home(pilot)


def _home_nothing_works(session: FakeSession) -> None:
    session._labs = [lab(state="broken", detail="its init is gone"), lab("second", state="stopped")]
    session.choose_error = LabError(
        "no kind of node can be made here: sandbox: user namespaces are switched off",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    )


@after(_home_nothing_works)
async def home_nothing_works(pilot: Pilot[Any], session: FakeSession) -> None:
    await at_home(pilot)


def _start(session: FakeSession) -> None:
    session._labs = []


@after(_start)
async def start(pilot: Pilot[Any], session: FakeSession) -> None:
    session.hold.clear()
    screen = await starting(pilot)
    await until(pilot, lambda: len(screen._steps) == 3, "the third step")


def _start_failed(session: FakeSession) -> None:
    session._labs = []
    session.start_error = LabError("port 6443 is taken by another program", "cks-lab stop --all, then start again")


@after(_start_failed)
async def start_failed(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await starting(pilot)
    await until(pilot, lambda: screen._failed, "the failure")


async def lab_ungraded(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)


async def grading(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    session.hold.clear()
    await pilot.press("f5")
    await until(pilot, lambda: "Waiting" in screen._doing, "the wait")


async def graded(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    await pilot.press("f5")
    await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")


def _graded_right(session: FakeSession) -> None:
    session.next_report = report(perfect=True)


@after(_graded_right)
async def graded_right(pilot: Pilot[Any], session: FakeSession) -> None:
    await graded(pilot, session)


def _grade_failed(session: FakeSession) -> None:
    session.grade_error = LabError("the node cannot be looked at: connection reset", "F5 tries again")


@after(_grade_failed)
async def grade_failed(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    await pilot.press("f5")
    await until(pilot, lambda: screen.query_one(Banner).has_class("-error"), "the message")


async def dialog(pilot: Pilot[Any], *keys: str) -> None:
    await pilot.press(*keys)
    await until(pilot, lambda: isinstance(pilot.app.screen, Dialog), "the dialog")


async def result(pilot: Pilot[Any], session: FakeSession) -> None:
    await graded(pilot, session)
    pilot.app.screen.query_one("#list").focus()
    await dialog(pilot, "enter")


async def place(pilot: Pilot[Any], session: FakeSession) -> None:
    await result(pilot, session)
    await pilot.press("v")
    await until(pilot, lambda: isinstance(pilot.app.screen, Viewer), "the file")


def _lens(session: FakeSession) -> None:
    session.the_node.files.content[POLICY_FILE] = GOOD


@after(_lens)
async def lens(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    await pilot.press("f7")
    await until(pilot, lambda: screen.query_one("#panels", ContentSwitcher).current == "lens")


def _lens_refused(session: FakeSession) -> None:
    session.the_node.files.content[POLICY_FILE] = b"kind: Policy\nrules:\n\t- level: None\n"


@after(_lens_refused)
async def lens_refused(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    await until(pilot, lambda: screen.query_one(Lens).policy is None)
    await pilot.press("f7")


def _log_grows(session: FakeSession) -> None:
    session.the_node.files.content[POLICY_FILE] = GOOD
    session.the_node.files.content[LOG_FILE] = log(80)


@after(_log_grows)
async def log_grows(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    await until(pilot, lambda: screen.query_one(AuditLog).lines.total == 80, "the events")
    await pilot.press("f8")


@after(_log_grows)
async def log_filtered(pilot: Pilot[Any], session: FakeSession) -> None:
    await log_grows(pilot, session)
    pilot.app.screen.query_one("#log-events").focus()
    await pilot.press("slash", *"secrets", "enter")


@after(_log_grows)
async def log_event(pilot: Pilot[Any], session: FakeSession) -> None:
    await log_grows(pilot, session)
    pilot.app.screen.query_one("#log-events").focus()
    await dialog(pilot, "up", "up", "enter")


async def log_absent(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await pilot.press("f8")


def _log_unreadable(session: FakeSession) -> None:
    session.the_node.files.broken[LOG_FILE] = "permission denied"


@after(_log_unreadable)
async def log_unreadable(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await pilot.press("f8")


def _hint(session: FakeSession) -> None:
    session.taken = 1


@after(_hint)
async def hint(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await dialog(pilot, "f6")


async def ask_solution(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await dialog(pilot, "ctrl+right_square_bracket", "s")


async def solution(pilot: Pilot[Any], session: FakeSession) -> None:
    await graded(pilot, session)
    await dialog(pilot, "ctrl+right_square_bracket", "s")


async def ask_reset(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await dialog(pilot, "ctrl+right_square_bracket", "r")


async def help_lab(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await dialog(pilot, "f1")


async def help_home(pilot: Pilot[Any], session: FakeSession) -> None:
    await at_home(pilot)
    await dialog(pilot, "f1")


async def prefix(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await pilot.press("ctrl+right_square_bracket")


async def full_screen(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await pilot.press("f9")


def _scrollback(session: FakeSession) -> None:
    session.the_node.shell = ["sh", "-c", "seq 1 200; printf 'root@cks-control-plane:~# '; exec cat"]


@after(_scrollback)
async def scrollback(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)
    await pilot.press("ctrl+right_square_bracket", "b")
    await until(pilot, lambda: isinstance(pilot.app.screen, Scrollback), "the lines")


def _shell_ended(session: FakeSession) -> None:
    session.the_node.shell = ["sh", "-c", "printf 'exit '; exit 3"]


@after(_shell_ended)
async def shell_ended(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    screen.focus_terminal()
    await until(pilot, lambda: screen.query_one("#shell-note").display, "the end of the shell")


def _shell_went_with_the_node(session: FakeSession) -> None:
    session.the_node.shell = ["sh", "-c", "printf 'root@cks-control-plane:~# '; read word; kill -9 $$"]


@after(_shell_went_with_the_node)
async def shell_went_with_the_node(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    screen.focus_terminal()
    hint = "cks-lab start audit-log --lab audit-log"
    session.the_node.files.gone = LabError("the node of lab audit-log does not run", hint)
    await pilot.press("enter")
    await until(pilot, lambda: screen.query_one("#shell-note").display, "the end of the shell")
    await until(pilot, lambda: screen._api[0] == "gone", "the loss of the node")


async def said(pilot: Pilot[Any], session: FakeSession, state: str) -> None:
    screen = await in_lab(pilot)
    screen.focus_terminal()
    await until(pilot, lambda: screen._api[0] == state, state)


def _apiserver_coming_back(session: FakeSession) -> None:
    session.the_node.answers = False


@after(_apiserver_coming_back)
async def apiserver_coming_back(pilot: Pilot[Any], session: FakeSession) -> None:
    await said(pilot, session, "starting")


def _apiserver_crashing(session: FakeSession) -> None:
    session.the_node.containers = [container("CONTAINER_EXITED", 3)]
    session.the_node.last_words = (
        'E1124 09:29:51.206099       1 run.go:72] "command failed" err="loading audit policy file: failed decoding: '
        'yaml: line 4: found character that cannot start any token: from file /etc/kubernetes/audit/policy.yaml"\n'
    )


@after(_apiserver_crashing)
async def apiserver_crashing(pilot: Pilot[Any], session: FakeSession) -> None:
    await said(pilot, session, "crashing")


def _apiserver_absent(session: FakeSession) -> None:
    session.the_node.containers = []
    session.the_node.kubelet = (
        'E1124 09:29:50.1 file.go:187] "Could not process manifest file" err="/etc/kubernetes/manifests/'
        "kube-apiserver.yaml: couldn't parse as pod(yaml: line 4: could not find expected ':'), please check config "
        'file" path="/etc/kubernetes/manifests/kube-apiserver.yaml"\n'
    )


@after(_apiserver_absent)
async def apiserver_absent(pilot: Pilot[Any], session: FakeSession) -> None:
    await said(pilot, session, "absent")


async def node_gone(pilot: Pilot[Any], session: FakeSession) -> None:
    screen = await in_lab(pilot)
    screen.focus_terminal()
    session.the_node.files.gone = LabError("the node audit-log is gone: its init does not answer")
    await until(pilot, lambda: screen._api[0] == "gone", "the loss of the node")


def _time_over(session: FakeSession) -> None:
    from datetime import timedelta

    from tests.tui.fake_session import NOW

    session._labs = [lab(started=NOW - timedelta(minutes=10, seconds=5))]


@after(_time_over)
async def time_over(pilot: Pilot[Any], session: FakeSession) -> None:
    await in_lab(pilot)


STATES: list[State] = [
    home, home_first_time, home_nothing_works, start, start_failed, lab_ungraded, grading, graded, graded_right,
    grade_failed, result, place, lens, lens_refused, log_grows, log_filtered, log_event, log_absent, log_unreadable,
    hint, ask_solution, solution, ask_reset, help_lab, help_home, prefix, full_screen, scrollback, shell_ended,
    shell_went_with_the_node, apiserver_coming_back, apiserver_crashing, apiserver_absent, node_gone, time_over,
]  # fmt: skip


def picture(state: State, size: tuple[int, int], snap_compare: Any, theme: str = "textual-dark") -> bool:
    """Bring the app into a state and compare its picture with the one that was looked at."""
    session = FakeSession([lab()])
    SETUP.get(state, lambda _: None)(session)

    async def before(pilot: Pilot[Any]) -> None:
        await state(pilot, session)
        await pilot.pause()

    app = make_app(session, theme=theme)
    shut_down = app._shutdown

    async def let_go() -> None:
        # The picture is taken; what still waits in a thread would hold the program's end.
        session.hold.set()
        await shut_down()

    app._shutdown = let_go  # type: ignore[method-assign]
    return bool(snap_compare(app, terminal_size=size, run_before=before))


def names(states: list[State]) -> Any:
    """Return the parameters of a test, each with its state's name."""
    return pytest.mark.parametrize("state", states, ids=[state.__name__ for state in states])


@names(STATES)
def test_fits_into_80_columns(state: State, snap_compare: Any) -> None:
    assert picture(state, SMALL, snap_compare)


@names([home, lab_ungraded, graded, result, lens, log_grows, apiserver_crashing, shell_ended])
def test_uses_120_columns(state: State, snap_compare: Any) -> None:
    assert picture(state, WIDE, snap_compare)


@names([home, graded, lens, result])
def test_light_colours_are_readable(state: State, snap_compare: Any) -> None:
    assert picture(state, WIDE, snap_compare, "textual-light")


@names([graded, lens])
def test_the_terminals_own_colours_are_readable(state: State, snap_compare: Any) -> None:
    assert picture(state, WIDE, snap_compare, "ansi-light")


@names([graded, lens])
def test_no_colour_is_readable(state: State, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert picture(state, WIDE, snap_compare)
