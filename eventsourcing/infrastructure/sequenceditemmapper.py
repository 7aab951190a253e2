"""From events to items and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.domain.model.context import EventContext
from eventsourcing.domain.model.events import DomainEvent, event_classes, restore, schema_of
from eventsourcing.domain.model.upcasting import upcasting
from eventsourcing.exceptions import (
    DecodeError,
    EncodeError,
    EventFieldError,
    ProgrammingError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.erasure import Erasure, KeysInUse
from eventsourcing.infrastructure.protection import Protection, is_sealed, unreadable
from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.utils.ids import check_id
from eventsourcing.utils.topic import get_stored_topic, split_topic, upcasters_of

__all__ = ["SequencedItemMapper"]

R = TypeVar("R")
Encode = Callable[[Mapping[str, Any]], str]
Decode = Callable[[str], dict[str, Any]]
Seal = Callable[[str, Mapping[str, Any], tuple[Any, ...]], str]

_CONTEXT_FIELDS = EventContext._fields
_make_item = tuple.__new__
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class SequencedItemMapper:
    """Maps events to items of ``item_class``, and back.

    Override :meth:`extra_values` to fill further fields of an item class in another way.

    Args:
        item_class: a named tuple class, see :mod:`eventsourcing.infrastructure.sequenceditem`.
        topic_prefixes: packages from which event classes that are not known yet may be
            imported when a stored row names them. None by default.
        protection: seals the states when they are written, and opens them when they are read;
            None to leave them as they are.
        erasure: encrypts personal data, before a state is sealed; None if there is none.

    Raises:
        ProgrammingError: the prefixes are one string, or are not strings.
    """

    def __init__(
        self,
        item_class: type[tuple[Any, ...]] = StoredEvent,
        topic_prefixes: Iterable[str] = (),
        protection: Protection | None = None,
        erasure: Erasure | None = None,
    ) -> None:
        self.item_class = item_class
        self.protection = protection
        self.erasure = erasure
        self.topic_prefixes = _checked_prefixes(topic_prefixes)
        fields: tuple[str, ...] = item_class._fields  # type: ignore[attr-defined]
        self.extra_fields = fields[4:]
        self._context_of = _picker_of_context(fields)
        is_own = type(self).extra_values is not SequencedItemMapper.extra_values
        self._keeps_context_alone = self.extra_fields == _CONTEXT_FIELDS and not is_own
        self._has_columns_of_events = not set(self.extra_fields) <= set(_CONTEXT_FIELDS)
        self._encoders: dict[type[DomainEvent], tuple[str, Encode, Seal | None]] = {}
        self._decoders: dict[str, tuple[type[DomainEvent], Decode]] = {}

    def item_from_event(self, event: DomainEvent) -> tuple[Any, ...]:
        """Returns the item for ``event``.

        Raises:
            EncodeError: a value cannot be stored; names the event class and the field.
            EventFieldError: the event has no position in a stream.
            InvalidOriginatorID: its id has no stored form.
        """
        cls = type(event)
        topic, encode, seal = self._encoders.get(cls) or self._encoder(cls)
        attributes = event.__dict__
        try:
            originator_id = attributes["originator_id"]
            position = attributes["originator_version"]
        except KeyError as error:
            raise EventFieldError(
                f"{cls.__qualname__} has no {error}, and so no place in a stream"
            ) from error
        if type(position) is not int or not 0 <= position <= MAX_POSITION:
            raise EncodeError(
                f"{cls.__qualname__}: a position is an int from 0 to 2**63 - 1",
                field="originator_version",
                event=cls.__qualname__,
            )
        if type(originator_id) is not UUID:
            check_id(originator_id)
        try:
            state = encode(attributes)
            if seal is not None:
                state = seal(state, attributes, (originator_id, position, topic))
        except EncodeError as error:
            raise EncodeError(
                f"{cls.__qualname__}: {error}", field=error.field, event=cls.__qualname__
            ) from error
        extra: tuple[Any, ...] | None = event._context
        if type(extra) is not EventContext or not self._keeps_context_alone:
            extra = self.extra_values(event)
        if self._has_columns_of_events:
            _check_texts(cls.__qualname__, self.extra_fields, extra)
        return _make_item(self.item_class, (originator_id, position, topic, state, *extra))

    def extra_values(self, event: DomainEvent) -> tuple[Any, ...]:
        """Returns the values of the item's fields after the fourth, in their order."""
        context = event.context
        return tuple(
            getattr(context if name in _CONTEXT_FIELDS else event, name, None)
            for name in self.extra_fields
        )

    def context_of(self, item: tuple[Any, ...]) -> EventContext:
        """Returns the ids that were stored beside an event; the first is empty if none was."""
        return EventContext(*self._context_of(item))

    def event_from_item(self, item: tuple[Any, ...]) -> DomainEvent:
        """Returns the event that was stored as ``item``.

        Raises:
            TopicResolutionError: the topic names no event class, or one that may not be used.
            NewerSchemaVersion: it names a later version than the class has (one of the former).
            DataIntegrityError: the state is not that of the event class, or cannot be opened.
            CipherKeyMissing: the state is encrypted with a key that is not there.
        """
        return next(self.events_from_items((item,)))

    def events_from_items(self, items: Iterable[tuple[Any, ...]]) -> Iterator[DomainEvent]:
        """Yields the events that were stored as ``items``, which need not be of the item class, but
        have its fields' values. Raises as :meth:`event_from_item`.
        """
        return self.events_from_opened(self.opened(items))

    def events_at_once(
        self, items: Iterable[tuple[Any, ...]], keys: KeysInUse
    ) -> Iterator[DomainEvent]:
        """Does as :meth:`events_from_items` where all of them are read at once, as one operation:
        the key of each person whose data is in them is asked for once.

        Args:
            keys: of those whose personal data was read, see :meth:`Erasure.opened`.
        """
        if type(self).events_from_items is not SequencedItemMapper.events_from_items:
            return self.events_from_items(items)
        return self.events_from_opened(self.opened(items, keys))

    def opened(
        self, items: Iterable[tuple[Any, ...]], keys: KeysInUse | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yields stored items, or their first four fields, with their states as they were before
        they were sealed. Without a protection they stay as they are, to be decoded or refused by
        :meth:`events_from_opened`.

        Args:
            keys: of those whose personal data was read, see :meth:`Erasure.opened`.

        Raises:
            OpenerMissing, DataIntegrityError: a state cannot be opened.
        """
        if self.protection is None and self.erasure is None:
            return iter(items)  # who decodes a sealed state says that nothing is there to open it
        unsealed = self.unsealed(items)
        return unsealed if self.erasure is None else self.erasure.opened(unsealed, keys)

    def unsealed(self, items: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Does as :meth:`opened`, and leaves personal data encrypted in the states: so these stay
        the same when a person is forgotten. No state that it yields is sealed.

        Raises:
            OpenerMissing: a state is sealed, and there is no protection, or no key, to open it.
            DataIntegrityError: a state cannot be opened.
        """
        return map(_plain if self.protection is None else self.protection.opened, items)

    def event_from_opened(self, item: tuple[Any, ...]) -> DomainEvent:
        """Returns the event of an item that :meth:`opened` gave. Raises as the above."""
        return next(self.events_from_opened((item,)))

    def events_from_opened(self, items: Iterable[tuple[Any, ...]]) -> Iterator[DomainEvent]:
        """Yields the events of what :meth:`opened` gave. Raises as :meth:`event_from_item`."""
        decoders = self._decoders
        context_of = self._context_of
        for item in items:
            try:
                cls, decode = decoders[item[2]]
            except (KeyError, TypeError):
                cls, decode = self.decoder_for(item)
            try:
                attributes = decode(item[3])
            except DecodeError as error:
                raise unreadable(item, error) from error
            attributes["originator_id"] = item[0]
            attributes["originator_version"] = item[1]
            yield restore(cls, attributes, context_of(item))

    def decoder_for(self, item: tuple[Any, ...]) -> tuple[type[DomainEvent], Decode]:
        """Returns the class of the event that was stored as ``item``, and what reads its state.

        Raises:
            TopicResolutionError: the topic names no event class, or one that may not be used.
            NewerSchemaVersion: it names a later version than the class has (one of the former).
            DataIntegrityError: it is no text.
        """
        topic = item[2]
        if not isinstance(topic, str):
            raise unreadable(item, f"its topic is of type {type(topic).__name__}")
        try:
            cls = event_classes.resolve(topic, self.topic_prefixes)
        except TopicResolutionError as error:
            error.originator_id, error.originator_version = item[0], item[1]
            error.args = (f"event {item[1]} of {item[0]!r}: {error}", *error.args[1:])
            raise
        self._decoders[topic] = found = (cls, _of_row(item, cls, schema_of(cls).codec.decode))
        return found

    def reader_for(
        self, item: tuple[Any, ...]
    ) -> tuple[type[DomainEvent], Callable[[str], Any] | None]:
        """Does as :meth:`decoder_for`, for what gives the values as attributes of an object.

        That is None where nothing does it quicker.
        """
        cls, _ = self.decoder_for(item)
        read = schema_of(cls).codec.read
        return cls, None if read is None else _of_row(item, cls, read)

    def _encoder(self, cls: type[DomainEvent]) -> tuple[str, Encode, Seal | None]:
        self._encoders[cls] = found = (
            get_stored_topic(cls),
            schema_of(cls).codec.encode,
            self._sealer(cls),
        )
        return found

    def _sealer(self, cls: type[DomainEvent]) -> Seal | None:
        """Returns what seals states of an event class; None if they stay as they are."""
        personal, protection, erasure = schema_of(cls).personal, self.protection, self.erasure
        if protection is not None and not protection.covers(cls):
            protection = None
        if personal and erasure is None:
            raise ProgrammingError(
                f"{cls.__qualname__} has personal data, for which the application needs a"
                " cipher_key, and a record manager that keeps the keys of subjects"
            )
        if not personal and protection is None:
            return None

        def seal(state: str, values: Mapping[str, Any], place: tuple[Any, ...]) -> str:
            if personal and erasure is not None:
                state = erasure.seal(state, personal, values, place)
            return state if protection is None else protection.seal(state, *place)

        return seal


def _plain(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns an item whose state is plain.

    Raises:
        OpenerMissing, DataIntegrityError: it is sealed, in a way that is known or not.
    """
    if is_sealed(item[3]):
        raise unreadable(item, "it is sealed in a way that is not known")
    return item


def _of_row(
    item: tuple[Any, ...], cls: type[DomainEvent], read: Callable[[str], R]
) -> Callable[[str], R]:
    """Returns what reads the states of the row's version, where ``read`` does the present one's."""
    version = split_topic(item[2])[1]
    older = upcasters_of(cls)[version - 1 :]
    return upcasting(read, schema_of(cls).fields, older, version) if older else read


def _checked_prefixes(given: Any) -> tuple[str, ...]:
    is_one = isinstance(given, str) or not isinstance(given, Iterable)
    prefixes = () if is_one else tuple(given)
    if is_one or not all(isinstance(prefix, str) for prefix in prefixes):
        raise ProgrammingError(f"topic_prefixes= takes the names of packages, not {given!r}")
    return prefixes


def _picker_of_context(fields: tuple[str, ...]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Returns what takes the context out of an item."""
    if all(name in fields for name in _CONTEXT_FIELDS):
        return itemgetter(*map(fields.index, _CONTEXT_FIELDS))
    indexes = [fields.index(name) if name in fields else None for name in _CONTEXT_FIELDS]
    empty = ("", None, None)
    return lambda item: tuple(
        default if at is None else item[at] for at, default in zip(indexes, empty, strict=True)
    )


def _check_texts(event: str, names: Iterable[str], values: Iterable[object]) -> None:
    for name, value in zip(names, values, strict=True):
        if isinstance(value, str) and _UNSTORABLE.search(value):
            raise EncodeError(
                f"{event}: {name}: a column takes no NUL and no lone surrogate",
                field=name,
                event=event,
            )
