"""Where an event comes from: its own id, and the correlation and causation ids stored with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from eventsourcing.exceptions import ProgrammingError

if TYPE_CHECKING:
    from eventsourcing.domain.model.events import DomainEvent

__all__ = ["EventContext", "UnitOfWork", "current_unit_of_work", "unit_of_work"]

MAX_ID_LENGTH = 255


def _source() -> Callable[[int], bytes]:
    """Returns what gives random bytes, a few at a time.

    ``os.urandom`` lets go of the interpreter while it asks for them, and so hands it to another
    thread, if there is one: that takes much longer than some random bits.
    """
    try:
        os.getrandom(1, os.GRND_NONBLOCK)
    except (AttributeError, OSError):  # another system, an old one, a sandbox
        return os.urandom
    return os.getrandom


_few_bytes = _source()
_MOST = 16  # ids, for which getrandom gives as much as it is asked for, whatever signals come


class EventContext(NamedTuple):
    """What is stored beside an event.

    Attributes:
        event_id: 32 hexadecimal digits, unique to the event. By it a save recognises its own
            rows when the database's answer was lost.
        correlation_id: the same for everything that one request, job or process set off.
        causation_id: the id of the event (or message) that led to this one.
    """

    event_id: str
    correlation_id: str | None = None
    causation_id: str | None = None


class UnitOfWork(NamedTuple):
    """The ids that events triggered now are given."""

    correlation_id: str | None = None
    causation_id: str | None = None


_current: ContextVar[UnitOfWork | None] = ContextVar("eventsourcing_unit_of_work", default=None)

current_unit_of_work = _current.get
"""Returns the unit of work of this thread or task, or None."""


def new_event_ids(count: int) -> list[str]:
    """Returns new event ids: 128 random bits each, as 32 hexadecimal digits.

    Draw them when they are needed. Of bits that were drawn ahead, the snapshot of a process that
    is started twice would make two events with one id.
    """
    digits = (_few_bytes if count <= _MOST else os.urandom)(16 * count).hex()
    return [digits] if count == 1 else [digits[at : at + 32] for at in range(0, 32 * count, 32)]


@contextmanager
def unit_of_work(
    correlation_id: str | UUID | None = None,
    causation_id: str | UUID | None = None,
    *,
    caused_by: DomainEvent | None = None,
) -> Iterator[UnitOfWork]:
    """Gives every event that is triggered inside the block these ids.

    Holds for the current thread or asyncio task, and the tasks started from it.

    Args:
        correlation_id: 1 to 255 characters. Left out, it is that of ``caused_by``, else of
            the surrounding unit of work, else a new one.
        causation_id: 1 to 255 characters. Left out, it is the id of ``caused_by``, else of
            the surrounding unit of work, if any.
        caused_by: the event whose handling this is.

    Raises:
        ProgrammingError: an id is not a UUID or a string of 1 to 255 characters.
    """
    correlation, causation = _checked(correlation_id), _checked(causation_id)
    outer = _current.get() or UnitOfWork()
    if caused_by is not None:
        origin = caused_by.context
        correlation = correlation or origin.correlation_id or origin.event_id
        causation = causation or origin.event_id
    unit = UnitOfWork(
        correlation or outer.correlation_id or new_event_ids(1)[0], causation or outer.causation_id
    )
    surrounding = _current.get()
    _current.set(unit)
    try:
        yield unit
    finally:
        # By value rather than by token: a framework may leave the block from another context
        # than the one that entered it.
        _current.set(surrounding)


def _checked(value: str | UUID | None) -> str | None:
    if value is None or isinstance(value, UUID):
        return None if value is None else str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH or not value.isprintable():
        raise ProgrammingError(
            "a correlation or causation id is a UUID or a printable string of 1 to 255"
            f" characters, not {type(value).__name__}"
        )
    return value
