"""The areas of many report lines at once: most bytes of gris.daily, put together by column instead of one by one."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONTINUES = 0x80
SEVEN = 7
TICKS_BYTES = 10  # the branch, the length 8 as a zigzag varint, the ticks
LENGTH_OF_TICKS = 16  # 8 in zigzag


@dataclasses.dataclass(frozen=True, slots=True)
class AreaColumns:
    """What lines amount to in every area: arrays are ``[lines, areas]``, ``codes`` names the areas.

    ``said`` tells whether there is a record, ``valued`` whether its value is not null, ``bounded`` whether min and max
    (``low``, ``high``) are not. Values are ticks (int64), the counts are at least 0.
    """

    codes: Sequence[str]
    said: NDArray[np.bool_]
    valued: NDArray[np.bool_]
    value: NDArray[np.int64]
    bounded: NDArray[np.bool_]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    reported: NDArray[Any]
    expected: NDArray[Any]
    cells: NDArray[Any]


def encode_areas(areas: AreaColumns) -> list[bytes]:
    """Encode the array of AreaTotal of each line, as Avro's binary encoding has it: one block, and its end.

    Every record is laid out at the width of the widest, and what it does not need is left out in one go.
    """
    codes = [_length(len(raw)) + raw for raw in (code.encode() for code in areas.codes)]
    counts = [_Varints.of(each) for each in (areas.reported, areas.expected, areas.cells)]
    code_bytes = max(map(len, codes), default=1)
    record = np.dtype(
        [
            ("area", np.uint8, (code_bytes,)),
            *((f"{name}{part}", kind) for name in ("value", "low", "high") for part, kind in TICKS_FIELDS),
            *((f"count{at}", np.uint8, (count.width,)) for at, count in enumerate(counts)),
        ]
    )
    rows = np.empty(areas.said.shape, record)
    rows["area"] = np.frombuffer(b"".join(code.ljust(code_bytes, b"\0") for code in codes), np.uint8).reshape(
        len(codes), code_bytes
    )
    for name, ticks, valid in (
        ("value", areas.value, areas.valued),
        ("low", areas.low, areas.bounded),
        ("high", areas.high, areas.bounded),
    ):
        rows[f"{name}branch"] = valid.view(np.uint8) * 2
        rows[f"{name}length"] = LENGTH_OF_TICKS
        rows[f"{name}ticks"] = ticks
    for at, count in enumerate(counts):
        count.write(rows[f"count{at}"])
    widths = [code_bytes, *[TICKS_BYTES] * 3, *(count.width for count in counts)]
    pattern, lengths = _patterns(areas, codes, counts)
    kept = _kept(lengths, widths)[pattern]
    raw = rows.reshape(-1).view(np.uint8)[kept.reshape(-1)].tobytes()
    ends = np.cumsum(lengths.sum(axis=1)[pattern].sum(axis=1)).tolist()
    return [
        _length(count) + raw[start:end] + b"\0" if count else b"\0"
        for count, start, end in zip(areas.said.sum(axis=1).tolist(), [0, *ends], ends, strict=False)
    ]


TICKS_FIELDS = (("branch", np.uint8), ("length", np.uint8), ("ticks", ">i8"))


@dataclasses.dataclass(frozen=True, slots=True)
class _Varints:
    """Counts as zigzag varints of at most ``width`` bytes; ``lengths`` of each."""

    raw: NDArray[np.int64]
    lengths: NDArray[np.uint8]
    width: int

    @classmethod
    def of(cls, counts: NDArray[Any]) -> "_Varints":
        raw = counts.astype(np.int64) * 2
        width = max(1, -(-int(raw.max(initial=0)).bit_length() // SEVEN))
        lengths = np.ones(raw.shape, np.uint8)
        for more in range(1, width):
            lengths += raw >> SEVEN * more > 0
        return cls(raw, lengths, width)

    def write(self, place: NDArray[np.uint8]) -> None:
        for at in range(self.width):
            group = self.raw >> SEVEN * at & CONTINUES - 1
            place[..., at] = group if at + 1 == self.width else group | np.where(self.lengths > at + 1, CONTINUES, 0)


def _patterns(
    areas: AreaColumns, codes: Sequence[bytes], counts: Sequence[_Varints]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each record the number of its pattern, and the lengths of the fields ``[patterns, fields]`` of all patterns.

    Pattern 0 is a record that is not there.
    """
    code_lengths = sorted({len(code) for code in codes})
    options = [code_lengths, [1, TICKS_BYTES], [1, TICKS_BYTES], *(range(1, count.width + 1) for count in counts)]
    chosen = np.array([code_lengths.index(len(code)) for code in codes], np.int64)[None, :]
    pattern = chosen * 2 + areas.valued
    pattern = pattern * 2 + areas.bounded
    for count in counts:
        pattern = pattern * count.width + (count.lengths - 1)
    pattern = np.where(areas.said, pattern + 1, 0)
    grid = np.stack(np.meshgrid(*options, indexing="ij"), axis=-1).reshape(-1, len(options))
    code, value, bounds, *rest = grid.T
    lengths = np.stack([code, value, bounds, bounds, *rest], axis=1)
    return pattern, np.concatenate([np.zeros((1, lengths.shape[1]), np.int64), lengths])


def _kept(lengths: NDArray[np.int64], widths: Sequence[int]) -> NDArray[np.bool_]:
    """Tell for each pattern which bytes of a record of the full width belong to it."""
    field = np.repeat(np.arange(len(widths)), widths)
    place = np.concatenate([np.arange(width) for width in widths])
    return np.asarray(place[None, :] < lengths[:, field])


def _length(count: int) -> bytes:
    """Spell a length or a count that is at least 0 as a zigzag varint."""
    raw, groups = 2 * count, bytearray()
    while raw >= CONTINUES:
        groups.append(raw & CONTINUES - 1 | CONTINUES)
        raw >>= SEVEN
    groups.append(raw)
    return bytes(groups)
