"""The sample on paper: one CSV file per agency, row by row as published, for whoever wants to add it up by hand.

``<agency>.csv`` has the event's columns and could be published with `gris publish`. ``mistakes.jsonl`` names the rows
that the worker refuses, and why: file, row (the header is row 1), reason.
"""

import csv
import datetime as dt
import json
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self

from producers.sample.statement import EPOCH, FIELDS, Statement
from schemas.errors import Fatal
from schemas.period import LOCAL

MISTAKES = "mistakes.jsonl"


class Paper:
    """Writes statements into ``folder`` in the order given; a context manager.

    Earlier files there are replaced, or gone on with when ``append`` is set.
    """

    def __init__(self, folder: Path, *, append: bool = False) -> None:
        self.folder = folder
        self._append = append
        self.rows: dict[str, int] = {}
        self._files: dict[str, TextIOWrapper] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._mistakes = (folder / MISTAKES).open("a" if append else "w", encoding="utf-8")
        except OSError as error:
            raise Fatal(f"{folder} cannot be written: {error.strerror}; choose another folder with --out.") from error

    def write(self, statements: Sequence[Statement]) -> list[tuple[str, int]]:
        """Write statements; give for each the file's name and the row it stands on."""
        places = []
        for statement in statements:
            name = f"{statement.agency}.csv"
            file = self._file(name)
            csv.writer(file, lineterminator="\n").writerow(_cells(statement))
            self.rows[name] += 1
            place = (name, self.rows[name])
            if statement.mistake is not None:
                found = {"file": name, "row": place[1], "reason": statement.mistake.name}
                self._mistakes.write(json.dumps(found) + "\n")
            places.append(place)
        return places

    def flush(self) -> None:
        """Bring everything written so far to the files."""
        for file in (*self._files.values(), self._mistakes):
            file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in (*self._files.values(), self._mistakes):
            file.close()

    def _file(self, name: str) -> TextIOWrapper:
        if name not in self._files:
            path = self.folder / name
            before = _records(path) if self._append and path.exists() else 0
            file = path.open("a" if before else "w", encoding="utf-8", newline="")
            self._files[name], self.rows[name] = file, before or 1
            if not before:
                csv.writer(file, lineterminator="\n").writerow(FIELDS)
        return self._files[name]


def _records(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file))


def _cells(statement: Statement) -> list[object]:
    observed = (EPOCH + dt.timedelta(milliseconds=statement.observed_at)).astimezone(LOCAL)
    cells: list[object] = []
    for field in FIELDS:
        if field == "observed_at":
            cells.append(observed.isoformat())
        else:
            cells.append(_plain(getattr(statement, field)))
    return cells


def _plain(cell: object) -> object:
    """Write whole figures without a point, and never in the form 1e+06."""
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() else cell
    return "" if cell is None else cell
