"""The server goes away in the middle of traffic, and comes back. The application is not rebuilt."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    DatabaseUnavailable,
    OutcomeUnknown,
    PersistenceError,
)
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    engine_of,
    eventually,
    in_threads,
    run,
    saved_note,
)

WRITERS = 4


class Writer:
    """Saves one event after the other, and repeats what failed."""

    def __init__(self, app: SimpleApplication) -> None:
        self.app = app
        self.note = saved_note(app)
        self.acknowledged = 1
        self.failures: list[Exception] = []
        self.is_stopping = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self) -> None:
        while not self.is_stopping.is_set():
            if not self.note.pending_events:
                self.note.edit(str(self.acknowledged))
            try:
                self.app.save(self.note)
                self.acknowledged += 1
            except Exception as error:
                self.failures.append(error)
                self.is_stopping.wait(0.01)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_writers_go_on_after_a_restart_and_lose_nothing(private_server: Backend, end: str) -> None:
    server = private_server.server
    assert server
    with application(private_server) as app:
        writers = [Writer(app) for _ in range(WRITERS)]
        for writer in writers:
            writer.thread.start()
        try:
            eventually(lambda: all(writer.acknowledged > 5 for writer in writers))

            getattr(server, end)()
            eventually(lambda: all(writer.failures for writer in writers))
            server.start()

            reached = [writer.acknowledged for writer in writers]
            eventually(
                lambda: all(w.acknowledged > n + 5 for w, n in zip(writers, reached, strict=True))
            )
        finally:
            for writer in writers:
                writer.is_stopping.set()
                writer.thread.join()

        versions = [app.repository.get(writer.note.id, Note).version for writer in writers]
    possible = [(w.acknowledged, w.acknowledged + len(w.note.pending_events)) for w in writers]
    assert [version in pair for version, pair in zip(versions, possible, strict=True)] == [
        True
    ] * WRITERS
    kinds = {type(failure) for writer in writers for failure in writer.failures}
    assert kinds <= {OutcomeUnknown, DatabaseUnavailable}
    assert ConcurrencyError not in kinds


def test_pooled_connections_that_died_in_a_restart_are_no_errors(private_server: Backend) -> None:
    server = private_server.server
    assert server
    with (
        engine_of(private_server) as engine,
        application(private_server) as own,
        SimpleApplication(engine=engine) as given,
    ):
        notes = [(app, saved_note(app)) for app in (own, given) for _ in range(WRITERS)]
        in_threads(*(_reading(app, note) for app, note in notes))  # connects several times
        server.stop()
        server.start()

        assert in_threads(*(_reading(app, note) for app, note in notes)) == ["first"] * len(notes)
        server.kill()
        server.start()

        assert in_threads(*(_editing(app, note) for app, note in notes)) == [2] * len(notes)
    assert run(private_server, "SELECT count(*) FROM stored_events") == [(len(notes) * 2,)]


def _reading(app: SimpleApplication, note: Note) -> Callable[[], Any]:
    return lambda: app.repository.get(note.id, Note).text


def _editing(app: SimpleApplication, note: Note) -> Callable[[], Any]:
    def edit() -> int:
        note.edit("second")
        app.save(note)
        return app.repository.get(note.id, Note).version

    return edit


def test_a_session_whose_server_went_away_gets_the_librarys_error(private_server: Backend) -> None:
    server = private_server.server
    assert server
    with (
        engine_of(private_server) as engine,
        Session(engine) as session,
        SimpleApplication(session=session) as app,
    ):
        saved_note(app)
        session.commit()
        saved_note(app)
        server.kill()

        with pytest.raises(DatabaseUnavailable):
            saved_note(app, "lost")
        with pytest.raises(PersistenceError):
            saved_note(app, "lost too")

        session.rollback()
        server.start()
        saved_note(app)
        session.commit()
    assert run(private_server, "SELECT count(*) FROM stored_events") == [(2,)]
