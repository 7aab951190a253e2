"""SimpleApplication: its life, what it stores, and what it refuses."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.entity import DomainEntity, VersionedEntity
from eventsourcing.domain.model.events import (
    DomainEvent,
    EventWithOriginatorVersion,
    publish,
    subscribe,
    unsubscribe,
)
from eventsourcing.exceptions import (
    ApplicationClosedError,
    ConcurrencyError,
    NoApplicationError,
    ProgrammingError,
    RepositoryKeyError,
    SubscriberError,
    WrongApplicationError,
)
from tests.application.stores import Counter, Lamp, memory_app, stored


class Shop(SimpleApplication):
    def count(self) -> Counter:
        counter = Counter.create()
        counter.increase()
        counter.save()
        return counter


class Valued(AggregateRoot):
    """Compared by value, as a dataclass would be, and so not hashable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Valued)

    __hash__ = None  # type: ignore[assignment]


def test_the_application_is_closed_at_the_end_of_its_block() -> None:
    with memory_app(name="shop") as app:
        pass

    with pytest.raises(ApplicationClosedError, match="shop has been closed"):
        app.save()


def test_the_application_is_closed_when_its_block_raises() -> None:
    with pytest.raises(ZeroDivisionError), memory_app() as app:
        raise ZeroDivisionError

    with pytest.raises(ApplicationClosedError):
        app.save()


def test_to_close_twice_does_nothing() -> None:
    app = memory_app()

    app.close()
    app.close()


def test_to_close_inside_the_block_does_no_harm() -> None:
    with memory_app() as app:
        app.close()


def test_a_closed_application_cannot_be_entered_again() -> None:
    with memory_app(name="shop") as app:
        pass

    with pytest.raises(ApplicationClosedError, match="shop has been closed"), app:
        pass


@pytest.mark.parametrize(
    "use",
    [
        lambda app: app.repository["a"],
        lambda app: app.repository.get("a", Counter),
        lambda app: "a" in app.repository,
        lambda app: list(app.event_store.get_domain_events("a")),
        lambda app: app.save(),
    ],
)
@pytest.mark.parametrize("uri", ["sqlite:///:memory:", None])
def test_a_closed_application_says_so_whatever_is_asked_of_it(uri: str | None, use: Any) -> None:
    app = SimpleApplication(uri=uri) if uri else memory_app()
    app.close()

    with pytest.raises(ApplicationClosedError):
        use(app)


def test_a_subclass_has_commands_of_its_own() -> None:
    with Shop(uri="sqlite:///:memory:") as shop:
        counter = shop.count()

        assert shop.repository.get(counter.id, Counter).count == 1


def test_errors_call_an_application_by_its_class_unless_it_has_a_name() -> None:
    with Shop(uri="sqlite:///:memory:") as shop, memory_app(name="other") as other:
        assert (shop.name[:8], other.name) == ("Shop at ", "other")


def test_the_uri_comes_from_the_environment_if_it_is_not_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DB_URI", f"sqlite:///{tmp_path / 'env.db'}")

    with SimpleApplication():
        pass

    assert (tmp_path / "env.db").exists()


def test_two_places_to_store_are_one_too_many() -> None:
    with pytest.raises(ProgrammingError, match="give one of: uri, session, engine"):
        memory_app(uri="sqlite:///:memory:")


# -- what is stored -----------------------------------------------------------------------


def test_events_of_the_given_type_are_stored_and_no_others() -> None:
    with memory_app(persist_event_type=Counter.Event, name="counters") as app:
        counter = Counter.create()
        counter.save()

        lamp = Lamp.create()
        with pytest.raises(NoApplicationError, match="nobody would store the events of Lamp"):
            lamp.save()

        assert stored(app, counter, lamp) == ["Created"]
        assert len(lamp.pending_events) == 1


def test_several_types_may_be_given() -> None:
    with memory_app(persist_event_type=(Counter.Event, Lamp.Event)) as app:
        counter, lamp = Counter.create(), Lamp.create()
        app.save(counter, lamp)

        assert stored(app, counter, lamp) == ["Created", "Created"]


def test_with_no_type_at_all_nothing_is_stored() -> None:
    with memory_app(persist_event_type=()), pytest.raises(NoApplicationError):
        Counter.create().save()


@pytest.mark.parametrize("wrong", [[Counter.Event], Counter, "Event", (Counter.Event, 1)])
def test_the_type_to_store_must_be_event_classes(wrong: Any) -> None:
    with pytest.raises(ProgrammingError, match="persist_event_type= takes an event class, or"):
        memory_app(persist_event_type=wrong)


def test_an_event_that_the_application_of_its_aggregate_does_not_store_is_refused() -> None:
    with memory_app(persist_event_type=(Counter.Created, Lamp.Event), name="some") as app:
        counter = Counter.create()
        counter.save()
        counter.increase()

        with pytest.raises(NoApplicationError, match=r"some, to which .* \(Counter.Increased\)"):
            counter.save()
        with pytest.raises(NoApplicationError, match="some does not store all events of Counter"):
            app.save(counter)

        assert (stored(app, counter), len(counter.pending_events)) == (["Created"], 1)


def test_a_save_without_any_application_is_refused_and_keeps_the_events() -> None:
    counter = Counter.create()

    with pytest.raises(NoApplicationError, match="no application that stores such events is op"):
        counter.save()

    assert len(counter.pending_events) == 1
    with memory_app() as app:
        counter.save()
        assert stored(app, counter) == ["Created"]


def test_a_versioned_entity_is_stored_at_once() -> None:
    with memory_app() as app:
        entity: Any = VersionedEntity.create()
        entity.change_attribute("a", 1)

        assert stored(app, entity) == ["Created", "AttributeChanged"]
        assert app.repository[entity.id].a == 1


