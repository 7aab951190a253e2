"""Every error of the library.

The tree::

    EventSourcingError
    ├── ProgrammingError                    the library is used in a way that cannot work
    │   ├── EventHandlersNotEmptyError      subscribers are left over
    │   ├── NoApplicationError              a save that nobody would store
    │   ├── AmbiguousApplicationError       a save that several applications could store
    │   ├── SchemaLockError                 event classes do not go with the schema lock
    │   ├── ApplicationClosedError          work for an application that is closed
    │   └── WrongApplicationError           an aggregate of one application given to another
    ├── EventFieldError (TypeError)         missing, unknown or wrongly typed field of an event
    ├── MismatchedEventError                an event that does not follow the entity
    │   ├── OriginatorIDError
    │   └── OriginatorVersionError
    ├── EntityIsDiscarded                   a command or event for a discarded entity
    ├── InvalidOriginatorID (ValueError)    an id that is not a UUID, int or printable string
    ├── InvalidMoment (ValueError)          a text that is no time, or a time without a zone
    ├── RepositoryKeyError (KeyError)       no such aggregate, or it is discarded
    │   └── VersionNotFound                 it has no such version, or was not there at that time
    ├── AggregateTypeError (TypeError)      the stream is of another class
    ├── ConcurrencyError                    somebody else took the position first
    ├── SubscriberError                     stored, but subscribers failed afterwards
    ├── ProjectionBehind (TimeoutError)     a projection has not come so far in time
    ├── ProjectionFailed                    an inline projection failed, and so does the save
    ├── InvalidSectionID (ValueError)       a text that names no section of the notification log
    ├── RemoteLogError                      a notification log could not be read over HTTP
    │   └── RemoteLogUnavailable            no answer, or the server failed
    ├── EncodeError (ValueError)            a value that cannot be stored
    ├── DecodeError (ValueError)            a text that is not a stored state
    ├── DataIntegrityError                  a stored row that cannot be what was written
    │   └── OpenerMissing                   nothing is there that could open it
    │       └── CipherKeyMissing            it is encrypted with a key that is not there
    ├── TopicResolutionError                a topic that names no known class
    │   └── NewerSchemaVersion              a row that newer code has written
    └── PersistenceError                    the database said no
        ├── SequencedItemConflict           a position that is taken (seen by the event store)
        ├── TransactionConflict             serialization failure, or victim of a deadlock
        ├── DatabaseUnavailable             no connection, or the server is going away
        ├── OutcomeUnknown                  the connection was lost before the answer came
        ├── LockTimeout                     somebody else held a lock for too long
        ├── ReadOnlyDatabase
        ├── DiskFull
        ├── TableNotFound                   the message says how to create it
        ├── ValueTooLarge                   packet too large, value too long, number out of range
        └── ConstraintViolation             a constraint of the table other than the position

An error is raised ``from`` its cause, and carries what it says as attributes too. Unless an
error's own docstring says otherwise, nothing is stored when it is raised, and the pending
events of an aggregate are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AggregateTypeError",
    "AmbiguousApplicationError",
    "ApplicationClosedError",
    "CipherKeyMissing",
    "ConcurrencyError",
    "ConstraintViolation",
    "DataIntegrityError",
    "DatabaseUnavailable",
    "DecodeError",
    "DiskFull",
    "EncodeError",
    "EntityIsDiscarded",
    "EventFieldError",
    "EventHandlersNotEmptyError",
    "EventSourcingError",
    "InvalidMoment",
    "InvalidOriginatorID",
    "InvalidSectionID",
    "LockTimeout",
    "MismatchedEventError",
    "NewerSchemaVersion",
    "NoApplicationError",
    "OpenerMissing",
    "OriginatorIDError",
    "OriginatorVersionError",
    "OutcomeUnknown",
    "PersistenceError",
    "ProgrammingError",
    "ProjectionBehind",
    "ProjectionFailed",
    "ReadOnlyDatabase",
    "RemoteLogError",
    "RemoteLogUnavailable",
    "RepositoryKeyError",
    "SchemaLockError",
    "SequencedItemConflict",
    "SubscriberError",
    "TableNotFound",
    "TopicResolutionError",
    "TransactionConflict",
    "ValueTooLarge",
    "VersionNotFound",
    "WrongApplicationError",
]


class EventSourcingError(Exception):
    """The root of all errors of the library."""


# -- use of the library ------------------------------------------------------------------


class ProgrammingError(EventSourcingError):
    """The library is used in a way that cannot work."""


class EventHandlersNotEmptyError(ProgrammingError):
    """Subscribers, or policies that were not closed, are left over."""


class NoApplicationError(ProgrammingError):
    """A save that nobody would have stored: no application that stores such events is open."""


class AmbiguousApplicationError(ProgrammingError):
    """A save that several open applications could have stored; the message names them."""


class ApplicationClosedError(ProgrammingError):
    """Work for an application, or for its record manager, that has been closed."""


class SchemaLockError(ProgrammingError):
    """Event classes are not what the schema lock says.

    Attributes:
        changes: what has changed, a text for each.
        is_safe: whether all stored rows can be read all the same, and the lock is only out of date.
    """

    def __init__(self, message: str, *, changes: Sequence[str] = (), is_safe: bool = False) -> None:
        super().__init__(message)
        self.changes = tuple(changes)
        self.is_safe = is_safe


class WrongApplicationError(ProgrammingError):
    """An aggregate that belongs to one application was given to another."""


# -- domain ------------------------------------------------------------------------------


class EventFieldError(EventSourcingError, TypeError):
    """A missing, unknown or wrongly typed field in the constructor of an event."""


class MismatchedEventError(EventSourcingError):
    """An event that does not follow the entity it was applied to. The entity is unchanged."""


class OriginatorIDError(MismatchedEventError):
    """The event belongs to another entity."""


class OriginatorVersionError(MismatchedEventError):
    """The event's position is not the one that follows the entity's last event."""


class EntityIsDiscarded(EventSourcingError):
    """The entity has been discarded, and takes no further events."""


class InvalidOriginatorID(EventSourcingError, ValueError):
    """An id that is not a UUID, a 64-bit int, or a string of 1 to 255 printable characters without
    white space at either end.
    """


# -- repository and event store ----------------------------------------------------------


class RepositoryKeyError(EventSourcingError, KeyError):
    """There is no aggregate with this id in the repository, or it has been discarded."""

    def __init__(self, originator_id: object) -> None:
        super().__init__(originator_id)
        self.originator_id = originator_id

    def __str__(self) -> str:
        return f"no aggregate with id {self.originator_id!r} (never saved, or discarded)"


class VersionNotFound(RepositoryKeyError):
    """The aggregate is there, but has not come to this version, or was not there at this time.

    Attributes:
        originator_id: the aggregate.
        actual_version: how many events it has.
    """

    def __init__(self, originator_id: object, asked_for: str, actual_version: int) -> None:
        super().__init__(originator_id)
        self.asked_for = asked_for
        self.actual_version = actual_version

    def __str__(self) -> str:
        return (
            f"no aggregate with id {self.originator_id!r} {self.asked_for}: it is at version"
            f" {self.actual_version}"
        )


class InvalidMoment(EventSourcingError, ValueError):
    """A text that is no point in time, or a time that is none because its zone is missing."""


class AggregateTypeError(EventSourcingError, TypeError):
    """The stream holds an aggregate of another class than the one that was asked for."""


class ConcurrencyError(EventSourcingError):
    """Somebody else has stored an event at a position that this save wanted.

    Nothing of the save is stored. Load the aggregate again and repeat the command
    (see :func:`eventsourcing.domain.model.decorators.retry`).

    Attributes:
        originator_id: the stream.
        expected_version: the position that the first refused event was to take (0-based),
            which is the number of events the saver believed the stream to have.
        actual_version: the number of events the stream really had when this was found out;
            None if the caller's transaction cannot see it any more.
    """

    def __init__(
        self,
        message: str,
        *,
        originator_id: object = None,
        expected_version: int | None = None,
        actual_version: int | None = None,
    ) -> None:
        super().__init__(message)
        self.originator_id = originator_id
        self.expected_version = expected_version
        self.actual_version = actual_version


class SubscriberError(EventSourcingError):
    """Subscribers failed while handling events.

    All subscribers were called for all events, and where the events came from a save they
    ARE stored: do not repeat the command.

    Attributes:
        errors: the subscribers' exceptions, in the order in which they were raised.
    """

    def __init__(self, message: str, errors: Sequence[Exception] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class ProjectionBehind(EventSourcingError, TimeoutError):
    """A projection has not come to a position of the feed in the time that was given.

    Attributes:
        position: where it was then.
    """

    def __init__(self, message: str, *, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class ProjectionFailed(EventSourcingError):
    """A projection raised in the transaction of a save, or what it wrote was refused.

    Attributes:
        projection: its name.
    """

    def __init__(self, message: str, *, projection: str = "") -> None:
        super().__init__(message)
        self.projection = projection


class InvalidSectionID(EventSourcingError, ValueError):
    """A text that names no section of the notification log, or one that is too large."""


class RemoteLogError(EventSourcingError):
    """A notification log was not read over HTTP. ``status`` is that of the answer, if one came."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RemoteLogUnavailable(RemoteLogError):
    """There was no answer in time, or the server is busy or failed, in all attempts."""


