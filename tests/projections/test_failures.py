"""What cannot be handled is set aside with its stream, and all other streams flow."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import handles
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ProgrammingError
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import run
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

SECRET = "4711 secret"


class Picky(Statement):
    """Refuses some payments of one account, as long as it is told to."""

    name = "picky"
    refuses = True

    @handles(Account.Paid)
    def paid(self, event: Account.Paid, session: Session) -> None:
        super().paid(event, session)
        if self.refuses and event.originator_id == "a1" and event.amount == 2:
            raise ValueError(SECRET)


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend."""
    Picky.refuses = True
    with SimpleApplication(sql_backend.uri) as app:
        yield app


def without(rows: tuple[list[Any], list[Any]], account: str) -> list[Any]:
    return [row for row in rows[0] if row[0] != account]


@pytest.mark.parametrize("page_size", [1, 4, 500])
def test_a_failing_stream_is_set_aside_and_the_others_flow(
    app: SimpleApplication, sql_backend: Backend, page_size: int
) -> None:
    filled(app)
    with quick(app, Picky(), page_size=page_size, max_retries=2) as runner:
        runner.catch_up()

    letters = ProjectionControl(app, Picky()).dead_letters()
    assert [(each.originator_version, each.attempts) for each in letters] == [
        (2, 3),
        (3, 0),
        (4, 0),
        (5, 0),
    ]
    assert without(shown(sql_backend), "a1") == without(expected(app), "a1")
    assert [row[2] for row in shown(sql_backend)[0] if row[0] == "a1"] == [1]


def test_a_letter_tells_where_it_failed_and_not_what_the_event_contains(
    app: SimpleApplication,
) -> None:
    filled(app)
    with quick(app, Picky(), max_retries=0) as runner:
        runner.catch_up()

    letter, *behind = ProjectionControl(app, Picky()).dead_letters()
    assert letter.error == "ValueError"
    assert letter.traceback is not None
    assert "test_failures.py" in letter.traceback
    assert SECRET not in str(letter)
    assert [(each.error, each.traceback) for each in behind] == [(None, None)] * 3


def test_what_fails_once_is_tried_again(app: SimpleApplication, sql_backend: Backend) -> None:
    class Moody(Picky):
        name = "moody"

        @handles(Account.Paid)
        def paid(self, event: Account.Paid, session: Session) -> None:
            try:
                super().paid(event, session)
            except ValueError:
                self.refuses = False
                raise

    filled(app)
    with quick(app, Moody()) as runner:
        runner.catch_up()

    assert shown(sql_backend) == expected(app)
    assert ProjectionControl(app, Moody()).dead_letters() == []


@pytest.mark.parametrize("page_size", [1, 500])
def test_what_shows_at_the_flush_is_found_too(
    app: SimpleApplication, sql_backend: Backend, page_size: int
) -> None:
    class Late(Statement):
        name = "late"

        @handles(Account.Paid)
        def paid(self, event: Account.Paid, session: Session) -> None:
            super().paid(event, session)
            if event.originator_id == "a1" and event.amount == 2:
                session.flush = lambda *a: (_ for _ in ()).throw(ValueError(SECRET))  # type: ignore[method-assign]

    filled(app)
    with quick(app, Late(), page_size=page_size, max_retries=1) as runner:
        runner.catch_up()

    assert len(ProjectionControl(app, Late()).dead_letters()) == 4
    assert without(shown(sql_backend), "a1") == without(expected(app), "a1")


def test_a_retry_applies_the_stream_in_order_and_lets_it_flow(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    accounts = filled(app)
    control = ProjectionControl(app, Picky())
    with quick(app, Picky(), max_retries=0) as runner:
        runner.catch_up()
        assert control.retry("a1") == 0
        assert control.dead_letters()[0].attempts == 2
        Picky.refuses = False
        assert control.retry("a1") == 4
        pay(app, accounts, 1)
        runner.catch_up()

    assert shown(sql_backend) == expected(app)
    assert control.dead_letters() == []


def test_an_event_can_be_skipped(app: SimpleApplication, sql_backend: Backend) -> None:
    filled(app)
    control = ProjectionControl(app, Picky())
    with quick(app, Picky(), max_retries=0) as runner:
        runner.catch_up()

    assert control.skip("a1") == 3

    lines, _ = shown(sql_backend)
    assert [row for row in expected(app)[0] if row not in lines] == [("a1", 2, 2)]


def test_a_row_that_cannot_be_read_is_set_aside_too(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    filled(app)
    whole = expected(app)
    row = "originator_id = 'a1' AND originator_version = 2"
    run(sql_backend, f"UPDATE stored_events SET state = '{{' WHERE {row}")
    with quick(app, Sharded(), page_size=4) as runner:
        runner.catch_up()

    letters = ProjectionControl(app, Sharded()).dead_letters()
    assert [each.originator_version for each in letters] == [2, 3, 4, 5]
    assert letters[0].error == "DataIntegrityError"
    assert without(shown(sql_backend), "a1") == without(whole, "a1")


def test_an_external_target_is_handed_nothing_twice_for_an_error(app: SimpleApplication) -> None:
    class Refused(Posted):
        name = "refused"

        @handles(Account.Paid)
        def paid(self, event: Account.Paid, position: int) -> None:
            if event.originator_id == "a1" and event.amount == 2:
                raise ValueError(SECRET)
            super().paid(event, position)

    filled(app)
    with quick(app, Refused(), max_retries=1) as runner:
        runner.catch_up()

    positions = [position for position, _ in Refused.seen]
    assert len(positions) == 11
    assert positions == sorted(set(positions))


def test_a_projection_that_is_paused_stands_still(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    accounts = filled(app)
    control = ProjectionControl(app, Statement())
    with quick(app, Statement(), lease_seconds=0.05) as runner:
        runner.catch_up()
        control.pause()
        pay(app, accounts, 1)
        runner.catch_up()
        assert len(shown(sql_backend)[0]) == 15
        control.resume()
        runner._renew_at = 0.0
        runner.catch_up()

    assert shown(sql_backend) == expected(app)


@pytest.mark.parametrize("call", ["commit", "rollback"])
def test_the_session_is_not_committed_or_rolled_back(
    app: SimpleApplication, sql_backend: Backend, call: str
) -> None:
    class Hasty(Statement):
        name = "hasty"

        @handles(Account.Created)
        def opened(self, event: Account.Created, session: Session) -> None:
            session.execute(insert(payments).values(account="x", version=0, amount=0))
            getattr(session, call)()

    Account.create(id="a0").save()
    with quick(app, Hasty(), max_retries=0) as runner:
        runner.catch_up()

    (letter,) = ProjectionControl(app, Hasty()).dead_letters()
    assert letter.error == ProgrammingError.__name__
    assert shown(sql_backend) == ([], [])


def test_what_a_savepoint_undoes_is_the_projections_own_matter(
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

    filled(app)
    with quick(app, Trying(), max_retries=0) as runner:
        runner.catch_up()

    assert shown(sql_backend) == expected(app)
