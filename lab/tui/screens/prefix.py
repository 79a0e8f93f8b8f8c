"""What follows the prefix key: one letter does what a function key does, for terminals that have none."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from ..lab_keys import LAB_KEYS, MORE_KEYS, PREFIX, PREFIX_SHOWN


class PrefixScreen(ModalScreen[str]):
    """A line at the bottom with the letters. Answers the action chosen, `literal` for the prefix itself."""

    DEFAULT_CSS = """
    PrefixScreen {
        align: center bottom;
        background: transparent;
        & > Static { width: 100%; height: auto; padding: 0 1; background: $accent-muted; color: $text; }
    }
    """

    def compose(self) -> ComposeResult:
        """Lay out the letters."""
        text = Text(f"{PREFIX_SHOWN} then: ")
        for key in (*LAB_KEYS, *MORE_KEYS):
            if len(key.letter) == 1:
                text.append(f"{key.letter} ", style="bold reverse")
            text.append(f"{key.label}  ")
        text.append(f"{PREFIX_SHOWN} ", style="bold reverse")
        text.append("to the shell  Esc nothing")
        yield Static(text)

    def on_key(self, event: events.Key) -> None:
        """Choose by the letter; anything that is none closes the line."""
        event.stop()
        event.prevent_default()
        if event.key == PREFIX:
            self.dismiss("literal")
            return
        chosen = [k for k in (*LAB_KEYS, *MORE_KEYS) if event.key == k.letter or event.character == k.letter]
        self.dismiss(chosen[0].action if chosen else None)

    def on_click(self) -> None:
        """Close the line."""
        self.dismiss(None)
