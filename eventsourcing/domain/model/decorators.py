"""Decorators for models, subscribers and commands."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from functools import singledispatch, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import FunctionType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from eventsourcing.domain.model.entityevents import command
from eventsourcing.domain.model.events import DomainEvent, subscribe
from eventsourcing.domain.model.upcasting import Upcaster
from eventsourcing.exceptions import ConcurrencyError, ProgrammingError, SubscriberError

__all__ = ["attribute", "event", "mutator", "retry", "subscribe_to"]

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")
S = TypeVar("S", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])

# Functions whose body does not run when they are called.
_NEVER_RUN = (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)


def event(
    name: str | type[DomainEvent],
    *,
    topic: str | None = None,
    aliases: Iterable[str] = (),
    upcasters: Mapping[int, Upcaster] | None = None,
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Makes one method command, event class and mutator::

        @event("Deposited")                       # makes the event class Account.Deposited
        def deposit(self, amount: Decimal) -> None:
            self.balance += amount

    Calling the method makes an event with a typed field for each parameter, and the event runs
    the body: now, and each time the aggregate is loaded. So the body must depend on nothing
    but the aggregate and its arguments. If it raises, there is no event; let it check first and
    change afterwards, since what it had changed by then stays changed in this object.

    Args:
        name: the name of the event class, or an event class that stands in the class body
            (then its fields must be the method's parameters, and type checkers see it).
        topic: by which stored rows name the event class, as for any class of events.
        aliases: the topics that older rows have for it.
        upcasters: what reads the rows that were stored when its parameters were others.

    Raises:
        ProgrammingError: the name is no identifier, or a parameter cannot be a field; or what
            belongs to the statement of an event class that is given is said here.
    """
    is_class = isinstance(name, type) and issubclass(name, DomainEvent)
    if not is_class and not (isinstance(name, str) and name.isidentifier()):
        raise ProgrammingError('@event takes the name of an event class, as in @event("Deposited")')
    given = {"topic": topic, "aliases": aliases, "upcasters": upcasters}
    keywords = {keyword: value for keyword, value in given.items() if value not in (None, ())}
    if is_class and keywords:
        raise ProgrammingError(f"{', '.join(keywords)}: to be given to the event class itself")

    def decorate(body: Callable[P, None]) -> Callable[P, None]:
        if not isinstance(body, FunctionType) or any(is_odd(body) for is_odd in _NEVER_RUN):
            raise ProgrammingError("@event goes onto a plain method, below other decorators")
        return command(body, name, keywords)

    return decorate


class attribute(Generic[V]):
    """An attribute of an entity that is set by an ``AttributeChanged`` event::

        @attribute
        def name(self) -> str:
            '''The name; empty until it is set.'''
            return ""

        person.name = "Ann"       # triggers an event

    The body gives the value until the first one is set.
    """

    def __init__(self, getter: Callable[[Any], V]) -> None:
        self.__wrapped__ = getter
        self._name = getter.__name__
        self.__doc__ = getter.__doc__

    @overload
    def __get__(self, obj: None, owner: type) -> attribute[V]: ...
    @overload
    def __get__(self, obj: Any, owner: type) -> V: ...
    def __get__(self, obj: Any, owner: type) -> attribute[V] | V:
        if obj is None:
            return self
        value: V = obj.__dict__[self._name] if self._name in obj.__dict__ else self.__wrapped__(obj)
        return value

    def __set__(self, obj: Any, value: V) -> None:
        if obj._es_applying is None:
            obj.change_attribute(name=self._name, value=value)
        else:
            obj.__dict__[self._name] = value


def subscribe_to(*event_classes: type[DomainEvent]) -> Callable[[F], F]:
    """Subscribes the function to events of the given classes (of any class if none is given).

    Undone by ``unsubscribe(function)``.

    Raises:
        ProgrammingError: what is given is no event class.
    """
    if not all(isinstance(cls, type) and issubclass(cls, DomainEvent) for cls in event_classes):
        raise ProgrammingError("@subscribe_to takes event classes, as in @subscribe_to(Deposited)")

    def decorate(handler: F) -> F:
        def predicate(event: DomainEvent) -> bool:
            return isinstance(event, event_classes or DomainEvent)

        subscribe(handler, predicate)
        return handler

    return decorate


class Mutator(Protocol[S]):
    """What :func:`mutator` makes."""

    def __call__(self, state: Any, event: Any, /) -> S:
        """Returns the state after the event."""
        ...

    def register(self, event_class: type[DomainEvent], /) -> Callable[[F], F]:
        """Makes the decorated function the case for a class of events."""
        ...


def mutator(function: Callable[[Any, Any], S]) -> Mutator[S]:
    """Makes a function of (initial state, event) that has a case for each class of event::

        @mutator
        def mutate(initial, event):
            raise NotImplementedError(type(event))

        @mutate.register(Account.Created)
        def _(initial, event):
            ...

    Works like :func:`functools.singledispatch`, but by the class of the last argument, so
    that it fits ``functools.reduce`` and the repository's ``mutator_func``.
    """
    dispatcher = singledispatch(function)

    @wraps(function)
    def dispatch(state: Any, event: Any, /) -> S:
        return dispatcher.dispatch(type(event))(state, event)

    dispatch.register = dispatcher.register  # type: ignore[attr-defined]
    return cast(Mutator[S], dispatch)


def retry(
    exceptions: type[Exception] | tuple[type[Exception], ...] = ConcurrencyError,
    max_retries: int = 5,
    wait: float = 0.05,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Repeats a command that failed, such as one that lost a race::

        @retry(ConcurrencyError, max_retries=5, wait=0.01)
        def withdraw(app, account_id, amount):
            account = app.repository[account_id]     # afresh each time
            account.withdraw(amount)
            account.save()

    Before the n-th repetition it sleeps a random time between 0 and ``wait * 2**(n - 1)``
    seconds ("full jitter", Brooker 2015), so that rivals do not meet again.

    Args:
        exceptions: what to repeat after. Anything else is raised at once; so is
            ``SubscriberError``, unless it is named: what it follows is stored.
        max_retries: how often to repeat; 0 for never. Then the last error is raised.
        wait: seconds; 0 for no delay.

    Raises:
        ProgrammingError: ``max_retries`` or ``wait`` is negative, or ``exceptions`` no class.
    """
    classes = exceptions if isinstance(exceptions, tuple) else (exceptions,)
    if not all(isinstance(c, type) and issubclass(c, BaseException) for c in classes):
        raise ProgrammingError("@retry takes exception classes, as in @retry(ConcurrencyError)")
    if max_retries < 0 or wait < 0:
        raise ProgrammingError("max_retries and wait cannot be negative")

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if iscoroutinefunction(function):
            raise ProgrammingError("@retry goes onto plain functions, not onto coroutines")

        @wraps(function)
        def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
            for retries in range(max_retries):
                try:
                    return function(*args, **kwargs)
                except exceptions as error:
                    if isinstance(error, SubscriberError) and SubscriberError not in classes:
                        raise
                    time.sleep(random.uniform(0, wait * 2**retries))  # noqa: S311
            return function(*args, **kwargs)

        return repeated

    return decorate
