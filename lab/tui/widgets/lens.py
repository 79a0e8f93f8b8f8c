"""The lens: what the policy on the node records right now, resource by verb, with the rule that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from ..colours import theme_style
from ..lens import ADMIN, LETTERS, SHORT, VERBS, Viewpoint, shortened, table, viewpoints

if TYPE_CHECKING:
    from checkers.kube.audit_policy import Policy

    from ..lens import Row

_LEVEL_WIDTH = 4
_NARROWEST = 16
_COLOURS = ("foreground-muted", "text-primary", "text-warning", "text-error")


class Lens(Vertical):
    """A table of levels by colour and letter. `u` and `n` change whose requests are looked at, and where."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "u", "next_user", "other user", id="lens.user", show=False, tooltip="Look at the requests of another user"
        ),
        Binding(
            "n",
            "next_namespace",
            "other namespace",
            id="lens.namespace",
            show=False,
            tooltip="Look into another namespace",
        ),
    ]

    DEFAULT_CSS = """
    Lens {
        & > #lens-title { height: auto; padding: 0 1; background: $panel; color: $text; text-style: bold; }
        & > #lens-problem { height: auto; padding: 0 1; color: $text-error; display: none; }
        & > #lens-cell { height: auto; min-height: 2; padding: 0 1; background: $surface; }
        & > DataTable > .datatable--fixed { background: $surface; color: $text; }
        & > DataTable { height: 1fr; background: $background; scrollbar-size-vertical: 1; }
    }
    """

    def __init__(self, policy_file: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._file = policy_file
        self.policy: Policy | None = None
        """The policy on the node, where it loads."""
        self.read = False
        """Whether the policy has been looked at."""
        self._view = Viewpoint()
        self._rows: list[Row] = []
        self._width = 0

    def compose(self) -> ComposeResult:
        """Lay out the title, the table and what the chosen cell means."""
        yield Static("Lens", id="lens-title", markup=False)
        yield Static(id="lens-problem", markup=False)
        yield DataTable(id="lens-table", cursor_type="cell", zebra_stripes=True, cell_padding=0, fixed_columns=1)
        yield Static(id="lens-cell", markup=False)

    def on_mount(self) -> None:
        """Say that nothing has been read yet."""
        self.query_one("#lens-problem", Static).update("reading the policy …")
        self.query_one("#lens-problem").display = True

    def show(self, content: bytes | None, problem: str) -> None:
        """Show the policy as it is on the node now; where there is none or it does not load, the reason instead.

        The reason is in the API server's words: an empty table is what such a policy records.
        """
        self.read = True
        if content is not None:
            from checkers.kube.audit_policy import PolicyError, load_policy
            from checkers.kube.goyaml.nodes import TooBig

            try:
                self.policy = load_policy(content)
                problem = "\n".join(self.policy.warnings)
            except PolicyError as error:
                at = f"line {error.line}: " if error.line and "line " not in error.text else ""
                problem = f"the API server would not start with it: {at}{error.text}"
                self.policy = None
            except TooBig as error:
                problem = f"the policy is {error}"
                self.policy = None
        else:
            self.policy = None
        label = self.query_one("#lens-problem", Static)
        label.update(problem)
        label.display = bool(problem)
        self._draw()

    def _draw(self) -> None:
        seen = table(self.policy, self._view) if self.policy else None
        self._rows = seen.rows if seen else []
        who = self._view.user if self._view.user != ADMIN[0] else "the admin"
        title = f"Lens · {who} in {self._view.namespace} · keys u, n"
        if seen and seen.left_out:
            title += f"\nThe policy is big: {seen.left_out:,} more that it names are not in here."
        self.query_one("#lens-title", Static).update(title)
        self._fill()

    def _fill(self) -> None:
        """Put the rows into the table; names get the room that the levels leave."""
        grid = self.query_one(DataTable)
        at = grid.cursor_coordinate
        longest = max((len(row.label) for row in self._rows), default=0)
        width = max(_NARROWEST, min(longest, self.size.width - len(VERBS) * _LEVEL_WIDTH - 2)) + 1
        if width != self._width:
            self._width = width
            grid.clear(columns=True)
            grid.add_column("", key="resource", width=width)
            for verb, short in zip(VERBS, SHORT, strict=True):
                grid.add_column(short, key=verb, width=_LEVEL_WIDTH)
        else:
            grid.clear()
        styles = [theme_style(self.app, name, bold=bool(level)) for level, name in enumerate(_COLOURS)]
        for row in self._rows:
            cells: list[Text] = [Text(shortened(row.label, width - 1))]
            for decision in row.decisions:
                if decision is None:
                    cells.append(Text(""))
                    continue
                rule = "" if decision.rule is None else str(decision.rule.index)
                level = int(decision.level)
                cells.append(Text.assemble((LETTERS[level], styles[level]), (rule, "dim")))
            grid.add_row(*cells)
        if self._rows:
            grid.move_cursor(row=min(at.row, len(self._rows) - 1), column=max(1, at.column))
        self._explain()

    def on_resize(self) -> None:
        """Give the names the room that there is now."""
        if self._rows:
            self._fill()

    def on_data_table_cell_highlighted(self, event: DataTable.CellHighlighted) -> None:
        """Say what the chosen cell means."""
        event.stop()
        self._explain()

    def _explain(self) -> None:
        label = self.query_one("#lens-cell", Static)
        at = self.query_one(DataTable).cursor_coordinate
        if not self._rows:
            label.update(f"{self._file}: nothing to show")
            return
        row = self._rows[min(at.row, len(self._rows) - 1)]
        verb = max(0, at.column - 1)
        decision = row.decisions[verb]
        if decision is None:
            label.update(f"{VERBS[verb]} {row.label}: there is no such request")
            return
        why = "no rule matches" if decision.rule is None else f"rule {decision.rule.index}, line {decision.rule.line}"
        label.update(
            f"{VERBS[verb]} {row.label}: {decision.level} ({why})\nN None · M Metadata · R Request · RR both bodies"
        )

    def action_next_user(self) -> None:
        """Look at the requests of the next user."""
        if self.policy is None:
            return
        users, _ = viewpoints(self.policy)
        names = [user for user, _ in users]
        user, groups = users[(names.index(self._view.user) + 1) % len(users) if self._view.user in names else 0]
        self._view = Viewpoint(user, groups, self._view.namespace)
        self._draw()

    def action_next_namespace(self) -> None:
        """Look into the next namespace."""
        if self.policy is None:
            return
        _, spaces = viewpoints(self.policy)
        here = spaces.index(self._view.namespace) if self._view.namespace in spaces else -1
        self._view = Viewpoint(self._view.user, self._view.groups, spaces[(here + 1) % len(spaces)])
        self._draw()
