"""Owns what each kind of kube-apiserver's flags takes for a value, and the words in which it refuses one.

Source: spf13/pflag 1.0.6, k8s.io/component-base 0.34 (cli/flag, logs/api/v1), apimachinery 0.34 (util/net).
"""

from __future__ import annotations

import re

from checkers.kube import gotext
from checkers.kube.gocsv import split_csv
from checkers.kube.goyaml.json import GO_SPACE
from checkers.kube.pods.quantity import QuantityError, parse_quantity
from checkers.kube.server.flag_table import FlagKind


def check_value(flag: FlagKind, value: str) -> None:
    """Raise GoValueError, in the words of the flag's own type, for a value it cannot take."""
    match flag.kind:
        case "bool":
            gotext.parse_bool(value)
        case "int" | "int64":
            gotext.parse_int(value)
        case "uint":
            gotext.parse_int(value, signed=False)
        case "float64":
            gotext.parse_float(value)
        case "float32":
            gotext.parse_float(value, 32)
        case "duration":
            gotext.parse_duration(value)
        case "level":
            gotext.parse_int(value, 31, signed=False, base=10)
        case "ip":
            if value and not _is_ip(value.strip(GO_SPACE)):
                raise gotext.GoValueError(f"failed to parse IP: {gotext.quote(value)}")
        case "strings":
            split_csv(value)
        case "stringToString":
            for pair in split_csv(value) if value.count("=") > 1 else [value]:
                if pair and "=" not in pair:
                    raise gotext.GoValueError(f"{pair} must be formatted as key=value")
        case "pair":
            if "=" not in value:
                raise gotext.GoValueError("malformed pair, expect string=string")
        case "version":
            if value != "raw" and not value.startswith("v"):
                gotext.parse_bool(value)
        case "certKey":
            _check_cert_key(value)
        case "portRange":
            _check_port_range(value)
        case "quantity":
            try:
                parse_quantity(value)
            except QuantityError as error:
                raise gotext.GoValueError(str(error)) from None
        case "vmodule":
            _check_vmodule(value)


def _check_vmodule(value: str) -> None:
    for pattern in filter(None, value.split(",")):
        parts = pattern.split("=")
        if len(parts) != 2 or not all(parts):
            raise gotext.GoValueError(f"{gotext.quote(pattern)} does not have the pattern=N format")
        try:
            gotext.parse_int(parts[1], 31, signed=False, base=10)
        except gotext.GoValueError as error:
            raise gotext.GoValueError(f"parsing verbosity in {gotext.quote(pattern)}: {error}") from None


def _check_cert_key(value: str) -> None:
    pair, colon, names = value.partition(":")
    if colon and not names.strip(GO_SPACE):
        raise gotext.GoValueError("empty names list is not allowed")
    if len(pair.split(",")) != 2:
        raise gotext.GoValueError("expected comma separated certificate and key file paths")


def _check_port_range(value: str) -> None:
    text = value.strip(GO_SPACE)
    if not text:
        return
    if "-" in text and "+" in text:
        raise gotext.GoValueError(f"unable to parse port range: {text}")
    base, separator, end = text.partition("-" if "-" in text else "+")
    low = high = gotext.parse_int(base, base=10, function="Atoi")
    if separator:
        high = gotext.parse_int(end, base=10, function="Atoi") + (low if separator == "+" else 0)
    if low > 65535 or high > 65535:
        raise gotext.GoValueError(f"the port range cannot be greater than 65535: {text}")
    if low > high:
        raise gotext.GoValueError(f"end port cannot be less than start port: {text}")


def _is_ip(text: str) -> bool:
    octets = text.split(".")
    if ":" not in text:
        return len(octets) == 4 and all(
            octet.isascii() and octet.isdigit() and int(octet) < 256 and (octet == "0" or octet[0] != "0")
            for octet in octets
        )
    if len(octets) > 1:
        head, _, tail = text.rpartition(":")
        return _is_ip(tail) and _is_ip(head + ":0:0")
    groups = text.split(":")
    gap = text.count("::")
    if gap > 1 or ":::" in text or (not gap and len(groups) != 8) or len(groups) > 9 - (not gap):
        return False
    if gap == 0 and "" in groups:
        return False
    if (text.startswith(":") and not text.startswith("::")) or (text.endswith(":") and not text.endswith("::")):
        return False
    return all(re.fullmatch(r"[0-9a-fA-F]{1,4}", group) for group in groups if group)
