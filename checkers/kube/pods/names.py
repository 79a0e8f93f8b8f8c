"""Owns the rules for names, keys, ports and addresses that many fields of a pod share: each returns what is wrong.

Source: apimachinery 1.34, pkg/util/validation and pkg/api/validation; k8s.io/utils/net (ParseIPSloppy).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from checkers.kube.gotext import quote

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_NAME: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_ENV: Final = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_KEY: Final = "[-._a-zA-Z0-9]+"
_HEADER: Final = "[-A-Za-z0-9]+"
_LABEL_RE: Final = re.compile(_LABEL)
_SUBDOMAIN_RE: Final = re.compile(_SUBDOMAIN)
_NAME_RE: Final = re.compile(_NAME)
_ENV_RE: Final = re.compile(_ENV)
_KEY_RE: Final = re.compile(_KEY)
_HEADER_RE: Final = re.compile(_HEADER)
_IPV4: Final = re.compile(r"0*[0-9]{1,3}(?:\.0*[0-9]{1,3}){3}", re.ASCII)
_ALPHANUMERIC: Final = "'-', '_' or '.', and must start and end with an alphanumeric character"


def _words(rule: str, pattern: str, *examples: str) -> str:
    shown = "".join(f"'{example}',  or " for example in examples[:-1]) + f"'{examples[-1]}', "
    return f"{rule} (e.g. {shown}regex used for validation is '{pattern}')"


_LABEL_WORDS: Final = _words(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_WORDS: Final = _words(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_LABEL_VALUE_WORDS: Final = _words(
    f"a valid label must be an empty string or consist of alphanumeric characters, {_ALPHANUMERIC}",
    f"({_NAME})?",
    "MyValue",
    "my_value",
    "12345",
)
_NAME_WORDS: Final = _words(
    f"must consist of alphanumeric characters, {_ALPHANUMERIC}", _NAME, "MyName", "my.name", "123-abc"
)
_ENV_WORDS: Final = _words(
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
    "start with a digit",
    _ENV,
    "my.env-name",
    "MY_ENV.NAME",
    "MyEnvName1",
)
_KEY_WORDS: Final = _words(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_HEADER_WORDS: Final = _words(
    "a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name"
)


def length(text: str) -> int:
    """Return how long a text is to Go: in bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _longer(text: str, most: int) -> list[str]:
    return [f"must be no more than {most} characters"] if length(text) > most else []


def label_problems(text: str) -> list[str]:
    """Return what is wrong with a DNS label: IsDNS1123Label."""
    problems = _longer(text, 63)
    if not _LABEL_RE.fullmatch(text):
        problems.append("must not contain dots" if _SUBDOMAIN_RE.fullmatch(text) else _LABEL_WORDS)
    return problems


def subdomain_problems(text: str, *, prefix: bool = False) -> list[str]:
    """Return what is wrong with a DNS subdomain: IsDNS1123Subdomain; a `prefix` may end with a dash."""
    if prefix and len(text) > 1 and text.endswith("-"):
        text = text[:-2] + "a"
    return _longer(text, 253) + ([] if _SUBDOMAIN_RE.fullmatch(text) else [_SUBDOMAIN_WORDS])


def qualified_name_problems(key: str) -> list[str]:
    """Return what is wrong with a qualified name: IsQualifiedName."""
    parts = key.split("/")
    if len(parts) > 2:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_NAME_WORDS} {optional}"]
    problems, name = [], parts[-1]
    if len(parts) == 2 and not parts[0]:
        problems.append("prefix part must be non-empty")
    elif len(parts) == 2:
        problems += [f"prefix part {problem}" for problem in subdomain_problems(parts[0])]
    if not name:
        problems.append("name part must be non-empty")
    elif length(name) > 63:
        problems.append("name part must be no more than 63 characters")
    if not _NAME_RE.fullmatch(name):
        problems.append(f"name part {_NAME_WORDS}")
    return problems


def label_value_problems(text: str) -> list[str]:
    """Return what is wrong with a label's value: IsValidLabelValue."""
    return _longer(text, 63) + ([_LABEL_VALUE_WORDS] if text and not _NAME_RE.fullmatch(text) else [])


def port_name_problems(name: str) -> list[str]:
    """Return what is wrong with a port's name: IsValidPortName."""
    problems = _longer(name, 15)
    if not re.fullmatch(r"[-a-z0-9]+", name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name[:1] == "-" or name[-1:] == "-":
        problems.append("must not begin or end with a hyphen")
    return problems


def port_problems(port: int) -> list[str]:
    """Return what is wrong with a port's number: IsValidPortNum."""
    return range_problems(port, 1, 65535)


def range_problems(number: int, least: int, most: int) -> list[str]:
    """Return what is wrong with a number that must lie between two, both included."""
    return [] if least <= number <= most else [f"must be between {least} and {most}, inclusive"]


def _dots(text: str) -> list[str]:
    if text in (".", ".."):
        return [f"must not be '{text}'"]
    return ["must not start with '..'"] if text.startswith("..") else []


def env_name_problems(name: str) -> list[str]:
    """Return what is wrong with the name of an environment variable: IsEnvVarName."""
    return ([] if _ENV_RE.fullmatch(name) else [_ENV_WORDS]) + _dots(name)


def relaxed_env_name_problems(name: str) -> list[str]:
    """Return what is wrong with a name in a file of variables: IsRelaxedEnvVarName."""
    if all(" " <= char < "\x7f" and char != "=" for char in name):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def config_key_problems(key: str) -> list[str]:
    """Return what is wrong with a key of a ConfigMap or Secret: IsConfigMapKey."""
    return _longer(key, 253) + ([] if _KEY_RE.fullmatch(key) else [_KEY_WORDS]) + _dots(key)


def header_problems(name: str) -> list[str]:
    """Return what is wrong with the name of an HTTP header: IsHTTPHeaderName."""
    return [] if _HEADER_RE.fullmatch(name) else [_HEADER_WORDS]


def is_ip(text: str) -> bool:
    """Say whether a text is an address as fields of old take it: leading zeros are no matter, zones are not taken."""
    head, colon, tail = text.rpartition(":")
    if "." in tail:
        if not _IPV4.fullmatch(tail) or any(int(part) > 255 for part in tail.split(".")):
            return False
        if not colon:
            return True
        tail = "0:0"
    elif not colon:
        return False
    groups = [group.lstrip("0") or ("0" if group else "") for group in f"{head}:{tail}".split(":")]
    try:
        ipaddress.IPv6Address(":".join(groups))
    except ValueError:
        return False
    return "%" not in text


def signer_name_problems(name: str) -> list[tuple[str, str]]:
    """Return what is wrong with a signer's name, each with the text that is shown for it: ValidateSignerName."""
    parts = name.split("/")
    if len(parts) != 2:
        return [(name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")]
    found: list[tuple[str, str]] = []
    if length(parts[0]) > 253:
        found.append(("", "may not be more than 253 bytes"))
    labels = parts[0].split(".")
    for check, shown, words in (
        (label_problems, parts[0], labels),
        (subdomain_problems, parts[1], parts[1].split(".")),
    ):
        for word in words:
            problems = check(word)
            found += [(shown, f"validating label {quote(word)}: {problem}") for problem in problems]
            if problems:
                break
        if check is label_problems and len(labels) < 2:
            found.append((shown, "should be a domain with at least two segments separated by dots"))
    if length(name) > 571:
        found.append(("", "may not be more than 571 bytes"))
    return found
