"""The schedule of faults: alike for a seed, every kind before any comes again, never without a worker."""

from collections import Counter

import pytest

from deploy.faults.schedule import LASTS, MOST_WORKERS, Kind, draw

KINDS = tuple(Kind)


def test_a_seed_draws_the_same_schedule_again_and_another_seed_another() -> None:
    assert list(draw(7, 60, KINDS, workers=2)) == list(draw(7, 60, KINDS, workers=2))
    assert list(draw(7, 60, KINDS, workers=2)) != list(draw(8, 60, KINDS, workers=2))


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_strikes_about_equally_often(seed: int) -> None:
    found = Counter(fault.kind for fault in draw(seed, 4 * len(KINDS), KINDS, workers=2))
    changes = {Kind.WORKER_JOINS, Kind.WORKER_LEAVES}
    assert {found[kind] for kind in KINDS if kind not in changes} <= {3, 4}
    assert sum(found[kind] for kind in changes) >= 4


@pytest.mark.parametrize("seed", range(20))
def test_there_is_always_a_worker_and_two_when_one_is_made_a_zombie(seed: int) -> None:
    workers = 2
    for fault in draw(seed, 200, KINDS, workers=workers):
        assert fault.kind is not Kind.ZOMBIE or workers > 1
        workers += (fault.kind is Kind.WORKER_JOINS) - (fault.kind is Kind.WORKER_LEAVES)
        assert 1 <= workers <= MOST_WORKERS


def test_a_fault_lasts_as_long_as_its_kind_does_and_the_first_does_not_meet_a_recovery() -> None:
    for seed in range(20):
        faults = list(draw(seed, 50, KINDS, workers=2))
        assert not faults[0].in_recovery
        assert [fault.number for fault in faults] == list(range(1, 51))
        for fault in faults:
            least, most = LASTS.get(fault.kind, (0.0, 0.0))
            assert least <= fault.seconds <= most
            assert str(fault).startswith(f"{fault.number}. {fault.kind}")
