"""The connections that are kept at hand between saves: nobody misses or shares them."""

from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError
from eventsourcing.infrastructure.sqlalchemy import connections
from eventsourcing.infrastructure.sqlalchemy.connections import OwnEngine
from eventsourcing.infrastructure.sqlalchemy.statements import MOST_KEPT
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    eventually,
    in_threads,
    run,
    saved_note,
)
from tests.infrastructure.sqlalchemy.helpers import (
    engine_of as engine_of_backend,
)

SESSIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = database()",
}


def engine_of(app: Any) -> Any:
    """Return the application's own engine."""
    return app.event_store.record_manager.datastore.engine


def sessions(backend: Backend) -> int:
    """Return how many connections the server has, but for the one that asks."""
    ((count,),) = run(backend, SESSIONS[backend.name])
    return int(count) - 1


def test_one_connection_serves_one_save_after_another(server_backend: Backend) -> None:
    with application(server_backend) as app:
        for _ in range(5):
            app.repository.get(saved_note(app).id, Note)
        assert sessions(server_backend) == 1


def test_the_only_connection_is_given_back(sql_backend: Backend) -> None:
    with application(sql_backend, pool_size=1, max_overflow=0) as app:
        saved_note(app)
        assert engine_of(app).pool.checkedout() == 0


def test_tables_are_looked_at_though_all_connections_but_one_are_in_use(
    sql_backend: Backend,
) -> None:
    with application(sql_backend, pool_size=2, max_overflow=0, pool_timeout=0.1) as app:
        saved_note(app)
        with engine_of(app).connect():
            app.event_store.record_manager.setup_table()  # type: ignore[attr-defined]


def test_no_more_are_kept_than_a_few(sql_backend: Backend) -> None:
    with application(sql_backend) as app:
        in_threads(*[lambda: saved_note(app)] * 8)
        assert engine_of(app).pool.checkedout() <= connections.MOST_SPARES


@pytest.mark.parametrize("how", ["dispose", "close"])
def test_they_end_with_their_engine(server_backend: Backend, how: str) -> None:
    with application(server_backend) as app:
        in_threads(*[lambda: saved_note(app)] * 4)
        engine_of(app).dispose() if how == "dispose" else app.close()
        eventually(lambda: sessions(server_backend) == 0)
        assert engine_of(app).pool.checkedout() == 0


def test_a_connection_that_is_given_back_after_its_engines_end_is_closed(
    server_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_back = OwnEngine._give_back

    def late(self: OwnEngine, pool: Any, held: list[Any], cursor: Any) -> None:
        self.engine.dispose()
        give_back(self, pool, held, cursor)

    with application(server_backend) as app:
        saved_note(app)
        monkeypatch.setattr(OwnEngine, "_give_back", late)
        saved_note(app)
        eventually(lambda: sessions(server_backend) == 0)


def kept_cursors(app: Any) -> list[Any]:
    """Return the cursors that are kept with the connections at hand."""
    return [
        cursor for _, _, cursor in app.event_store.record_manager.datastore._connections._spares
    ]


def test_one_cursor_inserts_one_save_after_another(postgresql: Backend) -> None:
    with application(postgresql) as app:
        note = saved_note(app)
        (first,) = kept_cursors(app)
        assert first is not None
        note.edit("once")
        note.edit("twice")
        app.save(note)  # by another statement
        assert app.repository.get(note.id, Note).text == "twice"
        app.save(note)
        assert kept_cursors(app) == [first]


def test_no_cursor_remembers_what_is_large(postgresql: Backend) -> None:
    large = "x" * (MOST_KEPT // 2)
    with application(postgresql) as app:
        note = saved_note(app, 2 * large)
        assert kept_cursors(app) == [None]
        note.edit(large)
        note.edit(large)
        app.save(note)
        assert kept_cursors(app) == [None]
        note.edit(large)
        app.save(note)
        assert None not in kept_cursors(app)
        assert app.repository.get(note.id, Note).version == 4


def test_a_cursor_whose_save_was_refused_is_not_used_again(postgresql: Backend) -> None:
    with application(postgresql) as app:
        note = saved_note(app)
        (first,) = kept_cursors(app)
        behind = app.repository.get(note.id, Note)
        note.edit("quicker")
        app.save(note)
        behind.edit("slower")
        with pytest.raises(ConcurrencyError):
            app.save(behind)
        assert first.closed
        saved_note(app)
        assert first not in kept_cursors(app)


def test_somebody_elses_connection_keeps_no_cursor(postgresql: Backend) -> None:
    with engine_of_backend(postgresql) as engine, SimpleApplication(engine=engine) as app:
        saved_note(app)
        assert kept_cursors(app) == []


def test_two_threads_may_close_them_at_once() -> None:
    class Lent:
        def invalidate(self) -> None: ...

        def close(self) -> None: ...

    for _ in range(200):
        spares: list[Any] = [(None, Lent(), None)] * 10
        found = in_threads(*[lambda spares=spares: connections._close_all(spares)] * 2)
        assert found == [None, None]
