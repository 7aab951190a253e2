"""The event classes of entity classes: made where they are not written, and named by topics."""

import copy
import pickle
from decimal import Decimal
from typing import Any

import pytest

from eventsourcing.domain.model import events
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.domainentity import entity_classes
from eventsourcing.domain.model.entity import (
    DomainEntity,
    TimestampedEntity,
    TimestampedVersionedEntity,
    VersionedEntity,
)
from eventsourcing.domain.model.events import event_classes
from eventsourcing.exceptions import EventFieldError, ProgrammingError, TopicResolutionError
from eventsourcing.utils.topic import get_topic

STANDARD = ["Event", "Created", "AttributeChanged", "Discarded"]
LIBRARY = [
    DomainEntity,
    VersionedEntity,
    TimestampedEntity,
    TimestampedVersionedEntity,
    AggregateRoot,
]


class Account(AggregateRoot):
    def __init__(self, owner: str, limit: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner
        self.limit = limit

    class Closed(AggregateRoot.Event):
        reason: str


class Savings(Account):
    def __init__(self, rate: Decimal, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate


class Current(Account):
    pass


class Fixed(Account):
    def __init__(self) -> None:
        super().__init__(owner="the bank")


class Explicit(AggregateRoot):
    class Event(AggregateRoot.Event):
        source: str = "here"

    class Created(Event, AggregateRoot.Created):
        title: str

        def mutate(self, obj: Any, /) -> Any:
            obj = super().mutate(obj)
            obj.title = self.title
            return obj


class Stable(AggregateRoot, topic="shop/stable"):
    class Renamed(AggregateRoot.Event):
        name: str

    class Moved(AggregateRoot.Event, topic="moved-by-its-own-name"):
        to: str


class Derived(Stable):
    pass


@pytest.mark.parametrize("name", STANDARD)
@pytest.mark.parametrize("cls", [Account, Savings, Current, Explicit, Stable])
def test_each_class_has_standard_events_of_its_own(cls: type[AggregateRoot], name: str) -> None:
    nested = vars(cls)[name]

    assert nested.__name__ == name
    assert nested.__qualname__ == f"{cls.__qualname__}.{name}"
    assert nested.__module__ == __name__


@pytest.mark.parametrize("name", STANDARD)
def test_the_standard_events_are_derived_from_those_of_the_base(name: str) -> None:
    of_savings = getattr(Savings, name)

    assert issubclass(of_savings, getattr(Account, name))
    assert issubclass(of_savings, getattr(AggregateRoot, name))
    assert issubclass(of_savings, Savings.Event)
    assert not issubclass(of_savings, Current.Event)


@pytest.mark.parametrize("cls", LIBRARY)
def test_the_events_of_an_entity_are_events_of_the_general_kinds(cls: type[DomainEntity]) -> None:
    assert issubclass(cls.Created, events.Created)
    assert issubclass(cls.AttributeChanged, events.AttributeChanged)
    assert issubclass(cls.Discarded, events.Discarded)
    assert issubclass(cls.Event, events.EventWithOriginatorID)


@pytest.mark.parametrize(
    ("cls", "is_versioned", "is_timestamped"),
    [
        (DomainEntity, False, False),
        (VersionedEntity, True, False),
        (TimestampedEntity, False, True),
        (TimestampedVersionedEntity, True, True),
    ],
)
def test_the_events_carry_what_the_entity_keeps(
    cls: type[DomainEntity], is_versioned: bool, is_timestamped: bool
) -> None:
    assert issubclass(cls.Event, events.EventWithOriginatorVersion) is is_versioned
    assert issubclass(cls.Event, events.EventWithTimestamp) is is_timestamped


def test_the_fields_of_created_are_the_parameters_of_the_constructors() -> None:
    savings = Savings.create(owner="Ann", rate=Decimal("0.02"))

    assert (savings.owner, savings.limit, savings.rate) == ("Ann", 0, Decimal("0.02"))
    (created,) = savings.pending_events
    assert type(created) is Savings.Created
    assert vars(created).items() >= {"owner": "Ann", "limit": 0, "rate": Decimal("0.02")}.items()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": Decimal(1)}, "missing field 'owner'"),
        ({"owner": "A", "rate": 1}, "field 'rate' takes Decimal, not int"),
        ({"owner": "A", "rate": Decimal(1), "x": 1}, "unknown field 'x'"),
    ],
)
def test_create_names_what_does_not_fit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EventFieldError, match=f"^Savings.Created: {message}"):
        Savings.create(**values)


