"""The line at the bottom: the screen's keys, which are buttons too. Drawn once, where Textual's own is built anew at
every change of focus."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.widget import Widget


class KeyBar(Widget):
    """Keys with what they do. `keys`: the key as shown, its label, the action of the screen that a click runs."""

    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: 1;
        background: $panel;
        color: $text;
        link-color: $text;
        link-background: $panel;
        link-style: none;
        link-color-hover: $text;
        link-background-hover: $accent-muted;
        link-style-hover: none;
        & > .key-bar--key { color: $text-accent; text-style: bold; }
    }
    """
    COMPONENT_CLASSES = {"key-bar--key"}  # noqa: RUF012  # Textual declares it as a ClassVar

    def __init__(self, keys: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self._keys = tuple(keys)

    def render(self) -> Text:
        """Return the line."""
        line = Text(no_wrap=True, end="")
        key_style = self.get_component_rich_style("key-bar--key", partial=True)
        for key, label, action in self._keys:
            click = Style(meta={"@click": action if "." in action else f"screen.{action}"})
            line.append(key, key_style + click)
            line.append(f" {label}", click)
            line.append(" ")
        return line
