"""The general form of values."""

import datetime as dt
import enum
import operator
import shutil
import sys
from collections import OrderedDict, defaultdict
from dataclasses import InitVar, dataclass, field
from decimal import Decimal, localcontext
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from dateutil import tz
from hypothesis import given

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils._classforms import is_namedtuple
from eventsourcing.utils.statecodec import dump_json, load_json
from eventsourcing.utils.transcoding import (
    MAX_DEPTH,
    decode_value,
    encode_value,
    register_type,
)
from tests.utils.strategies import (
    Checked,
    Colour,
    Money,
    Point,
    Rights,
    identical,
    supported_values,
)


def back(value: Any) -> Any:
    return decode_value(load_json(dump_json(encode_value(value))))


class Temperature:
    def __init__(self, degrees: Any) -> None:
        self.degrees = degrees

    def __repr__(self) -> str:
        return f"Temperature({self.degrees!r})"


register_type(Temperature, "test.temperature", lambda t: t.degrees, Temperature)


@given(supported_values())
def test_every_supported_value_comes_back(value: Any) -> None:
    assert identical(back(value), value)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (2**63 - 1, 2**63 - 1),
        (2**63, {"$int": "0x8000000000000000"}),
        (float("nan"), {"$float": "nan"}),
        (Decimal("1E+3"), {"$decimal": "1E+3"}),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), {"$datetime": ["2026-01-01T00:00:00", "UTC", 0]}),
        (dt.time(1, fold=1), {"$time": ["01:00:00", None, 1]}),
        (dt.date(1, 2, 3), {"$date": "0001-02-03"}),
        (dt.timedelta(1, 2, 3), {"$timedelta": [1, 2, 3]}),
        (dt.timezone(dt.timedelta(hours=1), "CET"), {"$timezone": [0, 3600, 0, "CET"]}),
        (ZoneInfo("Europe/Berlin"), {"$zoneinfo": "Europe/Berlin"}),
        (b"\xff", {"$bytes": "/w=="}),
        ((1, (2,)), {"$tuple": [1, {"$tuple": [2]}]}),
        ({3, 1, 2}, {"$set": [1, 2, 3]}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"$uuid": 1}, {"$dict": [["$uuid", 1]]}),
        ({1: "a"}, {"$dict": [[1, "a"]]}),
        (Colour.ROUGE, {"$enum": ["tests.utils.strategies#Colour", "RED"]}),
        (Rights.READ, {"$enum": ["tests.utils.strategies#Rights", "READ"]}),
        (~Rights(0), {"$enum": ["tests.utils.strategies#Rights", ["READ", "WRITE"]]}),
        (Point(1, 2), {"$namedtuple": ["tests.utils.strategies#Point", {"x": 1, "y": 2}]}),
        (Temperature((1,)), {"$x:test.temperature": {"$tuple": [1]}}),
    ],
)
def test_the_form_is_the_documented_one(value: Any, form: Any) -> None:
    assert identical(encode_value(value), form)
    assert identical(decode_value(form), value)


def test_the_order_of_a_dict_is_kept() -> None:
    assert list(back({"b": 1, "a": 2})) == ["b", "a"]
    assert list(back({2: 1, 1: 2})) == [2, 1]


def test_the_order_of_a_set_does_not_show() -> None:
    one, other = {8, 0}, {0, 8}  # they collide, so each keeps its order of insertion
    assert list(one) != list(other)
    assert encode_value(one) == encode_value(other) == {"$set": [0, 8]}


def test_dataclasses_come_back_without_running_their_code() -> None:
    assert back(Checked(1)).value == [1]


