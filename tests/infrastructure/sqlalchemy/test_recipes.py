"""Record classes of the ORM, and the recipe for tables of one's own, on every SQL database."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.records import StoredEventRecord
from tests.backends import Backend
from tests.contracts.places import SQLAlchemyPlace, TenantItem
from tests.infrastructure.sqlalchemy.helpers import Note, engine_of, run, saved_note

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "tables.md"
PAGE_URI = "sqlite:///:memory:"


def test_what_is_stored_can_be_queried_by_the_orm(sql_backend: Backend) -> None:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=sql_backend.uri))
    manager = SQLAlchemyRecordManager(datastore, record_class=StoredEventRecord)
    manager.setup_table()
    with SimpleApplication(record_manager=manager) as app:
        note = saved_note(app)
        note.edit("second")
        (edited,) = note.pending_events
        app.save(note)
        saved_note(app, "another")

    with engine_of(sql_backend) as engine, Session(engine) as session:
        found = session.scalars(
            select(StoredEventRecord)
            .where(StoredEventRecord.originator_id == note.id)
            .order_by(StoredEventRecord.originator_version.desc())
        )
        record, first = found.all()

    assert (record.originator_id, record.originator_version) == (note.id, 1)
    assert (record.event_id, record.causation_id) == (edited.context.event_id, None)
    assert record.topic.endswith("Note.Edited")
    assert '"text":"second"' in record.state
    assert record.id > first.id


class PriorityMapper(SequencedItemMapper):
    """Fills the columns with what no event knows of."""

    def extra_values(self, event: DomainEvent) -> tuple[Any, ...]:
        return ("north", 7, event.context.event_id)


class PriorityApplication(SimpleApplication):
    mapper_class = PriorityMapper


def test_an_application_takes_the_mapper_of_its_class(sql_backend: Backend) -> None:
    assert sql_backend.uri
    place = SQLAlchemyPlace(sql_backend.uri)
    with PriorityApplication(record_manager=place.open(TenantItem)) as app:
        note = saved_note(app)

        assert app.repository.get(note.id, Note).text == "first"
    assert run(sql_backend, "SELECT tenant, priority FROM tenant_items") == [("north", 7)]


def test_the_recipe_for_a_table_of_one_s_own_works(sql_backend: Backend) -> None:
    assert sql_backend.uri
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    program = "\n".join(blocks)
    assert PAGE_URI in program

    exec(program.replace(PAGE_URI, sql_backend.uri), {})

    ((tenants,),) = run(sql_backend, "SELECT count(DISTINCT tenant) FROM tenant_events")
    assert tenants == 2
