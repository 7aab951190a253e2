"""What comes of the values of an event: the same on every backend."""

import datetime as dt
import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from eventsourcing.exceptions import EncodeError
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from tests.contracts.eventstore import contents, event_store, happened
from tests.contracts.model import Anything, Noted
from tests.contracts.places import Place

MEGABYTES_16 = 16 * 1024 * 1024
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


TEXTS = {
    "unicode": "Zoë \u4f60\u597d \u0645\u0631\u062d\u0628\u0627 e\u0301 \u00e9",
    "specials": "\u2028 \u200b \ufeff \ufffe \uffff",
    "astral": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0010ffff",
    "NUL": "\0a\0\0b\0",
    "controls": "".join(map(chr, range(32))) + "\x7f\x85\xa0",
    "a lone high surrogate": "\ud800",
    "a lone low surrogate": "a\udfffb",
    "surrogates in the wrong order": "\udc00\ud800",
    "a surrogate beside an astral character": "\ud83d \U0001f600",
    "quotes": "'; DROP TABLE stored_events; --\"`\\' %s %(a)s :a ? {0}",
    "escapes": "\\u0000 \\ \\\\ \\ud800 \\n",
    "white space": "  \t\r\n trailing  ",
    "empty": "",
}
NUMBERS = {
    "2**53 + 1": 2**53 + 1,
    "-(2**53) - 1": -(2**53) - 1,
    "2**63 - 1": 2**63 - 1,
    "2**63": 2**63,
    "2**64": 2**64,
    "-(2**64)": -(2**64),
    "an int of 10,000 digits": 10**9_999 + 7,
    "-0.0": -0.0,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "-infinity": float("-inf"),
    "the smallest float": 5e-324,
    "the largest float": 1.7976931348623157e308,
    "1e22": 1e22,
    "0.1 + 0.2": 0.1 + 0.2,
    "1.0": 1.0,
    "True": True,
    "complex": complex(-0.0, float("inf")),
    "Decimal 1.10": Decimal("1.10"),
    "Decimal -0.00": Decimal("-0.00"),
    "Decimal 1E+3": Decimal("1E+3"),
    "Decimal sNaN": Decimal("-sNaN12"),
}
TIMES = {
    "naive": dt.datetime(2025, 10, 26, 2, 30, 0, 1),
    "before the clock goes back": dt.datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=0),
    "after the clock went back": dt.datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=1),
    "naive with a fold": dt.datetime(2025, 10, 26, 2, 30, fold=1),
    "offset": dt.datetime(2025, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
    "UTC": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    "year 1": dt.datetime.min,
    "year 9999": dt.datetime.max.replace(tzinfo=dt.UTC),
    "date": dt.date(2024, 2, 29),
    "time": dt.time(2, 30, fold=1, tzinfo=BERLIN),
    "duration": dt.timedelta(days=-1, microseconds=1),
}
CONTAINERS = {
    "nested": [{"a": ({"b": [set(), frozenset({1})]}, None)}, (), [], {}],
    "tuple of tuples": ((1, (2, (3,))),),
    "dict with keys of many types": {1: "a", "1": "b", None: "c", (1, 2): "d", UUID(int=1): "e"},
    "order of keys": {"b": 1, "a": 2, "": 3},
    "bytes": b"\0\xff",
    "bytearray": bytearray(b"\0\xff"),
    "enum": Colour.RED,
    "named tuple": Point(1, 2),
    "ids": [UUID(int=0), str(UUID(int=0))],
    "99 deep": None,
}
LOOK_ALIKES = {
    "a tag": {"$uuid": "00000000-0000-0000-0000-000000000000"},
    "a tag that lies": {"$decimal": "no number"},
    "an unknown tag": {"$unknown": 1},
    "the reserved key": {"$": {"$dict": []}},
    "tags in each other": {"$dict": [["$dict", {"$tuple": [{"$int": "0x1"}]}]]},
    "a tag beside a key": {"$uuid": 1, "a": 2},
    "the text of a tag": '{"$uuid":"00000000-0000-0000-0000-000000000000"}',
    "the key of a class": {"__class__": "os#system", "__type__": "x", "UUID": "1"},
}


