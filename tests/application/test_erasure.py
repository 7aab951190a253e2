"""Personal data in callers' transactions, projections and snapshots; and processes are killed."""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.projections.definition import Projection, handles
from eventsourcing.application.projections.inline import project_inline
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import EventWithOriginatorID, EventWithOriginatorVersion
from eventsourcing.domain.model.personal import personal
from eventsourcing.domain.model.snapshot import holds_personal_data
from eventsourcing.exceptions import (
    DataIntegrityError,
    ProgrammingError,
    TableNotFound,
    TopicResolutionError,
)
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.replaying import Replay
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord
from eventsourcing.utils.cipher import Keyring
from tests.backends import Backend
from tests.contracts.erasure import (
    CANARY,
    GONE,
    Customer,
    often_befriended,
    saved_customer,
)
from tests.contracts.model import Account
from tests.contracts.sealing import NEW, OLD

ROOT = Path(__file__).parents[2]
KEY = OLD.text


# -- what is declared


@pytest.mark.parametrize(
    ("mark", "error"),
    [
        (personal(7), "fallback of 'name' is a int, not str"),
        (personal(GONE, subject="nobody"), "subject of 'name'"),
        (personal(GONE, subject="name"), "subject of 'name'"),
    ],
)
def test_a_mark_that_does_not_fit_is_refused(mark: Any, error: str) -> None:
    class Named(EventWithOriginatorID, EventWithOriginatorVersion, topic=f"bad-{error}"):
        name: Annotated[str, mark]

    with pytest.raises(ProgrammingError, match=error):
        Named(originator_id="s", originator_version=0, name="Ann")


def test_a_marked_field_is_checked_as_any_other() -> None:
    with pytest.raises(TypeError, match="'name' takes str"):
        Customer.create(name=7)


def test_without_a_key_nothing_is_stored() -> None:
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        customer = Customer.create(name=CANARY)
        with pytest.raises(ProgrammingError, match=r"Customer\.Created has personal data"):
            app.save(customer)
        assert customer.id not in app.repository
        with pytest.raises(ProgrammingError, match="no cipher_key"):
            app.forget(customer.id)


class Keyless(MemoryRecordManager):
    def subject_keys(self, creates_table: bool = True) -> Any:
        return RecordManager.subject_keys(self, creates_table)


def test_a_record_manager_may_keep_no_keys() -> None:
    with SimpleApplication(record_manager=Keyless(), cipher_key=KEY):
        AggregateRoot.create().save()
        with pytest.raises(ProgrammingError, match="keeps the keys of subjects"):
            Customer.create(name=CANARY).save()


def test_a_row_with_personal_data_is_unreadable_without_a_key() -> None:
    manager = MemoryRecordManager()
    protection = Protection(Keyring(OLD), store_id="events", event_types=())
    with SimpleApplication(record_manager=manager, protection=protection) as app:
        customer = saved_customer(app)
        items = list(manager.get_items(customer.id))

    with pytest.raises(DataIntegrityError, match="personal"):
        SequencedItemMapper().event_from_item(items[0])


@pytest.mark.parametrize(
    "value",
    [
        '{"$personal":1}',
        '{"$personal":[]}',
        '{"$personal":["ann"]}',
        '{"$personal":["ann","x",1],"a":1}',
        '{"$personal":["ann","*","(erased)"]}',
        '{"$personal":["ann","AAAA","(erased)"]}',
        '{"$personal":["a\\u0000","AAAA","(erased)"]}',
        '{"$personal":["#x","AAAA","(erased)"]}',
        '{"$personal":[7,"AAAA","(erased)"]}',
        '{"$personal":["ann",7,"(erased)"]}',
        '{"$personal":["nobody","AAAA","(erased)"]}',
    ],
)
def test_a_row_that_lies_is_a_typed_error(sql_backend: Backend, value: str) -> None:
    with SimpleApplication(sql_backend.uri, cipher_key=KEY) as app:
        app.save(Customer.create(id="ann", name=CANARY))
        state = f'{{"timestamp":"2024-01-01T00:00:00Z","address":{value}}}'
        row = StoredEvent("ann", 1, "contract-customer.Moved", state, "0" * 32)
        app.event_store.record_manager.record([row])

        with pytest.raises(DataIntegrityError) as caught:
            app.repository["ann"]

    assert (caught.value.originator_id, caught.value.originator_version) == ("ann", 1)


