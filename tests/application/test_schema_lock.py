"""The schema lock finds changes that stored rows, or the persons in them, do not bear."""

import importlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from eventsourcing.application.eventshapes import json_schema
from eventsourcing.application.schemalock import check_schema_lock, write_schema_lock
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.domainentity import entity_classes
from eventsourcing.domain.model.events import event_classes
from eventsourcing.exceptions import ProgrammingError, SchemaLockError
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.interface.commands import main
from eventsourcing.utils.cipher import CipherKey

HEAD = """
import dataclasses, enum, typing
from decimal import Decimal
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.events import DomainEvent

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Odd(enum.Enum):
    ONE = 1
    TWO = "two"
    SIX = "six"

class Point(typing.NamedTuple):
    x: int

@dataclasses.dataclass
class Money:
    amount: Decimal
    currency: str = "EUR"

def step(state):
    return state

"""
PLAIN = "class Paid(DomainEvent, topic='lock.paid'):\n    amount: int\n    note: str = ''\n"
ALL = """
class Paid(DomainEvent, topic='lock.paid', aliases=('lock.old',)):
    amount: int
    money: Money
    colour: Colour
    odd: Odd | None
    points: set[Point]
    prices: list[Money]
    pair: tuple[str, Money]
    by_name: dict[str, Colour]
    note: str = ''

class Shop(AggregateRoot, topic='lock.shop'):
    pass
"""

