"""An application: one event store, its repository, and the policy that persists events."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self
from uuid import UUID

from eventsourcing.application.policies import EventType, PersistencePolicy, SnapshottingPolicy
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.saving import Saved, publish_pending
from eventsourcing.domain.model.stores import activate, deactivate
from eventsourcing.exceptions import (
    ApplicationClosedError,
    NoApplicationError,
    ProgrammingError,
    WrongApplicationError,
)
from eventsourcing.infrastructure.caching import check_cache_size
from eventsourcing.infrastructure.erasure import Erasure
from eventsourcing.infrastructure.eventsourcedrepository import EventSourcedRepository
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.notificationlog import EventTypes, NotificationLog
from eventsourcing.infrastructure.protection import Protection, protection_of
from eventsourcing.infrastructure.recordmanager import RecordManager
from eventsourcing.infrastructure.sequenceditem import ChainedEvent, StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.snapshotting import Snapshotter
from eventsourcing.utils.cipher import Keyring
from eventsourcing.utils.lazy import lazy

if TYPE_CHECKING:
    from eventsourcing.application.subscription import Subscription
    from eventsourcing.domain.model.domainentity import DomainEntity
    from eventsourcing.infrastructure.sqlalchemy.datastore import (
        CallersEngine,
        CallersSession,
        SQLAlchemySettings,
    )

__all__ = ["SimpleApplication"]


class SimpleApplication:
    """Stores and finds aggregates.

    Use it as a context manager, or call :meth:`close`::

        with SimpleApplication(uri="sqlite:///bank.db") as app:
            account = Account.create(owner="Ann")
            account.save()
            app.repository[account.id]

    May be used from several threads at once, and in a child of a fork, which connects for
    itself. Where events are stored is said by one of the first four arguments.

    Args:
        uri: of SQLAlchemy, such as ``sqlite:///bank.db`` or
            ``postgresql://user:password@host/database``. By default the value of the
            environment variable ``DB_URI``, else ``sqlite:///:memory:``.
        session: a ``Session``, ``scoped_session`` or ``Connection`` of the caller's: events are
            written in its transaction, which is the caller's to commit.
        engine: an ``Engine`` of the caller's.
        record_manager: anything else that keeps items, such as a ``MemoryRecordManager``.
        settings: further settings of the connection, instead of ``uri``.
        persist_event_type: the event class or classes to store; all that have an originator
            and a version by default.
        setup_table: whether to create the table if it does not exist.
        table_name, schema: of the table of events. Plain identifiers.
        topic_prefixes: packages from which classes that stored rows name may be imported, where
            they are not imported yet. None by default.
        name: what errors call the application; its class by default.
        cipher_key: encrypts the states of events: a text made by ``python -m eventsourcing keys
            new``, several of them with the current one first, or a ``Keyring``. By default the
            text of the environment variable ``CIPHER_KEY``, if there is one.
        protection: says more about how states are encrypted or compressed, instead of
            ``cipher_key``.
        snapshotting_policy: when snapshots of aggregates are taken. None are taken or used by
            default, and there is no table for them.
        cache_size: how many aggregates to keep in memory, those that were loaded last; none by
            default.
        chained: whether each event gets a hash of itself and of the one before it, by which a
            change of the stored stream is found when it is read (docs: how-to/integrity).

    Raises:
        ProgrammingError: the arguments cannot be used.
        PersistenceError: the table cannot be created.
    """

    mapper_class: ClassVar[type[SequencedItemMapper]] = SequencedItemMapper
    """What a subclass may replace, to fill the columns of a record class of its own."""

    def __init__(
        self,
        uri: str | None = None,
        session: CallersSession | None = None,
        *,
        engine: CallersEngine | None = None,
        record_manager: RecordManager | None = None,
        settings: SQLAlchemySettings | None = None,
        persist_event_type: EventType | None = None,
        setup_table: bool = True,
        table_name: str = "stored_events",
        schema: str | None = None,
        topic_prefixes: Iterable[str] = (),
        name: str | None = None,
        cipher_key: Keyring | str | None = None,
        protection: Protection | None = None,
        snapshotting_policy: SnapshottingPolicy | None = None,
        cache_size: int | None = None,
        chained: bool = False,
    ) -> None:
        store_id = table_name if schema is None else f"{schema}.{table_name}"
        protection = protection_of(protection, cipher_key, store_id)
        places = (uri, session, engine, settings)
        if sum(place is not None for place in (*places, record_manager)) > 1:
            raise ProgrammingError("give one of: uri, session, engine, settings, record_manager")
        if record_manager is not None and (table_name != "stored_events" or schema is not None):
            raise ProgrammingError("a record_manager has its table already")
        check_cache_size(cache_size)
        self.name = name or f"{type(self).__qualname__} at {id(self):#x}"
        if chained and record_manager is not None and record_manager.item_class is not ChainedEvent:
            raise ProgrammingError("chained= takes a record_manager of ChainedEvent items")
        table = (table_name, schema, chained)
        manager = record_manager or _sql_record_manager(places, table, setup_table)
        try:
            self._erasure = _erasure(manager, protection, setup_table)
            mapper = self.mapper_class(
                manager.item_class, topic_prefixes, protection, self._erasure
            )
            self.event_store = EventStore(manager, mapper)
            self._snapshotter = self._make_snapshotter(snapshotting_policy, setup_table)
            self.persistence_policy = PersistencePolicy(
                self.event_store, persist_event_type, self.name
            )
        except BaseException:
            if record_manager is None:
                manager.close()
            raise
        self.repository = EventSourcedRepository(
            self.event_store,
            home=self.persistence_policy,
            snapshotter=self._snapshotter,
            cache_size=cache_size,
        )
        self._is_closed = False
        self._subscriptions: set[Subscription] = set()
        self._blocks = 0

    def save(self, *aggregates: AggregateRoot) -> Saved:
        """Stores the pending events of all aggregates in one transaction.

        They are stored in the order of the arguments. Those that have none are passed over.

        Returns:
            What was saved: its ``position`` in the feed is what to wait for, to read it in a view.

        Raises:
            WrongApplicationError: an aggregate belongs to another application.
            ProgrammingError: two objects of one aggregate are given, or one has lost an event.
            ConcurrencyError, NoApplicationError, EncodeError, PersistenceError, SubscriberError:
                as :meth:`AggregateRoot.save`. None is stored then, except with SubscriberError.
        """
        self._check_open()
        changed = {}  # by identity: aggregates may be compared by value, and need not be hashable
        for aggregate in aggregates:
            self._check_mine(aggregate)
            if aggregate._es_pending:
                changed[id(aggregate)] = aggregate
        return publish_pending(changed.values(), self.persistence_policy) if changed else Saved()

    @lazy
    def notification_log(self) -> NotificationLog:
        """The feed of all events (docs: how-to/feed).

        Raises:
            ProgrammingError: the table has no column that numbers all events; or the
                application writes to a database in memory in a transaction of the caller's.
        """
        return NotificationLog(self.event_store)

    def take_snapshot(self, originator_id: UUID | str | int) -> int:
        """Takes a snapshot of an aggregate as it is stored, whatever the policy says.

        Returns:
            How many events are in it.

        Raises:
            ProgrammingError: the application has no ``snapshotting_policy``.
            EncodeError: the aggregate's state cannot be stored.
            RepositoryKeyError: there is no such aggregate, or it is discarded.
            PersistenceError: the snapshot cannot be written.
        """
        self._check_open()
        if self._snapshotter is None:
            raise ProgrammingError(f"{self.name} has no snapshotting_policy")
        return self._snapshotter.take(originator_id)

    def forget(self, subject: UUID | str | int) -> None:
        """Destroys the key of a person, so that nobody can read the person's data any more (docs:
        how-to/erasure).

        Fields that are marked as personal data of the subject are read as their fallbacks from
        now on, in every process, also by iterations that are under way. In a caller's
        transaction, from its commit on.

        Args:
            subject: the value by which events name the person.

        Raises:
            ProgrammingError: the application has no cipher key, or keeps no keys of subjects.
            InvalidOriginatorID: no subject can have such an id.
            PersistenceError: the database refused. To repeat it does no harm.
        """
        self._check_open()
        if self._erasure is None:
            raise ProgrammingError(f"{self.name} has no cipher_key, and so no personal data")
        self._erasure.forget(subject)

    def subscribe(
        self,
        start: int = 1,
        *,
        event_types: EventTypes | None = None,
        aggregate_class: type[DomainEntity] | None = None,
        originator_id: UUID | str | int | None = None,
        shortest_pause: float = 0.02,
        longest_pause: float = 0.5,
    ) -> Subscription:
        """Reads the feed from a position on, and goes on with what comes (docs: how-to/feed).

        Of what this application saves it hears at once; for what others save it looks now and
        then, unless the settings say ``notify=True``.

        Args:
            start: the lowest position, inclusive.
            event_types, aggregate_class, originator_id: as in :meth:`NotificationLog.select`.
            shortest_pause: seconds between a reading that found something and the next.
            longest_pause: seconds between two readings, after many that found nothing.

        Returns:
            An iterator over notifications, and a context manager. It ends when it is stopped, and
            with the application.

        Raises:
            ProgrammingError: an argument cannot be used, or there is no feed.
            InvalidOriginatorID: no stream can have such an id.
            ApplicationClosedError: the application has been closed.
        """
        # Imported here, for those who do not subscribe.
        from eventsourcing.application.subscription import Subscription
        from eventsourcing.infrastructure.following import Following

        self._check_open()
        wanted: Any = {
            "event_types": event_types,
            "aggregate_class": aggregate_class,
            "originator_id": originator_id,
        }
        following = Following(start, shortest_pause, longest_pause)
        self.notification_log.select(start, **wanted)  # checks all that, and reads nothing yet
        select = partial(self.notification_log.select, **wanted)
        announcements = self.event_store.record_manager.announcements
        opened = Subscription(
            self.notification_log,
            select,
            following,
            self._closed_one,
            None if announcements is None else announcements.listen(),
        )
        self._subscriptions.add(opened)
        self.event_store.add_listener(opened.tell)
        return opened

    def close(self) -> None:
        """Closes the application and the connections it made. Again does nothing."""
        if not self._is_closed:
            self._is_closed = True
            for subscription in tuple(self._subscriptions):
                subscription.close()
            self.persistence_policy.close()
            self.event_store.close()

    def __enter__(self) -> Self:
        """Makes this the innermost active application of this thread or task."""
        self._check_open()
        self._blocks += 1
        activate(self.persistence_policy)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the application at the end of the outermost ``with`` block."""
        deactivate(self.persistence_policy)
        self._blocks -= 1
        if not self._blocks:
            self.close()

    def _make_snapshotter(
        self, policy: SnapshottingPolicy | None, setup_table: bool
    ) -> Snapshotter | None:
        if policy is None:
            return None
        if not isinstance(policy, SnapshottingPolicy):
            raise ProgrammingError(
                f"snapshotting_policy= takes a SnapshottingPolicy, not {type(policy).__name__}"
            )
        records = self.event_store.record_manager.snapshots(setup_table)
        return Snapshotter(self.event_store, records, policy.is_due, policy.keep)

    def _closed_one(self, subscription: Subscription) -> None:
        self.event_store.remove_listener(subscription.tell)
        self._subscriptions.discard(subscription)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ApplicationClosedError(f"{self.name} has been closed")

    def _check_mine(self, aggregate: AggregateRoot) -> None:
        if not isinstance(aggregate, AggregateRoot):
            raise ProgrammingError(f"save() takes aggregates, not {type(aggregate).__qualname__}")
        home = aggregate._es_home
        if home is not None and home is not self.persistence_policy:
            raise WrongApplicationError(
                f"{type(aggregate).__qualname__} {aggregate.id!r} belongs to {home.name},"
                f" not to {self.name}"
            )
        if not all(map(self.persistence_policy.accepts, aggregate._es_pending)):
            raise NoApplicationError(
                f"{self.name} does not store all events of {type(aggregate).__qualname__}"
                f" {aggregate.id!r}; see persist_event_type"
            )


