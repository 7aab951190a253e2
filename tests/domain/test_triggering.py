"""What triggers an event, and what refuses to."""

from typing import Any

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.exceptions import ProgrammingError


def new_class() -> Any:
    class Box(AggregateRoot):
        @event("Put")
        def put(self, n: int) -> None:
            self.n = n

    return Box


def test_a_command_triggers_the_class_that_has_its_name_now() -> None:
    cls = new_class()
    box = cls.create()
    box.put(1)

    cls.Put = other = type("Other", (cls.Put,), {"__module__": __name__})
    box.put(2)

    assert (type(box.pending_events[-1]), box.n) == (other, 2)


@pytest.mark.parametrize("wrong", [None, "Put", "Nope", [], 1, int])
def test_what_is_no_event_class_is_refused(wrong: Any) -> None:
    with pytest.raises(ProgrammingError, match="is no "):
        new_class().create()._trigger(wrong)


def test_the_constructor_asks_no_getattr_of_the_users() -> None:
    asked = []

    class Nosy(AggregateRoot):
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return 1

    with pytest.raises(ProgrammingError, match="make it with"):
        Nosy()
    assert asked == []
