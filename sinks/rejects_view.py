"""Rejected records at a terminal, or as JSON for scripts. What hostile records hold is shown, never obeyed."""

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.codec_partial import Partial
from schemas.period import LOCAL
from sinks.clickhouse.rejects import Count, Reject
from sinks.hexdump import hexdump

PIPE_WIDTH = 240  # columns where there is no terminal to fit into
SHOWN_CHARACTERS = 200


def console() -> Console:
    """Give the console of standard output."""
    out = Console()
    return out if out.is_terminal else Console(width=PIPE_WIDTH)


def plain(text: object, limit: int = SHOWN_CHARACTERS) -> Text:
    """Make any text fit for a terminal: one that would move the cursor or speak markup is only shown."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text)[: limit + 1])
    return Text(shown if len(shown) <= limit else f"{shown[: limit - 1]}…")


def local(moment: dt.datetime) -> str:
    """Write an instant in Viet Nam's time."""
    return moment.astimezone(LOCAL).isoformat(" ", "seconds")


def show_list(rejects: Sequence[Reject], *, more: bool) -> None:
    """Print one row a reject."""
    table = Table(box=None, pad_edge=False)
    for name in ("place", "received", "reason", "field", "indicator", "submission", "detail"):
        table.add_column(name, no_wrap=name in {"place", "received", "reason"}, overflow="fold")
    for one in rejects:
        detail = plain(one.detail, 400)
        if one.closed_by:
            detail = Text(f"closed by {one.closed_by}", style="green")
        table.add_row(
            plain(one.place),
            local(one.received_at),
            one.reason,
            one.field,
            plain(one.indicator, 40),
            plain(one.submission, 64),
            detail,
        )
    out = console()
    out.print(table if rejects else "No rejects that fit.")
    if more:
        out.print(f"These are the newest {len(rejects)}; there are more: narrow the choice, or raise --limit.")


def show_counts(counts: Sequence[Count]) -> None:
    """Print one row a reason and agency, and the sum."""
    table = Table(box=None, pad_edge=False)
    for name in ("reason", "agency", "open", "closed", "oldest", "newest"):
        table.add_column(name, justify="right" if name in {"open", "closed"} else "left")
    for one in counts:
        table.add_row(
            one.reason, plain(one.agency), str(one.open), str(one.closed), local(one.oldest), local(one.newest)
        )
    out = console()
    out.print(table if counts else "No rejects that fit.")
    out.print(f"{sum(one.open for one in counts)} open, {sum(one.closed for one in counts)} closed.", highlight=False)


def show_one(one: Reject, raw: bytes | None, partial: Partial, hint: str, limit: int) -> None:
    """Print the verdict, the fields that decode, and the bytes."""
    verdict = Table(box=None, show_header=False, pad_edge=False)
    verdict.add_column(no_wrap=True, style="bold")
    verdict.add_column(overflow="fold")
    said = {
        "place": one.place,
        "received": local(one.received_at),
        "verdict": f"{one.reason} ({one.field})",
        "detail": one.detail,
        "agency": one.agency,
        "indicator": one.indicator or "not readable",
        "submission": one.submission or "not readable",
        "schema id": "none" if one.schema_id is None else one.schema_id,
        "rules": one.rules,
        "key": hint,
        "state": f"closed by {one.closed_by}" if one.closed_by else "open",
    }
    for name, text in said.items():
        verdict.add_row(name, plain(text, 1_000))
    out = console()
    out.print(verdict)
    if partial.fields:
        table = Table("field", "bytes", "value", box=None, pad_edge=False, title="Decoded", title_justify="left")
        for field in partial.fields:
            table.add_row(field.name, f"{field.start}-{field.stop - 1}", plain(repr(field.value)))
        out.print("", table)
    out.print("", plain(f"Then: {partial.fault}." if partial.fault else "The record decodes to its end.", 600))
    if raw is None:
        out.print("", "The value is null: there are no bytes.")
        return
    out.print("", f"{len(raw)} bytes", highlight=False)
    for line in hexdump(raw, limit):
        out.print(Text(line), soft_wrap=True)


def list_as_json(rejects: Sequence[Reject], *, more: bool) -> str:
    """Write the list."""
    return _json({"rejects": [_reject(one) for one in rejects], "more": more})


def counts_as_json(counts: Sequence[Count]) -> str:
    """Write the counts."""
    sums = {"open": sum(one.open for one in counts), "closed": sum(one.closed for one in counts)}
    return _json({"counts": [dataclasses.asdict(one) for one in counts], **sums})


def one_as_json(one: Reject, raw: bytes | None, partial: Partial, hint: str, limit: int) -> str:
    """Write one reject: ``raw`` in hexadecimal, as many bytes as asked for; null for a tombstone."""
    decoded = [{**dataclasses.asdict(field), "value": _value(field.value)} for field in partial.fields]
    return _json(
        {
            **_reject(one),
            "key_hint": hint,
            "decoded": decoded,
            "fault": partial.fault,
            "size": None if raw is None else len(raw),
            "raw": None if raw is None else raw[:limit].hex(),
        }
    )


def _reject(one: Reject) -> dict[str, object]:
    return {"place": str(one.place), **dataclasses.asdict(one.place), **_flat(one)}


def _flat(one: Reject) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(one).items() if name != "place"}


def _value(value: object) -> object:
    """Give a decoded value as JSON has it: infinities, and what else JSON has not, as their text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and value - value == 0 else repr(value)


def _json(found: object) -> str:
    return json.dumps(found, ensure_ascii=False, default=lambda moment: moment.isoformat())
