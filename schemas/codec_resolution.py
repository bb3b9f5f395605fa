"""Whether a writer's schema can be read as our event. Source: Apache Avro 1.11, "Schema Resolution"."""

from typing import Any

from schemas.codec_schema import WriterSchema, branches, define, event
from schemas.reasons import quote

# What a writer's primitive may be read as.
PROMOTIONS = {
    "int": {"int", "long", "float", "double"},
    "long": {"long", "float", "double"},
    "float": {"float", "double"},
    "string": {"string", "bytes"},
    "bytes": {"bytes", "string"},
}


def why_unresolved(writer: WriterSchema) -> str | None:
    """Say why no record of ``writer`` can be read as our event; None when some can, if not all."""
    if _unqualified(writer.schema["name"]) != _unqualified(event().schema["name"]):
        return f"it is the record {quote(writer.schema['name'])}, not {event().schema['name']}"
    written = {field["name"]: field for field in writer.schema["fields"]}
    for field in event().schema["fields"]:
        name = field["name"]
        if name not in written:
            if "default" not in field:
                return f"it lacks the field {name}, which has no default"
        elif not any(resolves(each, field["type"], writer) for each in branches(written[name]["type"])):
            return f"its field {name} cannot be read as {_name(field['type'])}"
        elif name in event().logical and writer.logical.get(name, event().logical[name]) != event().logical[name]:
            # The spec would read microseconds as milliseconds; only a plain long may stand for our instants.
            return f"its field {name} is a {quote(writer.logical[name])}, not a {event().logical[name]}"
    return None


def resolves(written: Any, read: Any, writer: WriterSchema) -> bool:
    """Tell whether data of the type ``written`` of ``writer`` (no union) can be read as our event's type ``read``."""
    if isinstance(read, list):
        return any(resolves(written, each, writer) for each in read)
    definition = define(written, writer.names)
    own = define(read, event().names)
    if isinstance(definition, str):
        return isinstance(own, str) and own in PROMOTIONS.get(definition, {definition})
    if isinstance(own, str) or definition["type"] != "enum":
        return False
    return _unqualified(definition["name"]) == _unqualified(own["name"]) and bool(
        set(definition["symbols"]) & set(own["symbols"])
    )


def _unqualified(name: str) -> str:
    return name.rpartition(".")[2]


def _name(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_name(each) for each in kind)
    return kind if isinstance(kind, str) else str(kind["type"])
