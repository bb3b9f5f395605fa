"""A stream of events ready to be published, and the count of what must come of it."""

from collections.abc import Callable, Iterator

from deploy.benchmark.catalogue import AGENCIES
from deploy.benchmark.draw import Shuffled, Stream, Week
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
        self._stream = SHAPES[shape](events, seed)
        self._packer = Packer(self._stream.first, self._stream.hours)
        self.expected = Expected(self._stream.first, self._stream.hours)

    def chunks(self) -> Iterator[dict[str, list[Message]]]:
        """Yield runs of at most CHUNK records, by topic in the order of publishing."""
        for start in range(0, self.events, CHUNK):
            drawn = self._stream.draw(min(CHUNK, self.events - start))
            self.expected.note(drawn)
            chunk: dict[str, list[Message]] = {topic: [] for topic in TOPICS}
            for agency, message in zip(drawn.agency.tolist(), self._packer.pack(drawn), strict=True):
                chunk[TOPICS[agency]].append(message)
            yield chunk
