"""Follows the links of a node that is not ours, inside its root and never out of it."""

from __future__ import annotations

from collections.abc import Callable

from checkers.evidence import Missing

MAX_LINKS = 40
"""As the kernel's own limit (path_resolution(7))."""


def follow(path: str, link_at: Callable[[str], str | None]) -> str:
    """Return the path with every link in it followed, absolute and without `.` or `..`.

    `link_at` says what the link at a path (itself free of links) leads to, or None where there is no link.
    Raises Missing for an empty path and for a loop: a link that leads to itself leads nowhere, as a dangling one.
    """
    if not path:
        raise Missing(path)
    todo = list(reversed(path.split("/")))
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        text = link_at("/" + "/".join([*done, part]))
        if text is None:
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            raise Missing(path)
        if text.startswith("/"):
            done = []
        todo.extend(reversed(text.split("/")))
    return "/" + "/".join(done)
