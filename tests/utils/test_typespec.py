"""What annotations mean."""

import datetime as dt
import enum
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict, TypeVar
from uuid import UUID, uuid4

import msgspec
import pytest
from dateutil import tz
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing.exceptions import DecodeError
from eventsourcing.utils.typespec import compile_type
from tests.utils.strategies import (
    Address,
    Checked,
    Colour,
    Line,
    Money,
    Point,
    Rights,
    annotations,
    identical,
)

T = TypeVar("T")
NO_HASH = dt.datetime(2026, 1, 1, tzinfo=tz.tzoffset(None, 86400))  # raises ValueError
Sku = NewType("Sku", str)


class Closeable(Protocol):
    def close(self) -> None: ...


class Movie(TypedDict):
    title: str


@dataclass
class Node:
    children: "list[Node]"


def by_annotation(value: Any) -> str | None:
    """Names a case by its annotation: values differ from process to process, and this must not."""
    return None if isinstance(value, list | str | bool) else str(value)


@pytest.mark.parametrize(
    ("annotation", "accepted", "refused"),
    [
        (str, ["a"], [1, b"a", None]),
        (int, [1, True, 2**70], [1.0, "1", None]),
        (float, [1.0, 1, True], ["1", None, Decimal(1)]),
        (complex, [1j, 1.0, 1], ["1"]),
        (bool, [True], [1]),
        (bytes, [b""], [bytearray(), ""]),
        (None, [None], [0]),
        (dt.date, [dt.date.min, dt.datetime.min], ["2026-01-01"]),
        (UUID, [uuid4()], [str(uuid4())]),
        (Any, [None, object()], []),
        (object, [None, object()], []),
        (Optional[int], [None, 1], ["a"]),  # noqa: UP045
        (int | str, [1, "a"], [None, 1.5]),
        (Literal["a", 1], ["a", 1], ["b", True, 1.0, [], NO_HASH]),
        (Sku, ["a"], [1]),
        (Annotated[int, {"not": "hashable"}], [1], ["a"]),
        (list[Annotated[int, {}]], [[1]], [["a"]]),
        (list, [[], ["a", 1]], [()]),
        (list[int], [[], [1, 2]], [["a"], (1,), None]),
        (typing.List, [[1]], [()]),  # noqa: UP006
        (typing.List[int], [[1]], [["a"]]),  # noqa: UP006
        (set[int], [{1}], [{"a"}, frozenset()]),
        (frozenset[int], [frozenset({1})], [{1}]),
        (tuple, [(), (1, "a")], [[]]),
        (tuple[()], [()], [(1,)]),
        (tuple[int, ...], [(), (1, 2)], [("a",), [1]]),
        (tuple[int, str], [(1, "a")], [(1,), (1, 2), ("a", 1), (1, "a", 2)]),
        (dict[str, int], [{}, {"a": 1}], [{1: 1}, {"a": "b"}, []]),
        (Mapping[str, int], [{"a": 1}], [{"a": "b"}]),
        (Sequence[int], [[1], (1,)], [["a"], {1}]),
        (Iterable[int], [[1], {1}, iter("a")], [1, ["a"]]),
        (type[int], [int, str], [1]),
        (Callable[[int], str], [len, None], []),
        (Callable, [len, None], []),
        (T, [1, "a"], []),
        (Closeable, [1], []),
        (Movie, [{}], [[]]),
        (Colour, [Colour.RED], ["red"]),
        (Money, [Money(Decimal(1))], [1]),
        (Point, [Point(1, 2)], [(1, 2)]),
        (list[Money], [[Money(Decimal(1))]], [[1]]),
        (Node, [Node([])], [[]]),
    ],
    ids=by_annotation,
)
def test_check_accepts_what_a_type_checker_does(
    annotation: Any, accepted: list[Any], refused: list[Any]
) -> None:
    check = compile_type(annotation).check
    assert [value for value in accepted if not check(value)] == []
    assert [value for value in refused if check(value)] == []


@given(annotations(), st.data())
def test_exact_values_come_back_through_msgspec(pair: Any, data: Any) -> None:
    annotation, values = pair
    spec = compile_type(annotation)
    value = data.draw(values)
    assert spec.check(value)
    if spec.exact is None or spec.read is None or not spec.exact(value):
        return
    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:  # lone surrogates are left to the caller
        return
    assert identical(msgspec.json.decode(text, type=spec.wire), value)
    assert identical(spec.read(msgspec.json.decode(text)), value)


OFFSET = dt.timezone(dt.timedelta(hours=-5))


