"""Values of ours written into SQL: where parameters do not reach (they travel in the URL, which has its limits)."""

import json
from collections.abc import Iterable, Mapping


def text(value: str) -> str:
    """Write one text as a literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def texts(values: Iterable[str]) -> str:
    """Write the right side of IN; of no values, one that nothing equals by being the empty text."""
    return "(" + (", ".join(map(text, values)) or "''") + ")"


def table(columns: str, rows: Iterable[Mapping[str, object]]) -> str:
    """Write a table function that gives ``rows``; ``columns`` as in CREATE TABLE. One literal, however many rows."""
    return f"format(JSONEachRow, {text(columns)}, {text(chr(10).join(map(json.dumps, rows)))})"
