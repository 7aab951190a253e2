"""Rows that somebody has damaged: typed errors that name the row, and the other streams work."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import DataIntegrityError, PersistenceError
from tests.application.hostile import (
    BAD,
    GOOD,
    Account,
    execute,
    outcome,
    stored,
    tamper,
    topic,
    two_accounts,
    where,
)
from tests.backends import Backend


@pytest.fixture
def app(sqlite_file: Backend) -> Iterator[SimpleApplication]:
    with two_accounts(sqlite_file) as app:
        yield app


def test_nothing_is_wrong_with_rows_that_nobody_has_changed(app: SimpleApplication) -> None:
    assert outcome(app).balance == Decimal("3.50")


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_state_that_is_truncated_anywhere_is_refused(
    app: SimpleApplication, sqlite_file: Backend, version: int
) -> None:
    state = stored(sqlite_file, "state", version)

    for length in range(len(state)):
        tamper(sqlite_file, "state", state[:length], version)

        error = outcome(app)

        assert type(error) is DataIntegrityError, state[:length]
        assert where(error) == (BAD, version)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("column", ["state", "topic"])
def test_a_flipped_bit_gives_a_value_or_a_typed_error(
    app: SimpleApplication, sqlite_file: Backend, column: str, version: int
) -> None:
    original = stored(sqlite_file, column, version).encode()

    for n in range(len(original)):
        flipped = bytearray(original)
        flipped[n] ^= 1 << n % 7  # the eighth bit would not be UTF-8
        tamper(sqlite_file, column, flipped.decode(), version)

        found = outcome(app)

        assert isinstance(found, Account) or where(found) == (BAD, version), flipped


@pytest.mark.parametrize("column", ["state", "topic", "event_id"])
def test_text_that_is_not_utf_8_is_a_typed_error(
    app: SimpleApplication, sqlite_file: Backend, column: str
) -> None:
    execute(
        sqlite_file,
        f"UPDATE stored_events SET {column} = CAST(x'7b22ff' AS TEXT) WHERE originator_id = ?",
        BAD,
    )

    with pytest.raises(PersistenceError, match="UTF-8"):
        app.repository[BAD]

    assert GOOD in app.repository


@pytest.mark.parametrize(
    "state",
    [
        "",
        "null",
        "[]",
        "1",
        '"text"',
        "{}",
        "{" * 100_000,
        "[" * 100_000,
        '{"timestamp":1e999,"amount":"1","note":null}',
        "\ufeff{}",
        "{}\0",
    ],
    ids=lambda state: state[:8],
)
def test_what_is_not_the_state_of_the_event_is_refused(
    app: SimpleApplication, sqlite_file: Backend, state: str
) -> None:
    tamper(sqlite_file, "state", state)

    assert where(outcome(app)) == (BAD, 1)


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ('"amount":"1.50"', '"amount":"money"'),
        ('"amount":"1.50"', '"amount":true'),
        ('"amount":"1.50"', '"amount":"1.50","amount":"99"'),
        ('"amount":"1.50"', '"amount":"1.50","bonus":"99"'),
        ('"amount":"1.50"', '"amount":"1.50","originator_version":7'),
        ('"amount":"1.50"', '"amount":"1.50","mutate":"x"'),
        ('"amount":"1.50"', '"$":{"amount":1}'),
        ('"amount":"1.50"', '"amount":"1.50","$":{"amount":{"$decimal":"99"}}'),
        ('{"$tuple":["home",1]}', '{"$tuple":"home"}'),
        ('{"$tuple":["home",1]}', '{"$tuple":["home",1],"also":1}'),
        ('{"$tuple":["home",1]}', '{"$decimal":"one"}'),
        ('{"$tuple":["home",1]}', '{"$uuid":"1"}'),
        ('{"$tuple":["home",1]}', '{"$unknown":1}'),
        ('{"$tuple":["home",1]}', '{"$":1}'),
        ('{"$tuple":["home",1]}', '{"$set":[[1]]}'),
        ('{"$tuple":["home",1]}', '{"$int":"0xzz"}'),
        ('{"$tuple":["home",1]}', '{"$enum":["os#system","ls"]}'),
        ('{"$tuple":["home",1]}', '{"$dataclass":["builtins#eval",{"x":1}]}'),
        ('{"$tuple":["home",1]}', '{"$namedtuple":["antigravity#fly",{}]}'),
        ('{"$tuple":["home",1]}', '{"$datetime":["2024-13-01T00:00:00","UTC",0]}'),
        ('{"$tuple":["home",1]}', '{"$zoneinfo":"../../etc/passwd"}'),
        ('{"$tuple":["home",1]}', '{"$dateutil":["tzfile","/etc/passwd"]}'),
    ],
)
def test_a_tag_or_field_that_lies_is_refused(
    app: SimpleApplication, sqlite_file: Backend, change: str, to: str
) -> None:
    state = stored(sqlite_file, "state")
    assert change in state
    tamper(sqlite_file, "state", state.replace(change, to))

    error = outcome(app)

    assert type(error) is DataIntegrityError
    assert where(error) == (BAD, 1)


@pytest.mark.parametrize("value", [None, b"\x00\xff", b"{}", 7, 1.5], ids=repr)
@pytest.mark.parametrize("column", ["state", "topic"])
def test_a_column_of_another_type_is_refused(
    app: SimpleApplication, sqlite_file: Backend, column: str, value: Any
) -> None:
    _drop_not_null(sqlite_file)
    tamper(sqlite_file, column, value)

    assert where(outcome(app)) == (BAD, 1)


@pytest.mark.parametrize("value", [None, b"1", "one"], ids=repr)
def test_a_row_whose_version_is_no_number_is_in_no_stream(
    app: SimpleApplication, sqlite_file: Backend, value: Any
) -> None:
    _drop_not_null(sqlite_file)
    tamper(sqlite_file, "originator_version", value, version=2)

    assert outcome(app).version == 2


def test_a_version_that_is_no_whole_number_is_refused(
    app: SimpleApplication, sqlite_file: Backend
) -> None:
    tamper(sqlite_file, "originator_version", 1.5, version=2)

    assert where(outcome(app)) == (BAD, 1.5)


def _drop_not_null(backend: Backend) -> None:
    """Makes the table as loose as SQLite allows."""
    execute(backend, "ALTER TABLE stored_events RENAME TO strict_events")
    execute(backend, "CREATE TABLE stored_events AS SELECT * FROM strict_events")


def test_a_state_of_an_event_of_any_field_cannot_hide_what_the_event_is(
    app: SimpleApplication, sqlite_file: Backend
) -> None:
    tamper(sqlite_file, "topic", topic("Account.Event"))
    for name in ("mutate", "context", "_begins", "_originator", "_of_class", "two words"):
        tamper(sqlite_file, "state", f'{{"timestamp":"2024-01-01T00:00:00Z","{name}":"x"}}')

        assert where(outcome(app)) == (BAD, 1)


def test_a_damaged_event_leaves_the_earlier_ones_readable(
    app: SimpleApplication, sqlite_file: Backend
) -> None:
    tamper(sqlite_file, "state", "{", version=2)

    events = app.event_store.get_domain_events(BAD)

    assert [type(next(events)).__name__ for _ in range(2)] == ["Created", "Deposited"]
    with pytest.raises(DataIntegrityError):
        next(events)


def test_the_error_does_not_show_the_payload(app: SimpleApplication, sqlite_file: Backend) -> None:
    tamper(sqlite_file, "state", '{"timestamp":"secret","amount":"secret","note":"secret"')

    error = outcome(app)

    assert "secret" not in f"{error!r} {error.__cause__!r}"


@pytest.mark.parametrize("state", ["", "{", "[]", '{"amount":1}'])
def test_a_damaged_state_is_refused_on_every_database(sql_backend: Backend, state: str) -> None:
    with two_accounts(sql_backend) as app:
        tamper(sql_backend, "state", state)

        error = outcome(app)

    assert type(error) is DataIntegrityError
    assert where(error) == (BAD, 1)
