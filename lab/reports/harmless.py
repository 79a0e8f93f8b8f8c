"""Owns how text from a node is made harmless before a person, a terminal or a format takes it."""

from __future__ import annotations

import re

# Control characters (a terminal acts on them, XML 1.0 forbids them), what turns the direction of text or cannot be
# seen (the deceit of "Trojan Source", CVE-2021-42574), line ends other than \n, halves of a surrogate pair (os.fsdecode
# makes them of bytes that are no UTF-8), and what is no character.
_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f"
)
UNSAFE = re.compile(f"[{_UNSAFE}]")
_NOT_ASCII = re.compile(r"[^\t\n\x20-\x7e]")
_PLAINER = str.maketrans({"…": "...", "→": "->", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x"})


def safe(text: str, symbols: bool = True) -> str:
    r"""Return text with what would act, deceive or break a format written out: `\x1b`, `\u202e`.

    Without `symbols` all but ASCII is. It is shown and not dropped: a name that looks right and is not is just what
    the reader has to see.
    """
    text = text.replace("\r\n", "\n")
    if symbols:
        return UNSAFE.sub(_written_out, text)
    return _NOT_ASCII.sub(_written_out, text.translate(_PLAINER))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        # A byte that is no UTF-8, as os.fsdecode keeps it.
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str, symbols: bool = True) -> str:
    """Return text, harmless, with its lines and runs of spaces made one line."""
    return " ".join(safe(text, symbols).split())
