"""Events and the views of inline projections are stored together, or not at all."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, text
from sqlalchemy.orm import Session

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import BaseProjection, handles
from eventsourcing.application.projections.inline import project_inline
from eventsourcing.application.projections.status import ProjectionMonitor, as_table
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ConcurrencyError,
    OutcomeUnknown,
    ProgrammingError,
    ProjectionFailed,
)
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.statements import Write
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import in_threads, run, saved_note, stored
from tests.projections.broken import apart
from tests.projections.model import (
    Account,
    Posted,
    Sharded,
    Statement,
    expected,
    filled,
    pay,
    payments,
    quick,
    shown,
)
from tests.projections.test_failures import SECRET, Picky


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend, with an inline projection."""
    Picky.refuses = True
    with SimpleApplication(sql_backend.uri) as app:
        project_inline(app, Statement())
        yield app


def test_the_view_is_there_with_the_save(app: SimpleApplication, sql_backend: Backend) -> None:
    accounts = filled(app)
    assert shown(sql_backend) == expected(app)

    for account in accounts:
        account.pay(1)
        account.pay(2)
    app.save(*accounts)

    assert shown(sql_backend) == expected(app)


@pytest.mark.parametrize("events", [1, 3])
def test_a_projection_that_fails_makes_the_save_fail(
    app: SimpleApplication, sql_backend: Backend, events: int
) -> None:
    project_inline(app, picky := Picky())
    account = Account.create(id="a1")
    app.save(account)
    for amount in (2, 3, 4)[:events]:
        account.pay(amount)
    before = shown(sql_backend)

    with pytest.raises(ProjectionFailed, match="'picky' failed") as caught:
        app.save(account)

    assert caught.value.projection == "picky"
    assert isinstance(caught.value.__cause__, ValueError)
    assert SECRET not in str(caught.value)
    assert (stored(sql_backend), shown(sql_backend)) == (1, before)
    picky.refuses = False
    app.save(account)
    assert shown(sql_backend) == expected(app)


