"""Events in a transaction of the caller's: flushed, fenced, and never the library's to end."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, sessionmaker

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    ConstraintViolation,
    ProgrammingError,
    TransactionConflict,
)
from eventsourcing.infrastructure.sqlalchemy.sqlite import SQLiteDriver
from tests.backends import Backend
from tests.contracts.model import Account
from tests.infrastructure.sqlalchemy.callers import KINDS, Caller, Row, caller
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    engine_of,
    saved_note,
    stored,
)

of_every_kind = pytest.mark.parametrize("kind", KINDS)


def rows(backend: Backend) -> tuple[int, int]:
    """Return how many events, and how many rows of the caller's, others see."""
    return stored(backend), stored(backend, "callers")


def test_the_callers_commit_stores_both(mine: Caller, sql_backend: Backend) -> None:
    with SimpleApplication(session=mine.given) as app:
        mine.add(1)
        saved_note(app)
        mine.add(2)
        before = rows(sql_backend)

    mine.commit()

    assert (before, rows(sql_backend)) == ((0, 0), (1, 2))


def test_the_callers_rollback_removes_both(mine: Caller, sql_backend: Backend) -> None:
    with SimpleApplication(session=mine.given) as app:
        mine.add(1)
        saved_note(app)

    mine.rollback()

    assert rows(sql_backend) == (0, 0)


def test_a_save_tells_its_position_before_and_after_the_commit(
    mine: Caller, sql_backend: Backend
) -> None:
    with SimpleApplication(session=mine.given) as app:
        before, after = Account.create(owner="Ann").save(), Account.create(owner="Bob").save()
        early = before.position
        mine.commit()
        late = after.position

    with SimpleApplication(sql_backend.uri) as app:
        assert [n.position for n in app.notification_log.select()] == [early, late]


def test_a_save_that_was_rolled_back_is_nowhere(mine: Caller) -> None:
    with SimpleApplication(session=mine.given):
        saved = Account.create(owner="Ann").save()
        mine.rollback()
        assert saved.position == 0


def test_the_first_statement_may_be_a_save(mine: Caller, sql_backend: Backend) -> None:
    with SimpleApplication(session=mine.given, setup_table=False) as app:
        saved_note(app)
        unseen = stored(sql_backend)

    mine.rollback()

    assert (unseen, rows(sql_backend)) == (0, (0, 0))


def test_a_save_of_several_events_is_the_callers_too(mine: Caller, sql_backend: Backend) -> None:
    with SimpleApplication(session=mine.given) as app:
        a, b = Note.create(), Note.create()
        for n in range(5):
            a.edit(str(n))
        app.save(a, b)
        unseen = stored(sql_backend)
        mine.commit()

    assert (unseen, stored(sql_backend)) == (0, 7)


def test_what_was_added_is_flushed_before_the_events(mine: Caller) -> None:
    with SimpleApplication(session=mine.given) as app:
        mine.add(1)
        saved_note(app)

        assert mine.numbers() == [1]


def test_control_sqlite_commits_without_a_begin(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteDriver, "begin_callers", lambda self, connection: None)
    application(sqlite_file).close()
    with engine_of(sqlite_file) as engine, Session(engine) as session:
        with SimpleApplication(session=session, setup_table=False) as app:
            saved_note(app)
        session.rollback()

    assert stored(sqlite_file) == 1


def test_a_conflict_leaves_the_callers_work_alive(mine: Caller, sql_backend: Backend) -> None:
    with SimpleApplication(session=mine.given) as app:
        note = saved_note(app)
        rival = app.repository.get(note.id, Note)
        mine.commit()
        rival.edit("first")
        app.save(rival)
        mine.commit()
        mine.add(1)
        note.edit("second")
        bystander = Note.create()

        with pytest.raises(ConcurrencyError) as raised:
            app.save(bystander, note)

        assert bystander.id not in app.repository
        mine.add(2)
        app.save(bystander)
        assert mine.numbers() == [1, 2]
        mine.commit()
    assert (raised.value.expected_version, raised.value.actual_version) == (1, 2)
    assert rows(sql_backend) == (3, 2)


def test_applications_come_and_go_on_one_session(mine: Caller, sql_backend: Backend) -> None:
    for n in range(3):
        with SimpleApplication(session=mine.given) as app:
            saved_note(app)
            mine.add(n + 1)
        if n == 1:
            mine.rollback()
        else:
            mine.commit()

    assert rows(sql_backend) == (2, 2)


def test_two_applications_share_one_transaction(mine: Caller, sql_backend: Backend) -> None:
    with (
        SimpleApplication(session=mine.given, name="one") as one,
        SimpleApplication(session=mine.given, table_name="others", name="two") as two,
    ):
        saved_note(one)
        saved_note(two)
        mine.commit()

    assert (stored(sql_backend), stored(sql_backend, "others")) == (1, 1)


