"""Owns how a colour of the theme becomes a style of what is drawn line by line."""

from __future__ import annotations

from rich.style import Style
from textual.app import App
from textual.color import Color, ColorParseError


def theme_style(app: App[object], name: str, *, bold: bool = False) -> Style:
    """Return a style in the theme's colour of that name (`text-error`); without a colour where the theme has none."""
    try:
        return Style(color=Color.parse(app.theme_variables[name]).rich_color, bold=bold or None)
    except (KeyError, ColorParseError):
        return Style(bold=bold or None)