def test_no_error_of_a_damaged_row_shows_personal_data(caplog: pytest.LogCaptureFixture) -> None:
    manager = MemoryRecordManager()
    protection = Protection(Keyring(OLD), store_id="events", event_types=())
    errors = []
    with SimpleApplication(record_manager=manager, protection=protection) as app:
        app.save(Customer.create(id="ann", name=CANARY))
        (item,) = manager.get_items("ann")
        whole: Any = item
        for at in range(len(whole.state)):
            damaged = whole.state[:at] + chr(ord(whole.state[at]) ^ 1) + whole.state[at + 1 :]
            manager._sequences["ann"][0] = whole._replace(state=damaged)
            try:
                app.repository["ann"]
            except (DataIntegrityError, TopicResolutionError) as error:
                errors.append("".join(traceback.format_exception(error)))

    assert len(errors) > 100
    assert CANARY not in f"{errors} {caplog.text}"


# -- transactions


def test_a_callers_transaction_holds_keys_and_forgetting_too(sql_backend: Backend) -> None:
    engine = create_engine(_url(sql_backend))
    try:
        with SimpleApplication(engine=engine, cipher_key=KEY) as app:
            kept = saved_customer(app)
            with Session(engine) as session:
                with SimpleApplication(session=session, cipher_key=KEY) as inner:
                    undone = Customer.create(id="undone", name=CANARY)
                    inner.save(undone)
                    inner.forget(kept.id)
                    assert inner.repository.get("undone", Customer).name == CANARY
                    assert inner.repository.get(kept.id, Customer).name == GONE
                session.rollback()
                assert app.repository.get(kept.id, Customer).name == CANARY
                assert "undone" not in app.repository
                with SimpleApplication(session=session, cipher_key=KEY) as inner:
                    inner.forget(kept.id)
                session.commit()
            assert app.repository.get(kept.id, Customer).name == GONE
            app.save(Customer.create(id="undone", name=CANARY))
    finally:
        engine.dispose()


def test_without_the_table_it_is_said_how_to_create_it(sqlite_file: Backend) -> None:
    SimpleApplication(sqlite_file.uri).close()
    with (
        SimpleApplication(sqlite_file.uri, cipher_key=KEY, setup_table=False) as app,
        pytest.raises(TableNotFound, match="subject_keys"),
    ):
        app.save(Customer.create(name=CANARY))


def test_each_table_of_events_has_keys_of_its_own(sql_backend: Backend) -> None:
    tables = {"stored_events": OLD, "t2": NEW, "e" * 62 + "a": OLD, "e" * 62 + "b": OLD}
    apps = [
        SimpleApplication(sql_backend.uri, table_name=table, cipher_key=key.text)
        for table, key in tables.items()
    ]
    for app in apps:
        app.save(Customer.create(id="ann", name=CANARY))
    names: list[list[str]] = []
    for app in apps:
        app.forget("ann")
        names.append([each.repository.get("ann", Customer).name for each in apps])
    for app in apps:
        app.close()

    assert names == [[GONE] * n + [CANARY] * (4 - n) for n in (1, 2, 3, 4)]


class Names(Projection):
    name = "names"
    seen: list[str]

    def __init__(self) -> None:
        self.seen = []

    @handles(Customer.Created)
    def created(self, event: Any, session: Any) -> None:
        self.seen.append(event.name)