# -- stored form -------------------------------------------------------------------------


class EncodeError(EventSourcingError, ValueError):
    """A value that cannot be stored.

    Attributes:
        field: where in the event the value stands, such as ``items[3].price``.
        event: the name of the event class, where known.
    """

    def __init__(self, message: str, *, field: str = "", event: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.event = event


class DecodeError(EventSourcingError, ValueError):
    """A text that is not the stored state of the event class it is read as.

    Attributes:
        field: which field of the state is at fault, where known.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class _RowError(EventSourcingError):
    """The base of errors about one stored row."""

    def __init__(
        self,
        message: str,
        *,
        topic: str = "",
        originator_id: object = None,
        originator_version: int | None = None,
        position: int | None = None,
        key_id: str = "",
    ) -> None:
        super().__init__(message)
        self.topic = topic
        self.originator_id = originator_id
        self.originator_version = originator_version
        self.position = position
        self.key_id = key_id


class DataIntegrityError(_RowError):
    """A stored row cannot be what was written: damaged, out of order, or of an unknown shape.

    Attributes:
        originator_id: the stream of the row.
        originator_version: the position of the row (0-based).
        position: that of the row in the feed, when it was read from there.
    """


class OpenerMissing(DataIntegrityError):
    """A stored row is sealed, and what opens such a row is not there: a key, a ``Protection``, or a
    package. (So nobody can tell whether it is what was written.)
    """


class CipherKeyMissing(OpenerMissing):
    """A stored row is encrypted with a key that the application does not have.

    Attributes:
        key_id: of the key, by what the row says.
    """


class TopicResolutionError(_RowError):
    """A topic names no class that may be used: unknown, not allowed, or of the wrong kind.

    Attributes:
        topic: the text as it was found.
        originator_id, originator_version: the stored row, when the topic came from one.
        position: that of the row in the feed, when it was read from there.
    """


class NewerSchemaVersion(TopicResolutionError):
    """A row is of a later schema version than its event class: deploy the code that wrote it.

    Attributes:
        stored_version: that of the row.
        known_version: that of the class in this process.
    """

    def __init__(
        self,
        message: str,
        *,
        topic: str = "",
        stored_version: int | None = None,
        known_version: int | None = None,
    ) -> None:
        super().__init__(message, topic=topic)
        self.stored_version = stored_version
        self.known_version = known_version


# -- database ----------------------------------------------------------------------------


class PersistenceError(EventSourcingError):
    """The database refused, or could not be reached. The driver's error is the cause."""


class SequencedItemConflict(PersistenceError):
    """The position of an item in its sequence is taken.

    Record managers raise it; the event store turns it into :class:`ConcurrencyError`.
    """


class TransactionConflict(PersistenceError):
    """The database gave this transaction up for another one: it could not be serialized, or
    was the victim of a deadlock. In the caller's own transaction, all of it is rolled back.
    """


class DatabaseUnavailable(PersistenceError):
    """There is no connection to the database, or the server is shutting down."""


class OutcomeUnknown(PersistenceError):
    """The connection was lost while saving, and the outcome could not be found out.

    The events may or may not be stored. They stay pending, and saving them again is safe:
    if they were stored the repeated save finds them, and nothing is stored twice.
    """


class LockTimeout(PersistenceError):
    """Somebody else held a lock for longer than the configured time."""


class ReadOnlyDatabase(PersistenceError):
    """The database, or the transaction, takes no writes."""


class DiskFull(PersistenceError):
    """The database has no space left."""


class TableNotFound(PersistenceError):
    """A table is missing, or lacks a column. The message says how to create it."""


class ValueTooLarge(PersistenceError):
    """A value or a packet is larger than the database takes."""


class ConstraintViolation(PersistenceError):
    """The table has a constraint of its own that refused the row (NOT NULL, CHECK, ...)."""
