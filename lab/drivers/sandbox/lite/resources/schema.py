"""Owns the shapes of API types: field tables read from fields.txt, one type at a time and only when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

SCALARS = frozenset(
    [
        "string",
        "bool",
        "int",
        "int32",
        "int64",
        "uint8",
        "uint32",
        "uint64",
        "float64",
        "bytes",
        "time",
        "microtime",
        "quantity",
        "intorstring",
        "duration",
        "raw",
        "json",
        "fieldsv1",
    ]
)


NAMED_KINDS = frozenset({"core/v1.PersistentVolumeClaim", "meta/v1.DeleteOptions"})
"""Types that say their kind and apiVersion where they are part of another object, too."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a type.

    `container` is what its JSON is made of, outermost first: "" one value, "[" a list, "{" a map, "[[" …; `type` is a
    scalar's name or a type's. `number` is where protobuf has it: more than one part for a message that JSON writes
    inline. `list_type` is map (by `keys`), set, atomic or "". `merge_key` is None where a strategic merge patch
    replaces a list.
    """

    name: str
    number: tuple[int, ...]
    container: str
    type: str
    omit_empty: bool
    omit_zero: bool
    pointer: bool
    required: bool
    list_type: str
    keys: tuple[str, ...]
    merge_key: str | None
    retain_keys: bool

    @property
    def is_struct(self) -> bool:
        """Say whether the innermost value is a type with fields."""
        return self.type not in SCALARS


@dataclass(frozen=True, slots=True)
class Schema:
    """One type: its fields in the order the API server writes them."""

    name: str
    fields: dict[str, Field]

    @property
    def go_name(self) -> str:
        """Return the bare name, as Go's messages use it."""
        return self.name.rsplit(".", 1)[1]


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    text = resources.files(__package__).joinpath("fields.txt").read_text()
    return dict(line.partition(" ")[::2] for line in text.splitlines() if line[:1] not in ("", "#"))


@lru_cache(maxsize=2048)
def schema(name: str) -> Schema:
    """Return the type of this name (`core/v1.Pod`). KeyError: there is none."""
    package = name.rsplit(".", 1)[0]
    return Schema(name, {f.name: f for f in (_field(part, package) for part in _lines()[name].split(" ") if part)})


def known(name: str) -> bool:
    """Say whether there is a type of this name."""
    return name in _lines()


def _field(text: str, package: str) -> Field:
    name, number, kind, *rest = text.split(":", 3)
    bare = kind.lstrip("[{")
    flags = rest[0].split(";") if rest else []
    marks = flags.pop(0) if flags and set(flags[0]) <= set("?0*!") else ""
    list_type = ""
    keys: tuple[str, ...] = ()
    merge_key: str | None = None
    for flag in flags:
        if flag.startswith("k="):
            list_type, keys = "map", tuple(flag[2:].split(","))
        elif flag.startswith("m="):
            merge_key = flag[2:]
        elif flag in ("s", "a"):
            list_type = {"s": "set", "a": "atomic"}[flag]
    return Field(
        name=name,
        number=tuple(int(n) for n in number.split(".")),
        container=kind[: len(kind) - len(bare)],
        type=package + bare if bare.startswith(".") else bare,
        omit_empty="?" in marks,
        omit_zero="0" in marks,
        pointer="*" in marks,
        required="!" in marks,
        list_type=list_type,
        keys=keys,
        merge_key=merge_key,
        retain_keys="r" in flags,
    )
