"""The bus: who is told of events. Domain layer; :mod:`.events` has what publishes on it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from eventsourcing.domain.model import stores
from eventsourcing.exceptions import EventHandlersNotEmptyError, SubscriberError
from eventsourcing.utils.locks import lock_that_survives_fork

__all__ = ["assert_event_handlers_empty", "notify", "subscribe", "unsubscribe"]

Handler = Callable[[Any], object]
Predicate = Callable[[Any], bool]

_lock = lock_that_survives_fork()
_thread = threading.local()
_subscriptions: tuple[tuple[Predicate | None, Handler], ...] = ()


def subscribe(handler: Handler, predicate: Predicate | None = None) -> None:
    """Has ``handler(event)`` called for each event published from now on in this process.

    Args:
        handler: takes one event. Called in the publishing thread, after the event is stored.
        predicate: takes one event; only those for which it is true are handled.
    """
    global _subscriptions
    with _lock:
        _subscriptions = (*_subscriptions, (predicate, handler))


def unsubscribe(handler: Handler, predicate: Predicate | None = None) -> None:
    """Takes back the handler's subscriptions: all, or those with the given predicate."""
    global _subscriptions
    with _lock:
        _subscriptions = tuple(
            (p, h) for p, h in _subscriptions if h != handler or predicate not in (None, p)
        )


def notify(events: Iterable[Any]) -> None:
    """Calls the subscribers for each event, without storing any.

    What a subscriber publishes in turn comes after the events that are being published, so
    that each subscriber sees all events of this thread in the same order.

    Raises:
        SubscriberError: subscribers failed; all were called nevertheless. For events that were
            published by a subscriber it is raised by the outermost call.
    """
    if not _subscriptions:
        return
    waiting: deque[Any] | None = getattr(_thread, "waiting", None)
    if waiting is not None:
        waiting.extend(events)
        return
    _thread.waiting = waiting = deque(events)
    errors: list[Exception] = []
    try:
        while waiting:
            _call(waiting.popleft(), errors)
    finally:
        _thread.waiting = None
    if errors:
        raise SubscriberError(
            f"{len(errors)} subscriber call(s) failed (all were made; what is to be stored is"
            f" stored); first: {errors[0]!r}",
            errors,
        ) from errors[0]


def _call(event: Any, errors: list[Exception]) -> None:
    for predicate, handler in _subscriptions:
        try:
            if predicate is None or predicate(event):
                handler(event)
        except Exception as error:
            error.add_note(f"raised by the subscriber {handler!r} for a {type(event)}")
            errors.append(error)


def assert_event_handlers_empty() -> None:
    """Checks that nothing is left over: no subscriber, and no application that is open.

    Raises:
        EventHandlersNotEmptyError: naming what is.
    """
    left = [repr(handler) for _, handler in _subscriptions]
    left += [store.name for store in stores.open_stores()]
    if left:
        raise EventHandlersNotEmptyError(f"still subscribed or open: {', '.join(left)}")
