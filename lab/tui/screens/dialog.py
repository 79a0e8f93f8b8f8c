"""The dialogs: a frame over the screen with a text and buttons. Esc closes every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Markdown, Static

from ...reports.harmless import safe

_Answer = TypeVar("_Answer")


class Dialog(ModalScreen[_Answer]):
    """A frame with a title, a body that scrolls, and buttons.

    `answers`: the buttons' labels and what they answer; `first`: the number of the button that has the keyboard.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="dialog.close", tooltip="Close this"),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
        Binding("pageup", "scroll_body(-1)", show=False),
        Binding("pagedown", "scroll_body(1)", show=False),
    ]

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > #frame {
            width: 90%; max-width: 100; height: auto; max-height: 92%;
            border: round $accent; background: $surface; padding: 0 1;
            border-title-style: bold;
        }
        #body { height: auto; max-height: 100%; scrollbar-size-vertical: 1; }
        #body Markdown { padding: 0; margin: 0; }
        #buttons { height: 1; margin-top: 1; align-horizontal: right; }
        #buttons Button { margin-left: 2; }
    }
    """

    def __init__(
        self, title: str, answers: Sequence[tuple[str, _Answer | None]] = (("Close", None),), *, first: int = 0
    ) -> None:
        super().__init__()
        self._first = first
        self._title = title
        self._answers = tuple(answers)

    def body(self) -> Sequence[Widget]:
        """Return what the frame holds."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Lay out the frame."""
        with Vertical(id="frame") as frame:
            frame.border_title = self._title
            yield VerticalScroll(*self.body(), id="body", can_focus=False)
            with Horizontal(id="buttons"):
                for number, (label, _) in enumerate(self._answers):
                    yield Button(
                        label, id=f"answer-{number}", compact=True, variant="primary" if not number else "default"
                    )

    def on_mount(self) -> None:
        """Leave room for the buttons whatever the text, and give one of them the keyboard."""
        self._fit()
        self.query_one(f"#answer-{self._first}", Button).focus()

    def on_resize(self) -> None:
        """Keep the buttons visible."""
        self._fit()

    def _fit(self) -> None:
        self.query_one("#body").styles.max_height = max(3, self.app.size.height * 92 // 100 - 4)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.dismiss(self._answers[int(str(event.button.id).removeprefix("answer-"))][1])

    def action_close(self) -> None:
        """Close without an answer."""
        self.dismiss(None)

    def action_scroll_body(self, pages: int) -> None:
        """Scroll the text a page."""
        body = self.query_one("#body")
        body.scroll_relative(y=pages * max(1, body.size.height - 1), animate=False)


class TextDialog(Dialog[str]):
    """A text, as Markdown or as it is."""

    def __init__(
        self,
        title: str,
        text: str,
        answers: Sequence[tuple[str, str | None]] = (("Close", None),),
        *,
        markdown: bool = True,
    ) -> None:
        super().__init__(title, answers)
        self._text = text
        self._markdown = markdown

    def body(self) -> Sequence[Widget]:
        """Return the text."""
        if self._markdown:
            return [Markdown(self._text, open_links=False)]
        return [Static(safe(self._text), markup=False)]


class Confirm(Dialog[bool]):
    """A question with yes and no; the keyboard is on the answer that changes nothing."""

    def __init__(self, title: str, text: str, yes: str) -> None:
        super().__init__(title, ((yes, True), ("Cancel", None)), first=1)
        self._text = text

    def body(self) -> Sequence[Widget]:
        """Return the question."""
        return [Static(self._text, markup=False)]
