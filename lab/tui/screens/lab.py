"""The lab screen: the task, the checks and the panels at the left, a real terminal on the node at the right."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widgets import ContentSwitcher, Markdown, Static

from ...errors import LabError
from ..clock import elapsed
from ..lab_keys import LAB_KEYS, PREFIX
from ..widgets.banner import Banner
from ..widgets.checks import Checks
from ..widgets.divider import Divider
from ..widgets.header import LabHeader
from ..widgets.key_bar import KeyBar
from ..widgets.lens import Lens
from ..widgets.log import AuditLog
from ..widgets.terminal import NodeTerminal, Terminal
from .lab_jobs import LabJobs

NARROW = 100
"""Columns below which panel and terminal do not fit side by side."""


class LabScreen(LabJobs):
    """One lab. It stays as it is, shell included, while another screen is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key.key, key.action, key.label, id=f"lab.{key.id}", tooltip=key.about, priority=True)
            for key in LAB_KEYS
        ),
        Binding(PREFIX, "prefix", "keys", id="lab.prefix", priority=True, show=False),
    ]

    DEFAULT_CSS = """
    LabScreen {
        #body { height: 1fr; }
        #panels { width: 51; min-width: 24; height: 100%; }
        #work { height: 100%; }
        #task-scroll { height: 1fr; min-height: 5; padding: 0 1; scrollbar-size-vertical: 1; }
        #task-scroll:focus { background: $boost; }
        #task-scroll Markdown { padding: 0; margin: 0; }
        #task-scroll MarkdownH1 { margin: 0 0 1 0; }
        #checks { max-height: 60%; }
        #pane { width: 1fr; height: 100%; }
        #shell-note { display: none; height: auto; padding: 1 2; background: $surface; border: round $warning; }
        &.-narrow Divider { display: none; }
        &.-narrow #panels { width: 1fr; display: none; }
        &.-narrow.-panel #panels { display: block; }
        &.-narrow.-panel #pane { display: none; }
        &.-full LabHeader, &.-full KeyBar, &.-full Banner, &.-full #panels, &.-full Divider { display: none; }
        &.-full #pane { display: block; }
    }
    """

    def compose(self) -> ComposeResult:
        """Lay out the header, the panels, the terminal and the keys."""
        yield LabHeader(f"{self.scenario.title} · {self.lab.driver}, kube-apiserver {self.lab.apiserver or '?'}")
        yield Banner()
        with Horizontal(id="body"):
            with ContentSwitcher(initial="work", id="panels"):
                with Vertical(id="work"):
                    with VerticalScroll(id="task-scroll"):
                        yield Markdown(self.scenario.task, open_links=False)
                    yield Checks(self.scenario.checks, id="checks")
                yield Lens(self.scenario.wants.policy_file, id="lens")
                yield AuditLog(self.scenario.wants.log_file, id="log")
            yield Divider()
            with Container(id="pane"):
                yield Static(id="shell-note", markup=False)
        yield KeyBar([(key.key.upper(), key.label, key.action) for key in LAB_KEYS])

    def on_mount(self) -> None:
        """Open the shell, look at the node, start the clock."""
        if self.app.size.width < NARROW:
            self.add_class("-narrow", "-panel")
        self._tick()
        self.set_interval(1.0, self._tick)
        self.run_worker(self.open_node, thread=True, group="open")

    def on_unmount(self) -> None:
        """Let the thread that looks at the node end."""
        self.stopping.set()

    def _tick(self) -> None:
        header = self.query_one(LabHeader)
        header.clock = elapsed(self.lab.started, self.app.now())
        if self.lab.started is not None:
            over = (self.app.now() - self.lab.started).total_seconds() >= self.scenario.minutes * 60
            if over and not header.late:
                self.notify(
                    f"The {self.scenario.minutes} minutes of this task are over. Go on as long as you like; F5 grades.",
                    title="Time over",
                )
            header.late = over

    # The terminal

    def open_shell(self) -> None:
        """Open a shell on the node in the terminal, in place of one that has ended; say why where there is none."""
        if self.node is None:
            return
        try:
            argv = self.node.shell_argv()
        except LabError:
            self._shell_note("There is no shell", "Enter opens one.")
            return
        self.query(NodeTerminal).remove()
        self.query_one("#shell-note").display = False
        terminal = NodeTerminal(argv)
        self.query_one("#pane").mount(terminal)
        if not self.has_class("-panel") or not self.has_class("-narrow"):
            terminal.focus()

    @property
    def terminal(self) -> NodeTerminal | None:
        """The terminal; None before the node is there."""
        found = self.query(NodeTerminal)
        return found.last() if found else None

    def focus_terminal(self) -> None:
        """Give the terminal the keyboard, and its place where the panel has taken it."""
        if self.has_class("-narrow"):
            self.remove_class("-panel")
        if self.terminal is not None:
            self.terminal.focus()

    def on_terminal_process_exited(self, event: Terminal.ProcessExited) -> None:
        """Say that the shell has ended, and how to get another."""
        event.stop()
        # A shell that was killed may be the first sign of a node that is going away: no word on the node then.
        node = "; the node goes on." if event.exit_code >= 0 else "."
        self._shell_note(f"The shell has ended (exit status {event.exit_code})", f"Enter opens a new one{node}")

    def on_node_terminal_not_started(self, event: NodeTerminal.NotStarted) -> None:
        """Say that the shell could not be started."""
        event.stop()
        again = f"Enter tries again; from another terminal: cks-lab shell --lab {self.lab.name}"
        self._shell_note("The shell could not be started", again)

    def type_command(self, command: str) -> None:
        """Type a command into the shell where it waits for one; else say what to type."""
        terminal = self.terminal
        if terminal is not None and terminal.at_prompt:
            terminal.type(f"{command}\n")
            self.focus_terminal()
        else:
            self.app.copy_to_clipboard(command)
            busy = f"The shell is busy. When it is free, type (it is in the clipboard): {command}"
            self.notify(busy, timeout=10, markup=False)

    def action_scrollback(self) -> None:
        """Show what has scrolled out of the terminal."""
        from .viewer import Scrollback

        if self.terminal is not None:
            self.app.push_screen(Scrollback(self.terminal.history()))

    def on_node_terminal_scrollback_wanted(self, event: NodeTerminal.ScrollbackWanted) -> None:
        """Show what has scrolled out of the terminal."""
        event.stop()
        self.action_scrollback()

    def _shell_note(self, what: str, next_step: str) -> None:
        self._shell_said = (what, next_step)
        self.query_one("#shell-note").display = True
        self.draw_shell_note()

    def draw_shell_note(self) -> None:
        """Say why there is no shell and what to do, by whether the node is there now."""
        what, next_step = self._shell_said
        text = f"{what}.\n{next_step}"
        if gone := self._why_gone():
            message, hint = gone
            text = f"{what}: {message}.\n→ {hint}\nThen Enter opens a shell. F10 goes to the start page."
        self.query_one("#shell-note", Static).update(text)

    def _why_gone(self) -> tuple[str, str] | None:
        if self.node is not None:
            try:
                self.node.shell_argv()
            except LabError as error:
                return error.message, error.hint
        return (self._api[1], "cks-lab status") if self._api[0] == "gone" else None

    def on_key(self, event: events.Key) -> None:
        """Take Enter where the shell has ended, and Esc in a panel."""
        if event.key == "enter" and self.query_one("#shell-note").display:
            event.stop()
            self.open_shell()
        elif event.key == "escape":
            event.stop()
            self.focus_terminal()

    def on_text_selected(self) -> None:
        """Copy what was selected with the mouse."""
        if text := self.get_selected_text():
            self.app.copy_to_clipboard(text)

    # Panels, divider, full screen

    def action_panel(self, name: str) -> None:
        """Show a panel; give it the keyboard if it is there already; give it back at the third time."""
        narrow, panels = self.has_class("-narrow"), self.query_one("#panels", ContentSwitcher)
        self.remove_class("-full")
        there = panels.current == name and (not narrow or self.has_class("-panel"))
        within = self.focused is not None and panels in self.focused.ancestors
        panels.current = name
        if there and within:
            self.focus_terminal()
        elif there or narrow or within:
            self.add_class("-panel")
            self._focus_panel(name)

    def _focus_panel(self, name: str) -> None:
        first = {"work": "#task-scroll", "lens": "#lens-table", "log": "#log-events"}[name]
        if name == "work" and self.query_one(Checks).report is not None:
            first = "#list"
        self.query_one(first).focus()

    def show_checks(self) -> None:
        """Show the checks after a grade: failed ones first, with the keyboard where the panel has taken the screen."""
        self.remove_class("-full")
        self.query_one("#panels", ContentSwitcher).current = "work"
        if self.has_class("-narrow"):
            self.add_class("-panel")
            self._focus_panel("work")

    def on_resize(self, event: events.Resize) -> None:
        """Put panel and terminal side by side where there is room."""
        narrow = event.size.width < NARROW
        if narrow and not self.has_class("-narrow"):
            within = self.focused is not None and self.query_one("#panels") in self.focused.ancestors
            self.set_class(within, "-panel")
        self.set_class(narrow, "-narrow")

    def on_divider_moved(self, event: Divider.Moved) -> None:
        """Make the panel as wide as the divider says."""
        event.stop()
        self._divide(event.column)

    def action_divide(self, by: int) -> None:
        """Move the divider by columns."""
        self._divide(self.query_one("#panels").size.width + by)

    def _divide(self, width: int) -> None:
        if not self.has_class("-narrow"):
            self.query_one("#panels").styles.width = max(24, min(width, self.size.width - 30))

    def action_full_screen(self) -> None:
        """Give the terminal the whole screen, and take it back."""
        self.toggle_class("-full")
        self.focus_terminal()
        if self.has_class("-full"):
            self.notify("F9 (or ^] f) brings the lab back.", timeout=3)

    # Keys

    def action_prefix(self) -> None:
        """Ask for the letter that follows the prefix."""
        from .prefix import PrefixScreen

        self.app.push_screen(PrefixScreen(), self._prefixed)

    async def _prefixed(self, action: str | None) -> None:
        if action == "literal":
            if self.terminal is not None:
                self.terminal.send_key(PREFIX)
        elif action:
            await self.run_action(action)

    def action_palette(self) -> None:
        """Open the command palette."""
        self.app.action_command_palette()

    def action_help(self) -> None:
        """Show the keys."""
        from .help import lab_help

        self.app.push_screen(lab_help())

    def action_leave(self) -> None:
        """Go back to the start page; the lab and its shell go on."""
        self.app.leave_lab()
