"""A save whose number a reader of the feed has fenced takes another, whatever the database is."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from eventsourcing.exceptions import (
    ConstraintViolation,
    SequencedItemConflict,
    TransactionConflict,
)
from eventsourcing.infrastructure.sequenceditem import SequencedItem
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import MOST_FENCED, SQLAlchemyRecordManager
from tests.backends import Backend
from tests.contracts.recordmanager import item
from tests.infrastructure.sqlalchemy.helpers import unnumbered_table


class Refused(NamedTuple):
    """A record manager whose saves find their numbers taken.

    Attributes:
        answers: the keys that the next saves violate; no more, and they are stored.
        attempts: how many saves there were.
    """

    manager: SQLAlchemyRecordManager
    answers: list[str]
    attempts: list[int]


def refused(manager: SQLAlchemyRecordManager, monkeypatch: pytest.MonkeyPatch) -> Refused:
    datastore = manager.datastore
    execute = datastore.execute
    found = Refused(manager, [], [])

    def answering(*arguments: Any) -> None:
        found.attempts.append(1)
        if found.answers:
            raise SequencedItemConflict(found.answers.pop(0))
        execute(*arguments)

    monkeypatch.setattr(datastore, "execute", answering)
    monkeypatch.setattr(datastore, "violated_key", str)
    monkeypatch.setattr(datastore.driver, "fences_gaps", True)
    return found


@pytest.fixture
def datastore(sqlite_file: Backend) -> Iterator[SQLAlchemyDatastore]:
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=sqlite_file.uri, group_commit=False))
    yield datastore
    datastore.close()


@pytest.fixture
def fenced(datastore: SQLAlchemyDatastore, monkeypatch: pytest.MonkeyPatch) -> Refused:
    manager = SQLAlchemyRecordManager(datastore)
    manager.setup_table()
    return refused(manager, monkeypatch)


@pytest.mark.parametrize("times", [1, MOST_FENCED - 1])
def test_a_save_tries_again_while_its_number_is_fenced(fenced: Refused, times: int) -> None:
    fenced.answers[:] = ["PRIMARY"] * times

    fenced.manager.record([item("s", 0)])

    assert list(fenced.manager.get_items("s")) == [item("s", 0)]
    assert len(fenced.attempts) == times + 1


def test_a_save_gives_up_in_the_end_and_says_why(fenced: Refused) -> None:
    fenced.answers[:] = ["PRIMARY"] * MOST_FENCED

    with pytest.raises(TransactionConflict, match=r"^readers of the feed took 100 numbers of this"):
        fenced.manager.record([item("s", 0)])

    assert list(fenced.manager.get_items("s")) == []


def test_another_key_is_no_fence(fenced: Refused) -> None:
    fenced.answers[:] = ["mine_text_key"]

    with pytest.raises(ConstraintViolation, match=r"^mine_text_key$"):
        fenced.manager.record([item("s", 0)])

    assert len(fenced.attempts) == 1


def test_where_nobody_fences_a_number_is_no_fence(
    fenced: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fenced.manager.datastore.driver, "fences_gaps", False)
    fenced.answers[:] = ["PRIMARY"]

    with pytest.raises(ConstraintViolation):
        fenced.manager.record([item("s", 0)])

    assert len(fenced.attempts) == 1


def test_a_primary_key_of_positions_is_no_fence(
    datastore: SQLAlchemyDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = SQLAlchemyRecordManager(datastore, unnumbered_table(), SequencedItem)
    manager.setup_table()
    found = refused(manager, monkeypatch)
    found.answers[:] = ["PRIMARY"]

    with pytest.raises(SequencedItemConflict, match=r"^PRIMARY$"):
        manager.record([SequencedItem("s", 0, "topic", "state")])

    assert len(found.attempts) == 1