@pytest.mark.parametrize("uri", [None, "sqlite:///:memory:"])
def test_an_inline_projection_sees_personal_data(sqlite_file: Backend, uri: str | None) -> None:
    with SimpleApplication(uri or sqlite_file.uri, cipher_key=KEY) as app:
        names = Names()
        project_inline(app, names)
        app.save(Customer.create(name=CANARY))

    assert names.seen == [CANARY]


class Plain(AggregateRoot, topic="erasure-plain"):
    pass


class Seen(Plain.Event, topic="erasure-seen"):
    who: Annotated[str, personal(GONE)]


def test_what_has_personal_data_gets_no_snapshots(caplog: pytest.LogCaptureFixture) -> None:
    manager = MemoryRecordManager()
    policy = SnapshottingPolicy(every=2)
    with SimpleApplication(
        record_manager=manager, cipher_key=KEY, snapshotting_policy=policy
    ) as app:
        customer = saved_customer(app, visits=10)
        with pytest.raises(ProgrammingError, match="personal data"):
            app.take_snapshot(customer.id)
        app.repository[customer.id]

        assert manager.snapshots().newest(customer.id, None) is None
    assert "Customer gets no snapshots" in caplog.text
    assert CANARY not in caplog.text


def test_what_has_personal_data_is_not_cached(caplog: pytest.LogCaptureFixture) -> None:
    with SimpleApplication(
        record_manager=MemoryRecordManager(), cipher_key=KEY, cache_size=5
    ) as app:
        customer = saved_customer(app, visits=1)
        assert app.repository[customer.id].name == CANARY
        app.forget(customer.id)
        assert app.repository[customer.id].name == GONE
    assert "Customer is not cached" in caplog.text
    assert CANARY not in caplog.text


class Nick(AggregateRoot, topic="erasure-nick"):
    """Its event had a mark once."""

    name = ""

    @event("Renamed")
    def rename(self, name: str) -> None:
        self.name = name


def save_nick(app: SimpleApplication) -> None:
    """Store a nick, as it was done when its name was marked."""
    nick = Nick.create(id="ann")
    nick.rename(CANARY)
    mapper = app.event_store.mapper
    created, renamed = map(mapper.item_from_event, nick.pending_events)
    assert mapper.erasure is not None
    marks, values = {"name": personal(GONE)}, {"originator_id": "ann"}
    state = mapper.erasure.seal(renamed[3], marks, values, renamed[:3])
    app.event_store.record_manager.record([created, StoredEvent("ann", 1, renamed[2], state, "1")])


class ByObjects(SequencedItemMapper):
    """A mapper with a way of its own to make events."""

    def events_from_items(self, items: Any) -> Iterator[Any]:
        yield from super().events_from_items(items)


class OwnMapper(SimpleApplication):
    mapper_class = ByObjects


