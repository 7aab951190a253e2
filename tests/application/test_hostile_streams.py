"""Rows that are sound, but make no stream."""

from collections.abc import Iterator
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    AggregateTypeError,
    DataIntegrityError,
    RepositoryKeyError,
    TopicResolutionError,
)
from tests.application.hostile import (
    BAD,
    GOOD,
    Account,
    Order,
    execute,
    outcome,
    stored,
    tamper,
    topic,
    two_accounts,
    where,
)
from tests.backends import Backend

MOVE = "UPDATE stored_events SET originator_version = ? WHERE originator_id = ?"
MOVE += " AND originator_version = ?"
TIME = '"timestamp":"2024-01-01T00:00:00Z"'


@pytest.fixture
def app(sqlite_file: Backend) -> Iterator[SimpleApplication]:
    with two_accounts(sqlite_file) as app:
        yield app


def test_a_gap_in_the_versions_is_refused(app: SimpleApplication, sqlite_file: Backend) -> None:
    execute(sqlite_file, MOVE, 3, BAD, 2)

    error = outcome(app)

    assert where(error) == (BAD, 3)
    assert "has position 3, but Account 'bad' takes 2 next" in str(error)


def test_a_missing_first_event_is_refused(app: SimpleApplication, sqlite_file: Backend) -> None:
    execute(
        sqlite_file,
        "DELETE FROM stored_events WHERE originator_id = ? AND originator_version = 0",
        BAD,
    )

    assert where(outcome(app)) == (BAD, 1)


def test_a_second_created_event_is_refused(app: SimpleApplication, sqlite_file: Backend) -> None:
    tamper(sqlite_file, "topic", stored(sqlite_file, "topic", 0))
    tamper(sqlite_file, "state", stored(sqlite_file, "state", 0))

    error = outcome(app)

    assert where(error) == (BAD, 1)
    assert "Account 'bad' exists already" in str(error)


@pytest.mark.parametrize("column", ["topic", "state"])
def test_one_column_of_another_row_is_refused(
    app: SimpleApplication, sqlite_file: Backend, column: str
) -> None:
    tamper(sqlite_file, column, stored(sqlite_file, column, 0))

    assert where(outcome(app)) == (BAD, 1)


@pytest.mark.parametrize("name", ["Deposited", "Created", "Discarded"])
def test_an_event_after_the_end_is_refused(
    app: SimpleApplication, sqlite_file: Backend, name: str
) -> None:
    states = {
        "Deposited": stored(sqlite_file, "state", 2),
        "Created": stored(sqlite_file, "state", 0),
        "Discarded": f"{{{TIME}}}",
    }
    tamper(sqlite_file, "topic", topic("Account.Discarded"))
    tamper(sqlite_file, "state", states["Discarded"])
    tamper(sqlite_file, "topic", topic(f"Account.{name}"), version=2)
    tamper(sqlite_file, "state", states[name], version=2)

    assert where(outcome(app)) == (BAD, 2)


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "state"),
    [
        (topic("Order.Shipped"), f"{{{TIME}}}"),
        (topic("Order.AttributeChanged"), f'{{{TIME},"name":"owner","value":"Eve"}}'),
        (topic("Order.Discarded"), f"{{{TIME}}}"),
        (topic("Order.Event"), f"{{{TIME}}}"),
        ("eventsourcing.domain.model.events#DomainEvent", "{}"),
        ("eventsourcing.domain.model.events#Logged", f"{{{TIME}}}"),
        ("eventsourcing.domain.model.events#Created", "{}"),
    ],
)
def test_an_event_that_is_not_one_of_the_aggregate_is_refused(
    app: SimpleApplication, sqlite_file: Backend, name: str, state: str, version: int
) -> None:
    tamper(sqlite_file, "topic", name, version)
    tamper(sqlite_file, "state", state, version)

    error = outcome(app)

    assert type(error) is DataIntegrityError
    assert error.originator_id == BAD


def test_an_attribute_that_cannot_be_changed_is_refused(
    app: SimpleApplication, sqlite_file: Backend
) -> None:
    tamper(sqlite_file, "topic", topic("Account.AttributeChanged"))
    for name in ("_es_home", "save", "id", "version", "Created", "__class__", ""):
        tamper(sqlite_file, "state", f'{{{TIME},"name":"{name}","value":"x"}}')

        assert where(outcome(app)) == (BAD, 1)


@pytest.mark.parametrize(
    "originator_topic",
    [
        "",
        "#",
        "nowhere#Account",
        "os#system",
        "builtins#eval",
        "decimal#Decimal",
        topic("Account.Created"),
        topic("Deposited"),
        topic("account"),
    ],
)
def test_an_originator_topic_that_names_no_entity_is_refused(
    app: SimpleApplication, sqlite_file: Backend, originator_topic: str
) -> None:
    state = stored(sqlite_file, "state", 0)
    tamper(sqlite_file, "state", state.replace(topic("Account"), originator_topic), version=0)

    error = outcome(app)

    assert type(error) is TopicResolutionError
    assert error.topic == originator_topic
    assert where(error) == (BAD, 0)


@pytest.mark.parametrize(
    "originator_topic",
    [
        topic("Order"),
        "eventsourcing.domain.model.aggregate#AggregateRoot",
        "eventsourcing.domain.model.domainentity#DomainEntity",
    ],
)
def test_an_originator_topic_of_another_entity_is_refused(
    app: SimpleApplication, sqlite_file: Backend, originator_topic: str
) -> None:
    state = stored(sqlite_file, "state", 0)
    tamper(sqlite_file, "state", state.replace(topic("Account"), originator_topic), version=0)

    error = outcome(app)

    assert type(error) is DataIntegrityError
    assert where(error) == (BAD, 0)


def test_a_whole_stream_of_another_aggregate_is_no_account(
    app: SimpleApplication, sqlite_file: Backend
) -> None:
    execute(sqlite_file, "DELETE FROM stored_events WHERE originator_id = ?", BAD)
    Order.create(id=BAD).save()

    with pytest.raises(AggregateTypeError, match="'bad' is a Order, not a Account"):
        app.repository.get(BAD, Account)


def test_a_stream_without_rows_is_a_missing_aggregate(
    app: SimpleApplication, sqlite_file: Backend
) -> None:
    execute(sqlite_file, "DELETE FROM stored_events WHERE originator_id = ?", BAD)

    with pytest.raises(RepositoryKeyError):
        app.repository[BAD]


def test_an_error_in_the_body_of_a_command_names_the_event_when_it_is_replayed(
    app: SimpleApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    account: Any = app.repository[BAD]
    monkeypatch.setattr(Account, "balance", property(lambda self: 0), raising=False)

    with pytest.raises(DataIntegrityError) as caught:
        app.repository[BAD]

    assert where(caught.value) == (BAD, 0)
    assert "(Account.Created): it raised AttributeError" in str(caught.value)
    assert isinstance(caught.value.__cause__, AttributeError)
    assert account.version == 3


def test_a_gap_is_refused_on_every_database(sql_backend: Backend) -> None:
    with two_accounts(sql_backend) as app:
        execute(sql_backend, MOVE, 3, BAD, 2)

        error = outcome(app)

        assert where(error) == (BAD, 3)
        assert GOOD in app.repository
