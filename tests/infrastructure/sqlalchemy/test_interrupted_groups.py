"""Group commits on real databases: what is stored when savers are interrupted, or killed."""

import ctypes
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import OutcomeUnknown
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    SECONDS_TO_WAIT,
    Note,
    application,
    run,
    saved_note,
)
from tests.infrastructure.sqlalchemy.test_shared_transactions import grouping, groups_of
from tests.races.checker import Answer, Entry, Save, anomalies

THREADS = 8
KILLS = 3
INTERRUPTS = 60


class Interrupt(Exception):
    """What a job's time limit raises, anywhere."""


# In a finalizer, where Python ignores what is raised, an interrupt hurts nobody.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_savers_that_are_interrupted_anywhere_lose_and_double_nothing(
    sql_backend: Backend,
) -> None:
    log: list[Save] = []
    with grouping(sql_backend) as app:
        savers = [threading.Thread(target=_save_and_log, args=(app, log)) for _ in range(THREADS)]
        with untraced():
            for saver in savers:
                saver.start()
        chance = random.Random(1)
        shared = count_shared(app)
        for _ in range(INTERRUPTS):
            time.sleep(chance.uniform(0, 0.02))
            thread = ctypes.c_ulong(chance.choice(savers).ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(Interrupt))
        _is_stopping.set()
        for saver in savers:
            saver.join(SECONDS_TO_WAIT)
        _is_stopping.clear()
        assert not any(saver.is_alive() for saver in savers)
        saved_note(app)  # and no lane is blocked
    entries = feed(sql_backend)
    assert anomalies(log, [entry for entry in entries if entry.stream in streams(log)]) == []
    assert shared


@contextmanager
def untraced() -> Iterator[None]:
    """Trace no thread that is begun inside the block for coverage, which makes them so slow
    that on a busy machine some wait longer for the others than their lock time-out.
    """
    trace = threading.gettrace()
    threading.settrace(None)
    try:
        yield
    finally:
        threading.settrace(trace)


_is_stopping = threading.Event()


def count_shared(app: SimpleApplication) -> list[int]:
    """Return a list that will have the number of rows of each write of several saves."""
    groups, found = groups_of(app), list[int]()
    record = groups._record

    def counted(rows: Any, is_shared: bool) -> None:
        if is_shared:
            found.append(len(rows))
        record(rows, is_shared)

    groups._record = counted
    return found


def _save_and_log(app: SimpleApplication, log: list[Save]) -> None:
    """Save new notes with two events each, until told to stop."""
    while not _is_stopping.is_set():
        answer: Answer = "unknown"
        entries: tuple[Entry, ...] = ()
        try:
            note = Note.create()
            note._es_home = app.persistence_policy
            note.edit("second")
            entries = entries_of(note)
            try:
                app.save(note)
                answer = "ok"
            finally:
                log.append(Save(entries, answer))
        except (Interrupt, OutcomeUnknown):
            pass
        except BaseException as error:
            log.append(Save((Entry("", repr(error), 0),), "ok"))  # which is an anomaly
            raise


def entries_of(note: Note) -> tuple[Entry, ...]:
    """Return a note's pending events, as the checker knows them."""
    return tuple(
        Entry(event.context.event_id, str(note.id), position)
        for position, event in enumerate(note.pending_events)
    )


def feed(backend: Backend) -> list[Entry]:
    """Return all that is stored, in the order of the feed."""
    rows = run(
        backend, "SELECT event_id, originator_id, originator_version FROM stored_events ORDER BY id"
    )
    return [Entry(*row) for row in rows]


def streams(log: Sequence[Save]) -> set[str]:
    """Return the streams that were saved to."""
    return {entry.stream for save in log for entry in save.events}


# -- processes that are killed -----------------------------------------------------------

SAVE_FOR_EVER = """
    import os, sys, threading, time
    from eventsourcing.application.simple import SimpleApplication
    from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings
    from tests.infrastructure.sqlalchemy.helpers import Note
    from eventsourcing.infrastructure.sqlalchemy.connections import OwnEngine
    from tests.infrastructure.sqlalchemy.test_interrupted_groups import count_shared, entries_of

    settings = SQLAlchemySettings(uri=sys.argv[1], group_commit=True)
    app = SimpleApplication(settings=settings)
    shared = count_shared(app)
    if sys.argv[2] == "broken":  # each row is a transaction
        def execute(self, write):
            for row in write.parameters if write.many else [write.parameters]:
                self._use(lambda cursor: cursor.execute(write.sql, row))
                time.sleep(0.005)
        OwnEngine.execute = execute

    def say(what, entries):
        events = " ".join(f"{e.event_id},{e.stream},{e.position}" for e in entries)
        os.write(1, f"{what} {events}\\n".encode())

    def save():
        while True:
            note = Note.create()
            note.edit("second")
            entries = entries_of(note)
            say("begin", entries)
            app.save(note)
            say("ok", entries)
            if shared:
                os.write(1, b"shared\\n")
                shared.clear()

    for _ in range(8):
        threading.Thread(target=save).start()
    """


def _kill_savers(backend: Backend, mode: str, kills: int) -> tuple[list[Save], list[str]]:
    """Return what savers said until they were killed, and what is wrong with what is stored."""
    chance = random.Random(2)
    log: list[Save] = []
    shared = 0
    for _ in range(kills):
        command = [sys.executable, "-c", textwrap.dedent(SAVE_FOR_EVER), str(backend.uri), mode]
        root = Path(__file__).parents[3]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout
            lines = [process.stdout.readline()]
            time.sleep(chance.uniform(0.05, 0.3))
            process.kill()
            lines += process.stdout.readlines()
        shared += lines.count("shared\n")
        log += _log_of(lines)
    assert shared
    with application(backend) as app:  # waits for what the server has not noticed yet
        saved_note(app)
    found = [entry for entry in feed(backend) if entry.stream in streams(log)]
    return log, anomalies(log, found)


def test_what_was_acknowledged_before_a_kill_is_stored_and_nothing_in_part(
    sql_backend: Backend,
) -> None:
    log, found = _kill_savers(sql_backend, "as it is", KILLS)
    assert found == []
    assert {save.answer for save in log} == {"ok", "unknown"}


def test_control_where_each_row_is_a_transaction_saves_are_stored_in_part(
    sqlite_file: Backend,
) -> None:
    _, found = _kill_savers(sqlite_file, "broken", 3 * KILLS)
    assert any("stored in part" in anomaly for anomaly in found)


def _log_of(lines: Sequence[str]) -> list[Save]:
    answers: dict[tuple[Entry, ...], Answer] = {}
    for line in lines:
        if not line.endswith("\n"):
            continue  # cut off by the kill
        what, *events = line.split()
        if what == "shared":
            continue
        entries = tuple(
            Entry(event_id, stream, int(position))
            for event_id, stream, position in (event.split(",") for event in events)
        )
        answers[entries] = "ok" if what == "ok" else "unknown"
    return [Save(entries, answer) for entries, answer in answers.items()]