Define = Callable[[str], None]


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Define]:
    """Puts the source of a module, whose classes take the place of those of the one before."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def put(source: str) -> None:
        forget()
        (tmp_path / "locked_shop.py").write_text(source)

    yield put
    forget()


def forget() -> None:
    """Forget the classes, as a new process would."""
    sys.modules.pop("locked_shop", None)
    for registry in (event_classes, entity_classes):
        for topic, cls in list(registry._classes.items()):
            if cls.__module__ == "locked_shop":
                del registry._classes[topic]


def check() -> None:
    check_schema_lock("schema.lock.json", ["locked_shop"])


def write() -> int:
    return write_schema_lock("schema.lock.json", ["locked_shop"])


def test_code_that_has_not_changed_passes(define: Define) -> None:
    define(HEAD + ALL)
    assert write() == 5  # of which four are the aggregate's
    define(HEAD + ALL)
    check()


REFUSED = {
    "a field is gone": (PLAIN.replace("    amount: int\n", ""), "amount: is gone"),
    "a field has another type": (
        PLAIN.replace("amount: int", "amount: Decimal"),
        r"amount: is string \(Decimal\), and was integer",
    ),
    "a field is new without a default": (
        PLAIN + "    by: str\n",
        "by: is new, and has no default",
    ),
    "a default is gone": (PLAIN.replace(" = ''", ""), "note: has lost its default"),
    "a default is another one": (PLAIN.replace("''", "'x'"), "note: has another default"),
    "a class is gone": (
        PLAIN.replace("lock.paid", "lock.fresh"),
        r"lock.paid is gone.*aliases=\('lock.paid',\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_change_that_older_rows_do_not_bear_is_named(define: Define, name: str) -> None:
    source, message = REFUSED[name]
    define(HEAD + PLAIN)
    write()
    before = Path("schema.lock.json").read_bytes()
    define(HEAD + source)
    for do in (check, write):
        with pytest.raises(SchemaLockError, match=message) as caught:
            do()
        assert not caught.value.is_safe
    assert Path("schema.lock.json").read_bytes() == before


def test_the_message_says_what_to_write(define: Define) -> None:
    define(HEAD + PLAIN.replace("'lock.paid'", "'lock.paid', upcasters={1: step}"))
    write()
    source = PLAIN.replace("'lock.paid'", "'lock.paid', upcasters={1: step}")
    define(HEAD + source.replace("amount", "sum"))
    with pytest.raises(SchemaLockError, match=r"upcasters=\{1: ..., 2: from_2\}"):
        check()


def test_a_new_version_may_have_any_shape(define: Define) -> None:
    define(HEAD + PLAIN)
    write()
    define(HEAD + "class Paid(DomainEvent, topic='lock.paid', upcasters={1: step}):\n    a: bytes")
    with pytest.raises(SchemaLockError, match=r"does not know yet.*lock.paid") as caught:
        check()
    assert caught.value.is_safe
    assert caught.value.changes == ("lock.paid",)
    assert write() == 1
    check()


def test_an_upcaster_is_not_taken_away(define: Define) -> None:
    define(HEAD + PLAIN.replace("'lock.paid'", "'lock.paid', upcasters={1: step}"))
    write()
    define(HEAD + PLAIN)
    with pytest.raises(SchemaLockError, match="was version 2, and is version 1"):
        check()


def test_a_renamed_class_with_an_alias_passes_if_it_has_the_same_shape(define: Define) -> None:
    define(HEAD + PLAIN)
    write()
    renamed = "class Given(DomainEvent, topic='lock.given', aliases=['lock.paid']):\n"
    define(HEAD + renamed + "    amount: int\n    note: str = ''\n")
    assert write() == 1
    define(HEAD + renamed + "    amount: str\n    note: str = ''\n")
    with pytest.raises(SchemaLockError, match=r"lock.given .* amount: is string, and was integer"):
        check()


TAKEN = {
    "as the topic of a class of another shape": (
        "class Old(DomainEvent, topic='lock.old'):\n    other: str\n",
        "the topic of another class",
        "lock.old",
    ),
    "as the topic of a class of the same shape": (
        PLAIN.replace("Paid", "Old").replace("lock.paid", "lock.old"),
        "the topic of another class",
        "lock.old",
    ),
    "as an alias of another class": (
        PLAIN.replace("Paid", "Else").replace("'lock.paid'", "'lock.else', aliases=['lock.old']"),
        "one of lock.else",
        "lock.else",
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_an_alias_that_another_class_has_taken_is_named(define: Define, name: str) -> None:
    source, role, other = TAKEN[name]
    define(HEAD + PLAIN.replace("'lock.paid'", "'lock.paid', aliases=['lock.old']"))
    write()
    before = Path("schema.lock.json").read_bytes()
    define(HEAD + PLAIN + source)
    for do in (check, write):
        with pytest.raises(SchemaLockError) as caught:
            do()
        assert caught.value.changes == (
            f"lock.old was an alias of lock.paid, and is now {role}: rows that are stored under it"
            f" as lock.paid would be read as {other}. Take the name 'lock.old' from the class of"
            f" {other}, and give it back to that of lock.paid: aliases=('lock.old',)",
        )
        assert not caught.value.is_safe
    assert Path("schema.lock.json").read_bytes() == before


def test_an_alias_of_an_aggregate_that_another_class_has_taken_is_named(define: Define) -> None:
    shop = "class Shop(AggregateRoot, topic='lock.shop', aliases=['lock.store']):\n    pass\n"
    define(HEAD + shop)
    write()
    store = "class Store(AggregateRoot, topic='lock.store'):\n    pass\n"
    define(HEAD + shop.replace(", aliases=['lock.store']", "") + store)
    with pytest.raises(SchemaLockError, match="shop, and is now the topic of another"):
        check()


def test_a_topic_that_becomes_an_alias_beside_the_others_passes(define: Define) -> None:
    define(HEAD + PLAIN.replace("'lock.paid'", "'lock.paid', aliases=['lock.old']"))
    write()
    aliases = "aliases=['lock.paid', 'lock.old']"
    define(HEAD + PLAIN.replace("'lock.paid'", f"'lock.given', {aliases}"))
    assert write() == 1


NAMED = """
from datetime import date
from typing import Annotated
from eventsourcing.domain.model.personal import personal

