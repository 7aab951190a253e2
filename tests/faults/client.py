"""A client: an application that saves in several threads, logs each save, and may be killed.

`start` makes one in a few milliseconds, by a fork of a process that has imported all that it
needs.
"""

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ApplicationClosedError,
    ConcurrencyError,
    OutcomeUnknown,
    PersistenceError,
    RepositoryKeyError,
)
from eventsourcing.infrastructure.sqlalchemy import mysql, sqlite
from tests.faults import failpoints
from tests.faults.applications import APPLICATIONS
from tests.faults.bank import Account, entries
from tests.faults.failpoints import Failpoint
from tests.faults.history import Log
from tests.races.checker import Answer

__all__ = ["PATIENT", "Orders", "run", "start"]

PAUSE = 0.01  # seconds, when the database is away
ENDLESS = 10**9
PATIENT: Mapping[str, Any] = {"lock_timeout": 300.0, "pool_timeout": 300.0, "connect_timeout": 60}
"""Settings of those who are to be refused nothing, even if the machine is very busy."""


@dataclass(frozen=True)
class Orders:
    """What a client is to do.

    Attributes:
        uri: of the database. The table is there.
        log: the file to log to.
        seed: of all that it chooses.
        streams: the accounts that it moves money between.
        threads: how many writers it has.
        saves: how often each of them tries to save.
        seconds: after which it ends, whatever comes.
        go, stop: files; the client begins when the first is there, and ends when the second is.
        is_shared: whether all writers use all streams, or else each has its own of these names.
        patience: how probable it is that a save which found no database is repeated; one whose
            outcome is unknown always is, until the client ends.
        settings: of the connection, beside the URI.
        has_transactions: whether a save is a transaction of several statements, where one would
            do; on PostgreSQL as one with an inline projection is.
        failpoint: where it dies by its own hand.
        application: one of `APPLICATIONS`; all but the first are for controls.
    """

    uri: str
    log: str
    seed: str
    streams: tuple[str, ...]
    threads: int = 1
    saves: int = ENDLESS
    seconds: float = 120.0
    go: str = ""
    stop: str = ""
    is_shared: bool = True
    patience: float = 0.5
    settings: Mapping[str, Any] = field(default_factory=dict)
    has_transactions: bool = False
    failpoint: Failpoint | None = None
    application: str = "right"

    def to_json(self) -> str:
        """Return the orders as one command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` has written."""
        orders = json.loads(text)
        if orders["failpoint"] is not None:
            orders["failpoint"] = Failpoint(**orders["failpoint"])
        return cls(**orders | {"streams": tuple(orders["streams"])})


def start(orders: Orders) -> BaseProcess:
    """Start a client as a process of its own: ``.kill()`` and ``.join()`` it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.client", "psycopg", "pymysql"])
    process = context.Process(target=run, args=(orders,), daemon=True)
    process.start()
    return process


def run(orders: Orders) -> None:
    """Do what is ordered, and return when all is saved or it is time to stop."""
    if orders.has_transactions:
        mysql.LARGEST_STATEMENT = sqlite.PARAMETERS = 0
    log = Log(Path(orders.log))
    _wait_for(orders.go, orders.seconds)
    with APPLICATIONS[orders.application](orders.uri, orders.settings) as app:
        if orders.has_transactions and orders.uri.startswith("postgresql"):
            app.event_store.record_manager.inline = lambda items: lambda connection: None  # type: ignore[attr-defined]
        if orders.failpoint:
            failpoints.arm(orders.failpoint, app.event_store.record_manager.datastore.engine)  # type: ignore[attr-defined]
        writers = [Writer(app, orders, log, number) for number in range(orders.threads)]
        threads = [threading.Thread(target=writer.work) for writer in writers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    log.close()


def _wait_for(go: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while go and not Path(go).exists() and time.monotonic() < end:
        time.sleep(PAUSE / 2)


class Writer:
    """Moves money between accounts, again and again."""

    def __init__(self, app: SimpleApplication, orders: Orders, log: Log, number: int) -> None:
        self._app = app
        self._orders = orders
        self._log = log
        self._number = number
        self._chance = random.Random(f"{orders.seed}/{number}")
        self._end = time.monotonic() + orders.seconds
        own = "" if orders.is_shared else f"-{orders.seed}-{number}"
        self._streams = [stream + own for stream in orders.streams]

    def work(self) -> None:
        """Save until it is time to stop."""
        for turn in range(self._orders.saves):
            if self._is_over():
                return
            try:
                self._save(f"{self._number}.{turn}", *self._moved())
            except (ConcurrencyError, PersistenceError) as error:
                self._log.write("unread", "", type(error).__name__)
                time.sleep(PAUSE)
            except Exception as error:
                self._log.write("error", "", f"{type(error).__name__} while loading: {error}")
                time.sleep(PAUSE)

    def _is_over(self) -> bool:
        stop = self._orders.stop
        return time.monotonic() > self._end or (bool(stop) and Path(stop).exists())

    def _moved(self) -> Sequence[Account]:
        """Return one or two accounts that are changed, by one or several events each."""
        chance = self._chance
        count = min(len(self._streams), chance.choice((1, 1, 2)))
        accounts = [self._load(name) for name in chance.sample(self._streams, count)]
        amount = chance.randint(1, 100)
        amounts = (-amount, amount) if count == 2 else (0,)
        for _ in range(chance.choice((1, 1, 3))):
            for account, moved in zip(accounts, amounts, strict=True):
                account.move(moved, mark=chance.getrandbits(32))
        return accounts

    def _load(self, name: str) -> Account:
        with suppress(RepositoryKeyError):
            return self._app.repository.get(name, Account)
        return Account.create(id=name)

    def _save(self, key: str, *accounts: Account) -> None:
        self._log.write("invoke", key, entries(*accounts))
        answer, error = self._try(key, accounts)
        self._log.write(answer, key, error and type(error).__name__)

    def _try(self, key: str, accounts: Sequence[Account]) -> tuple[Answer, Exception | None]:
        """Save, and repeat it where that is what an application should do."""
        is_unknown = False
        while True:
            try:
                self._app.save(*accounts)
                return "ok", None
            except ConcurrencyError as error:
                return "fail", error
            except PersistenceError as error:
                is_unknown = is_unknown or isinstance(error, OutcomeUnknown)
                gives_up = not is_unknown and self._chance.random() >= self._orders.patience
                if gives_up or self._is_over():
                    return ("unknown" if is_unknown else "fail"), error
                self._log.write("again", key, type(error).__name__)
            except Exception as error:
                self._log.write("error", "", f"{type(error).__name__} while saving: {error}")
                is_unknown = is_unknown or not isinstance(error, ApplicationClosedError)
                return ("unknown" if is_unknown else "fail"), error
            time.sleep(PAUSE)
