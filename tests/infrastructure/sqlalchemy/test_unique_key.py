"""A table that is there already must keep positions unique."""

import pytest

from eventsourcing.exceptions import ProgrammingError
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import Note, application, run, saved_note, stored


def drop_key(backend: Backend) -> None:
    """Leave the table of events as a bad restore does."""
    if backend.name == "sqlite":
        ((sql,),) = run(backend, "SELECT sql FROM sqlite_master WHERE name = 'stored_events'")
        before, _, _ = sql.partition("CONSTRAINT stored_events_position_key")
        run(backend, "DROP TABLE stored_events")
        run(backend, before.rstrip().rstrip(",") + ")")
    else:
        kind = "CONSTRAINT" if backend.name == "postgresql" else "KEY"
        run(backend, f"ALTER TABLE stored_events DROP {kind} stored_events_position_key")


def test_a_table_in_the_database_that_lacks_the_key_is_refused(sql_backend: Backend) -> None:
    application(sql_backend).close()
    drop_key(sql_backend)

    with pytest.raises(ProgrammingError, match=r"'stored_events' .* originator_id, originator_ver"):
        application(sql_backend)

    application(sql_backend, setup_table=False).close()


def test_control_without_the_key_two_savers_take_one_position(sql_backend: Backend) -> None:
    application(sql_backend).close()
    drop_key(sql_backend)
    with application(sql_backend, setup_table=False) as app:
        note = saved_note(app)
        rival = app.repository.get(note.id, Note)
        for copy in (note, rival):
            copy.edit("second")
            app.save(copy)

    assert stored(sql_backend) == 3


def test_a_unique_index_that_was_added_by_hand_will_do(sql_backend: Backend) -> None:
    application(sql_backend).close()
    drop_key(sql_backend)
    run(
        sql_backend,
        "CREATE UNIQUE INDEX x ON stored_events (originator_version, originator_id)",
    )

    with application(sql_backend) as app:
        saved_note(app)


@pytest.mark.parametrize(
    "key",
    ["ADD CONSTRAINT x UNIQUE", "DROP COLUMN id, ADD PRIMARY KEY"],
    ids=["constraint", "primary key"],
)
def test_a_constraint_that_was_added_by_hand_will_do(server_backend: Backend, key: str) -> None:
    application(server_backend).close()
    drop_key(server_backend)
    run(server_backend, f"ALTER TABLE stored_events {key} (originator_id, originator_version)")

    with application(server_backend) as app:
        saved_note(app)


@pytest.mark.parametrize(
    "index",
    [
        "UNIQUE INDEX x ON stored_events (originator_id, originator_version) WHERE id > 9",
        "UNIQUE INDEX x ON stored_events (originator_id, originator_version, topic)",
        "INDEX x ON stored_events (originator_id, originator_version)",
    ],
    ids=["partial", "wider", "not unique"],
)
def test_an_index_that_lets_positions_repeat_will_not_do(postgresql: Backend, index: str) -> None:
    application(postgresql).close()
    drop_key(postgresql)
    run(postgresql, f"CREATE {index}")

    with pytest.raises(ProgrammingError, match="no unique constraint over"):
        application(postgresql)
