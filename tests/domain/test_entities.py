"""Entities and their attributes; those that are no aggregate roots publish each event at once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import attribute
from eventsourcing.domain.model.entity import (
    DomainEntity,
    TimestampedEntity,
    TimestampedVersionedEntity,
    VersionedEntity,
)
from eventsourcing.domain.model.events import DomainEvent, subscribe, unsubscribe
from eventsourcing.exceptions import InvalidOriginatorID, ProgrammingError

ENTITIES = [DomainEntity, VersionedEntity, TimestampedEntity, TimestampedVersionedEntity]


class Person(AggregateRoot):
    shoe_size = 40

    def __init__(self, nickname: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nickname = nickname

    @attribute
    def name(self) -> str:
        """The name; "anonymous" until it is set."""
        return "anonymous"

    @property
    def initial(self) -> str:
        return self.name[0]

    @property
    def age(self) -> int:
        return self._age

    @age.setter
    def age(self, value: int) -> None:
        self._age = value

    def greet(self) -> str:
        return f"Hello, {self.name}"


class Named(AggregateRoot):
    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    @attribute
    def name(self) -> str:
        return ""


@pytest.fixture
def published() -> Iterator[list[DomainEvent]]:
    seen: list[DomainEvent] = []
    subscribe(seen.append)
    yield seen
    unsubscribe(seen.append)


@pytest.mark.parametrize("cls", ENTITIES)
def test_an_entity_publishes_each_event_at_once(
    cls: type[DomainEntity], published: list[DomainEvent]
) -> None:
    entity = cls.create()
    entity.change_attribute("a", 1)
    entity.discard()

    assert [type(e) for e in published] == [cls.Created, cls.AttributeChanged, cls.Discarded]


def test_an_aggregate_root_publishes_nothing_until_it_is_saved(
    published: list[DomainEvent],
) -> None:
    person = Person.create()
    person.change_attribute("nickname", "A")

    assert published == []
    assert [type(e) for e in person.pending_events] == [Person.Created, Person.AttributeChanged]


def test_the_version_is_the_number_of_events() -> None:
    entity = VersionedEntity.create()
    assert entity.version == 1

    entity.change_attribute("a", 1)

    assert entity.version == 2


def test_the_first_event_has_version_0(published: list[DomainEvent]) -> None:
    VersionedEntity.create().change_attribute("a", 1)

    assert [vars(e)["originator_version"] for e in published] == [0, 1]


def test_a_timestamped_entity_knows_its_first_and_last_time() -> None:
    before = datetime.now(UTC)
    entity = TimestampedEntity.create()
    created_on = entity.created_on
    entity.change_attribute("a", 1)

    assert before <= created_on == entity.created_on <= entity.last_modified <= datetime.now(UTC)
    assert entity.last_modified.tzinfo is UTC


@pytest.mark.parametrize("cls", [TimestampedEntity, TimestampedVersionedEntity, AggregateRoot])
def test_the_time_of_an_event_may_be_given(cls: type[TimestampedEntity]) -> None:
    long_ago = datetime(1999, 12, 31, tzinfo=UTC)
    entity = cls.create(timestamp=long_ago)

    entity._trigger(entity.AttributeChanged, name="a", value=1, timestamp=long_ago)

    assert (entity.created_on, entity.last_modified) == (long_ago, long_ago)


def test_change_attribute_sets_it_by_an_event() -> None:
    person = Person.create()

    person.change_attribute(name="nickname", value="Annie")

    assert person.nickname == "Annie"
    changed: Any = person.pending_events[-1]
    assert (changed.name, changed.value) == ("nickname", "Annie")


def test_change_attribute_sets_new_attributes_and_defaults_of_the_class() -> None:
    person: Any = Person.create()

    person.change_attribute("hobby", "chess")
    person.change_attribute("shoe_size", 38)

    assert (person.hobby, person.shoe_size, Person.shoe_size) == ("chess", 38, 40)


def test_a_list_that_the_caller_and_the_entity_go_on_changing_does_not_change_the_event() -> None:
    person = Person.create()
    hobbies = ["chess"]

    person.change_attribute("hobbies", hobbies)
    hobbies.append("of the caller's")
    vars(person)["hobbies"].append("of the entity's")

    assert vars(person.pending_events[-1])["value"] == ["chess"]


def test_change_attribute_goes_through_a_setter() -> None:
    person = Person.create()

    person.change_attribute("age", 30)

    assert person.age == 30


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "version",
        "created_on",
        "last_modified",
        "pending_events",
        "initial",
        "_age",
        "_es_id",
        "__class__",
        "greet",
        "save",
        "create",
        "Event",
        "two words",
        "",
    ],
)
def test_change_attribute_refuses_what_is_no_attribute_to_change(name: str) -> None:
    person = Person.create()

    with pytest.raises(ProgrammingError, match=f"^'{name}' "):
        person.change_attribute(name, 1)

    assert (person.version, len(person.pending_events)) == (1, 1)


def test_an_attribute_has_the_value_of_its_body_until_it_is_set() -> None:
    assert Person.create().name == "anonymous"


def test_setting_an_attribute_triggers_an_event() -> None:
    person = Person.create()

    person.name = "Ann"

    assert (person.name, person.greet()) == ("Ann", "Hello, Ann")
    changed: Any = person.pending_events[-1]
    assert (type(changed), changed.name, changed.value) == (Person.AttributeChanged, "name", "Ann")


def test_a_constructor_sets_an_attribute_without_a_further_event() -> None:
    named = Named.create(name="Ann")

    assert (named.name, named.version) == ("Ann", 1)


def test_an_attribute_of_the_class_is_the_descriptor_with_its_docstring() -> None:
    assert Person.name.__doc__ == 'The name; "anonymous" until it is set.'


def test_the_repr_shows_class_id_and_attributes() -> None:
    person = Person.create(id="p1", nickname="A")
    person.name = "Ann"

    assert repr(person) == "Person(id='p1', nickname='A', name='Ann')"


def test_an_id_is_made_if_none_is_given() -> None:
    first, second = Person.create(), Person.create()

    assert isinstance(first.id, UUID)
    assert first.id != second.id


@pytest.mark.parametrize(
    "id",
    [
        UUID(int=0),
        "a",
        "ann@example.org",
        "ü 1",
        "x" * 255,
        "#5",
        "'",
        "123",
        0,
        -1,
        2**63 - 1,
        -(2**63),
        str(UUID(int=0)),
        "..",
        "a  b",
        "日本",
    ],
    ids=repr,
)
def test_uuids_strings_and_ints_are_ids(id: UUID | str | int) -> None:
    person = Person.create(id=id)

    assert (person.id, type(person.id)) == (id, type(id))


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "id",
    [
        True,
        b"a",
        1.0,
        (1,),
        "",
        " a",
        "a ",
        "a\n",
        "x" * 256,
        2**63,
        -(2**63) - 1,
        "a\x00b",
        chr(0xD800),
        "a\u200eb",
        Text("a"),
    ],
    ids=ascii,
)
def test_anything_else_is_no_id(id: Any) -> None:
    with pytest.raises(InvalidOriginatorID, match=r"^an? (string )?id (is|has)"):
        Person.create(id=id)
    with pytest.raises(ValueError, match="id"):
        Person.create(id=id)
