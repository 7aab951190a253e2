"""A client that keeps one in five of its transactions open for a while, and rolls some back."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError, PersistenceError
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
from eventsourcing.infrastructure.sqlalchemy.factory import construct_sqlalchemy_eventstore
from tests.contracts.eventstore import happened
from tests.contracts.model import Happened
from tests.faults.history import Log
from tests.races.checker import Answer, Entry

__all__ = ["LONGEST", "FeedOrders", "start"]

LONGEST = 2.0  # seconds for which a transaction is kept open
ROLLED_BACK = 0.25  # of those that are
PAUSE = 0.01


@dataclass(frozen=True)
class FeedOrders:
    """What a client is to do.

    Attributes:
        uri: of the database, in which there is a table ``elsewhere`` beside that of the events.
        log: the file to log to.
        seed: of all that it chooses.
        streams: all of which each of its threads writes to.
        threads: how many writers it has.
        held: how probable it is that a transaction is kept open.
        events: how many a save has at most, all of one stream.
        stop: a file; when that is there, the client ends.
    """

    uri: str
    log: str
    seed: str
    streams: tuple[str, ...]
    threads: int
    held: float
    events: int
    stop: str


def start(orders: FeedOrders) -> BaseProcess:
    """Start a client as a process of its own, to stop, continue, ``.kill()`` and ``.join()``."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.feedwriter", "psycopg", "pymysql"])
    process = context.Process(target=_run, args=(orders,), daemon=True)
    process.start()
    return process


def _run(orders: FeedOrders) -> None:
    log = Log(Path(orders.log))
    engine = create_engine(SQLAlchemySettings(uri=orders.uri).url, pool_size=orders.threads)
    with SimpleApplication(uri=orders.uri, setup_table=False) as app:
        threads = [
            threading.Thread(target=_Writer(orders, number, log, app.event_store, engine).work)
            for number in range(orders.threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    engine.dispose()
    log.close()


class _Writer:
    """Saves to streams that others write to as well."""

    def __init__(
        self, orders: FeedOrders, number: int, log: Log, store: EventStore, engine: Engine
    ) -> None:
        self._orders = orders
        self._number = number
        self._log = log
        self._store = store
        self._engine = engine
        self._chance = random.Random(f"{orders.seed}/{number}")

    def work(self) -> None:
        turn = 0
        while not Path(self._orders.stop).exists():
            turn += 1
            is_held = self._chance.random() < self._orders.held
            try:
                self._hold(f"{self._number}.{turn}") if is_held else self._save(
                    f"{self._number}.{turn}"
                )
            except Exception as error:
                self._log.write("error", "", f"{type(error).__name__}: {error}")
                time.sleep(PAUSE)

    def _save(self, key: str) -> None:
        """Save as an application does."""
        try:
            events = self._events(self._store)
        except PersistenceError:
            return
        self._invoke(key, events)
        self._answer(key, *_outcome(self._store.store, events))

    def _hold(self, key: str) -> None:
        """Save in a transaction of one's own, which has written something else before."""
        chance = self._chance
        with self._engine.connect() as connection:
            store = construct_sqlalchemy_eventstore(connection, setup_table=False)
            if chance.random() < 0.5:
                connection.execute(text("INSERT INTO elsewhere VALUES (1)"))
                time.sleep(chance.uniform(0, LONGEST / 2))
            try:
                events = self._events(self._store)  # by another connection, which sees the newest
            except PersistenceError:
                return
            self._invoke(key, events)
            answer, error = _outcome(store.store, events)
            if answer == "ok":
                time.sleep(chance.uniform(0, LONGEST / 2))
                if chance.random() < ROLLED_BACK:
                    connection.rollback()
                    answer = "fail"
                else:
                    answer, error = _outcome(connection.commit)
            self._answer(key, answer, error)

    def _events(self, store: EventStore) -> Sequence[Happened]:
        stream = self._chance.choice(self._orders.streams)
        last = store.get_most_recent_event(stream)
        version = 0 if last is None else getattr(last, "originator_version") + 1  # noqa: B009
        count = self._chance.randint(1, self._orders.events)
        return [happened(stream, version + n) for n in range(count)]

    def _invoke(self, key: str, events: Sequence[Happened]) -> None:
        entries = [
            Entry(event.context.event_id, str(event.originator_id), event.originator_version)
            for event in events
        ]
        self._log.write("invoke", key, entries)

    def _answer(self, key: str, answer: Answer, error: Exception | None) -> None:
        self._log.write(answer, key, error and type(error).__name__)


def _outcome(work: Any, *arguments: object) -> tuple[Answer, Exception | None]:
    try:
        work(*arguments)
    except ConcurrencyError as error:
        return "fail", error
    except Exception as error:
        return "unknown", error
    return "ok", None
