"""The guard against a bad deploy: rules that refuse nearly everything of many agencies stop the worker."""

import dataclasses

from schemas.errors import Fatal

SHOWN = 5  # agencies that the sentence names


@dataclasses.dataclass(slots=True)
class Run:
    """What was judged of one agency since the worker's start."""

    judged: int = 0
    refused: int = 0


class Guard:
    """Counts verdicts by agency since the worker's start, and trips when a deploy must be at fault.

    It trips when at least ``agencies`` agencies have each had ``events`` events judged since the start of which at
    least ``ratio`` (0 to 1) were refused. So one agency that sends garbage, for however long, never trips it, nor do
    agencies that began well. A ``ratio`` or a number of ``agencies`` of 0 switches it off; where the catalogue has
    fewer agencies than that, it cannot trip.

    What is stored when it trips. Of the block that trips it, nothing: it is counted before it is folded. Of blocks
    folded before it that no flush has taken, nothing. A flush that is under way goes no further than its current step:
    without a ledger row its rows are a tail, repeated or, under other rules, deleted at the next start. But a flush
    that had reached its ledger row before is done: up to ``events`` - 1 refused events of each agency, and more of
    those that were over the line while others were not yet, may be in the ledger as rejected. Every start under the
    same bad rules may add as many, so a supervisor that restarts the worker for ever eats up the log that way. None of
    it is lost: each is an open reject with its bytes, and `gris replay` publishes them again once the rules are right.

    Events that are read again after a rebalance are counted again, in the same ratio.
    """

    def __init__(self, ratio: float, events: int, agencies: int) -> None:
        self._ratio = ratio
        self._events = events
        self._agencies = agencies
        self._runs: dict[str, Run] = {}

    def count(self, agency: str, accepted: int, refused: int) -> None:
        """Count the verdicts on one block. Raises Fatal when they trip the guard."""
        run = self._runs.setdefault(agency, Run())
        run.judged += accepted + refused
        run.refused += refused
        if self._ratio > 0 and self._agencies > 0 and refused and len(self.failing) >= self._agencies:
            raise Fatal(self._sentence())

    @property
    def failing(self) -> list[str]:
        """Name the agencies of whose events since the start too many were refused."""
        return [
            agency
            for agency, run in sorted(self._runs.items())
            if run.judged >= self._events and run.refused >= self._ratio * run.judged
        ]

    def _sentence(self) -> str:
        failing = self.failing
        runs = [f"{agency} {self._runs[agency].refused} of {self._runs[agency].judged}" for agency in failing[:SHOWN]]
        more = f" and {len(failing) - SHOWN} more" if len(failing) > SHOWN else ""
        return (
            f"Since its start this worker has refused nearly all events of {len(failing)} agencies"
            f" ({', '.join(runs)}{more}): that is more likely a mistake in the catalogue, the schemas or the release"
            " than in what all of them send. Nothing of these last blocks is stored. Correct GRIS_CATALOGUE,"
            " GRIS_REGISTRY or the release and start again: it reads on from the ledger. What was stored as rejected"
            " before, `gris rejects count` shows and `gris replay` repeats. If the refusals are right, start with"
            f" GRIS_GUARD_RATIO=0 (it is {self._ratio:g}; 0 switches the guard off), or raise"
            f" GRIS_GUARD_AGENCIES ({self._agencies}) or GRIS_GUARD_EVENTS ({self._events})."
        )
