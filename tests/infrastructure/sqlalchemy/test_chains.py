"""Applications chain streams in tables, in the transactions of others, and beside each other."""

import pytest
from sqlalchemy.orm import Session

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.verifying import make_checkpoint, verify
from eventsourcing.exceptions import ConcurrencyError, DataIntegrityError, ProgrammingError
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.utils.signing import SigningKey
from tests.backends import Backend
from tests.contracts.model import Account
from tests.infrastructure.sqlalchemy.helpers import engine_of, run


def saved_account(app: SimpleApplication) -> Account:
    account = Account.create(id="Ann", owner="Ann")
    app.save(account)
    account.deposit(1)
    app.save(account)
    return account


def test_an_application_chains_its_table(sql_backend: Backend) -> None:
    with SimpleApplication(sql_backend.uri, chained=True) as app:
        saved_account(app)
        rows = run(sql_backend, "SELECT chain FROM stored_events ORDER BY id")
        assert [len(link) for (link,) in rows] == [64, 64]
        run(sql_backend, "UPDATE stored_events SET correlation_id = 'x' WHERE id = 2")
        with pytest.raises(DataIntegrityError, match="event 1 of 'Ann' is not what was stored"):
            app.repository["Ann"]


def test_a_table_can_be_given_chains_and_its_checkpoints_hold(sql_backend: Backend) -> None:
    key = SigningKey.new()
    with SimpleApplication(sql_backend.uri) as app:
        saved_account(app)
        checkpoint = make_checkpoint(app, key)
    run(sql_backend, "ALTER TABLE stored_events ADD COLUMN chain VARCHAR(64)")
    with SimpleApplication(sql_backend.uri, chained=True) as app:
        account = app.repository.get("Ann", Account)
        account.deposit(1)
        app.save(account)
        assert verify(app, [checkpoint], key=key.public).found == 0
        rows = run(sql_backend, "SELECT chain FROM stored_events ORDER BY id")
        assert [link is None for (link,) in rows] == [True, True, False]


def test_an_application_that_does_not_chain_breaks_the_chain(sql_backend: Backend) -> None:
    with SimpleApplication(sql_backend.uri, chained=True) as app:
        account = saved_account(app)
        account.deposit(1)
        with SimpleApplication(sql_backend.uri) as other:
            other.event_store.store(account.pending_events)
            assert other.repository.get("Ann", Account).balance == 2
        (finding,) = verify(app).findings
        assert (finding.kind, finding.originator_version) == ("broken chain", 2)


def test_a_callers_transaction_goes_on_with_what_it_did_not_roll_back(sql_backend: Backend) -> None:
    with engine_of(sql_backend) as engine:
        with SimpleApplication(engine=engine, chained=True) as app:
            saved_account(app)
        with (
            Session(engine) as session,
            SimpleApplication(session=session, setup_table=False, chained=True) as app,
        ):
            account = app.repository.get("Ann", Account)
            account.deposit(2)
            app.save(account)
            session.rollback()
            for amount in (3, 4):
                account = app.repository.get("Ann", Account)
                account.deposit(amount)
                app.save(account)
            session.commit()
        with SimpleApplication(engine=engine, chained=True) as app:
            assert app.repository.get("Ann", Account).balance == 1 + 3 + 4
            assert verify(app).found == 0


def test_a_transaction_that_does_not_see_the_event_before_is_refused(
    server_backend: Backend,
) -> None:
    with (
        engine_of(server_backend, isolation_level="REPEATABLE READ") as engine,
        SimpleApplication(engine=engine, chained=True) as app,
    ):
        account = saved_account(app)
        with (
            Session(engine) as session,
            SimpleApplication(session=session, setup_table=False, chained=True) as older,
        ):
            assert older.repository.get("Ann", Account).version == 2
            account.deposit(2)
            app.save(account)
            account.deposit(3)
            events = tuple(account.pending_events)
            with pytest.raises(ConcurrencyError) as caught:
                older.event_store.store(events)
            assert caught.value.expected_version == 3
        app.event_store.store(events)
        assert verify(app).found == 0


def test_a_record_manager_has_to_have_chained_items() -> None:
    with pytest.raises(ProgrammingError, match="record_manager of ChainedEvent items"):
        SimpleApplication(record_manager=MemoryRecordManager(), chained=True)