def test_a_row_runs_no_constructor_but_what_python_calls_by_itself() -> None:
    ran: list[str] = []

    @dataclass
    class Recording:
        number: int

        def __new__(cls, *args: Any) -> "Recording":
            ran.append("__new__")
            return object.__new__(cls)

        def __post_init__(self) -> None:
            ran.append("__post_init__")

        def __hash__(self) -> int:
            ran.append("__hash__")
            return 1

        def __eq__(self, other: object) -> bool:
            ran.append("__eq__")
            return False

    one, two = encode_value(Recording(1)), encode_value(Recording(2))
    ran.clear()

    decode_value([one, two])
    assert ran == []

    decode_value({"$set": [one, two]})
    assert set(ran) == {"__hash__", "__eq__"}


def test_a_dataclass_keeps_fields_that_init_does_not_take() -> None:
    @dataclass
    class Counter:
        start: InitVar[int]
        count: int = field(init=False)

        def __post_init__(self, start: int) -> None:
            self.count = start

    assert back(Counter(3)).count == 3


@pytest.mark.parametrize(
    "zone",
    [
        tz.tzutc(),
        tz.tzoffset("EST", -18000),
        tz.tzoffset(None, 61),
        tz.gettz("Europe/Berlin"),
        ZoneInfo("Europe/Berlin"),
        dt.timezone(dt.timedelta(seconds=-1, microseconds=5)),
        dt.timezone(dt.timedelta(0), "UTC"),
    ],
)
def test_time_zones_come_back(zone: dt.tzinfo) -> None:
    moment = dt.datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=1)
    assert identical(back(moment), moment)
    assert back(moment).utcoffset() == moment.utcoffset()


def test_decimals_do_not_depend_on_the_context() -> None:
    value = Decimal("1.234567890123456789012345678901234567890E+50")
    with localcontext(capitals=0, prec=3):
        assert identical(back(value), value)
        form = encode_value(value)
    assert form == {"$decimal": str(value)}


