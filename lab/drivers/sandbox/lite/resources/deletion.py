"""Owns reading DeleteOptions, which may come in any group's version."""

from __future__ import annotations

from typing import Any

from ..bodies import media_type, read_json, read_yaml
from ..border import Json, Request
from ..convert import Converter, ConvertError
from ..status import bad_request, unsupported_media

_ACCEPTED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


def read_options(request: Request) -> Json:
    """Return the body of a delete. ApiError 400 or 415."""
    media = media_type(request) or "application/json"
    body = request.body or b""
    try:
        if media == "application/vnd.kubernetes.protobuf":
            from ..protobuf import decode_unknown

            value: Any = decode_unknown(body, "meta/v1.DeleteOptions")
        elif media in _ACCEPTED:
            value = read_json(body) if media == "application/json" else read_yaml(body)
        else:
            raise unsupported_media(_ACCEPTED)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise ValueError("json: cannot unmarshal into Go value of type v1.DeleteOptions")
        return Converter().object(value, "meta/v1.DeleteOptions")
    except (ValueError, ConvertError) as error:
        raise bad_request(f"unable to decode: {error}") from None