def test_a_savepoint_of_the_callers_takes_the_events_with_it(
    mine: Caller, sql_backend: Backend
) -> None:
    with SimpleApplication(session=mine.given) as app:
        mine.add(1)
        saved_note(app)
        inner = mine.given.begin_nested()
        saved_note(app)
        mine.add(2)
        inner.rollback()
        with mine.given.begin_nested():
            saved_note(app)
        mine.commit()

    assert rows(sql_backend) == (2, 1)


def test_the_table_is_set_up_without_committing_the_callers_work(
    engine: Engine, sql_backend: Backend
) -> None:
    for kind in KINDS:
        with caller(engine, kind) as mine:
            mine.add(1)
            with SimpleApplication(session=mine.given, table_name=f"of_{kind}") as app:
                saved_note(app)
                unseen = stored(sql_backend, "callers")
                mine.rollback()

        assert (unseen, stored(sql_backend, "callers")) == (0, 0)


@of_every_kind
def test_a_table_that_was_set_up_in_the_callers_transaction_can_be_used_in_it(
    engine: Engine, sql_backend: Backend, kind: str
) -> None:
    with caller(engine, kind) as mine:
        mine.add(1)
        with SimpleApplication(session=mine.given) as app:
            note = saved_note(app)
            assert app.repository.get(note.id, Note).text == "first"
        mine.commit()

    assert rows(sql_backend) == (1, 1)


@of_every_kind
def test_a_transaction_of_mariadb_that_has_read_before_cannot_read_the_new_table(
    mariadb: Backend, kind: str
) -> None:
    with engine_of(mariadb) as engine, caller(engine, kind) as mine:
        mine.numbers()
        with SimpleApplication(session=mine.given) as app:
            note = saved_note(app)
            with pytest.raises(TransactionConflict, match="retry transaction"):
                app.repository.get(note.id, Note)
            mine.commit()

            assert app.repository.get(note.id, Note).text == "first"


@of_every_kind
def test_set_up_is_the_callers_to_roll_back_where_the_database_can(
    engine: Engine, sql_backend: Backend, kind: str
) -> None:
    with caller(engine, kind) as mine:
        SimpleApplication(session=mine.given).close()
        mine.rollback()

    assert inspect(engine).has_table("stored_events") == (sql_backend.name == "mariadb")


def test_a_flush_that_fails_is_told_as_what_it_is(sql_backend: Backend) -> None:
    application(sql_backend).close()
    with engine_of(sql_backend) as engine, caller(engine, "Session") as mine:
        mine.add(1)
        mine.commit()
        with SimpleApplication(session=mine.given) as app:
            mine.given.add(Row(n=1))  # type: ignore[union-attr]

            with pytest.raises(ConstraintViolation):
                saved_note(app)

            mine.rollback()
            saved_note(app)
            mine.commit()
    assert rows(sql_backend) == (1, 1)


def test_a_session_in_autocommit_mode_is_refused(server_backend: Backend) -> None:
    application(server_backend).close()
    with (
        engine_of(server_backend, isolation_level="AUTOCOMMIT") as engine,
        Session(engine) as session,
        SimpleApplication(session=session) as app,
        pytest.raises(ProgrammingError, match="autocommit"),
    ):
        saved_note(app)

    assert stored(server_backend) == 0


@pytest.mark.parametrize("isolation_level", ["SERIALIZABLE", "READ UNCOMMITTED"])
def test_sqlites_isolation_levels_hold_the_callers_transaction(
    sqlite_file: Backend, isolation_level: str
) -> None:
    application(sqlite_file).close()
    with (
        engine_of(sqlite_file, isolation_level=isolation_level) as engine,
        Session(engine) as session,
        SimpleApplication(session=session) as app,
    ):
        saved_note(app)
        session.rollback()

    assert stored(sqlite_file) == 0


def test_the_application_never_closes_the_session(mine: Caller) -> None:
    with SimpleApplication(session=mine.given) as app:
        saved_note(app)
        mine.add(1)

    assert mine.numbers() == [1]
    mine.rollback()


@pytest.mark.parametrize(
    "given", [sessionmaker(), sqlite3, "sqlite://", object()], ids=["maker", "module", "uri", "obj"]
)
def test_what_is_no_session_is_refused(given: object) -> None:
    with pytest.raises(ProgrammingError, match="session= takes"):
        SimpleApplication(session=given)  # type: ignore[arg-type]


def test_a_session_without_an_engine_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="session cannot be used"):
        SimpleApplication(session=Session())


def test_a_closed_connection_gets_the_librarys_error(sqlite_file: Backend) -> None:
    application(sqlite_file).close()
    with closing(create_engine(str(sqlite_file.uri)).connect()) as connection:
        app = SimpleApplication(session=connection)
    with app, pytest.raises(Exception, match="closed") as raised:
        saved_note(app)

    assert not isinstance(raised.value, InvalidRequestError)
    connection.engine.dispose()