class TestRefused:
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    class Zone(dt.tzinfo):
        def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
            return dt.timedelta(0)

        def dst(self, when: dt.datetime | None) -> None:
            return None

        def tzname(self, when: dt.datetime | None) -> None:
            return None

    @dataclass
    class Failure(Exception):
        reason: str

    @pytest.mark.parametrize(
        "value",
        [
            Text("a"),
            Number(1),
            OrderedDict(a=1),
            defaultdict(int),
            {Text("a"): 1},
            object(),
            int,
            len,
            Failure("why"),
            dt.datetime(2026, 1, 1, tzinfo=Zone()),
            tz.tzlocal(),
            tz.tzstr("EST5EDT"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_what_would_not_come_back_as_it_was(self, value: Any) -> None:
        with pytest.raises(EncodeError):
            encode_value([value])

    def test_a_time_zone_without_a_name(self) -> None:
        with open("/usr/share/zoneinfo/Europe/Berlin", "rb") as file:
            zone = ZoneInfo.from_file(file)
        with pytest.raises(EncodeError, match="without a key"):
            encode_value(zone)

    def test_a_time_zone_that_other_machines_do_not_find(self, tmp_path: Path) -> None:
        path = tmp_path / "own zone"
        shutil.copy("/usr/share/zoneinfo/Europe/Berlin", path)
        with pytest.raises(EncodeError, match="by its key"):
            encode_value(tz.tzfile(str(path)))

    @pytest.mark.parametrize("seconds", [86400, -86400])
    def test_an_offset_of_a_day(self, seconds: int) -> None:
        with pytest.raises(EncodeError, match="a day or more"):
            encode_value(tz.tzoffset(None, seconds))

    def test_a_flag_with_bits_that_have_no_names(self) -> None:
        class Kept(enum.Flag, boundary=enum.KEEP):
            A = 1

        assert back(Kept.A) is Kept.A
        with pytest.raises(EncodeError, match="members do not make up"):
            encode_value(Kept(5))

    def test_a_dataclass_without_one_of_its_fields(self) -> None:
        value = Checked(1)
        del value.value
        with pytest.raises(EncodeError, match="lacks one of its fields"):
            encode_value(value)

    @pytest.mark.parametrize("make", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, Money])
    def test_nesting_has_a_limit_that_can_be_read_again(self, make: Any) -> None:
        value: Any = None
        for _ in range(MAX_DEPTH):
            value = make(value)
        assert repr(back(value)) == repr(value)
        with pytest.raises(EncodeError, match="levels deep"):
            encode_value(make(value))

    def test_a_value_inside_of_itself(self) -> None:
        value: list[Any] = []
        value.append(value)
        with pytest.raises(EncodeError, match="inside of itself"):
            encode_value(value)


class TestDamage:
    @pytest.mark.parametrize(
        "form",
        [
            {"$unknown": 1},
            {"$x:unknown": 1},
            {"$": 1},
            {"$uuid": "12345678123456781234567812345678"},
            {"$uuid": 1},
            {"$uuid": "12345678-1234-5678-1234-567812345678", "a": 1},
            {"a": 1, "$tuple": []},
            {"$int": "5"},
            {"$int": "0x"},
            {"$int": 5},
            {"$float": "one"},
            {"$decimal": "1_0"},
            {"$decimal": 1.5},
            {"$date": "20260101"},
            {"$date": "2026-02-30"},
            {"$datetime": "2026-01-01T00:00:00"},
            {"$datetime": ["2026-01-01T00:00:00+01:00", None, 0]},
            {"$datetime": ["2026-01-01", None, 0]},
            {"$datetime": ["2026-01-01T00:00:00", 1, 0]},
            {"$datetime": ["2026-01-01T00:00:00", None, 2]},
            {"$datetime": ["2026-01-01T00:00:00", None, True]},
            {"$datetime": ["2026-01-01T00:00:00", {"$zoneinfo": "../../../etc/passwd"}, 0]},
            {"$time": ["25:00:00", None, 0]},
            {"$timedelta": [1, 2]},
            {"$timedelta": [10**10, 0, 0]},
            {"$timedelta": [0, 86400, 0]},
            {"$timezone": [1, 0, 0]},
            {"$timezone": []},
            {"$zoneinfo": "Nowhere/City"},
            {"$zoneinfo": "/etc/passwd"},
            {"$zoneinfo": "Europe"},
            {"$dateutil": []},
            {"$dateutil": ["tzlocal"]},
            {"$dateutil": ["tzfile", "/etc/passwd"]},
            {"$dateutil": ["tzfile", "../../../etc/passwd"]},
            {"$dateutil": ["tzoffset", 1, 1]},
            {"$dateutil": ["tzoffset", None, 10**30]},
            {"$dateutil": ["tzoffset", None, 86400]},
            {"$dateutil": ["tzoffset", None, -86400]},
            {"$bytes": "A"},
            {"$bytes": "AB=="},
            {"$bytearray": 1},
            {"$tuple": {}},
            {"$set": [1, 1]},
            {"$set": [[]]},
            {"$frozenset": "ab"},
            {"$dict": [[1, 2], [1, 3]]},
            {"$dict": [[1]]},
            {"$dict": [[[], 1]]},
            {"$dict": {"a": 1}},
            {"$complex": [1, "x"]},
            {"$complex": [1, 2]},
            {"$complex": ["1e3", None]},
            {"$fraction": [1, 0]},
            {"$fraction": ["1/2", None]},
            {"$fraction": [{"$decimal": "1E+999999999"}, None]},  # all memory there is
            {"$enum": ["tests.utils.strategies#Colour", "GOLD"]},
            {"$enum": ["tests.utils.strategies#Colour", ["RED"]]},
            {"$enum": ["tests.utils.strategies#Rights", ["READ", "FLY"]]},
            {"$enum": ["tests.utils.strategies#Point", "x"]},
            {"$enum": [1, "RED"]},
            {"$namedtuple": ["tests.utils.strategies#Point", {"y": 1}]},
            {"$namedtuple": ["tests.utils.strategies#Point", {"x": 1, "y": 2, "z": 3}]},
            {"$namedtuple": ["tests.utils.strategies#Money", {"amount": 1, "currency": 2}]},
            {"$dataclass": ["tests.utils.strategies#Money", {"currency": "EUR"}]},
            {"$dataclass": ["tests.utils.strategies#Money", []]},
            {"$dataclass": ["tests.utils.strategies#Colour", {}]},
            {"$dataclass": ["os#system", {}]},
            {"$enum": ["os#system", "x"]},
            {"$namedtuple": ["os#stat_result", {}]},
            {"$dataclass": ["not_imported#Thing", {}]},
            {"$dataclass": ["", {}]},
            {"$dataclass": ["#", {}]},
        ],
        ids=str,
    )
    def test_is_a_decode_error(self, form: Any) -> None:
        with pytest.raises(DecodeError) as caught:
            decode_value({"a": [0, form]})
        assert caught.value.field.startswith("[key 0][1]")

    def test_nesting_beyond_the_stack(self) -> None:
        form: Any = None
        for _ in range(100_000):
            form = [form]
        with pytest.raises(DecodeError, match="deep"):
            decode_value(form)


class TestTopics:
    """Rows never choose code."""

    def test_modules_are_not_imported(self) -> None:
        assert "xmlrpc.server" not in sys.modules
        with pytest.raises(DecodeError):
            decode_value({"$enum": ["xmlrpc.server#Anything", "x"]})
        assert "xmlrpc.server" not in sys.modules

    def test_attributes_are_looked_up_without_running_code(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        module: Any = ModuleType("lazy_module")
        module.__getattr__ = asked.append
        monkeypatch.setitem(sys.modules, "lazy_module", module)
        with pytest.raises(DecodeError):
            decode_value({"$enum": ["lazy_module#Anything", "x"]})
        assert asked == []

    def test_a_class_is_known_by_its_own_topic_only(self) -> None:
        topic = f"{__name__}#Colour"  # imported here, defined elsewhere
        with pytest.raises(DecodeError):
            decode_value({"$enum": [topic, "RED"]})

    def test_a_local_class_is_known_once_it_was_encoded(self) -> None:
        class Local(enum.Enum):
            A = 1

        assert back(Local.A) is Local.A


class TestRegisterType:
    def test_a_type_has_its_own_form_in_one_line(self) -> None:
        assert back([Temperature(3)])[0].degrees == 3

    @pytest.mark.parametrize("tag", ["", "a b", "$a", "ä"])
    def test_tags_are_plain(self, tag: str) -> None:
        with pytest.raises(ValueError, match="tag"):
            register_type(Temperature, tag, str, Temperature)

    def test_a_tag_means_one_type(self) -> None:
        class Other:
            pass

        with pytest.raises(ValueError, match=r"taken by .*Temperature"):
            register_type(Other, "test.temperature", str, lambda data: Other())

    def test_what_has_a_form_keeps_it(self) -> None:
        with pytest.raises(ValueError, match="has a form of its own"):
            register_type(Decimal, "test.decimal", str, Decimal)

    def test_failures_of_the_functions_are_named(self) -> None:
        class Bad:
            pass

        register_type(Bad, "test.bad", operator.attrgetter("missing"), lambda data: data)
        with pytest.raises(EncodeError, match=r"encoder of .*Bad raised AttributeError"):
            encode_value(Bad())
        with pytest.raises(DecodeError, match="returned another type"):
            decode_value({"$x:test.bad": 1})
        register_type(Bad, "test.bad", lambda bad: [object()], lambda data: data[1])
        with pytest.raises(EncodeError, match=r"^b\[0\]: values of type object"):
            encode_value(Bad(), "b")
        with pytest.raises(DecodeError, match=r"decoder of .*Bad raised IndexError"):
            decode_value({"$x:test.bad": []})


def test_named_tuples_are_told_from_tuples() -> None:
    class Own(NamedTuple):
        a: int

    assert is_namedtuple(Own)
    assert not is_namedtuple(tuple)
    assert not is_namedtuple(Own(1))
