"""Clients whose interpreter exits while saves are in flight.

``python -m tests.faults.exits`` reads batches of orders, has a child for each of them, and tells
how each ended. A child is made by a fork, for the time that an interpreter takes to start, but it
ends by itself: it leaves the main module, and the interpreter finalizes. `Exits` is the other end.
"""

import faulthandler
import json
import os
import queue
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, Literal, Self

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import EventSourcingError
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from tests.faults.applications import APPLICATIONS
from tests.faults.client import ENDLESS, Orders, Writer
from tests.faults.history import Log

__all__ = ["WAYS", "Exits", "Way", "errors_in"]

Way = Literal["daemons", "wait", "raise", "close"]
WAYS: tuple[Way, ...] = ("daemons", "wait", "raise", "close")
"""How a client ends: it leaves daemon threads alone; waits for threads; ends by an error; or
closes its application, while threads save.
"""

ROOT = Path(__file__).parents[2]
LONGEST = 0.15  # seconds of traffic
SAVES = 10  # of a thread that is waited for
MISHAP = "an error that nobody caught"
ERRORS = re.compile(r"^[\w.]*(?:Error|Exception)\b", re.MULTILINE)  # the last line of each
RACE = re.compile(
    r"^Exception ignored in atexit callback:? <bound method finalize\._exitfunc of [^\n]*\n"
    r"(?:(?:Traceback| )[^\n]*\n)*"
    r"RuntimeError: dictionary changed size during iteration$",
    re.MULTILINE,
)
"""What Python says, once, where a thread that is not waited for takes a connection from a pool
while the interpreter looks through all that is to be finalized, to which SQLAlchemy adds then.
"""


class Exits:
    """Runs clients that exit, inside a ``with`` block."""

    def __enter__(self) -> Self:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.exits"],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._program.communicate()

    def run(self, batch: Sequence[tuple[Orders, Way]]) -> list[str]:
        """Have a client for each of the orders, at the same time; return what went wrong."""
        assert self._program.stdin
        assert self._program.stdout
        asked = [(orders.to_json(), way) for orders, way in batch]
        self._program.stdin.write(json.dumps(asked) + "\n")
        self._program.stdin.flush()
        statuses = json.loads(self._program.stdout.readline())
        found: list[str] = []
        for (orders, way), status in zip(batch, statuses, strict=True):
            said = _errors_of(orders).read_text()
            if status != (1 if way == "raise" else 0):
                found.append(f"a client ({way}) exited with {status}: {said[-2000:]}")
            elif errors_in(said, way) != (way == "raise"):
                found.append(f"a client ({way}) said: {said[-2000:]}")
        return found


def errors_in(said: str, way: Way) -> int:
    """Return how many lines tell of an error that a client has ended with, or ignored."""
    if way != "wait":
        said = RACE.sub("", said, count=1)
    return len(ERRORS.findall(said))


# -- the program -------------------------------------------------------------------------


def main() -> int:
    """Have children until there are no more orders; or be one of them, and return its status."""
    for line in sys.stdin:
        children = []
        for orders, way in json.loads(line):
            child = os.fork()
            if child == 0:
                return _live(Orders.from_json(orders), way)
            children.append((child, Orders.from_json(orders)))
        statuses = [_end_of(child, orders) for child, orders in children]
        sys.stdout.write(json.dumps(statuses) + "\n")
        sys.stdout.flush()
    return 0


def _end_of(child: int, orders: Orders) -> int:
    """Wait for the end of a child, and put one to it if it hangs."""
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], 2 * orders.seconds)
    if not ended:
        os.kill(child, signal.SIGKILL)
    os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_kept: list[object] = []  # as a program keeps its application, in a module


def _live(orders: Orders, way: Way) -> int:
    """Save in threads, and leave after a while."""
    errors = os.open(_errors_of(orders), os.O_WRONLY | os.O_CREAT, 0o644)
    os.dup2(errors, 2)
    faulthandler.dump_traceback_later(orders.seconds, exit=True)
    make = write_behind if orders.application == "write behind" else None
    app = (make or APPLICATIONS[orders.application])(orders.uri, orders.settings)
    log = Log(Path(orders.log))
    work = replace(orders, saves=SAVES if way == "wait" else ENDLESS)
    writers = [Writer(app, work, log, number) for number in range(orders.threads)]
    threads = [Thread(target=writer.work, daemon=way != "wait") for writer in writers]
    _kept.extend((app, log))
    for thread in threads:
        thread.start()
    time.sleep(random.Random(orders.seed).uniform(0, LONGEST))
    if way == "raise":
        raise RuntimeError(MISHAP)
    if way == "close":
        app.close()
    return 0


def _errors_of(orders: Orders) -> Path:
    return Path(orders.log + ".stderr")


class _WriteBehind(SQLAlchemyRecordManager):
    """Says that all is stored, and stores it later."""

    def __init__(self, datastore: SQLAlchemyDatastore) -> None:
        super().__init__(datastore)
        self._later: queue.SimpleQueue[Sequence[tuple[Any, ...]]] = queue.SimpleQueue()
        Thread(target=self._store, daemon=True).start()

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        self._later.put(items)

    def _store(self) -> None:
        while True:
            with suppress(EventSourcingError):
                super().record(self._later.get())


def write_behind(uri: str, settings: Mapping[str, Any]) -> SimpleApplication:
    """Return an application that acknowledges what it only has in mind."""
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=uri, **settings))
    return SimpleApplication(record_manager=_WriteBehind(datastore))


if __name__ == "__main__":
    sys.exit(main())