def test_a_constructor_without_keywords_hides_those_of_its_bases() -> None:
    assert Fixed.create().owner == "the bank"
    with pytest.raises(EventFieldError, match=r"Fixed.Created: unknown field 'owner'"):
        Fixed.create(owner="Ann")


@pytest.mark.parametrize("name", ["originator_id", "originator_version", "originator_topic"])
def test_create_does_not_take_what_the_entity_fills_itself(name: str) -> None:
    with pytest.raises(EventFieldError, match=f"Current.Created: field '{name}' is filled by"):
        Current.create(owner="Ann", **{name: None})


def test_a_constructor_cannot_take_the_id_that_create_takes() -> None:
    with pytest.raises(ProgrammingError, match="'id'"):

        class Bad(AggregateRoot):
            def __init__(self, id: int, **kwargs: Any) -> None:
                super().__init__(**kwargs)


def test_an_entity_is_made_with_create_and_not_with_its_constructor() -> None:
    with pytest.raises(ProgrammingError, match=r"make it with Account.create\(...\), not with"):
        Account(owner="Ann")


def test_an_explicit_created_event_has_its_own_fields_and_mutate() -> None:
    explicit = Explicit.create(title="T", source="there")

    assert (explicit.title, explicit.version) == ("T", 1)  # type: ignore[attr-defined]


def test_a_field_of_the_explicit_event_class_is_a_field_of_all_events() -> None:
    explicit = Explicit.create(title="T")

    explicit.discard()

    assert explicit.pending_events[-1].source == "here"  # type: ignore[attr-defined]


def test_the_topic_is_module_and_qualified_name() -> None:
    assert get_topic(Account.Created) == f"{__name__}#Account.Created"
    assert event_classes.resolve(f"{__name__}#Account.Created") is Account.Created
    assert entity_classes.resolve(f"{__name__}#Account") is Account


def test_a_stable_topic_names_the_class_and_its_nested_events() -> None:
    assert get_topic(Stable) == "shop/stable"
    assert get_topic(Stable.Created) == "shop/stable.Created"
    assert event_classes.resolve("shop/stable.Renamed") is Stable.Renamed
    assert event_classes.resolve("moved-by-its-own-name") is Stable.Moved


def test_a_subclass_does_not_inherit_the_stable_topic() -> None:
    assert get_topic(Derived) == f"{__name__}#Derived"
    assert get_topic(Derived.Created) == f"{__name__}#Derived.Created"


def test_the_registry_of_events_has_no_entities_and_the_other_way_round() -> None:
    with pytest.raises(TopicResolutionError, match="no domain event class with topic"):
        event_classes.resolve(get_topic(Account))
    with pytest.raises(TopicResolutionError, match="no entity class with topic"):
        entity_classes.resolve(get_topic(Account.Created))


@pytest.mark.parametrize("name", STANDARD)
def test_a_made_event_class_is_pickled_by_its_name(name: str) -> None:
    assert pickle.loads(pickle.dumps(getattr(Savings, name))) is getattr(Savings, name)


def test_an_event_of_a_made_class_is_pickled_and_copied() -> None:
    (created,) = Current.create(owner="Ann").pending_events

    assert pickle.loads(pickle.dumps(created)) == created
    assert copy.deepcopy(created) == created


def test_a_class_that_is_defined_again_does_not_disturb_the_earlier_one() -> None:
    def define(answer: int) -> type[AggregateRoot]:
        class Oracle(AggregateRoot):
            def tell(self) -> int:
                return answer

        return Oracle

    earlier, later = define(1), define(2)

    assert type(earlier.create()) is earlier
    assert type(later.create()) is later
