"""Writers' Avro schemas as the codec needs them: parsed, without logical types, and bounded."""

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import fastavro.schema

from schemas.errors import GrisError

MAGIC = 0
HEADER = 5  # the magic byte and 4 bytes of schema id: Confluent's wire format

STATUSES = "ABEFIMP"  # the symbols of our ObsStatus, in its order
EVENT_ID = 1
REJECTED_ID = 2
LINE_ID = 3
PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class UnknownSchema(GrisError):
    """The schema id is not registered, or what is registered under it cannot be read as our event. Says why."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class WriterSchema:
    """One registered schema.

    ``schema`` is fastavro's parsed form without logical types, so that longs come back raw; ``names`` maps full names
    of its records, enums and fixed types to their definitions; ``logical`` maps a field to the logical type its text
    gives it.
    """

    schema_id: int
    schema: dict[str, Any]
    names: Mapping[str, Mapping[str, Any]]
    logical: Mapping[str, str]


def writer_schema(schema_id: int, text: str) -> WriterSchema:
    """Parse a record schema from its JSON text. Raises UnknownSchema when it is none, or one without bounds."""
    names: dict[str, Any] = {}
    try:
        declared = json.loads(text)
        parsed = fastavro.schema.parse_schema(_without_logical_types(declared), names)
        if not isinstance(parsed, dict) or parsed["type"] != "record":
            raise UnknownSchema(f"schema id {schema_id} is not a record schema")
        flaws = [flaw for definition in names.values() for flaw in _flaws(definition, names)]
        logical = dict(_logical_types(declared))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        # Beyond its own exceptions fastavro fails in any of these ways at what is no schema.
        raise UnknownSchema(f"schema id {schema_id} is not a valid Avro schema: {type(error).__name__}") from error
    if flaws:
        raise UnknownSchema(f"schema id {schema_id} cannot be read: {flaws[0]}")
    return WriterSchema(schema_id, parsed, names, logical)


def bundled_text(schema_id: int) -> str | None:
    """Give the text of a bundled schema by its id in ids.json, None when there is none."""
    name = _bundled_names().get(str(schema_id))
    return None if name is None else (resources.files("schemas") / name).read_text("utf-8")


def bundled(schema_id: int) -> WriterSchema:
    """Parse a bundled schema. Raises UnknownSchema for an id that ids.json does not hold."""
    text = bundled_text(schema_id)
    if text is None:
        raise UnknownSchema(f"schema id {schema_id} is not in the bundled ids.json")
    return writer_schema(schema_id, text)


@functools.cache
def event() -> WriterSchema:
    """Give our own event schema, the reader's side of every resolution."""
    return bundled(EVENT_ID)


def branches(kind: Any) -> list[Any]:
    """Give a union's branches, or the type itself as the only one."""
    return kind if isinstance(kind, list) else [kind]


def define(kind: Any, names: Mapping[str, Mapping[str, Any]]) -> Any:
    """Give what a type that is no union stands for: a primitive's name, or a dict for any other."""
    if isinstance(kind, str):
        return names.get(kind, kind)
    return kind["type"] if kind["type"] in PRIMITIVES else kind


@functools.cache
def _bundled_names() -> dict[str, str]:
    return dict(json.loads((resources.files("schemas") / "ids.json").read_text("utf-8")))


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        # A default or a doc is data, not schema: left as it is.
        return {
            key: value if key in {"default", "doc"} else _without_logical_types(value)
            for key, value in node.items()
            if key != "logicalType"
        }
    return [_without_logical_types(each) for each in node] if isinstance(node, list) else node


def _logical_types(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in record["fields"]:
        for each in branches(field["type"]):
            if isinstance(each, dict) and "logicalType" in each:
                yield field["name"], str(each["logicalType"])


def _flaws(kind: Any, names: Mapping[str, Any]) -> Iterator[str]:
    """Name what fastavro lets pass within one definition, though no reader could make sense of it."""
    match kind:
        case list() if not kind or any(isinstance(each, list) for each in kind):
            yield "a union is empty or lies in another"
        case {"type": "record", "fields": fields} if len({field["name"] for field in fields}) < len(fields):
            yield "a record has a field twice"
        case {"type": "fixed", "size": size} if not isinstance(size, int) or size < 0:
            yield "a fixed type has no size"
        case {"type": "array", "items": items} if _has_no_width(items, names, ()):
            yield "an array has items that take no bytes, so that a few bytes stand for any number of them"
    for each in _parts(kind):
        yield from _flaws(each, names)


def _parts(kind: Any) -> list[Any]:
    match kind:
        case list():
            return kind
        case {"type": "record", "fields": fields}:
            return [field["type"] for field in fields]
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            return [inner]
    return []


def _has_no_width(kind: Any, names: Mapping[str, Any], within: tuple[str, ...]) -> bool:
    if isinstance(kind, list):
        return False
    definition = define(kind, names)
    if isinstance(definition, str):
        return definition == "null"
    if definition["type"] == "fixed":
        return bool(definition["size"] == 0)
    if definition["type"] != "record" or definition["name"] in within:
        # A record that always holds itself has no end; the depth limit of the walk stops it.
        return bool(definition["type"] == "record")
    return all(_has_no_width(field["type"], names, (*within, definition["name"])) for field in definition["fields"])
