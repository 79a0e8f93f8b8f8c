"""The screen: everything that is shown in a terminal, built on the session and on nothing below it."""
