"""Values of classes that were given fields since they were stored."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from eventsourcing.exceptions import DecodeError
from eventsourcing.utils.statecodec import StateCodec
from tests.utils.strategies import Address, Point


@dataclass
class Basket:
    owner: str
    items: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    owner: str
    note: str = ""


@dataclass
class Counted:
    """Has no natural form, because of its ``__post_init__``."""

    owner: str
    count: int = 0

    def __post_init__(self) -> None:
        self.count += 1


@dataclass(eq=False)
class Notes:
    """Can change, and be a default all the same, since it can be hashed."""

    texts: list[str] = field(default_factory=list)


@dataclass
class Annotated:
    owner: str
    notes: Notes = Notes()  # noqa: RUF009


@dataclass
class Untyped:
    """Has no natural form."""

    owner: str
    notes: Any = Notes()  # noqa: RUF009


@dataclass
class Outer:
    inner: list[Annotated]

    @property
    def notes(self) -> Notes:
        return self.inner[0].notes


class Pair(NamedTuple):
    owner: str
    notes: Any = Notes()


def fail() -> str:
    raise KeyError("secret")


@dataclass
class Failing:
    owner: str
    note: str = field(default_factory=fail)


def without(name: str, data: Any) -> Any:
    """Returns JSON data without the members of this name, at any depth."""
    if isinstance(data, dict):
        return {key: without(name, value) for key, value in data.items() if key != name}
    return [without(name, item) for item in data] if isinstance(data, list) else data


@pytest.mark.parametrize("cls", [Address, Basket, Slotted, Counted])
@pytest.mark.parametrize("annotation", [lambda cls: cls, lambda cls: cls | None, lambda _: Any])
def test_a_field_that_was_added_since_has_its_default(cls: Any, annotation: Any) -> None:
    codec = StateCodec({"v": annotation(cls)})
    value = cls("ann")
    text = codec.encode({"v": value})
    added = dataclasses.fields(cls)[-1].name

    older = json.dumps(without(added, json.loads(text)), separators=(",", ":"))

    assert added in text
    assert added not in older
    expected = value if cls is not Counted else Counted("ann", -1)  # no __post_init__ ran
    assert codec.decode(older) == {"v": expected}


def test_so_has_one_of_a_named_tuple() -> None:
    codec = StateCodec({"v": Point})
    older = codec.encode({"v": Point(1)}).replace(',"y":null', "")
    assert "y" not in json.dumps(json.loads(older)["v"]["$namedtuple"][1])
    assert codec.decode(older) == {"v": Point(1)}


def test_a_default_that_is_made_is_made_for_each() -> None:
    codec = StateCodec({"v": list[Basket]})
    first, second = codec.decode('{"v":[{"owner":"ann"},{"owner":"bob"}]}')["v"]
    first.items.append("apple")
    assert second == Basket("bob")


@pytest.mark.parametrize(
    ("state", "field", "said"),
    [
        ('{"v":[{"city":"Rome"}]}', "v[0]", "street"),
        ('{"v":[{"street":"s"},{"street":"s","zip":1}]}', "v[1]", "zip"),
    ],
)
def test_a_field_without_a_default_or_that_is_unknown_is_named(
    state: str, field: str, said: str
) -> None:
    with pytest.raises(DecodeError, match=said) as caught:
        StateCodec({"v": list[Address]}).decode(state)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "value", [Annotated("ann"), Outer([Annotated("ann")]), Untyped("ann"), Pair("ann")]
)
def test_a_default_that_can_change_is_not_shared_between_readers(value: Any) -> None:
    codec = StateCodec({"v": type(value)})
    text = codec.encode({"v": value})
    older = json.dumps(without("notes", json.loads(text)), separators=(",", ":"))

    first, second = codec.decode(older)["v"], codec.decode(older)["v"]
    first.notes.texts.append("changed")

    assert (second.notes.texts, value.notes.texts) == ([], [])
    assert codec.encode(codec.decode(text)) == text


@pytest.mark.parametrize("annotation", [Failing, Any])
def test_a_default_that_cannot_be_made_is_named(annotation: Any) -> None:
    codec = StateCodec({"v": list[annotation]})
    state = json.loads(codec.encode({"v": [Failing("ann", "")]}))
    older = json.dumps(without("note", state), separators=(",", ":"))

    with pytest.raises(DecodeError, match=r"the default of note cannot be made \(KeyError\)") as e:
        codec.decode(older)

    assert e.value.field == "v[0].note"


@pytest.mark.parametrize("text", ['{"a":1}', '{ "a": 1 }'])
def test_nor_can_the_default_of_a_field_of_the_event(text: str) -> None:
    codec = StateCodec({"a": int, "note": str}, defaults={"note": fail})

    with pytest.raises(DecodeError, match=r"the default of note cannot be made") as caught:
        codec.decode(text)

    assert caught.value.field == "note"


class TimeLimit(Exception):
    """What a signal handler raises, wherever the program is."""


def test_what_comes_in_between_is_not_taken_for_a_default_that_cannot_be_made() -> None:
    interrupts = [TimeLimit]

    def note() -> str:
        if interrupts:
            raise interrupts.pop()
        return "made"

    late = dataclasses.make_dataclass(
        "Late", [("owner", str), ("note", str, field(default_factory=note))]
    )
    codec = StateCodec({"v": late})

    with pytest.raises(TimeLimit):
        codec.decode('{"v":{"owner":"Ann"}}')
    assert codec.decode('{"v":{"owner":"Ann"}}')["v"].note == "made"
