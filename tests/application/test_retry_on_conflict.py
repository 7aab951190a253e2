"""retry(ConcurrencyError) in a real race, on every backend."""

import threading
from concurrent.futures import ThreadPoolExecutor

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.decorators import retry
from eventsourcing.exceptions import ConcurrencyError
from tests.application.stores import Counter, memory_app, stored
from tests.backends import Backend

RIVALS = 4


def open_app(backend: Backend) -> SimpleApplication:
    return SimpleApplication(uri=backend.uri) if backend.is_sql else memory_app()


class Race:
    """Rivals that all load the counter before one of them saves, the first time round."""

    def __init__(self, app: SimpleApplication) -> None:
        self.app = app
        self.counter = Counter.create(id="counter")
        self.counter.save()
        self.all_have_loaded = threading.Barrier(RIVALS)
        self.attempts: list[int] = []

    def increase(self, rival: int) -> None:
        counter = self.app.repository.get("counter", Counter)
        is_first = rival not in self.attempts
        self.attempts.append(rival)
        if is_first:
            self.all_have_loaded.wait()
        counter.increase()
        counter.save()


def test_every_rival_succeeds_in_the_end(backend: Backend) -> None:
    with open_app(backend) as app, ThreadPoolExecutor(RIVALS) as pool:
        race = Race(app)
        increase = retry(ConcurrencyError, max_retries=100, wait=0.001)(race.increase)

        list(pool.map(increase, range(RIVALS)))

        assert stored(app, race.counter) == ["Created", *["Increased"] * RIVALS]
        assert len(race.attempts) > RIVALS


def test_without_retries_one_rival_succeeds(backend: Backend) -> None:
    with open_app(backend) as app, ThreadPoolExecutor(RIVALS) as pool:
        race = Race(app)
        outcomes = [pool.submit(race.increase, rival) for rival in range(RIVALS)]
        errors = [outcome.exception() for outcome in outcomes]

        assert [type(error) for error in errors if error is not None] == [ConcurrencyError] * 3
        assert stored(app, race.counter) == ["Created", "Increased"]