class Customer(AggregateRoot, topic='lock.customer'):
    def __init__(
        self,
        name: Annotated[str, personal("")],
        born: Annotated[date | None, personal(None)],
        colour: Annotated[Colour, personal(Colour.RED)],
        tags: Annotated[dict[int, str], personal({})],
        size: Annotated[int, personal(0)] = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
"""
MARKED = """
class Named(DomainEvent, topic='lock.named'VERSION):
    name: MARK
    person: int
    other: int
"""
PLAINLY = MARKED.replace("MARK", "str")
MARKED = MARKED.replace("MARK", "typing.Annotated[str, personal('', 'person')]")


def marked(source: str, version: str = "") -> str:
    known = "from eventsourcing.domain.model.personal import personal\n"
    return HEAD + known + source.replace("VERSION", version)


@pytest.mark.parametrize("version", ["", ", upcasters={1: step}"])
def test_a_mark_of_personal_data_that_is_gone_is_named(define: Define, version: str) -> None:
    define(marked(MARKED))
    write()
    define(marked(PLAINLY, version))
    for do in (check, write):
        with pytest.raises(SchemaLockError) as caught:
            do()
        (change,) = caught.value.changes
        assert change.startswith("lock.named name: is not marked as personal data any more")
        assert "Put personal(...) back" in change
        assert not caught.value.is_safe


@pytest.mark.parametrize(
    ("before", "after"),
    [(PLAINLY, MARKED), (MARKED, MARKED.replace("'person')", "'other')"))],
    ids=["new", "other subject"],
)
def test_a_mark_of_personal_data_that_is_new_is_noticed(
    define: Define, before: str, after: str
) -> None:
    define(marked(before))
    write()
    define(marked(after))
    with pytest.raises(SchemaLockError, match="does not know yet") as caught:
        check()
    assert caught.value.is_safe
    write()
    check()


def test_a_mark_of_personal_data_can_be_taken_out_of_the_lock_by_hand(define: Define) -> None:
    define(marked(MARKED))
    write()
    lock = Path("schema.lock.json")
    found = json.loads(lock.read_text())
    del found["events"]["lock.named"]["state"]["properties"]["name"]["x-personal"]
    lock.write_text(json.dumps(found))
    define(marked(PLAINLY))
    check()


BELOW = {
    "Colour": ('    BLUE = "blue"\n', "", r"colour: has lost 'blue'"),
    "Odd": ('    TWO = "two"\n', "", r"odd.*: has lost 'TWO'"),
    "Point": ("    x: int\n", "    y: int\n", r"points\[\]\[\].x: is gone"),
    "Money": ("    amount: Decimal\n", "    amount: float\n", r"prices\[\].amount: is number"),
    "alias": (", aliases=('lock.old',)", "", "lock.old is gone, an alias of lock.paid"),
    "aggregate": ("lock.shop", "lock.store", "lock.shop is gone"),
}


@pytest.mark.parametrize("name", BELOW)
def test_a_change_of_what_a_field_is_made_of_is_named(define: Define, name: str) -> None:
    old, new, message = BELOW[name]
    define(HEAD + ALL)
    write()
    define((HEAD + ALL).replace(old, new))
    with pytest.raises(SchemaLockError, match=message):
        check()


ALLOWED = {
    "a field with a default": ("    note: str = ''\n", "    note: str = ''\n    by: str = ''\n"),
    "a field of a dataclass": (
        '    currency: str = "EUR"\n',
        '    currency: str = "EUR"\n    n: int = 0\n',
    ),
    "a field of a named tuple": ("    x: int\n", "    x: int\n    y: int = 0\n"),
    "a member of an enum": ('    BLUE = "blue"\n', '    BLUE = "blue"\n    PINK = "pink"\n'),
    "a member of a mixed enum": ('    TWO = "two"\n', '    TWO = "two"\n    TEN = 10\n'),
    "that it may be None": ("    amount: int\n", "    amount: int | None\n"),
    "an alias": ("('lock.old',)", "('lock.old', 'lock.older')"),
    "an event": ("class Shop", "class Other(DomainEvent):\n    pass\n\nclass Shop"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_older_rows_bear_is_allowed_once_the_lock_knows_it(define: Define, name: str) -> None:
    define(HEAD + ALL)
    write()
    define((HEAD + ALL).replace(*ALLOWED[name]))
    with pytest.raises(SchemaLockError, match="does not know yet") as caught:
        check()
    assert caught.value.is_safe
    write()
    check()


def test_an_event_that_is_not_free_form_any_more_is_named(define: Define) -> None:
    define(HEAD + "class Paid(DomainEvent, topic='lock.paid'):\n    pass\n")
    write()
    define(HEAD + "class Paid(DomainEvent, topic='lock.paid'):\n    note: str = ''\n")
    with pytest.raises(SchemaLockError, match="is not free-form any more"):
        check()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}'])
def test_a_file_that_is_no_lock_is_refused(define: Define, text: str) -> None:
    define(HEAD + PLAIN)
    with pytest.raises(ProgrammingError, match="write it first"):
        check()
    Path("schema.lock.json").write_text(text)
    with pytest.raises(ProgrammingError, match="is no schema lock"):
        check()


FORMS: list[Any] = [
    1,
    {"properties": []},
    {"additionalProperties": 1},
    {"items": []},
    {"prefixItems": {}},
    {"x-parts": [1]},
    {"anyOf": []},
    {"enum": 1},
    {"x-members": "RED"},
]
EVENT = {"version": 1, "aliases": [], "state": {"properties": {}}}
DAMAGED: list[dict[str, Any]] = [
    {},
    {"aggregates": {}},
    {"aggregates": [], "events": {}},
    {"aggregates": {"x": {}}, "events": {}},
    {"aggregates": {}, "events": {"x": {}}},
    {"aggregates": {}, "events": {"x": None}},
    {"aggregates": {}, "events": {"x": {**EVENT, "version": "1"}}},
    {"aggregates": {}, "events": {"x": {**EVENT, "aliases": "old"}}},
    {"aggregates": {}, "events": {"x": {**EVENT, "aliases": [1]}}},
    {"aggregates": {}, "events": {"x": {**EVENT, "state": {}}}},
    *(
        {"aggregates": {}, "events": {"x": {**EVENT, "state": {"properties": {"a": form}}}}}
        for form in FORMS
    ),
]


@pytest.mark.parametrize("found", DAMAGED, ids=json.dumps)
def test_a_damaged_lock_is_refused(define: Define, found: dict[str, Any]) -> None:
    define(HEAD + PLAIN)
    Path("schema.lock.json").write_text(json.dumps({"format": 1, **found}))
    for do in (check, write):
        with pytest.raises(ProgrammingError, match=r"is damaged.*Restore it") as caught:
            do()
        assert not isinstance(caught.value, SchemaLockError)
    status, said = run("--check")
    assert (status, said.split(":")[0]) == (1, "ProgrammingError")


def test_a_file_that_cannot_be_read_or_written_is_refused(define: Define) -> None:
    define(HEAD + PLAIN)
    Path("folder").mkdir()
    for path in ("folder", "schema.lock.json/x", "missing/x"):
        with pytest.raises(ProgrammingError, match=rf"{path}.*(cannot be read|write it first)"):
            check_schema_lock(path, ["locked_shop"])
        with pytest.raises(ProgrammingError, match=rf"{path} cannot be (read|written): "):
            write_schema_lock(path, ["locked_shop"])
        assert run("--lock", path)[0] == 1
    Path("schema.lock.json").write_text("[" * 100_000)
    with pytest.raises(ProgrammingError, match="is no schema lock"):
        check()


def test_modules_that_cannot_be_used_are_refused(define: Define) -> None:
    define("")
    with pytest.raises(ProgrammingError, match="no event classes are defined in locked_shop"):
        check_schema_lock_of("locked_shop")
    with pytest.raises(ProgrammingError, match="'not_there' cannot be imported"):
        check_schema_lock_of("not_there")
    with pytest.raises(ProgrammingError, match="takes several names"):
        write_schema_lock("x", "locked_shop")


def check_schema_lock_of(module: str) -> None:
    write_schema_lock("x", [module])


def run(*arguments: str) -> tuple[int, str]:
    output = io.StringIO()
    return main(["schema", "locked_shop", *arguments], output), output.getvalue()


def test_the_command_writes_and_checks(define: Define) -> None:
    define(HEAD + PLAIN)
    assert run() == (0, "schema.lock.json knows 1 events\n")
    assert run("--check") == (0, "schema.lock.json is what the code says\n")
    define(HEAD + PLAIN.replace("amount", "sum"))
    status, said = run("--check")
    assert status == 1
    assert "lock.paid (version 1) amount: is gone; sum: is new" in said


def test_the_command_prints_json_schema(define: Define) -> None:
    define(HEAD + PLAIN)
    status, said = run("--json-schema")
    assert (status, list(json.loads(said)["$defs"])) == (0, ["lock.paid"])


def test_json_schema_takes_personal_data_as_it_is_stored(define: Define) -> None:
    define(HEAD + NAMED)
    definition = json_schema(["locked_shop"])["$defs"]["lock.customer.Created"]
    Draft202012Validator.check_schema(definition)
    schema = Draft202012Validator(definition)
    module = importlib.import_module("locked_shop")
    manager = MemoryRecordManager()
    with SimpleApplication(record_manager=manager, cipher_key=CipherKey.new().text) as app:
        made = [
            module.Customer.create(name="Ann", born=born, colour=module.Colour.BLUE, tags={1: "a"})
            for born in (None, date(2000, 2, 29), datetime(2000, 2, 29))
        ]
        app.save(*made)
        protection = app.event_store.mapper.protection
        assert protection is not None
        items = [protection.opened(*manager.get_items(each.id)) for each in made]
    for state in (json.loads(item[3]) for item in items):
        assert str(state).count("$personal") == 5
        assert [error.message for error in schema.iter_errors(state)] == []
        name = state["name"]["$personal"]
        for wrong in ({"$personal": name[:2]}, {"$personal": name, "x": 1}, {}, 1):
            assert not schema.is_valid({**state, "name": wrong})
        assert schema.is_valid({**state, "name": "Ann", "size": 1})  # from before it was marked