def _erasure(
    manager: RecordManager, protection: Protection | None, creates_table: bool
) -> Erasure | None:
    if protection is None or protection.keys is None:
        return None
    keys = manager.subject_keys(creates_table)
    return None if keys is None else Erasure(keys, protection.keys, protection.store_id)


def _sql_record_manager(
    places: tuple[str | None, Any, Any, SQLAlchemySettings | None],
    table_options: tuple[str, str | None, bool],
    setup_table: bool,
) -> RecordManager:
    # Imported here: an application on another record manager needs no SQLAlchemy.
    from eventsourcing.infrastructure.sqlalchemy.datastore import (
        SQLAlchemyDatastore,
        SQLAlchemySettings,
    )
    from eventsourcing.infrastructure.sqlalchemy.factory import construct_record_manager
    from eventsourcing.infrastructure.sqlalchemy.tables import stored_events_table

    uri, session, engine, settings = places
    name, schema, chained = table_options
    table = stored_events_table(name, schema, chained=chained)
    item_class = ChainedEvent if chained else StoredEvent
    if session is None and engine is None and settings is None:
        settings = SQLAlchemySettings(uri=uri)
    datastore = SQLAlchemyDatastore(settings, engine=engine, session=session)
    return construct_record_manager(datastore, table, item_class, setup_table)
