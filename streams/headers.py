"""The one header of a record that is of interest: which record it repeats. The others are stepped over.

A header takes two bytes, so that a record of 16 MiB may have eight million: nothing is kept of any, and no call made.
"""

import re

from schemas.topics import REPLAY_OF
from streams.record_starts import WIDE, check_length, read_varint

NAME = REPLAY_OF.encode()
PLACE = re.compile(rb"(0|[1-9][0-9]{0,9}):(0|[1-9][0-9]{0,18})")


def read_replay_of(raw: bytes | memoryview, at: int, count: int) -> str:
    """Read ``count`` headers up to the end of ``raw``: the first ``<partition>:<offset>`` that one names, or nothing.

    Raises ValueError or IndexError when they do not end where it does.
    """
    stop, found = len(raw), ""
    for _ in range(check_length(count, stop - at)):
        # A text that reaches behind the end shows in the next number, or below.
        size, name = raw[at], at + 1
        if size < WIDE and not size & 1:
            size >>= 1
        else:
            size, name = read_varint(raw, at)
            check_length(size, stop - name)
        at = name + size
        named = not found and size == len(NAME) and raw[name:at] == NAME
        size, value = raw[at], at + 1
        if size < WIDE:
            size = 0 if size & 1 else size >> 1  # a negative length is no value
        else:
            size, value = read_varint(raw, at)
            size = check_length(max(size, 0), stop - value)
        at = value + size
        if named and at <= stop and PLACE.fullmatch(raw, value, at):
            found = str(raw[value:at], "ascii")
    if at != stop:
        raise ValueError(f"a record does not end with its {count} headers")
    return found
