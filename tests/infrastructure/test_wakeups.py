"""Wake-ups between threads."""

from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import pytest

from eventsourcing.infrastructure.wakeups import Wakeup, wait_for_any

LONG = 60.0


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    with closing(Wakeup()) as wakeup:
        yield wakeup


def test_one_that_has_not_rung_is_waited_for_in_vain(wakeup: Wakeup) -> None:
    assert not wait_for_any(0, wakeup)


def test_one_that_has_rung_ends_the_wait(wakeup: Wakeup) -> None:
    wakeup.ring()
    assert wait_for_any(LONG, wakeup)


def test_one_that_rings_meanwhile_ends_the_wait(wakeup: Wakeup) -> None:
    thread = Thread(target=wakeup.ring)
    thread.start()
    assert wait_for_any(LONG, wakeup)
    thread.join()


def test_it_rings_until_it_is_cleared(wakeup: Wakeup) -> None:
    wakeup.ring()
    assert wait_for_any(0, wakeup)
    assert wait_for_any(0, wakeup)
    wakeup.clear()
    assert not wait_for_any(0, wakeup)


def test_it_rings_again_after_that(wakeup: Wakeup) -> None:
    for _ in range(3):
        wakeup.ring()
        assert wait_for_any(0, wakeup)
        wakeup.clear()


def test_to_ring_it_many_times_never_waits(wakeup: Wakeup) -> None:
    for _ in range(1_000_000):
        wakeup.ring()
    wakeup.clear()
    assert not wait_for_any(0, wakeup)


def test_any_of_several_ends_the_wait(wakeup: Wakeup) -> None:
    with closing(Wakeup()) as other:
        other.ring()
        assert wait_for_any(LONG, wakeup, other)


def test_one_that_is_closed_may_be_rung_and_is_not_waited_for(wakeup: Wakeup) -> None:
    wakeup.close()
    wakeup.close()
    wakeup.ring()
    wakeup.clear()
    assert wait_for_any(LONG, wakeup)
