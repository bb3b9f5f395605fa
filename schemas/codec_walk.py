"""Walk one Avro body by the text of the specification, trusting nothing: what in it does not follow its schema.

Source: Apache Avro 1.11, "Binary encoding". The walk is lenient in one place, as Avro readers are: a number may be
padded with empty groups of seven bits, up to the ten bytes a long may take.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from schemas.codec_resolution import resolves
from schemas.codec_schema import WriterSchema, branches, define, event

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
LONG_BITS = 64
# A record that holds itself may nest as deep as its bytes allow; ours holds nothing, so no honest writer needs much.
DEEPEST = 32

WIDTHS = {"float": 4, "double": 8}


class BrokenError(Exception):
    """The bytes do not follow the schema; the text says what was found and what is allowed. Caught by the reference."""


@dataclasses.dataclass(slots=True)
class Walk:
    """One pass over ``data``. ``bad_text`` says what in the first text is not UTF-8, empty while all are."""

    data: bytes
    bad_text: str = ""


Step = Callable[[Walk, int, int], int]  # (walk, position, depth) → position after; raises BrokenError


def field_steps(writer: WriterSchema) -> list[tuple[str, Step]]:
    """Compile the writer's fields, in order, to (name, step). A step also refuses what cannot be read as our field."""
    ours = {field["name"]: field["type"] for field in event().schema["fields"]}
    compiler = _Compiler(writer)
    return [
        (field["name"], compiler.field(field["type"], ours.get(field["name"]))) for field in writer.schema["fields"]
    ]


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag varint: (value within 64 bits, position after)."""
    raw = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BrokenError("the record ends inside a number")
        byte = data[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            if raw >> LONG_BITS:
                raise BrokenError("a number is wider than 64 bits")
            return (raw >> 1) ^ -(raw & 1), at
    raise BrokenError("a number takes more than 10 bytes")


def _skip(walk: Walk, at: int, width: int) -> int:
    if width > len(walk.data) - at:
        raise BrokenError(f"the record ends {width - (len(walk.data) - at)} bytes early")
    return at + width


def _read_length(walk: Walk, at: int) -> tuple[int, int]:
    length, at = read_number(walk.data, at)
    if length < 0:
        raise BrokenError(f"the length {length} is negative")
    return length, at


def _null(_walk: Walk, at: int, _depth: int) -> int:
    return at


def _boolean(walk: Walk, at: int, _depth: int) -> int:
    after = _skip(walk, at, 1)
    if walk.data[at] > 1:
        raise BrokenError(f"a boolean is the byte {walk.data[at]}; 0 and 1 are allowed")
    return after


def _int(walk: Walk, at: int, _depth: int) -> int:
    value, at = read_number(walk.data, at)
    if not INT_MIN <= value <= INT_MAX:
        raise BrokenError(f"an int is {value}, outside 32 bits")
    return at


def _long(walk: Walk, at: int, _depth: int) -> int:
    return read_number(walk.data, at)[1]


def _bytes(walk: Walk, at: int, _depth: int) -> int:
    length, at = _read_length(walk, at)
    return _skip(walk, at, length)


def _string(walk: Walk, at: int, _depth: int) -> int:
    length, start = _read_length(walk, at)
    stop = _skip(walk, start, length)
    if not walk.bad_text:
        try:
            walk.data[start:stop].decode()
        except UnicodeDecodeError as error:
            walk.bad_text = f"byte 0x{walk.data[start + error.start]:02X} at position {error.start} of the text"
    return stop


def _fixed(width: int) -> Step:
    return lambda walk, at, _depth: _skip(walk, at, width)


PRIMITIVES: dict[str, Step] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": _fixed(WIDTHS["float"]),
    "double": _fixed(WIDTHS["double"]),
    "bytes": _bytes,
    "string": _string,
}


class _Compiler:
    """Turns types into steps; named types are compiled once, so that a record may hold itself."""

    def __init__(self, writer: WriterSchema) -> None:
        self._writer = writer
        self._named: dict[str, Step] = {}

    def field(self, kind: Any, read: Any) -> Step:
        """Compile a top-level field that is read as our type ``read``, or skipped when that is None."""
        if read is None:
            return self.step(kind)
        options = branches(kind)
        steps = [self._read_as(each, read) for each in options]
        return _union(steps) if isinstance(kind, list) else steps[0]

    def step(self, kind: Any) -> Step:
        """Compile any type."""
        if isinstance(kind, list):
            return _union([self.step(each) for each in kind])
        definition = define(kind, self._writer.names)
        return PRIMITIVES[definition] if isinstance(definition, str) else self._complex(definition)

    def _complex(self, definition: Any) -> Step:
        match definition["type"]:
            case "array":
                return _blocks(self.step(definition["items"]))
            case "map":
                value = self.step(definition["values"])
                return _blocks(lambda walk, at, depth: value(walk, _string(walk, at, depth), depth))
            case "enum":
                return _enum(definition["symbols"], frozenset(definition["symbols"]))
            case "fixed":
                return _fixed(definition["size"])
            case _:
                return self._record(definition)

    def _read_as(self, kind: Any, read: Any) -> Step:
        definition = define(kind, self._writer.names)
        if not resolves(kind, read, self._writer):
            return _unreadable(str(definition if isinstance(definition, str) else definition["type"]))
        if isinstance(definition, dict) and definition["type"] == "enum":
            return _enum(definition["symbols"], frozenset(read["symbols"]))
        if definition == "bytes":
            return _string  # bytes that are read as a text have to be one
        return self.step(kind)

    def _record(self, definition: Any) -> Step:
        name = definition["name"]
        if name not in self._named:
            steps: list[Step] = []

            def record(walk: Walk, at: int, depth: int) -> int:
                if depth >= DEEPEST:
                    raise BrokenError(f"records lie in each other more than {DEEPEST} deep")
                for step in steps:
                    at = step(walk, at, depth + 1)
                return at

            self._named[name] = record
            steps.extend(self.step(field["type"]) for field in definition["fields"])
        return self._named[name]


def _unreadable(found: str) -> Step:
    def unreadable(_walk: Walk, _at: int, _depth: int) -> int:
        raise BrokenError(f"the union branch {found} cannot be read as this field's type")

    return unreadable


def _union(steps: list[Step]) -> Step:
    def union(walk: Walk, at: int, depth: int) -> int:
        branch, at = read_number(walk.data, at)
        if not 0 <= branch < len(steps):
            raise BrokenError(f"the union branch {branch} does not exist; 0 to {len(steps) - 1} do")
        return steps[branch](walk, at, depth)

    return union


def _enum(symbols: list[str], readable: frozenset[str]) -> Step:
    def enum(walk: Walk, at: int, _depth: int) -> int:
        index, at = read_number(walk.data, at)
        if not 0 <= index < len(symbols):
            raise BrokenError(f"the symbol {index} does not exist; 0 to {len(symbols) - 1} do")
        if symbols[index] not in readable:
            raise BrokenError(f"the symbol {symbols[index][:40]} is not one of {' '.join(sorted(readable))}")
        return at

    return enum


def _blocks(item: Step) -> Step:
    """Arrays and maps: blocks of items until an empty one; after a negative count follows the block's size in bytes."""

    def blocks(walk: Walk, at: int, depth: int) -> int:
        if depth >= DEEPEST:
            raise BrokenError(f"values lie in each other more than {DEEPEST} deep")
        while True:
            count, at = read_number(walk.data, at)
            if count == 0:
                return at
            stop = None
            if count < 0:
                size, at = _read_length(walk, at)
                count, stop = -count, _skip(walk, at, size)
            for _ in range(count):
                at = item(walk, at, depth + 1)
            if stop is not None and at != stop:
                raise BrokenError("a block of items does not end where its size says")

    return blocks
