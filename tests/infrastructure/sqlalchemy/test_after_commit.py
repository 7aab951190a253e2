"""Subscribers see what is stored: after the caller's commit, and never after a rollback."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.events import DomainEvent, subscribe, unsubscribe
from eventsourcing.exceptions import SubscriberError
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.callers import KINDS, Caller, caller
from tests.infrastructure.sqlalchemy.helpers import (
    Note,
    application,
    engine_of,
    run,
    saved_note,
    stored,
)


@pytest.fixture
def seen() -> Iterator[list[str]]:
    """What a subscriber has seen: the text of each event."""
    seen: list[str] = []
    with subscribed(lambda event: seen.append(event.text)):
        yield seen


class subscribed:
    """Subscribes a handler for a while."""

    def __init__(self, handler: Callable[[Any], object]) -> None:
        self.handler = handler

    def __enter__(self) -> None:
        subscribe(self.handler)

    def __exit__(self, *exception: object) -> None:
        unsubscribe(self.handler)


def test_subscribers_are_called_after_the_commit(mine: Caller, seen: list[str]) -> None:
    with SimpleApplication(session=mine.given) as app:
        saved_note(app, "a")
        saved_note(app, "b")
        before = list(seen)
        mine.commit()

    assert (before, seen) == ([], ["a", "b"])


def test_subscribers_are_called_although_the_application_is_closed_by_then(
    mine: Caller, seen: list[str]
) -> None:
    with SimpleApplication(session=mine.given) as app:
        saved_note(app, "a")

    mine.commit()

    assert seen == ["a"]


def test_subscribers_do_not_hear_of_what_is_rolled_back(mine: Caller, seen: list[str]) -> None:
    with SimpleApplication(session=mine.given) as app:
        saved_note(app, "a")
        mine.rollback()
        saved_note(app, "b")
        mine.commit()

    assert seen == ["b"]


def test_subscribers_do_not_hear_of_what_ends_without_a_commit(
    engine: Engine, sql_backend: Backend, seen: list[str]
) -> None:
    application(sql_backend).close()
    session = Session(engine)
    with SimpleApplication(session=session) as app:
        saved_note(app, "a")
        session.close()
        saved_note(app, "b")
        session.commit()
        session.close()

    assert seen == ["b"]


def test_what_a_savepoint_rolls_back_is_not_heard_of(mine: Caller, seen: list[str]) -> None:
    with SimpleApplication(session=mine.given) as app:
        saved_note(app, "a")
        outer = mine.given.begin_nested()
        saved_note(app, "b")
        inner = mine.given.begin_nested()
        saved_note(app, "c")
        inner.rollback()
        saved_note(app, "d")
        outer.commit()
        last = mine.given.begin_nested()
        saved_note(app, "e")
        mine.given.begin_nested().commit()
        saved_note(app, "f")
        last.rollback()
        before = list(seen)
        mine.commit()

    assert (before, seen) == ([], ["a", "b", "d"])


def test_what_an_outer_savepoint_rolls_back_is_not_heard_of(mine: Caller, seen: list[str]) -> None:
    with SimpleApplication(session=mine.given) as app:
        outer = mine.given.begin_nested()
        with mine.given.begin_nested():
            saved_note(app, "a")
        outer.rollback()
        saved_note(app, "b")
        mine.commit()

    assert seen == ["b"]


def test_a_subscriber_sees_what_others_see(mine: Caller, sql_backend: Backend) -> None:
    counts: list[int] = []
    with (
        subscribed(lambda event: counts.append(stored(sql_backend))),
        SimpleApplication(session=mine.given) as app,
    ):
        saved_note(app)
        mine.commit()

    assert counts == [1]


def test_a_subscriber_may_use_the_session_and_save(mine: Caller, sql_backend: Backend) -> None:
    with SimpleApplication(session=mine.given) as app:

        def copy(event: DomainEvent) -> None:
            note = app.repository.get(event.originator_id, Note)  # type: ignore[attr-defined]
            if note.text != "copy":
                saved_note(app, "copy")

        with subscribed(copy):
            saved_note(app, "a")
            mine.commit()
            mine.commit()

    assert stored(sql_backend) == 2


def test_a_subscriber_that_fails_keeps_nothing_from_being_stored_or_heard(
    mine: Caller, sql_backend: Backend, seen: list[str]
) -> None:
    def fail(event: DomainEvent) -> None:
        raise ZeroDivisionError(event.text)  # type: ignore[attr-defined]

    with subscribed(fail), SimpleApplication(session=mine.given) as app:
        saved_note(app, "a")
        saved_note(app, "b")

        with pytest.raises(SubscriberError) as raised:
            mine.commit()

    assert [str(error) for error in raised.value.errors] == ["a", "b"]
    assert (seen, stored(sql_backend)) == (["a", "b"], 2)
    mine.rollback()  # as after any error of a commit; SQLAlchemy's Connection insists on it
    assert stored(sql_backend) == 2
    mine.add(1)
    mine.commit()
    assert mine.numbers() == [1]
    mine.rollback()


def test_each_event_is_heard_of_once_whoever_shares_the_session(
    mine: Caller, seen: list[str]
) -> None:
    for name in ("a", "b"):
        with SimpleApplication(session=mine.given) as app:
            saved_note(app, name)
    mine.commit()
    mine.commit()

    assert seen == ["a", "b"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_commit_that_fails_is_not_heard_of(
    postgresql: Backend, kind: str, seen: list[str]
) -> None:
    application(postgresql).close()
    run(
        postgresql,
        "CREATE TABLE checked (n integer, UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)",
    )
    with (
        engine_of(postgresql) as engine,
        caller(engine, kind) as mine,
        SimpleApplication(session=mine.given) as app,
    ):
        saved_note(app, "a")
        for _ in range(2):
            mine.given.execute(text("INSERT INTO checked VALUES (1)"))

        with pytest.raises(IntegrityError):
            mine.commit()

        mine.rollback()
        mine.commit()
    assert (seen, stored(postgresql)) == ([], 0)


def test_a_session_on_the_callers_connection_hears_at_the_sessions_commit(
    engine: Engine, sql_backend: Backend, seen: list[str]
) -> None:
    application(sql_backend).close()
    with (
        engine.connect() as connection,
        connection.begin(),
        Session(connection, join_transaction_mode="create_savepoint") as session,
        SimpleApplication(session=session) as app,
    ):
        saved_note(app, "a")
        before = list(seen)
        session.commit()

    assert (before, seen) == ([], ["a"])
