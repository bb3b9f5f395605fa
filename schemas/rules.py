"""Judge the decoded events of a block: what is accepted, as ordinals and ticks, and what is refused, with its reason.

Pure: the only "now" is the broker's timestamp of each record, so judging again under one ``digest`` gives the same.
"""

import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.catalogue import Catalogue
from schemas.codec import Decoded
from schemas.columns import arrow
from schemas.reasons import Reason, Refusal
from schemas.rules_details import Found, explain
from schemas.rules_order import TICKS, Columns, Setting, first_reasons
from schemas.rules_tables import Bools, Distinct, Floats, Ints, Longs, Tables
from schemas.spans import Spans

RULES_VERSION = 1  # raise it with every change of a verdict, of ticks or of ordinals
SHOWN_CHARACTERS = 256  # of indicator and submission in a refusal: ``raw`` holds the rest


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Records of one partition by position: ascending ``offsets``, ``timestamps`` (broker, ms), ``keys``, ``values``.

    ``partitions`` is the topic's count. ``replay_of`` maps a position to the ``<partition>:<offset>`` it repeats.
    """

    topic: str
    agency: str
    partition: int
    partitions: int
    offsets: Longs
    timestamps: Longs
    keys: Spans
    values: Spans
    replay_of: dict[int, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """The accepted events in m parallel arrays, by ascending position (``rows``) in the block.

    ``indicator``, ``breakdown`` (in the indicator's list), ``map`` and ``area`` (in that map: a province or the nation)
    are ordinals of the catalogue; ``day`` is the bucket in days since 1970; ``ticks`` and ``base`` are ten-thousandths,
    0 where there is none. ``texts`` holds what was written: submission, indicator, area, breakdown and time_period as
    dictionaries, note, and observed_at in ms.
    """

    rows: Longs
    indicator: Ints
    breakdown: Ints
    map: Ints
    area: Ints
    slot: Ints
    day: Ints
    ticks: Longs
    base: Longs
    status: npt.NDArray[np.uint8]
    revision: Longs
    version: Longs
    texts: pa.Table


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """Every record of a block is in exactly one of the two; ``refused`` by ascending position."""

    accepted: Accepted
    refused: list[Refusal]


class Rules:
    """A catalogue's rules. ``digest`` names them: equal digests judge equally."""

    def __init__(self, catalogue: Catalogue, schema_ids: bytes) -> None:
        self._catalogue = catalogue
        self._tables = Tables(catalogue)
        said = f"{catalogue.digest}\n{RULES_VERSION}\n".encode() + schema_ids
        self.digest = hashlib.sha256(said).hexdigest()[:16]

    def judge(self, block: Block, decoded: Decoded) -> Judged:
        """Give each decoded record its verdict, and put the decoder's refusals among the refused."""
        whole = len(decoded.rows) == decoded.size
        setting = Setting(
            block.agency,
            block.partition,
            block.partitions,
            block.keys if whole else block.keys.take(decoded.rows),
            block.timestamps if whole else block.timestamps[decoded.rows],
        )
        rows = Columns(self._tables, decoded.batch)
        reasons = first_reasons(self._tables, setting, rows)
        accepted = _accept(self._tables, block, decoded, rows, reasons == 0)
        refused = [_shortened(refusal) for refusal in decoded.refused]
        refused += self._refuse(setting, decoded, rows, reasons)
        refused.sort(key=lambda refusal: refusal.position)
        return Judged(accepted, refused)

    def _refuse(
        self, setting: Setting, decoded: Decoded, rows: Columns, reasons: npt.NDArray[np.uint8]
    ) -> Iterator[Refusal]:
        at = np.flatnonzero(reasons)
        keys = setting.keys.take(at)
        # Column by column: asking numpy and Arrow for one row after the other costs more than all the rest.
        found = (
            setting.timestamps[at].tolist(),
            [keys[number] for number in range(len(at))],
            *(rows.texts[name].some(at) for name in ("submission", "indicator", "area", "breakdown", "time_period")),
            _nullable(rows.value[at], rows.has_value[at]),
            _nullable(rows.base[at], rows.has_base[at]),
            rows.revision[at].tolist(),
            rows.observed_at[at].tolist(),
            [len(rows.note[row].as_py()) if reasons[row] == Reason.BAD_NOTE else 0 for row in at.tolist()],
        )
        verdicts = (reasons[at].tolist(), decoded.rows[at].tolist(), decoded.schema_ids[at].tolist())
        for reason, position, schema_id, *said in zip(*verdicts, *found, strict=True):
            one = Found(setting.agency, setting.partition, setting.partitions, *said)
            field, detail = explain(Reason(reason), one, self._catalogue)
            yield _shortened(Refusal(position, Reason(reason), field, detail, schema_id, one.indicator, one.submission))


def _nullable(values: Floats, present: Bools) -> list[float | None]:
    return [value if has else None for value, has in zip(values.tolist(), present.tolist(), strict=True)]


def _accept(tables: Tables, block: Block, decoded: Decoded, rows: Columns, good: Bools) -> Accepted:
    """Take the good rows; all of them costs no copy."""
    take: slice | Longs = slice(None) if good.all() else np.flatnonzero(good)
    positions = decoded.rows[take]
    indicator, status = rows.indicator[take], rows.status[take]
    times = rows.texts["time_period"].at[take]
    revision = rows.revision[take].astype(np.int64)
    # Whole numbers below 10^14 and powers of ten: these products are exact.
    ticks = rows.rounded[take] * (TICKS / tables.scale[indicator])
    counted = tables.needs_base[indicator] & ~rows.missing[take]
    base = np.rint(np.where(counted, rows.base[take], 0.0) * TICKS)
    return Accepted(
        rows=positions,
        indicator=indicator,
        breakdown=rows.breakdown[take],
        map=rows.map[take],
        area=rows.area[take],
        slot=rows.periods.slot.astype(np.int32)[times],
        day=rows.periods.day.astype(np.int32)[times],
        ticks=ticks.astype(np.int64),
        base=base.astype(np.int64),
        status=status,
        revision=revision,
        version=(revision << 40) + block.offsets[positions] + 1,
        texts=_texts(rows, take),
    )


def _texts(rows: Columns, take: slice | Longs) -> pa.Table:
    columns = {name: _some(distinct, take) for name, distinct in rows.texts.items()}
    at = None if isinstance(take, slice) else arrow(take)
    columns["note"] = rows.note if at is None else rows.note.take(at)
    columns["observed_at"] = rows.observed if at is None else rows.observed.take(at)
    return pa.table(columns)


def _some(distinct: Distinct, take: slice | Longs) -> pa.DictionaryArray:
    """Take rows, and leave texts that only refused rows had out of the dictionary: they may be huge."""
    if isinstance(take, slice):
        return distinct.encoded
    at = distinct.at[take]
    used = np.zeros(len(distinct.encoded.dictionary), np.bool_)
    used[at] = True
    places = np.cumsum(used, dtype=np.int32) - np.int32(1)
    kept = distinct.encoded.dictionary.take(arrow(np.flatnonzero(used)))
    return pa.DictionaryArray.from_arrays(arrow(places[at]), kept)


def _shortened(refusal: Refusal) -> Refusal:
    """Keep a hostile record's texts from making its rejection larger than the topic of rejections takes."""
    if len(refusal.indicator) <= SHOWN_CHARACTERS and len(refusal.submission) <= SHOWN_CHARACTERS:
        return refusal
    return dataclasses.replace(
        refusal,
        indicator=refusal.indicator[:SHOWN_CHARACTERS],
        submission=refusal.submission[:SHOWN_CHARACTERS],
    )
