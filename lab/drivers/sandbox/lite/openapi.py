"""Owns the OpenAPI documents, made from the field tables when they are asked for."""

from __future__ import annotations


def openapi_document(path: str, accept: str) -> tuple[str, bytes] | None:
    """Return (content type, body) of an OpenAPI document; None: this path has none."""
    return None
