"""What the lens shows of a policy: every rule somewhere, names whole where they fit, and big policies at once."""

from __future__ import annotations

import pytest
from textual.widgets import DataTable, Static

from checkers.kube.audit_policy import Policy, load_policy
from lab.tui.lens import Viewpoint, shortened, table
from lab.tui.widgets.lens import Lens
from tests.tui.fake_session import POLICY_FILE, FakeSession, lab
from tests.tui.support import SMALL, WIDE, in_lab, make_app, until

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"


def policy(*rules: str) -> Policy:
    return load_policy((HEAD + "".join(f"- {{level: Metadata, {rule}}}\n" for rule in rules)).encode())


BIG = [f"users: [u{n}], resources: [{{group: g{n}.io, resources: [r{n}]}}]" for n in range(2_000)]


def test_one_name_in_two_groups_has_two_rows() -> None:
    found = table(policy('resources: [{group: "events.k8s.io", resources: [events]}]'), Viewpoint()).rows
    assert [row.label for row in found if row.label.startswith("events")] == ["events.events.k8s.io", "events"]


def test_a_big_policy_is_looked_at_in_part_and_says_how_much_is_left_out() -> None:
    seen = table(policy(*BIG), Viewpoint())
    names = [row.label for row in seen.rows]
    assert {"r0", "configmaps", "serviceaccounts/token", "/healthz"} <= set(names)
    assert seen.left_out == 2_000 - sum(name.startswith("r") and name[1:].isdigit() for name in names) > 1_900


@pytest.mark.parametrize(
    ("label", "width", "shown"),
    [
        ("configmaps", 16, "configmaps"),
        ("serviceaccounts/token", 21, "serviceaccounts/token"),
        ("serviceaccounts/token", 17, "serviceacc…/token"),
        ("pods/ephemeralcontainers", 16, "pods/ephemeralc…"),
        ("/apis/certificates.k8s.io", 16, "/apis/certifica…"),
    ],
)
def test_a_label_that_does_not_fit_keeps_what_tells_it_apart(label: str, width: int, shown: str) -> None:
    assert shortened(label, width) == shown


async def test_names_are_whole_where_there_is_room_and_follow_the_size() -> None:
    async with make_app().run_test(size=SMALL) as pilot:
        screen = await in_lab(pilot)
        await pilot.press("f7")
        grid = screen.query_one(DataTable)

        def names() -> list[str]:
            return [str(grid.get_cell_at((row, 0))) for row in range(grid.row_count)]  # type: ignore[arg-type]

        await until(pilot, lambda: "serviceaccounts/token" in names(), "the whole name")
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: "serviceacc…/token" in names(), "the short one")


async def test_a_policy_of_2_000_rules_is_shown_with_what_is_left_out() -> None:
    session = FakeSession([lab()])
    text = HEAD + "".join(f"- {{level: Metadata, {rule}}}\n" for rule in BIG)
    session.the_node.files.content[POLICY_FILE] = text.encode()
    async with make_app(session).run_test(size=SMALL) as pilot:
        screen = await in_lab(pilot)
        lens = screen.query_one(Lens)
        await until(pilot, lambda: lens.policy is not None, "the policy")
        await pilot.press("f7")
        said = str(lens.query_one("#lens-title", Static).content)
        assert "The policy is big: 1," in said
        assert "more that it names are not in here." in said
