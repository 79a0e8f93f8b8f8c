"""Owns the lab's keys: one table for the function keys, the letters after the prefix, the palette and the help."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "ctrl+right_square_bracket"
PREFIX_SHOWN = "^]"
"""Ctrl-]: in vim it follows a tag and in bash it jumps to a character, both rare; twice sends it to the shell."""


@dataclass(frozen=True, slots=True)
class LabKey:
    """One thing to do in the lab. `label` is for the bar at the bottom, `about` for the help and the palette."""

    id: str
    key: str
    letter: str
    action: str
    label: str
    about: str


LAB_KEYS = (
    LabKey("help", "f1", "h", "help", "help", "Show the keys and how the screen works"),
    LabKey("task", "f2", "t", "panel('work')", "task", "Show the task and the checks"),
    LabKey("palette", "f4", "p", "palette", "menu", "Choose from everything that can be done"),
    LabKey("grade", "f5", "g", "grade", "grade", "Grade the node as it is now"),
    LabKey("hint", "f6", "i", "hint", "hint", "Show the next hint"),
    LabKey("lens", "f7", "l", "panel('lens')", "lens", "Show what the policy on the node records right now"),
    LabKey("log", "f8", "o", "panel('log')", "log", "Show the audit log as it grows"),
    LabKey("full", "f9", "f", "full_screen", "full screen", "Give the terminal the whole screen, and take it back"),
    LabKey("leave", "f10", "q", "leave", "leave", "Go back to the start page; the lab goes on"),
)

MORE_KEYS = (
    LabKey("solution", "", "s", "solution", "solution", "Show the solution"),
    LabKey("reset", "", "r", "reset", "reset", "Put the node back to its first state; your files are kept as a copy"),
    LabKey("scrollback", "", "b", "scrollback", "scroll back", "Look at what has scrolled out of the terminal"),
    LabKey("wider", "", "right", "divide(4)", "→ wider", "Make the panel wider"),
    LabKey("narrower", "", "left", "divide(-4)", "← narrower", "Make the panel narrower"),
)
