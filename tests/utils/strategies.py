"""Hypothesis strategies for what the library can store. Other suites use them too."""

import datetime as dt
import enum
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field, is_dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, NamedTuple, NewType, Union
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil import tz
from hypothesis import strategies as st

__all__ = [
    "Address",
    "Colour",
    "Line",
    "Money",
    "Point",
    "Rights",
    "Sku",
    "identical",
    "supported_values",
    "typed_fields",
]


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    ROUGE = "red"  # noqa: PIE796 - an alias


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Size(enum.StrEnum):
    S = "s"
    L = "l"


class Mixed(enum.Enum):
    """Has no bare form: msgspec wants all str or all int."""

    ONE = 1
    TWO = "two"
    PAIR = (1, 2)


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: Any = None


Pair = namedtuple("Pair", "left right")  # the old way must work too


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclass
class Line:
    sku: str
    quantity: int
    price: Money
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Address:
    street: str
    city: str | None = None


@dataclass
class Checked:
    """Has no bare form: msgspec would run its ``__post_init__``."""

    value: Any

    def __post_init__(self) -> None:
        self.value = [self.value]


Sku = NewType("Sku", str)


def identical(one: Any, other: Any) -> bool:
    """Whether two values have the same type, contents and repr, in and below each other.

    NaN is identical to NaN. The order of a set is not compared: it changes with the process.
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, set | frozenset):
        one, other = sorted(one, key=repr), sorted(other, key=repr)
    if isinstance(one, dict):
        one, other = list(one.items()), list(other.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    if is_dataclass(one):
        return identical(vars_of(one), vars_of(other))
    return repr(one) == repr(other)


def vars_of(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


# What JSON, tags and UTF-8 make something of. (An alphabet also spares hypothesis its tables of
# all Unicode, which take it a second.) Lone surrogates are texts as well; a high one before a low
# one has no JSON form.
ALPHABET = "aZ0 .,:;+-_/\\\"'$#[]{}\0\n\x7fé\u2028\ufffd\U0001f600"
texts = st.text(ALPHABET, max_size=8) | st.sampled_from(
    ["\ud800", "a\udfffb", "\udc00\ud800", "null", "2026-01-01", "NaN"]
)
integers = st.integers() | st.sampled_from(
    [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**4_000]
)
floats = st.floats() | st.sampled_from([-0.0, 1e16, 1e22, 5e-324, float("-inf"), float("nan")])
decimals = st.decimals() | st.sampled_from(
    [Decimal(text) for text in ("1E+3", "-0.00", "-0", "sNaN", "-sNaN12", "0E-27", "1E-999999")]
)
minutes = st.integers(-1439, 1439).map(lambda n: dt.timezone(dt.timedelta(minutes=n)))
offsets = st.builds(
    dt.timezone,
    st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)),
) | st.builds(
    dt.timezone,
    st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)),
    st.text(ALPHABET, max_size=3),
)
zone_infos = st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo")])
dateutils = st.sampled_from(
    [tz.tzutc(), tz.tzoffset("EST", -18000), tz.tzoffset(None, 90), tz.gettz("Europe/Berlin")]
)
zones = st.none() | st.just(dt.UTC) | minutes | offsets | zone_infos | dateutils
fold = st.sampled_from([0, 0, 1])
datetimes = st.builds(lambda d, z, f: d.replace(tzinfo=z, fold=f), st.datetimes(), zones, fold)
times = st.builds(lambda t, z, f: t.replace(tzinfo=z, fold=f), st.times(), zones, fold)

leaves: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    texts,
    decimals,
    datetimes,
    times,
    st.uuids(),
    st.dates(),
    st.timedeltas(),
    offsets,
    zone_infos,
    st.binary(max_size=8),
    st.binary(max_size=8).map(bytearray),
    st.complex_numbers(),
    st.fractions(),
    st.sampled_from([*Colour, *Level, *Size, *Mixed]),
    st.sampled_from([Rights(0), Rights.READ, Rights.READ | Rights.WRITE]),
)
# Tags of the format, as keys and as texts of a user.
taglike = st.sampled_from(["$", "$uuid", "$dict", "$x:money", "$$", "", "a", "ordinary"])
keys = st.one_of(
    texts, taglike, st.integers(), st.uuids(), st.none(), st.tuples(st.integers(), texts)
)


def supported_values(max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Any value that can be stored without an annotation, nested."""
    return st.recursive(leaves, _containers, max_leaves=max_leaves)


