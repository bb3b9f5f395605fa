"""Bytes as people read them: offset, hexadecimal, ASCII."""

from collections.abc import Iterator

WIDTH = 16
HALF = WIDTH // 2


def hexdump(data: bytes, limit: int) -> Iterator[str]:
    """Yield a line for every 16 of the first ``limit`` bytes, and one that counts the rest."""
    for start in range(0, min(limit, len(data)), WIDTH):
        row = data[start : min(start + WIDTH, limit)]
        halves = f"{row[:HALF].hex(' '):<23}  {row[HALF:].hex(' '):<23}"
        text = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isprintable() else "." for byte in row)
        yield f"{start:08x}  {halves}  |{text}|"
    if len(data) > limit:
        yield f"… {len(data) - limit} of {len(data)} bytes more"
