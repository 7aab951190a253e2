"""What a projection is: a class with a method for each type of event that it makes use of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias, TypeVar, overload

from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import ProgrammingError

__all__ = ["BaseProjection", "ExternalProjection", "Projection", "handles"]

P = TypeVar("P")
E = TypeVar("E", bound=DomainEvent)
E2 = TypeVar("E2", bound=DomainEvent)
E3 = TypeVar("E3", bound=DomainEvent)
T = TypeVar("T")

Handles: TypeAlias = Callable[[Callable[[P, E, T], None]], Callable[[P, E, T], None]]

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_MARK = "_es_handles"


@overload
def handles(first: type[E], /) -> Handles[P, E, T]: ...
@overload
def handles(first: type[E], second: type[E2], /) -> Handles[P, E | E2, T]: ...
@overload
def handles(first: type[E], second: type[E2], third: type[E3], /) -> Handles[P, E | E2 | E3, T]: ...
@overload
def handles(*event_types: type[E]) -> Handles[P, E, T]: ...


def handles(*event_types: type[Any]) -> Any:
    """Makes a method of a projection the one for events of these types, and of their subclasses.

    Where several methods fit an event, that of its nearest base class is called.

    Raises:
        ProgrammingError: something else than event classes is given, or nothing.
    """
    if not event_types or not all(
        isinstance(cls, type) and issubclass(cls, DomainEvent) for cls in event_types
    ):
        raise ProgrammingError(f"@handles takes event classes, not {event_types!r}")

    def mark(method: Any) -> Any:
        setattr(method, _MARK, event_types)
        return method

    return mark


class BaseProjection:
    """What both kinds of projections have in common.

    Attributes:
        name: by which the database knows it: lower-case ASCII letters, digits and underscores.
        version: to be raised when it is to be built anew, from the first event on.
        shards: into how many parts its streams are divided, each of which one worker at a time
            works on. With 1, all events come in the order of the feed; with more, those of each
            stream do, and what several shards write to one row of yours needs its own care.
            Fixed for a version.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    shards: ClassVar[int] = 1
    is_transactional: ClassVar[bool]

    _methods: ClassVar[dict[type[DomainEvent], str]] = {}

    def __init_subclass__(cls) -> None:
        methods = dict(cls._methods)
        for name, value in vars(cls).items():
            methods.update(dict.fromkeys(getattr(value, _MARK, ()), name))
        cls._methods = methods

    @classmethod
    def check(cls) -> None:
        """Checks the attributes of the class.

        Raises:
            ProgrammingError: one of them cannot be used, or no method handles anything.
        """
        where = cls.__qualname__
        if not isinstance(name := getattr(cls, "name", None), str) or not _NAME.fullmatch(name):
            raise ProgrammingError(
                f"{where}.name must be 1 to 63 lower-case letters, digits and underscores: {name!r}"
            )
        if type(cls.version) is not int or cls.version < 1:
            raise ProgrammingError(f"{where}.version must be an int of at least 1")
        if type(cls.shards) is not int or not 1 <= cls.shards <= 1024:
            raise ProgrammingError(f"{where}.shards must be an int from 1 to 1024")
        if not cls._methods:
            raise ProgrammingError(f"{where} has no method that is marked with @handles")

    @classmethod
    def event_types(cls) -> tuple[type[DomainEvent], ...]:
        """Returns the types of the events that it has methods for."""
        return tuple(cls._methods)

    def handler_of(self, event: DomainEvent) -> Callable[[Any, Any], None] | None:
        """Returns the method for an event, or None if there is none."""
        for base in type(event).__mro__:
            if (name := self._methods.get(base)) is not None:
                method: Callable[[Any, Any], None] = getattr(self, name)
                return method
        return None

    def describe(self, error: Exception) -> str:
        """Returns what is kept of an error of a method of this class, beside the traceback.

        By default the name of its class: its text may show what an event contains. Override it
        where that does no harm.
        """
        return type(error).__qualname__


class Projection(BaseProjection):
    """Writes to tables of your own: each event takes effect exactly once.

    A method is given the event and a SQLAlchemy ``Session``, and writes to any tables of the
    database through it. How far the projection has come is kept in the same transaction, which
    is committed for many events at once. The methods may be called again for events whose
    transaction was rolled back, so they do nothing but write through the session::

        class Balances(Projection):
            name = "balances"
            tables = (balances,)

            @handles(Account.Deposited)
            def deposited(self, event: Account.Deposited, session: Session) -> None:
                session.execute(...)

    Attributes:
        tables: those that are to be created if they do not exist: of SQLAlchemy, or classes
            that are mapped to one. Put the version into their names, to build the next version
            beside this one.
        views: names under which readers find the tables of the version that is live, by name.
    """

    is_transactional = True
    tables: ClassVar[Sequence[Any]] = ()
    views: ClassVar[dict[str, Any]] = {}


class ExternalProjection(BaseProjection):
    """Writes to something that takes no part in the database's transactions: each event is
    handed over at least once.

    A method is given the event and its position in the feed (an int). After a crash, or if the
    checkpoint could not be written, the events since then are handed over again, in the same
    order; what they are written to can tell them by the position.
    """

    is_transactional = False
