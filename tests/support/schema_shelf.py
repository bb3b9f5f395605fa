"""A source of writer schemas held in memory: versions of the event's schema as agencies might register them."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from schemas.codec import UnknownSchema, WriterSchema
from schemas.codec_schema import writer_schema

OURS: dict[str, Any] = json.loads((resources.files("schemas") / "indicator_event.v1.avsc").read_text("utf-8"))


def version(*added: Mapping[str, Any], without: tuple[str, ...] = (), first: tuple[str, ...] = (), **types: Any) -> Any:
    """Derive a schema from ours: fields added, left out, put first in this order, or given another type."""
    fields = {field["name"]: dict(field) for field in OURS["fields"] if field["name"] not in without}
    for name, kind in types.items():
        fields[name] = {"name": name, "type": kind}
    ordered = [fields[name] for name in first] + [field for name, field in fields.items() if name not in first]
    return {**OURS, "fields": [*ordered, *added]}


class Shelf:
    """Schemas by id."""

    def __init__(self, schemas: Mapping[int, Any]) -> None:
        self._texts = {schema_id: json.dumps(schema) for schema_id, schema in schemas.items()}
        self._parsed: dict[int, WriterSchema] = {}

    def writer(self, schema_id: int) -> WriterSchema:
        """Give the schema of an id, or raise UnknownSchema."""
        if schema_id not in self._texts:
            raise UnknownSchema(f"schema id {schema_id} is not on the shelf")
        if schema_id not in self._parsed:
            self._parsed[schema_id] = writer_schema(schema_id, self._texts[schema_id])
        return self._parsed[schema_id]
