"""A writer's Avro schema as the codec needs it: parsed, without logical types, and whether it resolves to our event."""

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

# Avro 1.11, "Schema Resolution": what a writer's primitive may be read as.
PROMOTIONS = {
    "int": {"int", "long", "float", "double"},
    "long": {"long", "float", "double"},
    "float": {"float", "double"},
    "string": {"string", "bytes"},
    "bytes": {"bytes", "string"},
}


class UnknownSchema(GrisError):  # noqa: N818 - the name of the reason it leads to
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
    """Parse a record schema from its JSON text.

    Raises UnknownSchema when the text is not JSON, not an Avro schema, not a record, or lets a few bytes stand for any
    number of items (an array of items without width), which no reader can bound.
    """
    try:
        declared = json.loads(text)
        logical = dict(_logical_types(declared)) if isinstance(declared, dict) else {}
        names: dict[str, Any] = {}
        parsed = fastavro.schema.parse_schema(_without_logical_types(declared), names)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        fastavro.schema.SchemaParseException,
    ) as error:
        raise UnknownSchema(f"schema id {schema_id} is not a valid Avro schema: {type(error).__name__}") from error
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        raise UnknownSchema(f"schema id {schema_id} is not a record schema")
    if any(_is_unbounded(each, names) for each in [parsed, *names.values()]):
        raise UnknownSchema(f"schema id {schema_id} has an array of items that take no bytes")
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


def why_unresolved(writer: WriterSchema) -> str | None:
    """Say why no record of ``writer`` can be read as our event (Avro 1.11, "Schema Resolution"); None when some can."""
    if unqualified(writer.schema["name"]) != unqualified(event().schema["name"]):
        return f"it is the record {writer.schema['name']}, not {event().schema['name']}"
    written = {field["name"]: field for field in writer.schema["fields"]}
    for field in event().schema["fields"]:
        name = field["name"]
        if name not in written:
            if "default" not in field:
                return f"it lacks the field {name}, which has no default"
        elif not any(resolves(each, field["type"], writer) for each in branches(written[name]["type"])):
            return f"its field {name} cannot be read as {_type_name(field['type'])}"
        elif (
            writer.logical.get(name, event().logical.get(name)) != event().logical.get(name) and name in event().logical
        ):
            return f"its field {name} is a {writer.logical[name]}, not a {event().logical[name]}"
    return None


def resolves(written: Any, read: Any, writer: WriterSchema) -> bool:
    """Tell whether data of the type ``written`` (no union) can be read as the type ``read`` of our event."""
    if isinstance(read, list):
        return any(resolves(written, each, writer) for each in read)
    definition = define(written, writer)
    kind = definition if isinstance(definition, str) else definition["type"]
    if kind == "enum":
        same_name = isinstance(read, dict) and unqualified(definition["name"]) == unqualified(read.get("name", ""))
        return same_name and bool(set(definition["symbols"]) & set(read["symbols"]))
    return _type_name(read) in PROMOTIONS.get(kind, {kind})


def define(kind: Any, writer: WriterSchema) -> Any:
    """Give the definition behind a type: a primitive's name, or a dict for any other type that is not a union."""
    if isinstance(kind, dict) and isinstance(kind["type"], str) and kind["type"] in PRIMITIVES:
        return kind["type"]
    return writer.names[kind] if isinstance(kind, str) and kind in writer.names else kind


def branches(kind: Any) -> list[Any]:
    """Give a union's branches, or the type itself as the only one."""
    return kind if isinstance(kind, list) else [kind]


def unqualified(name: str) -> str:
    """Cut the namespace off a full name."""
    return name.rpartition(".")[2]


@functools.cache
def _bundled_names() -> dict[str, str]:
    return dict(json.loads((resources.files("schemas") / "ids.json").read_text("utf-8")))


def _type_name(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_type_name(each) for each in kind)
    return kind if isinstance(kind, str) else str(kind["type"])


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        # A default or a doc is data, not schema: left as it is.
        return {
            key: value if key in {"default", "doc", "symbols"} else _without_logical_types(value)
            for key, value in node.items()
            if key != "logicalType"
        }
    return [_without_logical_types(each) for each in node] if isinstance(node, list) else node


def _logical_types(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in record.get("fields", ()):
        for each in branches(field["type"]):
            if isinstance(each, dict) and isinstance(each.get("logicalType"), str):
                yield field["name"], each["logicalType"]


def _is_unbounded(kind: Any, names: Mapping[str, Any]) -> bool:
    if isinstance(kind, list):
        return any(_is_unbounded(each, names) for each in kind)
    if not isinstance(kind, dict):
        return False
    if kind["type"] == "array":
        return _has_no_width(kind["items"], names, ()) or _is_unbounded(kind["items"], names)
    if kind["type"] == "map":
        return _is_unbounded(kind["values"], names)
    return any(_is_unbounded(field["type"], names) for field in kind.get("fields", ()))


def _has_no_width(kind: Any, names: Mapping[str, Any], within: tuple[str, ...]) -> bool:
    definition = names.get(kind, kind) if isinstance(kind, str) else kind
    if definition == "null" or (isinstance(definition, dict) and definition["type"] == "null"):
        return True
    if not isinstance(definition, dict):
        return False
    if definition["type"] == "fixed":
        return bool(definition["size"] == 0)
    if definition["type"] != "record" or definition["name"] in within:
        # A record within itself without a union between has no finite value at all; the walk's depth limit ends it.
        return bool(definition["type"] == "record")
    inner = (*within, definition["name"])
    return all(_has_no_width(field["type"], names, inner) for field in definition["fields"])
