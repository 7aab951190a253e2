"""An engine of the user's: its settings hold, and it stays the user's."""

from typing import Any

import pytest
from sqlalchemy import Engine, StaticPool, create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError, LockTimeout, ProgrammingError
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    engine_of,
    in_threads,
    saved_note,
    stored,
)

THREADS = 8


def test_events_are_stored_and_committed(sql_backend: Backend) -> None:
    with engine_of(sql_backend) as engine, SimpleApplication(engine=engine) as app:
        note = saved_note(app)
        note.edit("second")
        note.edit("third")
        app.save(note)

        assert app.repository.get(note.id, Note).text == "third"
        assert stored(sql_backend) == 3


def test_closing_leaves_the_engine_as_it_is(sql_backend: Backend) -> None:
    disposals: list[Any] = []
    with engine_of(sql_backend) as engine:
        event.listen(engine, "engine_disposed", disposals.append)
        with SimpleApplication(engine=engine) as app:
            saved_note(app)
        with engine.connect() as connection:
            count = connection.scalar(text("SELECT count(*) FROM stored_events"))

        assert (count, disposals) == (1, [])


@pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
def test_connections_go_back_as_they_came(sql_backend: Backend, level: str) -> None:
    with engine_of(sql_backend, isolation_level=level, pool_size=1, max_overflow=0) as engine:
        before = isolation(engine)
        with SimpleApplication(engine=engine) as app:
            note = saved_note(app)
            rival = app.repository.get(note.id, Note)
            rival.edit("first")
            app.save(rival)
            note.edit("second")
            with pytest.raises(ConcurrencyError):
                app.save(note)

        assert isolation(engine) == before
        assert before[1] == (level == "AUTOCOMMIT")
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def isolation(engine: Engine) -> tuple[str, bool]:
    """Return the isolation level of the engine's connections, and whether they autocommit."""
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        if engine.dialect.name == "sqlite":
            return connection.get_isolation_level(), driver.isolation_level is None
        if engine.dialect.name == "postgresql":
            return connection.get_isolation_level(), driver.autocommit
        return connection.get_isolation_level(), driver.get_autocommit()


def test_a_session_of_the_engine_still_rolls_back(sql_backend: Backend) -> None:
    with engine_of(sql_backend, pool_size=1, max_overflow=0) as engine:
        with SimpleApplication(engine=engine) as app:
            saved_note(app)
        with Session(engine) as session:
            session.execute(text("DELETE FROM stored_events"))
            session.rollback()

    assert stored(sql_backend) == 1


def test_the_users_own_settings_hold(server_backend: Backend) -> None:
    options = {
        "postgresql": {"options": "-c lock_timeout=50"},
        "mariadb": {"init_command": "SET SESSION innodb_lock_wait_timeout = 1"},
    }[server_backend.name]
    with engine_of(server_backend, connect_args=options) as engine, engine.connect() as other:
        with SimpleApplication(engine=engine) as app:
            note = saved_note(app)
            note.edit("second")
            with SimpleApplication(session=other) as rival:
                copy = rival.repository.get(note.id, Note)
                copy.edit("rival")
                rival.save(copy)

            with pytest.raises(LockTimeout):
                app.save(note)
        other.rollback()


def test_two_applications_share_an_engine(sql_backend: Backend) -> None:
    with (
        engine_of(sql_backend) as engine,
        SimpleApplication(engine=engine, name="one") as one,
        SimpleApplication(engine=engine, table_name="others", name="two") as two,
    ):
        notes = in_threads(*[lambda app=app: saved_note(app) for app in (one, two) * THREADS])

    assert [type(note) for note in notes] == [Note] * 2 * THREADS
    assert (stored(sql_backend), stored(sql_backend, "others")) == (THREADS, THREADS)


def test_an_engine_without_a_pool_works(sql_backend: Backend) -> None:
    with (
        engine_of(sql_backend, poolclass=NullPool) as engine,
        SimpleApplication(engine=engine) as app,
    ):
        saved_note(app)

    assert stored(sql_backend) == 1


def memory_engine() -> Any:
    """Return an engine as SQLAlchemy's documentation shows it for tests."""
    return create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )


def test_all_threads_may_save_over_the_only_connection_of_a_static_pool() -> None:
    engine = memory_engine()
    with (
        SimpleApplication(engine=engine, name="one") as one,
        SimpleApplication(engine=engine, name="two") as two,
    ):
        apps = (one, two)

        def work(app: SimpleApplication) -> int:
            note = saved_note(app)
            for n in range(20):
                note.edit(str(n))
                note.edit("and another")
                app.save(note)
            return app.repository.get(note.id, Note).version

        assert in_threads(*[lambda app=app: work(app) for app in apps * 4]) == [41] * 8
    engine.dispose()


def test_a_transaction_on_the_only_connection_is_neither_committed_nor_rolled_back() -> None:
    engine = memory_engine()
    with SimpleApplication(engine=engine) as app, engine.connect() as connection:
        connection.execute(text("CREATE TABLE mine (n integer)"))
        connection.commit()
        connection.execute(text("INSERT INTO mine VALUES (1)"))

        with pytest.raises(ProgrammingError, match="give the session"):
            saved_note(app)

        assert connection.scalar(text("SELECT count(*) FROM mine")) == 1
        connection.rollback()
        assert connection.scalar(text("SELECT count(*) FROM mine")) == 0
        connection.commit()
        saved_note(app)
    engine.dispose()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (create_engine("postgresql+psycopg_async://"), "is a driver for asyncio"),
        ("sqlite://", "takes an Engine, not str"),
        (sessionmaker(), "takes an Engine, not sessionmaker"),
    ],
    ids=["asyncio", "uri", "sessionmaker"],
)
def test_what_cannot_be_used_as_an_engine_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ProgrammingError, match=message):
        SimpleApplication(engine=given)
