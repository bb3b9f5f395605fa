"""What a fetch brought, given out within bounds: aiokafka counts records, and a record may be of any size."""

import sys
from typing import Any

from aiokafka.consumer import fetcher


class Portion(fetcher.FetchResult):  # type: ignore[misc]
    """What a fetch brought of a partition, given out in portions: while there is room, which all partitions share."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Give the next records, ``max_records`` at the most, until the room is used up.

        A consumer that was never given room, as others in this process may be, has no bounds.
        """
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        assignment = self._assignment
        room, most = getattr(assignment, "room", None), max_records or sys.maxsize
        if room is None:
            return list(super().getall(max_records))
        taken: list[Any] = []
        if room > 0:
            for record in self._partition_records:
                taken.append(record)
                room -= len(record.value or b"") + len(record.key or b"")
                if room <= 0 or len(taken) == most:
                    self._update_position()
                    break
            else:
                self._update_position()
                self._partition_records = None
            assignment.room = room
        return taken


def make_room(fetching: fetcher.Fetcher, count: int) -> None:
    """Let the next fetch give out ``count`` bytes."""
    subscription = fetching._subscriptions.subscription  # noqa: SLF001 - not told otherwise
    if subscription is not None and subscription.assignment is not None:
        subscription.assignment.room = count