def test_what_the_database_refuses_of_a_view_makes_the_save_fail(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    class Doubled(Statement):
        name = "doubled"

    project_inline(app, Doubled(), Statement())

    with pytest.raises(ProjectionFailed, match="'statement' failed"):
        Account.create(id="a1").save()

    assert (stored(sql_backend), shown(sql_backend)) == (0, ([], []))


def test_a_save_that_comes_too_late_leaves_the_view_alone(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    filled(app, accounts=1)
    one, other = (app.repository.get("a0", Account) for _ in range(2))
    one.pay(1)
    app.save(one)
    other.pay(2)

    with pytest.raises(ConcurrencyError):
        app.save(other)

    assert shown(sql_backend) == expected(app)


def test_control_a_transaction_of_its_own_shows_what_is_not_stored(
    app: SimpleApplication, sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLAlchemyDatastore, "execute", apart(SQLAlchemyDatastore.execute))

    test = test_a_save_that_comes_too_late_leaves_the_view_alone
    with pytest.raises(AssertionError):
        test(app, sql_backend)


def test_a_save_whose_answer_is_lost_shows_once(
    app: SimpleApplication, sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, answers = SQLAlchemyDatastore.execute, iter((OutcomeUnknown("it was cut"),))

    def lose_answer(self: SQLAlchemyDatastore, write: Write, work: Any = None) -> None:
        execute(self, write, work)
        for lost in answers:
            raise lost

    monkeypatch.setattr(SQLAlchemyDatastore, "execute", lose_answer)
    filled(app)

    assert shown(sql_backend) == expected(app)


def test_savers_in_threads_and_those_of_another_application_do_not_hurt_each_other(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    project_inline(app, Picky())

    def save(number: int) -> None:
        account = Account.create(id=f"a{number}")
        app.save(account)
        for amount in range(1, 6):
            account.pay(amount)
            try:
                app.save(account)
            except ProjectionFailed:
                account = app.repository.get(f"a{number}", Account)

    with SimpleApplication(sql_backend.uri) as other:  # its savers share transactions

        def save_notes() -> None:
            for _ in range(6):
                saved_note(other)

        savers = [partial(save, number) for number in range(6)]
        assert in_threads(*savers, save_notes, save_notes, save_notes) == [None] * 9

    assert shown(sql_backend) == expected(app)
    seen = sum(1 for _ in app.notification_log.select())
    assert seen == 6 * 6 - 1 + 3 * 6  # a1's payment of 2 was refused


@pytest.fixture
def session(sql_backend: Backend) -> Iterator[Session]:
    """A session of the caller's."""
    engine = create_engine(SQLAlchemySettings(uri=sql_backend.uri).url)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.mark.parametrize("is_kept", [True, False])
def test_in_a_transaction_of_the_callers_it_is_the_callers_to_commit(
    app: SimpleApplication, sql_backend: Backend, session: Session, is_kept: bool
) -> None:
    with SimpleApplication(session=session) as inner:
        project_inline(inner, Statement(), setup=False)
        account = Account.create(id="a1")
        account.pay(5)
        inner.save(account)
        (session.commit if is_kept else session.rollback)()

    assert stored(sql_backend) == (2 if is_kept else 0)
    assert shown(sql_backend) == expected(app)


def test_a_failure_leaves_the_rest_of_the_callers_work_alive(
    app: SimpleApplication, sql_backend: Backend, session: Session
) -> None:
    with SimpleApplication(session=session) as inner:
        project_inline(inner, Picky())
        account = Account.create(id="a1")
        inner.save(account)
        session.execute(insert(payments).values(account="mine", version=0, amount=7))
        account.pay(2)
        with pytest.raises(ProjectionFailed):
            inner.save(account)
        session.commit()

    assert stored(sql_backend) == 1
    assert shown(sql_backend) == ([("mine", 0, 7)], [("a1", 0)])


@pytest.mark.parametrize("call", ["commit", "rollback"])
def test_the_transaction_is_not_the_projections_to_end(
    app: SimpleApplication, sql_backend: Backend, call: str
) -> None:
    class Hasty(Statement):
        name = "hasty"

        @handles(Account.Created)
        def opened(self, event: Account.Created, session: Session) -> None:
            getattr(session, call)()

    project_inline(app, Hasty())

    with pytest.raises(ProjectionFailed):
        Account.create().save()

    assert stored(sql_backend) == 0


def test_a_savepoint_is_the_projections_own_matter(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    class Trying(Statement):
        name = "trying"

        @handles(Account.Created)
        def opened(self, event: Account.Created, session: Session) -> None:
            super().opened(event, session)
            with session.begin_nested() as part:
                session.execute(text("DELETE FROM totals"))
                part.rollback()

    project_inline(app, Trying())
    filled(app)

    assert shown(sql_backend) == expected(app)


def test_no_runner_does_what_savers_do(app: SimpleApplication, sql_backend: Backend) -> None:
    filled(app)

    with quick(app, Statement()) as runner:
        runner.catch_up()

    assert shown(sql_backend) == expected(app)


def test_it_is_never_behind(app: SimpleApplication) -> None:
    accounts = filled(app)
    control = ProjectionControl(app, Statement())

    control.wait_for(*accounts, timeout=0)

    assert (control.position(), control.lag()) == (18, 0)
    (status,) = ProjectionMonitor(app).read()
    assert (status.is_inline, status.position, status.lag) == (True, 18, 0)
    assert "live inline" in as_table([status])


def test_a_runner_brings_it_up_to_date_first(app: SimpleApplication, sql_backend: Backend) -> None:
    run(sql_backend, "DELETE FROM projections")
    app.event_store.record_manager.inline = None  # type: ignore[attr-defined]
    accounts = filled(app)
    with pytest.raises(ProgrammingError, match="has not come to position 18"):
        project_inline(app, Sharded())

    with quick(app, Sharded()) as runner:
        runner.catch_up()
        with pytest.raises(ProgrammingError, match="a runner has it"):
            project_inline(app, Sharded())
    project_inline(app, Sharded())
    pay(app, accounts, 2)

    assert shown(sql_backend) == expected(app)


def test_a_projection_with_dead_letters_is_refused(app: SimpleApplication) -> None:
    app.event_store.record_manager.inline = None  # type: ignore[attr-defined]
    filled(app)
    with quick(app, Picky(), max_retries=0) as runner:
        runner.catch_up()

    with pytest.raises(ProgrammingError, match="dead letters"):
        project_inline(app, Picky())


@pytest.mark.parametrize("projection", [Posted(), Statement], ids=["external", "class"])
def test_what_cannot_write_in_the_transaction_is_refused(
    app: SimpleApplication, projection: BaseProjection
) -> None:
    with pytest.raises(ProgrammingError, match="is a Projection, not"):
        project_inline(app, projection)  # type: ignore[arg-type]


def test_without_a_database_there_is_no_transaction() -> None:
    with (
        SimpleApplication(record_manager=MemoryRecordManager()) as app,
        pytest.raises(ProgrammingError, match="need an application on a database"),
    ):
        project_inline(app, Statement())
