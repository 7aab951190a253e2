"""The feed where numbers do not ascend, are taken by fences, or are lost in a crash."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import BigInteger, func, select
from sqlalchemy.orm import Session

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import DatabaseUnavailable, ProgrammingError, ReadOnlyDatabase
from eventsourcing.infrastructure.sqlalchemy.datastore import (
    SQLAlchemyDatastore,
    SQLAlchemySettings,
)
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.records import StoredEventRecord
from tests.backends import Backend, postgresql_backend
from tests.contracts.eventstore import happened
from tests.infrastructure.sqlalchemy.helpers import (
    application,
    engine_of,
    eventually,
    run,
    stored,
    table_with,
)
from tests.infrastructure.sqlalchemy.interleavings import (
    Follower,
    Writer,
    a_late_commit,
    feed_of,
    writers_on,
)
from tests.servers.address import Address
from tests.servers.postgresql import empty_database
from tests.servers.proxy import Cut, Proxy, Where
from tests.servers.quorum import QuorumCluster


@pytest.mark.parametrize("option", ["CACHE 10", "CYCLE", "INCREMENT -1"])
def test_numbers_that_do_not_ascend_are_refused(
    postgresql: Backend, app_on_postgresql: SimpleApplication, option: str
) -> None:
    """With a cache, a writer would take a number that was put by before others were taken."""
    app = app_on_postgresql
    app.event_store.store(happened("s", 0))
    run(postgresql, "SELECT nextval('stored_events_id_seq')")
    app.event_store.store(happened("s", 1))
    run(postgresql, f"ALTER SEQUENCE stored_events_id_seq {option}")
    with pytest.raises(ProgrammingError, match="CACHE 1 and NO CYCLE"):
        list(app.notification_log.select())


def test_a_number_that_is_taken_before_the_transaction_has_an_id_is_skipped(
    postgresql: Backend, app_on_postgresql: SimpleApplication
) -> None:
    """The control of how the library inserts: a plain INSERT computes a row's number first."""
    store, follower = app_on_postgresql.event_store, Follower(app_on_postgresql.notification_log)
    store.store(happened("first", 0))  # since every 32nd number is logged, for which it has an id
    with closing(postgresql.connect()) as late:
        ((number,),) = late.execute("SELECT nextval('stored_events_id_seq')").fetchall()
        store.store(happened("quick", 0))
        assert follower.read() == 2
        late.execute(
            "INSERT INTO stored_events"
            " SELECT %s, 'late', 0, topic, state, 'e' FROM stored_events LIMIT 1",
            [number],
        )
        late.commit()
    assert follower.read() == 0
    assert feed_of(postgresql) == [("first", 0), ("late", 0), ("quick", 0)]


@pytest.fixture
def app_on_postgresql(postgresql: Backend) -> Iterator[SimpleApplication]:
    with application(postgresql) as app:
        yield app


def test_a_column_that_takes_no_text_is_refused_where_gaps_are_fenced(mariadb: Backend) -> None:
    """The fence's empty text would become a zero, and so the id of somebody's sequence."""
    table = table_with()
    table.c.originator_id.type = BigInteger()
    datastore = SQLAlchemyDatastore(SQLAlchemySettings(uri=mariadb.uri))
    manager = SQLAlchemyRecordManager(datastore, table)
    with pytest.raises(ProgrammingError, match="takes no text"):
        manager.feed()
    manager.close()


@pytest.mark.parametrize("count", [1, 3])
def test_a_writer_whose_number_was_fenced_takes_another(
    mariadb: Backend, count: int, app_on_mariadb: SimpleApplication
) -> None:
    """The trigger gives each connection's first row the number of a fence that is there."""
    run(mariadb, FENCE)
    run(mariadb, TAKEN)
    app_on_mariadb.event_store.store([happened("s", n) for n in range(count)])
    assert feed_of(mariadb) == [("s", n) for n in range(count)]


def test_so_does_one_in_a_transaction_of_the_callers(
    mariadb: Backend, app_on_mariadb: SimpleApplication
) -> None:
    run(mariadb, FENCE)
    run(mariadb, TAKEN)
    run(mariadb, "CREATE TABLE elsewhere (n INT)")
    with engine_of(mariadb) as engine:
        writer = Writer(engine, "")
        writer.writes_elsewhere()
        writer.stores(("s", 0), ("s", 1))
        writer.commits()
        writer.connection.close()
    assert feed_of(mariadb) == [("s", 0), ("s", 1)]
    assert run(mariadb, "SELECT n FROM elsewhere") == [(1,)]


def test_a_fence_is_in_no_stream(mariadb: Backend, app_on_mariadb: SimpleApplication) -> None:
    app = app_on_mariadb
    run(mariadb, FENCE)
    for stream in ("7", 7, "#", "'"):
        app.event_store.store([happened(stream, n) for n in range(9)])
        assert len(list(app.event_store.get_domain_events(stream))) == 9
    assert {n.position for n in app.notification_log.select()} == set(range(8, 44))


def test_an_empty_topic_tells_a_fence_in_queries_of_ones_own(
    mariadb: Backend, app_on_mariadb: SimpleApplication
) -> None:
    run(mariadb, FENCE)
    app_on_mariadb.event_store.store([happened("s", n) for n in range(3)])
    is_event = StoredEventRecord.topic != ""
    with engine_of(mariadb) as engine, Session(engine) as session:
        count = select(func.count()).select_from(StoredEventRecord)
        assert (session.scalar(count), session.scalar(count.where(is_event))) == (4, 3)
        found = session.scalars(select(StoredEventRecord).where(is_event)).all()
        assert {each.originator_id for each in found} == {"s"}