@pytest.mark.parametrize("has_check", [True, False], ids=["checked", "control"])
@pytest.mark.parametrize("app_class", [SimpleApplication, OwnMapper])
@pytest.mark.parametrize(
    "options",
    [{"cache_size": 5}, {"snapshotting_policy": SnapshottingPolicy(every=2)}],
    ids=["cache", "snapshots"],
)
def test_what_is_not_marked_any_more_is_erased_as_it_was_stored(
    options: dict[str, Any],
    app_class: type[SimpleApplication],
    has_check: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_check:
        monkeypatch.setattr(Replay, "has_personal_data", False)
    protection = Protection(Keyring(OLD), store_id="events", event_types=())
    with app_class(record_manager=MemoryRecordManager(), protection=protection, **options) as app:
        save_nick(app)
        assert [app.repository.get("ann", Nick).name for _ in range(2)] == [CANARY] * 2
        app.forget("ann")
        assert app.repository.get("ann", Nick).name == (GONE if has_check else CANARY)


def test_a_snapshot_of_when_the_data_was_not_marked_is_removed() -> None:
    manager = MemoryRecordManager()
    policy = SnapshottingPolicy(every=None)
    with SimpleApplication(
        record_manager=manager, cipher_key=KEY, snapshotting_policy=policy
    ) as app:
        customer = saved_customer(app)
        records = manager.snapshots()
        for version in (1, 2):
            records.put(SnapshotRecord(customer.id, version, "contract-customer", CANARY, "", ""))
        assert app.repository.get(customer.id, Customer).name == CANARY
        assert records.newest(customer.id, None) is None


def test_an_event_class_outside_of_its_aggregate_counts_too() -> None:
    found = [holds_personal_data(each) for each in (Plain, Customer, Account)]

    assert found == [True, True, False]


# -- other processes

READING = """
import sys
import pytest
from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from tests.contracts.erasure import Customer, keys_are_kept, reads_of

if sys.argv[2] == "control":
    keys_are_kept(pytest.MonkeyPatch())
with SimpleApplication(
    sys.argv[1], cache_size=5, snapshotting_policy=SnapshottingPolicy(every=2)
) as app, app.subscribe() as following:
    reads = reads_of(app, "ann") | {"subscription": (each.event.name for each in following)}
    while sys.stdin.readline():
        names = {next(each) for each in reads.values()}
        names.add(app.repository.get("ann", Customer).name)
        names.add(app.repository.get("ann", Customer, version=3).name)
        print(*sorted(names), flush=True)
"""


@pytest.mark.parametrize("way", ["checked", "control"])
def test_another_process_reads_the_fallback_from_then_on(sql_backend: Backend, way: str) -> None:
    command = [sys.executable, "-c", READING, str(sql_backend.uri), way]
    environment = os.environ | {"CIPHER_KEY": KEY, "PYTHONPATH": str(ROOT)}
    with SimpleApplication(sql_backend.uri, cipher_key=KEY) as app:
        app.save(often_befriended("ann"))
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            asked, answers = process.stdin, process.stdout
            assert asked is not None
            assert answers is not None

            def read() -> str:
                asked.write("\n")
                asked.flush()
                return answers.readline().strip()

            try:
                before = [read(), read()]
                app.forget("ann")
                after = [read(), read()]
            finally:
                process.kill()

    assert before == [CANARY] * 2
    assert after == [GONE if way == "checked" else CANARY] * 2


# -- who is killed

FORGETTING = """
import sys
from eventsourcing.application.simple import SimpleApplication
import tests.contracts.erasure
with SimpleApplication(sys.argv[1]) as app:
    for number in range(int(sys.argv[2])):
        app.forget(f"c{number}")
        print(number, flush=True)
"""


def test_who_is_killed_while_forgetting_has_forgotten_all_or_nothing(sql_backend: Backend) -> None:
    count = 200
    with SimpleApplication(sql_backend.uri, cipher_key=KEY) as app:
        app.save(*(Customer.create(id=f"c{number}", name=CANARY) for number in range(count)))
    command = [sys.executable, "-c", FORGETTING, str(sql_backend.uri), str(count)]
    environment = os.environ | {"CIPHER_KEY": KEY, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    acknowledged = sum(line.endswith("\n") for line in said)

    with SimpleApplication(sql_backend.uri, cipher_key=KEY) as app:
        found = [app.repository.get(f"c{number}", Customer) for number in range(count)]
        names = [each.name for each in found]
        assert names[:acknowledged] == [GONE] * acknowledged
        assert names.count(GONE) in (acknowledged, acknowledged + 1)
        assert names == sorted(names)
        assert {each.version for each in found} == {1}
        for number in range(count):
            app.forget(f"c{number}")
        assert {app.repository.get(c.id, Customer).name for c in found} == {GONE}


def _url(backend: Backend) -> Any:
    with SimpleApplication(backend.uri) as app:
        manager: Any = app.event_store.record_manager
        return manager.datastore.engine.url
