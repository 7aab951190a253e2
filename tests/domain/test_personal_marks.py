"""Where the marks of personal data may stand, and what is refused."""

import dataclasses
from collections.abc import Callable
from types import new_class
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
)

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import attribute, event
from eventsourcing.domain.model.events import EventWithOriginatorID, schema_of
from eventsourcing.domain.model.personal import Personal, personal
from eventsourcing.exceptions import EventFieldError, ProgrammingError

MARK = personal("x")


@dataclasses.dataclass
class Plain:
    street: str


@dataclasses.dataclass
class MarkedInside:
    street: Annotated[str, MARK]


class DictInside(TypedDict):
    street: NotRequired[Annotated[str, MARK]]


class TupleInside(NamedTuple):
    streets: list[Annotated[str, MARK]]


@dataclasses.dataclass
class Around:
    next: Optional["Around"]
    inner: "MarkedInside | None"

    def __post_init__(self) -> None:
        """Such a class may have annotations that cannot be resolved."""


MARKED: Any = Annotated[str, MARK]
Alias: Any = type.__call__(NewType, "Alias", MARKED)


def event_class(annotations: dict[str, Any]) -> Any:
    """Return an event class with these annotations, as they are."""
    body = {"__annotations__": annotations, "__module__": __name__}
    return new_class("Marked", (EventWithOriginatorID,), exec_body=lambda b: b.update(body))


MISPLACED: dict[str, Any] = {
    "optional": MARKED | None,
    "old optional": Optional[Annotated[str, MARK]],  # noqa: UP045
    "items": list[Annotated[str, MARK]],
    "deep": dict[str, tuple[int, Annotated[str, MARK]]],
    "parameters": Callable[[Annotated[str, MARK]], None],
    "final": Final[Annotated[str, MARK]],
    "alias": Alias,
    "alias beside a note": Annotated[Alias, "a note"],
    "not called": Annotated[str, personal],
    "its class": Annotated[str, Personal],
    "not called inside": list[Annotated[str, personal]],
    "dataclass": MarkedInside,
    "dataclasses": list[MarkedInside],
    "dataclass around": Around,
    "typed dict": DictInside,
    "named tuple": TupleInside,
    "within what is marked": Annotated[MarkedInside, personal(MarkedInside("x"))],
}


@pytest.mark.parametrize("annotation", MISPLACED.values(), ids=MISPLACED)
def test_a_mark_that_would_mark_nothing_is_refused_when_the_class_is_defined(
    annotation: Any,
) -> None:
    with pytest.raises(ProgrammingError, match=r"'name'.* outermost"):
        event_class({"name": annotation})

    def __init__(self: Any, name: Any, **kwargs: Any) -> None: ...

    __init__.__annotations__["name"] = annotation
    with pytest.raises(ProgrammingError, match=r"__init__: .*'name'.* outermost"):
        new_class("Misplaced", (AggregateRoot,), exec_body=lambda b: b.update(__init__=__init__))


@pytest.mark.parametrize(
    "text", ["Annotated[str, MARK] | None", "list['Annotated[str, MARK]']", "Around"]
)
def test_of_annotations_as_strings_it_is_refused_before_there_is_an_event(text: str) -> None:
    cls = event_class({"name": text})

    with pytest.raises(ProgrammingError, match=r"'name'.* outermost"):
        cls(name="Ann")


def test_a_mark_on_what_is_no_field_is_refused() -> None:
    class Misplaced(AggregateRoot):
        def __init__(self, **kwargs: Annotated[Any, MARK]) -> None:
            super().__init__(**kwargs)

    with pytest.raises(ProgrammingError, match="'kwargs' stands on what is no field"):
        Misplaced.create()


@pytest.mark.parametrize(
    ("annotation", "marked"),
    [
        (Annotated[str | None, MARK], {"name"}),
        (Annotated[str, "a note", MARK], {"name"}),
        (Annotated[Annotated[str, "a note"], MARK], {"name"}),
        ("Annotated[Plain, personal(Plain('x'))]", {"name"}),
        (list[Annotated[str, "a note"]], set()),
        (Literal["personal"], set()),
    ],
    ids=str,
)
def test_control_a_mark_in_its_place_is_taken(annotation: Any, marked: set[str]) -> None:
    cls = event_class({"name": annotation})
    assert set(schema_of(cls).personal) == marked


