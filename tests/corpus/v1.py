"""The corpus of states in stored format version 1, and what they must decode to for ever.

``python -m tests.corpus.v1`` adds the states of CASES that v1.jsonl does not have yet. What is in
the file stays as it is: it stands for rows in people's databases. The classes and annotations here
stay too, since rows name them.
"""

import datetime as dt
import enum
import json
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil import tz

from eventsourcing.utils.statecodec import StateCodec

PATH = Path(__file__).with_suffix(".jsonl")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: Any


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclass
class Line:
    sku: str
    price: Money
    notes: list[str] = field(default_factory=list)


@dataclass
class Checked:
    value: int

    def __post_init__(self) -> None:
        self.value += 1


ANNOTATIONS: dict[str, Any] = {
    "Any": Any,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "None": None,
    "bytes": bytes,
    "UUID": UUID,
    "Decimal": Decimal,
    "datetime": dt.datetime,
    "date": dt.date,
    "time": dt.time,
    "timedelta": dt.timedelta,
    "Colour": Colour,
    "Mixed": Mixed,
    "Rights": Rights,
    "Point": Point,
    "Money": Money,
    "Checked": Checked,
    "Optional[int]": Optional[int],  # noqa: UP045
    "int | Decimal": int | Decimal,
    "Literal['a']": Literal["a"],
    "list[Line]": list[Line],
    "dict[str, Money]": dict[str, Money],
    "dict[int, str]": dict[int, str],
    "tuple[int, ...]": tuple[int, ...],
    "tuple[str, Decimal]": tuple[str, Decimal],
    "set[int]": set[int],
}

BERLIN, UTC = ZoneInfo("Europe/Berlin"), dt.UTC
HOURS = dt.timezone(dt.timedelta(hours=-5))
ID = UUID("12345678-1234-5678-1234-567812345678")
MOMENT = dt.datetime(2026, 10, 25, 2, 30, 0, 1)

CASES: list[tuple[str, Any]] = [
    *[("str", text) for text in ("", "a\0b", "Zoë \U0001f600", '"\\,\u2028', "\ud800", "$uuid")],
    *[("int", number) for number in (0, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 10**40, True)],
    *[
        ("float", number)
        for number in (0.0, -0.0, 0.1, 1e22, 5e-324, float("nan"), 3, float("-inf"))
    ],
    ("bool", True),
    ("None", None),
    ("bytes", b"\xff\0"),
    ("UUID", ID),
    *[("Decimal", Decimal(n)) for n in ("10.00", "1E+3", "-0.00", "sNaN", "-Infinity", "1E-400")],
    *[
        ("datetime", value)
        for value in (
            MOMENT,
            MOMENT.replace(tzinfo=UTC),
            MOMENT.replace(tzinfo=HOURS),
            MOMENT.replace(tzinfo=BERLIN, fold=1),
            MOMENT.replace(tzinfo=BERLIN),
            MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
            MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(seconds=-61, microseconds=5))),
            MOMENT.replace(tzinfo=tz.tzutc()),
            MOMENT.replace(tzinfo=tz.tzoffset("EST", -18000)),
            MOMENT.replace(fold=1),
            dt.datetime.min,
            dt.datetime.max.replace(tzinfo=UTC),
        )
    ],
    ("date", dt.date(1, 1, 1)),
    ("date", MOMENT),
    ("time", dt.time(1, 2, 3, 4)),
    ("time", dt.time(1, tzinfo=UTC, fold=1)),
    *[
        ("timedelta", value)
        for value in (dt.timedelta.min, dt.timedelta.max, -dt.timedelta.resolution)
    ],
    ("Colour", Colour.BLUE),
    ("Mixed", Mixed.TWO),
    ("Rights", Rights.READ | Rights.WRITE),
    ("Point", Point(1, (2, 3))),
    ("Money", Money(Decimal("1.10"))),
    ("Money", Money(Decimal("1.10"), "\ud800")),
    ("Checked", Checked(1)),
    ("Optional[int]", None),
    ("Optional[int]", 2**64),
    ("int | Decimal", 1),
    ("int | Decimal", Decimal(1)),
    ("Literal['a']", "a"),
    ("list[Line]", [Line("x", Money(Decimal("2.50"), "USD"), ["n", ""])]),
    ("list[Line]", [Line("x", Money(Decimal(2)), []), Line("y", Money(3), [])]),  # type: ignore[arg-type]
    ("dict[str, Money]", {"$b": Money(Decimal(1)), "a": Money(Decimal(2))}),
    ("dict[int, str]", {2: "two", 1: "one"}),
    ("tuple[int, ...]", ()),
    ("tuple[int, ...]", (1, 2**70)),
    ("tuple[str, Decimal]", ("a", Decimal("1.0"))),
    ("set[int]", {1, 2, 3}),
    *[
        ("Any", value)
        for value in (
            *(None, True, -1, 2**64, -(2**70), 1.5, -0.0, float("inf"), float("nan"), "text", ""),
            *([], {}, (), set(), [1, [2]], {"a": {"b": 1}}, (1, (2,)), {3}, frozenset({4})),
            *({"$": 1}, {"$uuid": "x", "a": 1}, {1: 2, (1, 2): None}, {None: {"$x:y": 1}}),
            *(b"\0\1", bytearray(b"\2"), 1 - 2j, complex("-0-nanj"), Fraction(-1, 3)),
            *(ID, Decimal("-0.0"), MOMENT, MOMENT.replace(tzinfo=UTC), MOMENT.date()),
            *(MOMENT.time(), dt.timedelta(-1, 2, 3), UTC, HOURS, BERLIN),
            *(Colour.RED, Mixed.ONE, Rights(0), Rights.READ, Point(0, 1), Money(Decimal(1))),
            *([Line("x", Money(Decimal(1)), ["\ud800"])], {Colour.RED: Money(Decimal(2))}),
        )
    ],
]


def state_of(annotation: str, value: Any) -> dict[str, str]:
    """Returns a line of the corpus."""
    text = StateCodec({"value": ANNOTATIONS[annotation]}).encode({"value": value})
    return {"annotation": annotation, "text": text, "repr": repr(value)}


def main() -> None:
    lines = PATH.read_text().splitlines() if PATH.exists() else []
    new = [json.dumps(state_of(annotation, value)) for annotation, value in CASES]
    PATH.write_text("".join(f"{line}\n" for line in dict.fromkeys([*lines, *new])))


if __name__ == "__main__":
    # By its full name, which the stored topics hold.
    from tests.corpus import v1

    v1.main()
