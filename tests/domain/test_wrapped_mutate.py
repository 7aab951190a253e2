"""What wraps a mutate() runs when an event happens just as when it is replayed."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from unittest import mock

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event

Mutate = Callable[[Any, Any], Any]


def traced(mutate: Mutate) -> Mutate:
    @wraps(mutate)
    def wrapper(self: Any, obj: Any) -> Any:
        if obj is not None:
            obj.__dict__.setdefault("traces", []).append(self.n)
        return mutate(self, obj)

    return wrapper


def traced_without_wraps(mutate: Mutate) -> Mutate:
    return lambda self, obj: traced(mutate)(self, obj)


def new_class() -> Any:
    class Counter(AggregateRoot):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.total = 0

        @event("Added")
        def add(self, n: int) -> None:
            self.total += n

        class Written(AggregateRoot.Event):
            n: int

            def mutate(self, obj: Any, /) -> Any:
                obj.total += self.n

    return Counter


def replayed(live: AggregateRoot) -> Any:
    obj: Any = None
    for happened in live.pending_events:
        obj = happened.mutate(obj)
    return obj


def seen(counter: Any) -> Any:
    return counter.total, counter.version, counter.__dict__.get("traces", [])


@pytest.mark.parametrize("trace", [traced, traced_without_wraps])
@pytest.mark.parametrize("name", ["Added", "Written"])
def test_a_wrapper_in_a_subclass_runs_once_live_and_once_in_replay(
    trace: Callable[[Mutate], Mutate], name: str
) -> None:
    cls = new_class()
    base = getattr(cls, name)
    twice = type("Twice", (base,), {"mutate": trace(base.mutate), "__module__": __name__})
    counter = cls.create()

    counter._trigger(twice, n=1)

    assert seen(counter) == (1, 2, [1])
    assert seen(replayed(counter)) == (1, 2, [1])


@pytest.mark.parametrize("trace", [traced, traced_without_wraps])
@pytest.mark.parametrize("name", ["Added", "Written"])
@pytest.mark.parametrize("used_before", [False, True])
def test_a_wrapper_that_is_put_onto_the_class_does_too(
    trace: Callable[[Mutate], Mutate], name: str, used_before: bool
) -> None:
    cls = new_class()
    event_class = getattr(cls, name)
    if used_before:
        cls.create()._trigger(event_class, n=1)
    event_class.mutate = trace(event_class.mutate)
    counter = cls.create()

    counter._trigger(event_class, n=1)

    assert seen(counter) == (1, 2, [1])
    assert seen(replayed(counter)) == (1, 2, [1])


def test_a_patch_after_the_first_use_is_called_and_leaves_nothing_behind() -> None:
    cls = new_class()
    counter = cls.create()
    counter.add(1)

    with mock.patch.object(cls.Added, "mutate") as patched:
        counter.add(2)
    counter._es_pending.pop()
    counter.add(3)

    assert patched.call_count == 1
    assert seen(counter) == (4, 3, [])
    assert seen(replayed(counter)) == (4, 3, [])
