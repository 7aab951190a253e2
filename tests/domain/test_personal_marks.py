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
from eventsourcing.domain.model.events import EventWithOriginatorID, schema_of
from eventsourcing.domain.model.personal import Personal, personal
from eventsourcing.exceptions import ProgrammingError

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
