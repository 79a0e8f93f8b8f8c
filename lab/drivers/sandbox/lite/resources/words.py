"""Owns the words that `kubectl explain` shows of types and fields; they are in words.txt and are our own."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    text = resources.files(__package__).joinpath("words.txt").read_text()
    return dict(line.partition(": ")[::2] for line in text.splitlines() if line and not line.startswith("#"))


def describe_type(type_name: str) -> str:
    """Return what a type is, in a sentence."""
    bare = type_name.rpartition(".")[2]
    return _lines().get(type_name) or _lines().get(bare) or f"{bare} of the Kubernetes API."


def describe_field(type_name: str, field: str) -> str:
    """Return what a field is, in a sentence, or ""."""
    bare = type_name.rpartition(".")[2]
    return _lines().get(f"{bare}.{field}") or _lines().get(f".{field}") or ""