@pytest.mark.parametrize(
    ("annotation", "exact", "not_exact"),
    [
        (int, [0, 2**63 - 1, -(2**63)], [True, 2**63, -(2**63) - 1]),
        (float, [0.5, -0.0, 1e300], [1, True, float("nan"), float("inf")]),
        (str, ["a", "\0"], [Sku]),
        (
            dt.datetime,
            [dt.datetime.min, dt.datetime.max, dt.datetime(2026, 1, 1, tzinfo=OFFSET)],
            [
                dt.datetime(2026, 1, 1, fold=1),
                dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(0), "UTC")),
                dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=1))),
            ],
        ),
        (dt.date, [dt.date.min], [dt.datetime.min]),
        (Optional[int], [None, 1], [True, 2**64]),  # noqa: UP045
        (list[int], [[1]], [[True], [2**64]]),
        (tuple[int, ...], [(), (1,)], [Point(1, 2)]),
        (dict[str, int], [{"$a": 1}], [{"a": True}]),
        (Money, [Money(Decimal(1))], [Money(1)]),  # type: ignore[arg-type]
    ],
    ids=by_annotation,
)
def test_exact_is_stricter_than_check(
    annotation: Any, exact: list[Any], not_exact: list[Any]
) -> None:
    test = compile_type(annotation).exact
    assert test is not None
    assert [value for value in exact if not test(value)] == []
    assert [value for value in not_exact if test(value)] == []


class OddMissing(enum.Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value: object) -> "OddMissing":
        return cls.A


class Wide(enum.IntEnum):
    BIG = 2**64


class Lone(enum.Enum):
    HIGH = "\ud800"


@dataclass
class WithInitVar:
    a: int
    b: InitVar[int] = 0


@dataclass
class WithoutInit:
    a: int = field(init=False, default=1)


@dataclass
class WithProperty:
    a: int

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value + 1)


@dataclass
class WithAny:
    a: Any


@pytest.mark.parametrize(
    "annotation",
    [
        Any,
        int | str,
        Optional[int | str],  # noqa: UP045
        list[Any],
        list,
        set[int],
        dict[int, str],
        dict[Sku, Any],
        tuple[int, Any],
        Sequence[int],
        Literal["a", 1],
        Literal[True],
        Literal["\ud800"],
        Rights,
        OddMissing,
        Wide,
        Lone,
        Point,
        Checked,
        Node,
        WithInitVar,
        WithoutInit,
        WithProperty,
        WithAny,
        complex,
    ],
    ids=by_annotation,
)
def test_what_json_alone_would_lose_has_no_natural_form(annotation: Any) -> None:
    spec = compile_type(annotation)
    assert (spec.wire, spec.exact, spec.read) == (None, None, None)


@pytest.mark.parametrize(
    ("annotation", "data", "field"),
    [
        (int, "1", ""),
        (str, 1, ""),
        (list[int], {}, ""),
        (list[int], [1, "a"], "[1]"),
        (tuple[int, int], [1], ""),
        (tuple[int, str], [1, 2], "[1]"),
        (dict[str, int], [], ""),
        (dict[str, int], {"a": 1, "b": None}, "[key 1]"),
        (Line, [], ""),
        (Line, {"sku": "a"}, ""),
        (Colour, "gold", ""),
    ],
    ids=by_annotation,
)
def test_read_refuses_other_shapes(annotation: Any, data: Any, field: str) -> None:
    read = compile_type(annotation).read
    assert read is not None
    with pytest.raises(DecodeError) as caught:
        read(data)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("annotation", "immutable"),
    [
        (int, True),
        (Optional[Decimal], True),  # noqa: UP045
        (int | str, True),
        (tuple[int, ...], True),
        (tuple[int, str], True),
        (frozenset[str], True),
        (Colour, True),
        (Literal["a"], True),
        (list[int], False),
        (tuple[list[int], ...], False),
        (dict[str, int], False),
        (Address, False),  # frozen, but nobody checks what its fields hold
        (tuple[Address, ...], False),
        (Point, False),
        (Line, False),
        (Any, False),
        (Sequence[int], False),
    ],
    ids=by_annotation,
)
def test_immutable_is_meant_all_the_way_down(annotation: Any, immutable: bool) -> None:
    assert compile_type(annotation).immutable is immutable


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (list[int], "list[int]"),
        (int | None, "int | None"),
        (Literal["a"], "Literal['a']"),
        (Money, "Money"),
        (Callable[..., int], "Callable"),
    ],
)
def test_names_are_readable(annotation: Any, name: str) -> None:
    assert compile_type(annotation).name == name


def test_a_dataclass_whose_annotations_do_not_resolve_is_refused() -> None:
    @dataclass
    class Broken:
        a: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="Broken cannot be resolved"):
        compile_type(list[Broken])


def test_a_dataclass_that_has_no_natural_form_needs_no_annotations() -> None:
    @dataclass
    class Broken:
        a: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

        def __post_init__(self) -> None:
            pass

    spec = compile_type(Broken)
    assert spec.wire is None
    assert spec.check(Broken(1))


def test_a_dataclass_without_one_of_its_fields_is_not_exact() -> None:
    line = Line("a", 1, Money(Decimal(1)))
    exact = compile_type(Line).exact
    assert exact is not None
    assert exact(line)
    del line.quantity
    assert not exact(line)
