"""What a caller's rollback undoes is pending again: a later save stores it, and leaves no gap."""

from eventsourcing.application.simple import SimpleApplication
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.callers import Caller
from tests.infrastructure.sqlalchemy.helpers import saved_note, stored


def positions(app: SimpleApplication, note_id: object) -> list[int]:
    events = app.event_store.get_domain_events(note_id)  # type: ignore[arg-type]
    return [event.__dict__["originator_version"] for event in events]


def test_events_are_pending_again_after_a_rollback(mine: Caller, sql_backend: Backend) -> None:
    with SimpleApplication(session=mine.given) as app:
        note = saved_note(app)
        note.change_attribute("text", "b")
        app.save(note)
        mine.rollback()

        assert [event.__dict__["originator_version"] for event in note.pending_events] == [0, 1]
        assert stored(sql_backend) == 0


def test_a_save_after_a_rollback_stores_all_that_was_undone(
    mine: Caller, sql_backend: Backend
) -> None:
    with SimpleApplication(session=mine.given) as app:
        note = saved_note(app)
        mine.rollback()
        note.change_attribute("text", "b")
        app.save(note)
        mine.commit()

        assert positions(app, note.id) == [0, 1]


def test_what_a_savepoint_undid_is_pending_and_the_rest_is_not(mine: Caller) -> None:
    with SimpleApplication(session=mine.given) as app:
        note = saved_note(app)
        inner = mine.given.begin_nested()
        note.change_attribute("text", "b")
        app.save(note)
        inner.rollback()
        assert [event.__dict__["originator_version"] for event in note.pending_events] == [1]
        app.save(note)
        mine.commit()

        assert positions(app, note.id) == [0, 1]


def test_control_what_was_committed_is_not_pending(mine: Caller) -> None:
    with SimpleApplication(session=mine.given) as app:
        note = saved_note(app)
        mine.commit()
        mine.rollback()

        assert note.pending_events == ()
