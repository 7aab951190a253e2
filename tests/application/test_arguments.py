"""Arguments that do not fit are refused before anything is opened, or leave nothing open."""

import copy
import gc
import pickle
from dataclasses import replace
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import DomainEvent, publish
from eventsourcing.exceptions import EventFieldError, ProgrammingError
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.factory import construct_sqlalchemy_eventstore
from tests.backends import Backend


class Shelf(AggregateRoot):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.books: list[str] = []

    @event("BookAdded")
    def add(self, title: str) -> None:
        self.books.append(title)


def test_settings_that_are_replaced_keep_the_uri() -> None:
    settings = SQLAlchemySettings(uri="sqlite:////tmp/never-opened.db")

    assert replace(settings, pool_size=3).url == settings.url


def test_settings_do_not_show_a_password() -> None:
    assert "secret" not in repr(SQLAlchemySettings(uri="postgresql://ann:secret@localhost/bank"))


def test_an_empty_uri_is_not_taken_for_none() -> None:
    with pytest.raises(ProgrammingError, match="cannot be read"):
        SimpleApplication(uri="")


def test_an_event_store_is_made_in_one_place() -> None:
    datastore = SQLAlchemyDatastore()
    with pytest.raises(ProgrammingError, match="give one of"):
        construct_sqlalchemy_eventstore(datastore=datastore, uri="sqlite://")
    with pytest.raises(ProgrammingError, match="to the mapper"):
        construct_sqlalchemy_eventstore(mapper=SequencedItemMapper(), topic_prefixes=["bank"])
    datastore.close()


def test_a_record_manager_has_its_table_already() -> None:
    with pytest.raises(ProgrammingError, match="table already"):
        SimpleApplication(record_manager=MemoryRecordManager(), table_name="others")


def test_an_application_that_cannot_be_made_leaves_no_connection(sql_backend: Backend) -> None:
    with pytest.raises(ProgrammingError, match="persist_event_type"):
        SimpleApplication(uri=sql_backend.uri, persist_event_type=3)  # type: ignore[arg-type]

    gc.collect()  # a connection that was not closed warns, and a warning is a failure


def test_the_outermost_block_closes_the_application() -> None:
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        with app:
            shelf = Shelf.create()
            shelf.save()
        shelf.add("Emma")
        shelf.save()

        assert app.repository.get(shelf.id, Shelf).books == ["Emma"]


@pytest.mark.parametrize("given", [["x"], "x", [1]])
def test_what_is_no_event_is_neither_published_nor_stored(given: Any) -> None:
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        with pytest.raises(ProgrammingError, match="no domain event"):
            publish(given)
        with pytest.raises(ProgrammingError, match="no domain event"):
            app.event_store.store(given)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]
)
def test_a_copy_of_an_aggregate_has_pending_events_of_its_own(copied: Any) -> None:
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        shelf = Shelf.create()
        shelf.save()
        shelf.add("Emma")
        other = copied(shelf)
        other.add("Persuasion")

        assert (len(shelf.pending_events), len(other.pending_events)) == (1, 2)
        app.save(shelf)
        app.save(other)  # its first event is the one that is stored already
        assert app.repository.get(shelf.id, Shelf).books == ["Emma", "Persuasion"]


@pytest.mark.parametrize("name", ["version", "save", "id"])
def test_an_event_class_cannot_take_the_name_of_an_attribute(name: str) -> None:
    def rename(self: Any, title: str) -> None: ...

    with pytest.raises(ProgrammingError, match="cannot be an event class too"):
        type("Odd", (AggregateRoot,), {"rename": event(name)(rename)})


def test_attributes_of_events_do_not_begin_with_an_underscore() -> None:
    with pytest.raises(EventFieldError, match="_context"):
        DomainEvent(_context=1)


@pytest.mark.parametrize("size", [0, -1, True, 1.0, "10"])
def test_what_is_no_size_of_a_cache_is_refused(size: Any) -> None:
    with pytest.raises(ProgrammingError, match="cache_size="):
        SimpleApplication(record_manager=MemoryRecordManager(), cache_size=size)
