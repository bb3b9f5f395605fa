"""Which writer schemas can be read in columns, and how: those of simple fields that become ours without conversion."""

import dataclasses
from typing import Any

import numpy as np

from schemas.codec_resolution import resolves
from schemas.codec_schema import STATUSES, WriterSchema, branches, define, event
from schemas.spans import Bytes

SIMPLE = frozenset({"string", "bytes", "double", "float", "int", "long", "boolean", "enum"})
NOT_OURS = 255  # a writer's symbol that is no status of ours
MOST_SYMBOLS = 255


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a writer schema that the fast path can read.

    ``kind`` is its Avro type; ``null`` the index of the null branch when it is optional; ``column`` our field it is
    read as, None when it is skipped. An enum has ``count`` symbols; ``symbols`` maps any byte, as the index of one, to
    an index in STATUSES or NOT_OURS, or to 0 when the field is skipped.
    """

    kind: str
    null: int | None
    column: str | None
    count: int
    symbols: Bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How to read a writer schema in columns: its fields in order, and our defaults for the columns it lacks."""

    fields: tuple[Field, ...]
    defaults: dict[str, Any]


def plan(writer: WriterSchema) -> Plan | None:
    """Plan the fast path for a schema that resolves to ours; None when some field of it needs the reference."""
    ours = {field["name"]: field for field in event().schema["fields"]}
    fields = [_field(each["name"], each["type"], ours.get(each["name"]), writer) for each in writer.schema["fields"]]
    if None in fields:
        return None
    written = {each["name"] for each in writer.schema["fields"]}
    return Plan(
        tuple(each for each in fields if each is not None),
        {name: field["default"] for name, field in ours.items() if name not in written},
    )


def _field(name: str, kind: Any, ours: Any, writer: WriterSchema) -> Field | None:
    options = branches(kind)
    null = options.index("null") if len(options) == 2 and options.count("null") == 1 else None  # noqa: PLR2004
    if len(options) > 1 and null is None:
        return None
    definition = define(options[0] if null is None else options[1 - null], writer.names)
    simple = definition if isinstance(definition, str) else definition["type"]
    if simple not in SIMPLE:
        return None
    written = definition["symbols"] if simple == "enum" else []
    if len(written) > MOST_SYMBOLS:
        return None
    if ours is None:
        return Field(simple, null, None, len(written), np.zeros(MOST_SYMBOLS + 1, np.uint8))
    read = branches(ours["type"])
    own_type = read[-1] if isinstance(read[-1], str) else read[-1]["type"]
    if simple != own_type or (null is not None and "null" not in read) or not resolves(definition, read[-1], writer):
        return None
    symbols = np.full(MOST_SYMBOLS + 1, NOT_OURS, np.uint8)
    symbols[: len(written)] = [STATUSES.index(each) if each in STATUSES else NOT_OURS for each in written]
    return Field(simple, null, name, len(written), symbols)
