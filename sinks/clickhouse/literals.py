"""Values of ours written into SQL: where parameters do not reach (they travel in the URL, which has its limits)."""

import json
from collections.abc import Iterable, Mapping


def text(value: str) -> str:
    """Write one text as a literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def texts(values: Iterable[str]) -> str:
    """Write the right side of IN; of no values, one that nothing equals by being the empty text."""
    return "(" + (", ".join(map(text, values)) or "''") + ")"


def array(values: Iterable[str | int | tuple[str | int, ...]]) -> str:
    """Write texts, whole numbers or tuples of them as an array; CAST an array that may be empty."""
    return "[" + ", ".join(map(_item, values)) + "]"


def table(columns: str, rows: Iterable[Mapping[str, object]]) -> str:
    """Write a table function that gives ``rows``; ``columns`` as in CREATE TABLE. One literal, however many rows."""
    return f"format(JSONEachRow, {text(columns)}, {text(chr(10).join(map(json.dumps, rows)))})"


def _item(value: str | int | tuple[str | int, ...]) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_item, value)) + ")"
    return text(value) if isinstance(value, str) else str(value)
