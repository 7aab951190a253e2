"""What clients have logged, and what is stored: the two things that the checker compares.

A log has a line of JSON for each thing that happened: ``[kind, key, nanoseconds, detail]``.

- ``invoke``: a save is about to be tried; the detail is its events.
- ``ok``, ``fail``, ``unknown``: the answer to the save with this key; the detail is the class of
  the error.
- ``again``: the save is about to be repeated; the detail is the class of the error.
- ``unread``: what was to be saved could not be loaded; the detail is the class of the error.
- ``error``: something that should not be, in words.

A save without an answer, as of a client that was killed, is unknown.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from eventsourcing.exceptions import ConcurrencyError
from tests.backends import Backend
from tests.races.checker import Answer, Entry, Movement, Save, anomalies, bank_anomalies

__all__ = [
    "Line",
    "Log",
    "Logged",
    "Rows",
    "Tail",
    "audit",
    "hindered",
    "read_logs",
    "read_rows",
    "rows_over",
    "too_few",
    "wait_until_alone",
]

ANSWERS: tuple[Answer, ...] = ("ok", "fail", "unknown")
SECONDS_TO_LEAVE = 60.0


class Line(NamedTuple):
    """A line of a log."""

    kind: str
    key: str
    at: int
    detail: Any


class Log:
    """A client's log. What is written to it is safe from a SIGKILL of the client.

    Several threads and processes may write to one file.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, kind: str, key: str, detail: object = None) -> None:
        """Write a line, with the time of a clock that all processes share."""
        line = json.dumps([kind, key, time.monotonic_ns(), detail], separators=(",", ":"))
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


class Tail:
    """Reads a log while it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> Iterator[Line]:
        """Yield the lines that are new; the last one only when it is complete."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield Line(*json.loads(line))


class Logged(NamedTuple):
    """What clients have logged.

    Attributes:
        saves: in the order in which they were invoked, of each client.
        errors: what should not have been, in words.
        refusals: how many saves were answered with an error, by its class.
        repeats: how many were repeated after an error, by its class.
        unread: how often nothing could be loaded, by the class of the error.
    """

    saves: list[Save]
    errors: list[str]
    refusals: Counter[str]
    repeats: Counter[str]
    unread: Counter[str]

    def count(self, answer: Answer) -> int:
        """Return how many saves had this answer."""
        return sum(save.answer == answer for save in self.saves)


def read_logs(paths: Iterable[Path]) -> Logged:
    """Read the logs of some clients; one that never came to write one has none."""
    logged = Logged([], [], Counter(), Counter(), Counter())
    for path in paths:
        _read_log(path, logged)
    return logged


def _read_log(path: Path, logged: Logged) -> None:
    invoked: dict[str, Save] = {}
    for kind, key, at, detail in Tail(path).lines():
        if kind == "invoke":
            events = tuple(Entry(*event) for event in detail)
            invoked[key] = Save(events, "unknown", invoked=at)
        elif kind == "again":
            logged.repeats[detail] += 1
        elif kind == "unread":
            logged.unread[detail] += 1
        elif kind == "error":
            logged.errors.append(detail)
        else:
            (answer,) = (each for each in ANSWERS if each == kind)
            logged.saves.append(invoked.pop(key)._replace(answer=answer, answered=at))
            if detail is not None:
                logged.refusals[detail] += 1
    logged.saves.extend(invoked.values())


class Rows(NamedTuple):
    """What is stored, in the order of the feed.

    Attributes:
        movements: those of the events that move something.
        last: the id of the last row, 0 if there is none.
        numbers: the ids of the entries.
    """

    entries: list[Entry]
    movements: list[Movement]
    last: int
    numbers: list[int]


def read_rows(backend: Backend, after: int = 0) -> Rows:
    """Read what is stored, over a plain connection of the driver.

    Args:
        after: the id of the row after which to begin.
    """
    with closing(backend.connect()) as connection:
        return rows_over(connection, after)


def rows_over(connection: Any, after: int = 0) -> Rows:
    """Read what is stored, over a connection that is there, and end its transaction."""
    found = Rows([], [], after, [])
    with closing(connection.cursor()) as cursor:
        cursor.execute(
            "SELECT id, event_id, originator_id, originator_version, state FROM stored_events"
            f" WHERE id > {int(after)} AND topic <> '' ORDER BY id"
        )
        for number, event_id, stream, position, text in cursor:
            found = found._replace(last=number)
            found.numbers.append(number)
            found.entries.append(Entry(event_id, stream, position))
            state = json.loads(text)
            if "amount" in state:
                moved = (state[name] for name in ("amount", "balance", "seen", "mark"))
                found.movements.append(Movement(stream, position, *moved))
    connection.rollback()
    return found


def audit(logged: Logged, rows: Rows) -> list[str]:
    """Return all that is wrong, in words."""
    return [
        *logged.errors,
        *anomalies(logged.saves, rows.entries),
        *bank_anomalies(rows.movements),
    ]


def hindered(logged: Logged, *forgiven: str) -> Iterator[str]:
    """Yield what kept writers from loading and saving where only other writers may, in words.

    Args:
        forgiven: classes of errors that may be, beside that of a conflict.
    """
    for what, errors in (
        ("refused", logged.refusals),
        ("repeated", logged.repeats),
        ("kept from loading", logged.unread),
    ):
        for name, count in sorted(errors.items()):
            if name not in (ConcurrencyError.__name__, *forgiven):
                yield f"{what} by {name}, where nothing was done to the database: {count} times"


def too_few(logged: Logged, writers: int) -> Iterator[str]:
    """Yield that too little was saved for so many writers of the same streams, in words.

    A save is in conflict with one that was stored meanwhile, and that is in the way of one save of
    each other writer at most; of two, since those of a deadlock may both be refused.
    """
    stored = logged.count("ok") + logged.count("unknown")
    if 2 * stored * writers < len(logged.saves):
        yield f"no more than {stored} of {len(logged.saves)} saves by {writers} writers were stored"


_OTHERS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = database()"
    " AND id <> connection_id()",
}


def wait_until_alone(backend: Backend) -> None:
    """Wait until the server has noticed that all clients are gone, and has ended what they began.

    Raises:
        TimeoutError: somebody is still there.
    """
    if backend.name not in _OTHERS:
        return
    deadline = time.monotonic() + SECONDS_TO_LEAVE
    with closing(backend.connect()) as connection, closing(connection.cursor()) as cursor:
        while True:
            cursor.execute(_OTHERS[backend.name])
            ((others,),) = cursor.fetchall()
            if not others:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{others} clients of {backend.name} are still there")
            connection.rollback()
            time.sleep(0.005)