def _containers(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(values, max_size=3)
    return st.one_of(
        lists,
        lists.map(tuple),
        st.dictionaries(texts | taglike, values, max_size=3),
        st.dictionaries(keys, values, max_size=3),
        st.sets(keys, max_size=3),
        st.frozensets(keys, max_size=3),
        st.builds(Point, st.integers(), values),
        st.builds(Pair, values, values),
        st.builds(Money, st.decimals(), texts),
        st.builds(Checked, values),
    )


monies = st.builds(Money, decimals, texts)
lines = st.builds(Line, texts, integers, monies, st.lists(texts, max_size=2))

# annotation -> values that it accepts: the exact ones, and others that a type checker allows.
typed: dict[Any, st.SearchStrategy[Any]] = {
    str: texts | st.sampled_from([*Size]),
    Sku: texts,
    int: integers | st.booleans() | st.sampled_from([*Level]),
    float: floats | st.integers(-5, 5) | st.booleans(),
    bool: st.booleans(),
    None: st.none(),
    bytes: st.binary(max_size=8),
    UUID: st.uuids(),
    Decimal: decimals,
    dt.datetime: datetimes,
    dt.date: st.dates() | datetimes,
    dt.time: times,
    dt.timedelta: st.timedeltas() | st.sampled_from([dt.timedelta.min, dt.timedelta.max]),
    Fraction: st.fractions(),
    Colour: st.sampled_from([*Colour]),
    Level: st.sampled_from([*Level]),
    Size: st.sampled_from([*Size]),
    Mixed: st.sampled_from([*Mixed]),
    Rights: st.sampled_from([Rights(0), Rights.READ, Rights.READ | Rights.WRITE]),
    Literal["a", "b"]: st.sampled_from("ab"),
    Point: st.builds(Point, integers, texts),
    Money: monies,
    Line: lines,
    Address: st.builds(Address, texts, st.none() | texts),
    Checked: st.builds(Checked, integers),
    Any: leaves,
}


def annotations() -> st.SearchStrategy[Any]:
    """Pairs of an annotation, and a strategy for values that it accepts."""
    pairs = st.sampled_from([*typed.items()])
    return st.recursive(pairs, _generic, max_leaves=3)


def _generic(pairs: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    makers: list[Callable[[Any, st.SearchStrategy[Any]], tuple[Any, st.SearchStrategy[Any]]]] = [
        lambda a, s: (generic(list, a), st.lists(s, max_size=3)),
        lambda a, s: (generic(tuple, a, ...), st.lists(s, max_size=3).map(tuple)),
        lambda a, s: (generic(tuple, a, int), st.tuples(s, integers)),
        lambda a, s: (generic(dict, str, a), st.dictionaries(texts | taglike, s, max_size=3)),
        lambda a, s: (generic(dict, int, a), st.dictionaries(st.integers(), s, max_size=3)),
        lambda a, s: (generic(Union, a, None), st.none() | s),
        lambda a, s: (generic(Union, a, Decimal, None), st.none() | s | decimals),
    ]
    return st.builds(lambda pair, make: make(*pair), pairs, st.sampled_from(makers))


def generic(origin: Any, *args: Any) -> Any:
    """Returns ``origin[args]``, which type checkers do not allow to be computed."""
    return origin[args[0] if len(args) == 1 else args]


@st.composite
def typed_fields(draw: st.DrawFn, max_size: int = 4) -> tuple[dict[str, Any], dict[str, Any]]:
    """The annotations of some fields by name, and values that they accept by name."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=max_size))
    fields = {name: draw(annotations()) for name in names}
    values = {name: draw(values) for name, (_, values) in fields.items()}
    return {name: annotation for name, (annotation, _) in fields.items()}, values
