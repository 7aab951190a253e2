"""Writers in threads, that save until they are stopped and do what an application is told to.

A save that was refused is not repeated, for another writer was first. One that could not be made,
or whose outcome is not known, is repeated with the same events until there is an answer.
"""

import random
import threading
import time
from collections.abc import Sequence
from typing import Self

from eventsourcing.exceptions import (
    ConcurrencyError,
    DatabaseUnavailable,
    LockTimeout,
    OutcomeUnknown,
)
from eventsourcing.infrastructure.eventstore import EventStore
from tests.contracts.eventstore import happened
from tests.contracts.model import Happened
from tests.races.checker import Answer, Entry, Save

__all__ = ["Traffic"]

SECONDS_TO_WAIT = 60.0
SECONDS_BETWEEN_ATTEMPTS = 0.02

_clock = time.monotonic_ns


class Traffic:
    """Writers that work inside a ``with`` block.

    Args:
        stores: one of which, at random, gets each save and each repetition of one.
        writers: how many threads, each with a stream of its own.
        shared: how many streams all write to.
        seed: of what they save.

    Attributes:
        saves: all that were answered, or given up at the end.
        surfaced: errors that no application should see.
    """

    def __init__(self, stores: Sequence[EventStore], writers: int, shared: int, seed: int) -> None:
        self.saves: list[Save] = []
        self.surfaced: list[str] = []
        self._stores = stores
        self._shared = [f"shared-{n}" for n in range(shared)]
        self._is_stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(n, random.Random(f"{seed} {n}")))
            for n in range(writers)
        ]

    @property
    def acknowledged(self) -> int:
        """How many saves were acknowledged."""
        return sum(save.answer == "ok" for save in self.saves[:])

    def wait(self, saves: int) -> None:
        """Wait until so many more saves were acknowledged.

        Raises:
            TimeoutError: they were not.
        """
        deadline, before = time.monotonic() + SECONDS_TO_WAIT, len(self.saves)
        while sum(save.answer == "ok" for save in self.saves[before:]) < saves:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{saves} saves were not made within {SECONDS_TO_WAIT} s")
            time.sleep(0.005)

    def seconds_until_saved(self, moment: int) -> float:
        """Return how long after a moment of the log's clock the next save was acknowledged."""
        later = [s.answered for s in self.saves if s.answer == "ok" and s.answered > moment]
        return (min(later, default=moment) - moment) / 1e9

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_stopping.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int, chance: random.Random) -> None:
        streams = [f"own-{number}", *self._shared]
        versions = dict.fromkeys(streams, 0)
        while not self._is_stopping.is_set():
            chosen = chance.sample(streams, min(len(streams), chance.choice((1, 1, 2))))
            events = [
                happened(stream, versions[stream] + n)
                for stream in chosen
                for n in range(chance.choice((1, 1, 2)))
            ]
            invoked = _clock()
            answer: Answer = "unknown"
            try:
                answer = self._save(events, versions, chance)
            except Exception as error:
                self.surfaced.append(f"surfaced: {type(error).__name__}: {error}")
            self.saves.append(Save(_entries(events), answer, invoked, _clock()))

    def _save(
        self, events: Sequence[Happened], versions: dict[str, int], chance: random.Random
    ) -> Answer:
        """Save until there is an answer."""
        otherwise: Answer = "fail"
        while True:
            try:
                chance.choice(self._stores).store(events)
            except ConcurrencyError as error:
                if error.actual_version is not None:
                    versions[str(error.originator_id)] = error.actual_version
                return "fail"
            except OutcomeUnknown:
                otherwise = "unknown"
            except (DatabaseUnavailable, LockTimeout):
                pass
            else:
                versions.update((str(e.originator_id), e.originator_version + 1) for e in events)
                return "ok"
            if self._is_stopping.wait(SECONDS_BETWEEN_ATTEMPTS):
                return otherwise


def _entries(events: Sequence[Happened]) -> tuple[Entry, ...]:
    return tuple(
        Entry(event.context.event_id, str(event.originator_id), event.originator_version)
        for event in events
    )
