"""A stream of events ready to be published, and the count of what must come of it."""

from collections.abc import Callable, Iterator

from deploy.benchmark.catalogue import AGENCIES
from deploy.benchmark.draw import Drawn, Shuffled, Stream, Week
from deploy.benchmark.expected import Expected
from deploy.benchmark.packing import Message, Packer

SHAPES: dict[str, Callable[[int, int], Stream]] = {"week": Week, "shuffled": Shuffled}
TOPICS = tuple(f"gris.events.{agency}" for agency in AGENCIES)
SEED = 2020
CHUNK = 50_000  # part of what is drawn: another size draws other records


class Workload:
    """``events`` records of the stream ``shape``; ``expected`` is complete once all chunks have been taken."""

    def __init__(self, events: int, *, shape: str = "week", seed: int = SEED) -> None:
        self.events = events
        self.shape = shape
        self.seed = seed
        self._stream = SHAPES[shape](events, seed)
        self._packer = Packer(self._stream.first, self._stream.hours)
        self.expected = Expected(self._stream.first, self._stream.hours)

    def beginning(self, most: int) -> tuple[int, Expected]:
        """Count anew what must come of the first records: all, or the whole runs that are not more than ``most``."""
        if most >= self.events:
            return self.events, self.expected
        other = Workload(self.events, shape=self.shape, seed=self.seed)
        upto = max(most // CHUNK, 1) * CHUNK
        for _ in range(0, upto, CHUNK):
            other.expected.note(other._stream.draw(CHUNK))
        return upto, other.expected

    def chunks(self) -> Iterator[dict[str, list[Message]]]:
        """Yield runs of at most CHUNK records, by topic in the order of publishing."""
        for start in range(0, self.events, CHUNK):
            drawn, messages = self.draw(min(CHUNK, self.events - start))
            chunk: dict[str, list[Message]] = {topic: [] for topic in TOPICS}
            for agency, message in zip(drawn.agency.tolist(), messages, strict=True):
                chunk[TOPICS[agency]].append(message)
            yield chunk

    def draw(self, count: int) -> tuple[Drawn, list[Message]]:
        """Draw and pack the next ``count`` records."""
        drawn = self._stream.draw(count)
        self.expected.note(drawn)
        return drawn, self._packer.pack(drawn)