@pytest.fixture
def proxy(mariadb: Backend) -> Iterator[Proxy]:
    with Proxy(Address.from_uri(str(mariadb.uri), default_port=0)) as proxy:
        yield proxy


@pytest.fixture
def app_with_a_gap(mariadb: Backend, proxy: Proxy) -> Iterator[SimpleApplication]:
    """An application behind a proxy, with a gap in its feed that is to be fenced."""
    with application(mariadb, uri=proxy.uri(str(mariadb.uri))) as app:
        app.event_store.store(happened("s", 0))
        run(mariadb, "ALTER TABLE stored_events AUTO_INCREMENT = 3")
        app.event_store.store(happened("s", 1))
        yield app


@pytest.mark.parametrize("where", list(Where), ids=lambda where: where.name)
def test_a_connection_that_is_lost_while_a_gap_is_fenced_is_not_noticed(
    mariadb: Backend, proxy: Proxy, app_with_a_gap: SimpleApplication, where: Where
) -> None:
    proxy.cut(Cut(b"INSERT IGNORE", where))
    assert [n.position for n in app_with_a_gap.notification_log.select()] == [1, 3]
    assert (proxy.cuts, stored(mariadb)) == (1, 3)


@pytest.mark.parametrize("is_back", [True, False], ids=["is lost again", "cannot be had again"])
def test_a_database_that_is_lost_while_a_gap_is_fenced_is_unavailable_as_to_any_reader(
    proxy: Proxy, app_with_a_gap: SimpleApplication, is_back: bool
) -> None:
    log, cut = app_with_a_gap.notification_log, Cut(b"INSERT IGNORE", Where.BEFORE_ANSWER)
    proxy.cut(*[cut] * (1 + is_back))
    if not is_back:
        proxy.refuse()
    with pytest.raises(DatabaseUnavailable):
        list(log.select())
    proxy.accept()
    assert [n.position for n in log.select()] == [1, 3]


@pytest.fixture
def app_on_mariadb(mariadb: Backend) -> Iterator[SimpleApplication]:
    with application(mariadb) as app:
        yield app


FENCE = "INSERT INTO stored_events VALUES (7, '', 7, '', '', '7', NULL, NULL)"
TAKEN = """
CREATE TRIGGER taken BEFORE INSERT ON stored_events FOR EACH ROW
IF @was_taken IS NULL THEN SET NEW.id = 7, @was_taken = 1; END IF
"""


def test_a_crash_that_loses_the_bound_does_not_hold_the_feed(private_postgresql: Backend) -> None:
    """The id of a transaction that has stored nothing need not outlive a crash of the server."""
    server = private_postgresql.server
    assert server is not None
    with private_postgresql.connect(autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("SELECT pg_reload_conf()")
    eventually(lambda: run(private_postgresql, "SHOW wal_writer_delay") == [("10s",)])
    with writers_on(private_postgresql) as writers, application(private_postgresql) as app:
        follower = Follower(app.notification_log)
        next(a_late_commit(writers))
        with private_postgresql.connect() as connection:
            for _ in range(100):
                connection.execute("SELECT pg_current_xact_id()")
                connection.rollback()
        assert follower.read() == 0
        server.kill()
        server.start()
        writers._writers[0].connection.invalidate()
        eventually(lambda: follower.read() == 1)
        app.event_store.store(happened("after", 0))
        assert follower.read() == 1
        jump = follower.position
    assert jump > 30  # what the server had put by of the sequence is lost


def test_a_crash_of_mariadb_leaves_the_feed_whole(private_mariadb: Backend) -> None:
    server = private_mariadb.server
    assert server is not None
    with writers_on(private_mariadb) as writers, application(private_mariadb) as app:
        follower = Follower(app.notification_log)
        next(a_late_commit(writers))
        assert follower.read() == 0
        server.kill()
        server.start()
        writers._writers[0].connection.invalidate()
        app.event_store.store(happened("after", 0))
        eventually(lambda: follower.read() == 0 and len(follower.found) == 2)
        assert follower.found == feed_of(private_mariadb) == [("quick", 0), ("after", 0)]


def test_a_standby_reads_up_to_a_gap_and_refuses_what_is_behind() -> None:
    """It hands out no transaction ids, and so gives a reader no bound."""
    with QuorumCluster() as cluster:
        empty_database(cluster.primary.address, "feed")
        standby = postgresql_backend(cluster.standbys[0].address, "feed")
        primary = postgresql_backend(cluster.primary.address, "feed")
        with application(primary) as app:
            app.event_store.store(happened("s", 0))
            eventually(lambda: _has_table(standby) and stored(standby) == 1)
            with application(standby, setup_table=False) as copy:
                assert len(list(copy.notification_log.select())) == 1
                run(primary, "SELECT nextval('stored_events_id_seq')")
                app.event_store.store(happened("s", 1))
                eventually(lambda: stored(standby) == 2)
                with pytest.raises(ReadOnlyDatabase):
                    list(copy.notification_log.select(2))


def _has_table(standby: Backend) -> bool:
    """A quorum is full with the other standby: this one may not even have the database yet."""
    try:
        return bool(run(standby, "SELECT 1 FROM pg_tables WHERE tablename = 'stored_events'"))
    except psycopg.OperationalError:
        return False