def test_an_entity_without_versions_is_not_stored() -> None:
    with memory_app() as app:
        entity: Any = DomainEntity.create()

        assert stored(app, entity) == []


class Rung(EventWithOriginatorVersion):
    originator_id: str


def test_a_published_event_is_stored_if_it_has_a_position() -> None:
    rung = Rung(originator_id="bell", originator_version=0)
    with memory_app() as app:
        publish([DomainEvent(a=1), rung])

        assert list(app.event_store.get_domain_events("bell")) == [rung]


def test_a_published_event_whose_position_is_taken_is_told_to_nobody() -> None:
    seen: list[DomainEvent] = []
    with memory_app():
        publish(Rung(originator_id="bell", originator_version=0))
        subscribe(seen.append)

        with pytest.raises(ConcurrencyError):
            publish([DomainEvent(a=1), Rung(originator_id="bell", originator_version=0)])

        unsubscribe(seen.append)
    assert seen == []


# -- save ---------------------------------------------------------------------------------


def test_an_aggregate_that_is_given_twice_is_saved_once() -> None:
    with memory_app() as app:
        one, other = Counter.create(), Counter.create()
        one.increase()

        app.save(one, other, one)

        assert stored(app, one, other) == ["Created", "Increased", "Created"]


def test_aggregates_that_are_equal_by_value_are_all_saved() -> None:
    with memory_app() as app:
        one, other = Valued.create(), Valued.create()

        app.save(one, other)

        assert stored(app, one, other) == ["Created", "Created"]


def test_two_objects_of_one_aggregate_cannot_be_saved_together() -> None:
    with memory_app() as app:
        counter = Counter.create()
        counter.save()
        one, other = app.repository[counter.id], app.repository[counter.id]
        one.increase()
        other.increase()

        with pytest.raises(ProgrammingError, match=r"position 1 of the stream UUID.* after 1"):
            app.save(one, other)

        assert stored(app, counter) == ["Created"]


@pytest.mark.parametrize("wrong", [None, 5, [Counter], VersionedEntity, Counter], ids=str)
def test_save_takes_aggregates(wrong: Any) -> None:
    with memory_app() as app, pytest.raises(ProgrammingError, match=r"save\(\) takes aggregates,"):
        app.save(wrong)


def test_an_aggregate_of_another_application_is_refused_and_nothing_is_stored() -> None:
    with memory_app("first") as first:
        of_first = Counter.create()
        with memory_app("second") as second:
            of_second = Counter.create()

            with pytest.raises(
                WrongApplicationError, match=r"Counter UUID\(.*\) belongs to first, not to second"
            ):
                second.save(of_second, of_first)

            assert stored(second, of_second) == stored(first, of_first) == []


def test_a_missing_aggregate_is_a_key_error_that_reads_well() -> None:
    with memory_app() as app, pytest.raises(KeyError) as caught:
        app.repository["lost"]

    assert str(caught.value) == "no aggregate with id 'lost' (never saved, or discarded)"
    assert isinstance(caught.value, RepositoryKeyError)
    assert caught.value.originator_id == "lost"


# -- subscribers --------------------------------------------------------------------------


def test_a_subscriber_that_fails_cannot_unstore_nor_keep_pending() -> None:
    def fail(event: DomainEvent) -> None:
        raise ValueError

    subscribe(fail)
    with memory_app() as app:
        counter = Counter.create()

        with pytest.raises(SubscriberError, match="what is to be stored is stored"):
            counter.save()

        assert (stored(app, counter), counter.pending_events) == (["Created"], ())
    unsubscribe(fail)


def test_a_subscriber_may_save_another_aggregate_in_turn() -> None:
    lamp = Lamp.create()

    def switch(event: Counter.Event) -> None:
        lamp.switch()
        lamp.save()

    with memory_app() as app:
        subscribe(switch, lambda event: isinstance(event, Counter.Event))
        Counter.create().save()
        unsubscribe(switch)

        assert stored(app, lamp) == ["Created", "Switched"]


def test_a_subscriber_may_go_on_with_the_aggregate_that_is_being_saved() -> None:
    counters: list[Counter] = []

    def increase(event: Counter.Event) -> None:
        (counter,) = counters
        if counter.version < 4:
            counter.increase()
            counter.save()

    with memory_app() as app:
        counters.append(counter := Counter.create())
        subscribe(increase)
        counter.save()
        unsubscribe(increase)

        assert stored(app, counter) == ["Created", "Increased", "Increased", "Increased"]


# -- reading ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gt", "gte", "lt", "lte", "limit"])
@pytest.mark.parametrize("wrong", ["1", 1.0, True, Decimal(1)], ids=repr)
def test_a_bound_must_be_an_int(name: str, wrong: Any) -> None:
    with memory_app() as app, pytest.raises(ProgrammingError, match=f"^{name} must be an int, not"):
        app.event_store.get_domain_events("a", **{name: wrong})


def test_a_limit_cannot_be_negative() -> None:
    with memory_app() as app, pytest.raises(ProgrammingError, match="limit cannot be negative"):
        app.event_store.get_domain_events("a", limit=-1)


def test_bounds_choose_events_by_their_version() -> None:
    with memory_app() as app:
        counter = Counter.create()
        for _ in range(5):
            counter.increase()
        counter.save()

        def versions(**bounds: Any) -> list[int]:
            found: Any = app.event_store.get_domain_events(counter.id, **bounds)
            return [event.originator_version for event in found]

        assert versions(gt=1, lte=4) == [2, 3, 4]
        assert versions(gte=1, lt=4, is_ascending=False) == [3, 2, 1]
        assert versions(limit=2, is_ascending=False) == [5, 4]
        assert versions(gt=3, lt=3) == versions(limit=0) == []
