"""Measures subscriptions: how late events come, and what a subscriber costs those who save.

    python -m benchmarks.subscriptions [URI]

By default on a SQLite file in a temporary directory. The table of events is created, and filled.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from uuid import uuid4

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.subscription import Subscription
from eventsourcing.domain.model.events import EventWithOriginatorID, EventWithOriginatorVersion
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings

__all__ = ["main"]

SAVES = 200  # of which the delay is measured
SELDOM = 50  # the same, where each is waited for until the subscriber looks seldom
WRITERS = 16
SECONDS = 4.0  # of each measurement of writers
ROUNDS = 5


class Happened(EventWithOriginatorID, EventWithOriginatorVersion):
    at: float = 0.0


def save(app: SimpleApplication, stream: str, position: int) -> None:
    at = time.monotonic()
    app.event_store.store(Happened(originator_id=stream, originator_version=position, at=at))


@contextmanager
def subscriber(app: SimpleApplication, handle: Callable[[float], None]) -> Iterator[Subscription]:
    """A thread that reads what is saved from now on."""
    with app.subscribe(app.notification_log.safe_position() + 1) as subscription:

        def read() -> None:
            for each in subscription:
                handle(each.event.at)  # type: ignore[attr-defined]

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield subscription
        finally:
            subscription.stop()
            thread.join()


def delays(saver: SimpleApplication, reader: SimpleApplication, saves: int, pause: float) -> str:
    """Returns how long after its commit an event comes, in an idle system."""
    found: list[float] = []
    committed: list[float] = []
    arrived = threading.Semaphore(0)

    def handle(at: float) -> None:
        found.append(time.monotonic())
        arrived.release()

    stream = uuid4().hex
    with subscriber(reader, handle):
        for position in range(saves):
            time.sleep(pause * (0.5 + (position * 0.618) % 1))
            save(saver, stream, position)
            committed.append(time.monotonic())
            arrived.acquire()
    late = [1000 * max(0.0, f - c) for f, c in zip(found, committed, strict=True)]
    return f"median {median(late):.1f} ms, p99 {quantiles(late, n=100)[98]:.1f} ms"


def saves_a_second(app: SimpleApplication) -> float:
    counts = [0] * WRITERS
    end = time.monotonic() + SECONDS

    def write(number: int) -> None:
        stream = uuid4().hex
        while time.monotonic() < end:
            save(app, stream, counts[number])
            counts[number] += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def cost(app: SimpleApplication, reader: SimpleApplication) -> str:
    """Returns what writers save without a subscriber and with one, in turns."""
    alone, beside = [], []
    seen = [0]

    def handle(at: float) -> None:
        seen[0] += 1

    for _ in range(ROUNDS):
        alone.append(saves_a_second(app))
        with subscriber(reader, handle):
            beside.append(saves_a_second(app))
    ratio = median(b / a for a, b in zip(alone, beside, strict=True))
    return f"{median(alone):.0f} saves/s alone, {median(beside):.0f} beside it, ratio {ratio:.2f}"


def main(uri: str) -> None:
    with SimpleApplication(uri) as app, SimpleApplication(uri) as other:
        print(f"delay, told in the process: {delays(app, app, SAVES, 0.1)}")
        print(f"delay, polling: {delays(other, app, SELDOM, 1.5)}")
        print(f"{WRITERS} writers, subscriber in the process: {cost(app, app)}")
        print(f"{WRITERS} writers, subscriber of another application: {cost(app, other)}")
    if uri.startswith("postgresql"):
        settings = SQLAlchemySettings(uri, notify=True)
        with (
            SimpleApplication(settings=settings) as app,
            SimpleApplication(settings=settings) as other,
        ):
            print(f"delay, told by PostgreSQL: {delays(app, other, SAVES, 0.1)}")
            print(f"{WRITERS} writers, subscriber told by PostgreSQL: {cost(app, other)}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{directory}/events.db")