# -- attributes that are set by name


class Person(AggregateRoot, topic="marks-person"):
    """Its attributes ``name`` and ``street`` are personal data, for its events say so."""

    def __init__(self, name: Annotated[str, MARK] = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.visits = 0

    class Moved(AggregateRoot.Event):
        street: Annotated[str, MARK]

        def mutate(self, obj: Any) -> None:
            obj.street = self.street

    @attribute
    def street(self) -> str:
        """Is set by its name."""
        return ""


class Child(Person, topic="marks-child"):
    pass


class Parent(AggregateRoot, topic="marks-parent"):
    """Its own events have no personal data; those of a class derived from it have."""


class Heir(Parent, topic="marks-heir"):
    @event("Named")
    def rename(self, name: Annotated[str, MARK]) -> None:
        self.name = name


class Sealing(Person, topic="marks-sealing"):
    """What its attributes are set to is personal data."""

    class AttributeChanged(AggregateRoot.AttributeChanged):
        value: Annotated[Any, personal(None)]


@pytest.mark.parametrize("cls", [Person, Child])
@pytest.mark.parametrize("name", ["name", "street"])
def test_personal_data_is_not_set_by_an_event_that_has_no_mark(cls: Any, name: str) -> None:
    person = cls.create()
    with pytest.raises(ProgrammingError, match=f"'{name}' of .* write an event with a marked"):
        person.change_attribute(name, "Ann")
    with pytest.raises(ProgrammingError, match="'street' of"):
        person.street = "Main Street"
    assert (person.version, person.name, person.street) == (1, "", "")


def test_control_other_attributes_are() -> None:
    person, plain, sealing = Person.create(), AggregateRoot.create(), Sealing.create()
    person.change_attribute("visits", 1)
    plain.change_attribute("name", "a name of nobody")
    sealing.change_attribute("name", "Ann")
    assert (person.visits, vars(plain)["name"], sealing.name) == (1, "a name of nobody", "Ann")


def test_what_is_no_name_is_refused_as_ever() -> None:
    for entity in (Person.create(), AggregateRoot.create()):
        with pytest.raises(EventFieldError, match="'name' takes str"):
            entity.change_attribute([], 1)  # type: ignore[arg-type]


def test_what_is_personal_in_a_derived_class_may_be_set_in_its_base() -> None:
    parent = Parent.create()
    parent.change_attribute("name", "a name of nobody")
    with pytest.raises(ProgrammingError, match="'name' of Heir"):
        Heir.create().change_attribute("name", "Ann")


def test_an_event_class_that_is_defined_later_counts_too() -> None:
    class Late(AggregateRoot):
        pass

    late = Late.create()
    late.change_attribute("name", "a name of nobody")

    class Named(Late.Event):
        name: Annotated[str, MARK]

    with pytest.raises(ProgrammingError, match=r"'name' of .*Late"):
        late.change_attribute("name", "Ann")


def test_an_event_class_that_cannot_be_used_yet_keeps_no_attribute_from_being_set() -> None:
    class Odd(AggregateRoot):
        class Moved(AggregateRoot.Event):
            street: "Annotated[Later, MARK]"  # type: ignore[name-defined]  # noqa: F821

    odd = Odd.create()
    odd.change_attribute("street", "a street of nobody")
    globals()["Later"] = str
    try:
        with pytest.raises(ProgrammingError, match=r"'street' of .*Odd"):
            odd.change_attribute("street", "Main Street")
    finally:
        del globals()["Later"]


def test_a_subclass_does_not_lose_a_mark() -> None:
    class Named(AggregateRoot.Event):
        name: Annotated[str, personal("(erased)")]

    class Renamed(Named):
        name: Annotated[str, personal("(gone)")]

    class Leaked(Named):
        name: str

    assert schema_of(Renamed).personal["name"].fallback == "(gone)"
    with pytest.raises(ProgrammingError, match="'name' is personal data in a base"):
        schema_of(Leaked)