def nested(depth: int) -> list[Any]:
    """Return a list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


CONTAINERS["99 deep"] = nested(99)
GROUPS: dict[str, dict[str, Any]] = {
    "texts": TEXTS,
    "numbers": NUMBERS,
    "times": TIMES,
    "containers": CONTAINERS,
    "look-alikes of tags": LOOK_ALIKES,
}
REFUSED: dict[str, Any] = {
    "a pair of surrogates as two characters": "\ud83d\ude00",
    "10,000 deep": nested(10_000),
    "101 deep": nested(101),
    "an object": object(),
    "a function": nested,
    "an iterator": iter([1]),
    "a subclass of a built-in type": type("Words", (str,), {})("a"),
}


@pytest.fixture(params=GROUPS)
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each group of values in turn."""
    return GROUPS[request.param]


class PayloadContract:
    """Every value comes back with its type and repr, or is refused before anything is stored."""

    @pytest.fixture
    def store(self, place: Place) -> Iterator[EventStore]:
        store = event_store(place)
        yield store
        store.close()

    def test_a_value_comes_back_with_its_type_and_repr(
        self, store: EventStore, values: dict[str, Any]
    ) -> None:
        store.store(with_values(values))
        found = [event.value for event in contents(store, "s")]
        assert dict(zip(values, map(described, found), strict=True)) == {
            name: described(value) for name, value in values.items()
        }

    def test_a_value_comes_back_from_a_free_form_event(
        self, store: EventStore, values: dict[str, Any]
    ) -> None:
        fields = {f"field_{n}": value for n, value in enumerate(values.values())}
        store.store(Noted(originator_id="s", originator_version=0, **fields))
        (found,) = contents(store, "s")
        assert {name: described(getattr(found, name)) for name in fields} == {
            name: described(value) for name, value in fields.items()
        }

    def test_the_stored_text_is_what_the_mapper_made(
        self, store: EventStore, values: dict[str, Any]
    ) -> None:
        mapper = SequencedItemMapper()
        events = with_values(values)
        store.store(events)
        found = list(store.record_manager.get_items("s"))
        assert found == [mapper.item_from_event(event) for event in events]

    @pytest.mark.parametrize("name", REFUSED)
    def test_what_cannot_be_stored_is_refused_with_all_of_its_batch(
        self, store: EventStore, name: str
    ) -> None:
        with pytest.raises(EncodeError) as caught:
            store.store([happened("s", 0), anything(1, REFUSED[name]), happened("s", 2)])
        assert (caught.value.event, caught.value.field[:5]) == ("Anything", "value")
        assert contents(store, "s") == []


class LargePayloadContract:
    """Large values come back. Where a server's packets have a limit, it is raised for these."""

    @pytest.fixture
    def store(self, roomy_place: Place) -> Iterator[EventStore]:
        store = event_store(roomy_place)
        yield store
        store.close()

    @pytest.mark.parametrize("character", ["x", "\0", "\u20ac", "\ud800"], ids=ascii)
    def test_sixteen_megabytes_come_back(self, store: EventStore, character: str) -> None:
        size = MEGABYTES_16 // len(character.encode("utf-8", "surrogatepass"))
        if character in "\0\ud800":
            size //= 6  # the size of the escape
        given = happened("s", 0, character * size)
        store.store(given)
        (found,) = contents(store, "s")
        assert found.note == given.note

    def test_a_batch_of_large_events_comes_back(self, store: EventStore) -> None:
        given = [happened("s", n, str(n) * (MEGABYTES_16 // 4)) for n in range(4)]
        store.store(given)
        assert [event.note[:2] for event in contents(store, "s")] == ["00", "11", "22", "33"]


def with_values(values: dict[str, Any]) -> list[Anything]:
    """Return the events of one stream, one for each value."""
    return [anything(n, value) for n, value in enumerate(values.values())]


def anything(position: int, value: Any) -> Anything:
    """Return an event with a value of any type."""
    return Anything(originator_id="s", originator_version=position, value=value)


def described(value: Any) -> str:
    """Return what must not change of a value. The repr of an int has a limit, its hex has none."""
    return f"{type(value).__qualname__}: {hex(value) if type(value) is int else repr(value)}"
