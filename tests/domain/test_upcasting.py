"""Event classes have versions, and upcasters from each one to the next."""

import json
from typing import Any

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.domain.model.upcasting import upcasting
from eventsourcing.exceptions import DecodeError, ProgrammingError
from eventsourcing.utils.statecodec import StateCodec
from eventsourcing.utils.topic import get_stored_topic, version_of

State = dict[str, Any]


def same(state: State) -> State:
    return state


def decoded(step: Any, text: str, **fields: Any) -> State:
    return upcasting(StateCodec(fields).decode, fields, (step,), 1)(text)


def test_a_class_without_upcasters_is_version_1() -> None:
    class Plain(DomainEvent, topic="test-upcasting/plain"):
        pass

    assert (version_of(Plain), get_stored_topic(Plain)) == (1, "test-upcasting/plain")


def test_each_upcaster_makes_a_version() -> None:
    class Third(DomainEvent, topic="test-upcasting/third", upcasters={2: same, 1: same}):
        pass

    assert (version_of(Third), get_stored_topic(Third)) == (3, "test-upcasting/third@3")


def test_a_subclass_has_versions_of_its_own() -> None:
    class Base(DomainEvent, upcasters={1: same}):
        pass

    class Derived(Base):
        pass

    assert (version_of(Base), version_of(Derived)) == (2, 1)


def test_upcasters_of_an_aggregate_are_those_of_the_created_event_of_its_constructor() -> None:
    class Short(AggregateRoot, upcasters={1: same}):
        def __init__(self, a: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)

        @event("Happened", upcasters={1: same, 2: same})
        def happen(self) -> None: ...

    names = ("Created", "Happened", "Event", "Discarded")
    assert [version_of(getattr(Short, name)) for name in names] == [2, 3, 1, 1]


def test_an_aggregate_that_writes_its_created_event_gives_that_the_upcasters() -> None:
    with pytest.raises(ProgrammingError, match="belongs to its own class Created"):

        class Long(AggregateRoot, upcasters={1: same}):
            class Created(AggregateRoot.Created):
                a: int


@pytest.mark.parametrize("wrong", [{2: same}, {1: same, 3: same}, {0: same}, {1: "same"}, {"1": 1}])
def test_a_missing_step_is_refused(wrong: Any) -> None:
    with pytest.raises(ProgrammingError, match="Gap has upcasters from versions"):
        type("Gap", (DomainEvent,), {}, upcasters=wrong)


def test_upcasters_that_are_no_dict_are_refused() -> None:
    with pytest.raises(ProgrammingError, match="takes a dict"):
        type("Odd", (DomainEvent,), {}, upcasters=[same])


def test_an_event_class_that_is_given_to_the_short_style_has_its_upcasters() -> None:
    class Counter(AggregateRoot):
        class Counted(AggregateRoot.Event, upcasters={1: same}):
            by: int

        @event(Counted)
        def count(self, by: int) -> None: ...

    assert version_of(Counter.Counted) == 2


def test_what_is_not_of_its_type_stays_what_it_is_where_no_upcaster_touches_it() -> None:
    text = '{"b":1,"$":{"a":3,"c":{"$int":"0x10000000000000000"}}}'
    found = decoded(same, text, a=float, b=int, c=int)
    assert repr(found) == "{'a': 3, 'b': 1, 'c': 18446744073709551616}"


def test_an_upcaster_renames_what_is_not_of_its_type() -> None:
    def rename(state: State) -> State:
        state["b"] = state.pop("a")
        return state

    text = '{"$":{"a":{"$datetime":["2026-10-25T02:30:00",{"$zoneinfo":"Europe/Berlin"},1]}}}'
    assert decoded(rename, text, b=Any)["b"].tzinfo.key == "Europe/Berlin"


def test_a_text_that_is_no_state_is_refused_before_an_upcaster_sees_it() -> None:
    seen: list[State] = []
    for text in ("[]", '{"a":1,"a":2}', '{"a":1', '{"a":1,"$":{"a":2}}', '{"a":NaN}'):
        with pytest.raises(DecodeError):
            decoded(seen.append, text, a=int)
    assert seen == []


@pytest.mark.parametrize("wrong", [None, [], "x", {"$": {}}])
def test_an_upcaster_that_returns_no_state_is_named(wrong: Any) -> None:
    with pytest.raises(DecodeError, match="the upcaster from version 1 returned no state"):
        decoded(lambda state: wrong, "{}")


@pytest.mark.parametrize("wrong", [float("nan"), {1}, (1,), b"x", {1: 2}, object()])
def test_what_is_not_json_is_refused_and_not_altered(wrong: Any) -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        decoded(lambda state: {"a": wrong}, "{}", a=Any)


def test_the_error_of_an_upcaster_is_named_without_its_text() -> None:
    def fail(state: State) -> State:
        raise ValueError("the secret")

    with pytest.raises(DecodeError, match="version 1 raised ValueError") as caught:
        decoded(fail, "{}")
    assert "secret" not in str(caught.value)


def test_deep_states_are_refused_and_break_nothing() -> None:
    deep = "[" * 900 + "]" * 900
    with pytest.raises(DecodeError):
        decoded(same, json.dumps({"a": 1})[:-1] + f',"b":{deep}}}', a=int)
