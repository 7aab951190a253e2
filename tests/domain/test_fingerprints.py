"""Fingerprints of aggregates' classes: what changes them, and what does not."""

import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from eventsourcing.domain.model.events import event_classes
from eventsourcing.domain.model.snapshot import fingerprint_of

SOURCE = '''
def in_cents(state):
    state["rate"] *= 100
    return state

class Purse(AggregateRoot):
    """Holds coins."""

    LIMIT = 10
    owner: str

    def __init__(self, owner: str, limit: int = 5, **kwargs):
        super().__init__(**kwargs)
        self.owner, self.coins = owner, 0

    @event("Filled")
    def fill(self, coins: int) -> None:
        if self.owner in {"Ann", "Bob", "Cid"}:
            self.coins += coins

    @property
    def is_full(self) -> bool:
        return self.coins > self.LIMIT

    @classmethod
    def of(cls, owner: str) -> "Purse":
        return cls.create(owner=owner)

    @staticmethod
    def name() -> str:
        return "purse"

    class Emptied(AggregateRoot.Event):
        why: str

        def mutate(self, purse):
            purse.coins = 0

    @event("Rated", upcasters={1: in_cents})
    def give(self, rate: int) -> None:
        self.rate = rate
'''

# Constants, functions and classes of every kind that counts.
RICH = (
    """
import enum, functools, re, threading
from collections import abc, namedtuple
from dataclasses import dataclass
from types import MappingProxyType

class Metal(enum.Enum):
    GOLD = 79
    TIN = 50

class Use(enum.Flag):
    PAY = 1
    GIVE = 2
    KEEP = 4

@dataclass(frozen=True)
class Fee:
    amount: int

class Cents(int):
    pass

Pair = namedtuple("Pair", "one other")

def times(number, logged=None):
    def decorate(method):
        @functools.wraps(method)
        def run(self):
            for _ in range(number):
                method(self)
        return run
    return decorate

def renames(old, new):
    def step(state):
        state[new] = state.pop(old)
        return state
    return step

def drops(names, state):
    return {name: state[name] for name in state if name not in names}

class Keeps:
    def __call__(self, state):
        return {"kept": state}

class Emptying:
    def mutate(self, purse):
        purse.coins = -1
"""
    + SOURCE
    + """
    RATES = (1, 2)
    STEPS = [1, {"deep": (2, None)}]
    NAMES = {"ann": 1, "bob": 2, "cid": 3}
    KINDS = {"x", "y", "z"}
    FROZEN = frozenset({"p", "q", "r"})
    FIXED = MappingProxyType({"k": 1})
    METAL = Metal.GOLD
    USES = Use.PAY | Use.GIVE
    FEE = Fee(5)
    LEAST = Cents(3)
    PAIR = Pair(1, 2)
    WORD = re.compile("a+")
    PART = slice(1, 4)
    KIND = Fee
    CASES = {"half": lambda coins: coins / 2, Metal.TIN: max}
    LOCK = threading.Lock()

    class Size(enum.Enum):
        BIG = 10
        SMALL = 1

    class Way(enum.Flag):
        IN = 1
        OUT = 2

    def rated(self, rates=(1, 2), *, by={"a": 1}):
        return rates

    def counted(self, *coins):
        return coins

    @times(2, logged=threading.Lock())
    def shake(self):
        self.coins += 1

    @functools.lru_cache
    def worth(self):
        return 1

    @functools.singledispatchmethod
    def take(self, coins):
        return 1

    @take.register
    def _(self, coins: int):
        return 20

    take.register(list)(lambda self, coins: 21)
    take.register(abc.Mapping)(lambda self, coins: 23)

    @attribute
    def label(self) -> str:
        return "purse"

    class Turned(Emptying, AggregateRoot.Event):
        pass

    class Renamed(AggregateRoot.Event, upcasters={
        1: renames("name", "label"), 2: functools.partial(drops, ("old",)), 3: Keeps()
    }):
        label: str
"""
)

RICH_CHANGES = {
    "a tuple": ("RATES = (1, 2)", "RATES = (3, 2)"),
    "a tuple that becomes a list": ("RATES = (1, 2)", "RATES = [1, 2]"),
    "a list": ("STEPS = [1,", "STEPS = [2,"),
    "what is deep in a list": ('"deep": (2, None)', '"deep": (2, 0)'),
    "a value of a dict": ('"bob": 2', '"bob": 3'),
    "a key of a dict": ('"bob": 2', '"rob": 2'),
    "a set": ('"x", "y", "z"', '"x", "y"'),
    "a frozen set": ('"p", "q", "r"', '"p", "q", "s"'),
    "a mapping": ('{"k": 1}', '{"k": 2}'),
    "a member of an enum": ("METAL = Metal.GOLD", "METAL = Metal.TIN"),
    "the value of a member": ("GOLD = 79", "GOLD = 47"),
    "flags": ("Use.PAY | Use.GIVE", "Use.PAY | Use.KEEP"),
    "a dataclass": ("Fee(5)", "Fee(6)"),
    "a number of a class of its own": ("Cents(3)", "Cents(4)"),
    "a named tuple": ("Pair(1, 2)", "Pair(2, 1)"),
    "a pattern": ('"a+"', '"a*"'),
    "a slice": ("slice(1, 4)", "slice(1, 5)"),
    "a class": ("KIND = Fee", "KIND = Cents"),
    "a function in a dict": ("coins / 2", "coins / 3"),
    "a built-in function": ("Metal.TIN: max", "Metal.TIN: min"),
    "a nested enum": ("BIG = 10", "BIG = 11"),
    "a default": ("rates=(1, 2)", "rates=(1, 3)"),
    "a default of a keyword": ('by={"a": 1}', 'by={"a": 2}'),
    "the kind of a parameter": ("counted(self, *coins)", "counted(self, coins)"),
    "what a decorator is given": ("@times(2,", "@times(3,"),
    "what a decorator does": ("range(number)", "range(number + 1)"),
    "what is below a decorator": ("self.coins += 1", "self.coins += 2"),
    "what is below functools.lru_cache": (
        "return 1\n\n    @functools.s",
        "return 2\n\n    @functools.s",
    ),
    "a case": ("return 20", "return 22"),
    "a case without a name": ("coins: 21", "coins: 22"),
    "an attribute": ('return "purse"\n\n    class Turned', 'return "box"\n\n    class Turned'),
    "a base of an event": ("purse.coins = -1", "purse.coins = -2"),
    "what an upcaster is made with": ('renames("name", "label")', 'renames("text", "label")'),
    "what an upcaster does": ("state.pop(old)", "state.get(old)"),
    "what an object does that is an upcaster": ('{"kept": state}', '{"keeps": state}'),
    "what is given to an upcaster": ('("old",)', '("older",)'),
}

CHANGES = {
    "an upcaster": ("*= 100", "*= 10"),
    "a version": ("upcasters={1: in_cents}", "upcasters={1: in_cents, 2: in_cents}"),
    "a constant": ("LIMIT = 10", "LIMIT = 11"),
    "an annotation": ("    owner: str\n", "    owner: str | None\n"),
    "a new attribute": ("self.owner, self.coins = owner, 0", "self.owner = owner"),
    "the type of a parameter": ("limit: int", "limit: float"),
    "the default of a parameter": ("limit: int = 5", "limit: int = 6"),
    "the body of a method": ("self.coins += coins", "self.coins -= coins"),
    "the name of an attribute": ("self.coins += coins", "self.coyns += coins"),
    "a constant in a set": ('"Cid"', '"Dan"'),
    "a property": ("self.coins > self.LIMIT", "self.coins >= self.LIMIT"),
    "a class method": ("cls.create(owner=owner)", "cls.create(owner=owner, limit=1)"),
    "a static method": ('return "purse"', 'return "Purse"'),
    "an event's body": ("purse.coins = 0", "purse.coins = 1"),
    "an event's field": ("why: str", "why: int"),
    "the schema version": ("LIMIT = 10", "LIMIT = 10\n    schema_version = 2"),
    "a new event": ('@event("Filled")', '@event("Stuffed")'),
}


def purse(source: str = SOURCE) -> Any:
    """Return the class that is defined by a source."""
    return module_of(f"{IMPORTS}\n{source}").Purse


def module_of(source: str) -> Any:
    """Return the module that a source makes, which is found nowhere."""
    module = types.ModuleType("purses")
    exec(source, vars(module))  # noqa: S102 - a source of the test's own
    return module


IMPORTS = """
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import attribute, event
"""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_class_changes_it(change: tuple[str, str]) -> None:
    before = fingerprint_of(purse())
    changed = SOURCE.replace(*change)
    assert changed != SOURCE
    assert fingerprint_of(purse(changed)) != before


@pytest.mark.parametrize(
    "change",
    [lambda s: s, lambda s: "\n\n" + s, lambda s: s.replace("Holds coins", "Keeps coins")],
    ids=["nothing", "other lines", "another docstring"],
)
def test_what_is_no_change_does_not_change_it(change: Callable[[str], str]) -> None:
    assert fingerprint_of(purse(change(SOURCE))) == fingerprint_of(purse())


@pytest.mark.parametrize("change", RICH_CHANGES.values(), ids=RICH_CHANGES)
def test_a_change_of_what_is_in_the_class_changes_it(change: tuple[str, str]) -> None:
    changed = RICH.replace(*change)
    assert changed != RICH
    assert fingerprint_of(purse(changed)) != fingerprint_of(purse(RICH))


@pytest.mark.parametrize(
    "change",
    [
        ("", ""),
        ('{"ann": 1, "bob": 2, "cid": 3}', '{"cid": 3, "bob": 2, "ann": 1}'),
        ('{"x", "y", "z"}', '{"z", "y", "x"}'),
    ],
    ids=["nothing", "the order of a dict", "the order of a set"],
)
def test_what_is_no_change_in_the_class_does_not_change_it(change: tuple[str, str]) -> None:
    assert fingerprint_of(purse(RICH.replace(*change))) == fingerprint_of(purse(RICH))


def test_a_value_may_be_inside_of_itself() -> None:
    source = """
    LOOP = [1]
    LOOP.append({"again": LOOP})
    def walk(self, loop=LOOP):
        return loop
"""
    assert fingerprint_of(purse(SOURCE + source)) == fingerprint_of(purse(SOURCE + source))
    changed = source.replace("[1]", "[2]")
    assert fingerprint_of(purse(SOURCE + changed)) != fingerprint_of(purse(SOURCE + source))


def test_a_value_may_refuse_to_be_looked_at() -> None:
    source = """
    class Closed(list):
        def __iter__(self):
            raise RuntimeError

    CLOSED = Closed([1])
"""
    assert fingerprint_of(purse(SOURCE + source)) == fingerprint_of(purse(SOURCE + source))


def test_a_change_of_a_base_changes_it() -> None:
    first, second = purse(), purse(SOURCE.replace("LIMIT = 10", "LIMIT = 11"))
    wallets = [type("Wallet", (base,), {"__module__": "x"}) for base in (first, second)]
    found = set(map(fingerprint_of, wallets))
    assert len(found) == 2


def test_the_name_of_the_class_does_not_change_it() -> None:
    renamed: dict[str, Any] = {"__name__": "wallets"}
    exec(f"{IMPORTS}\n{SOURCE.replace('class Purse', 'class Wallet')}", renamed)  # noqa: S102
    assert fingerprint_of(renamed["Wallet"]) == fingerprint_of(purse())


# -- event classes that are defined elsewhere

MOVED = """
class Moved(OWNER.Event):
    steps: int

    def mutate(self, purse):
        purse.coins += self.steps
"""


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the event classes of a test out of the registry again."""
    monkeypatch.setattr(event_classes, "_classes", dict(event_classes._classes))


def fingerprints(*sources: str, of: str = "Purse") -> list[str]:
    """Return the fingerprint of a class after each of several sources of one module."""
    names = vars(module_of(f"{IMPORTS}\n{SOURCE}"))
    found = []
    for source in sources:
        exec(source, names)  # noqa: S102 - a source of the test's own
        found.append(fingerprint_of(names[of]))
    return found


@pytest.mark.parametrize("owner", ["Purse", "AggregateRoot"])
@pytest.mark.usefixtures("fresh_registry")
def test_an_event_class_elsewhere_is_seen_once_it_is_known(owner: str) -> None:
    moved = MOVED.replace("OWNER", owner)
    before, known, still = fingerprints("", moved, "x = 1")
    assert known == still != before
    assert fingerprints(moved) == [known]
    (changed,) = fingerprints(moved.replace("+=", "-="))
    assert changed not in (before, known)


@pytest.mark.usefixtures("fresh_registry")
def test_of_an_event_class_elsewhere_its_bases_and_upcasters_are_seen() -> None:
    based = "class Base:\n    def mutate(self, purse):\n        purse.coins = 1\n"
    moved = "class Moved(Base, Purse.Event, upcasters={1: lambda state: {'a': 1}}):\n    a: int"
    changes = [("coins = 1", "coins = 2"), ("'a': 1", "'a': 2"), ("a: int", "a: str")]
    sources = [based + moved, *((based + moved).replace(*change) for change in changes)]
    assert len({fingerprints(source)[0] for source in sources}) == 4


@pytest.mark.usefixtures("fresh_registry")
def test_two_event_classes_elsewhere_that_change_places_are_seen() -> None:
    one = MOVED.replace("OWNER", "Purse")
    other = one.replace("Moved", "Taken").replace("+=", "-=")
    (before,) = fingerprints(one + other)
    (after,) = fingerprints(one.replace("+=", "-=") + other.replace("-=", "+="))
    (renamed,) = fingerprints(one.replace("Moved", "Zeroed") + other)
    assert len({before, after, renamed}) == 3


@pytest.mark.usefixtures("fresh_registry")
def test_event_classes_elsewhere_are_seen_by_the_classes_that_take_them() -> None:
    classes = "class Wallet(Purse):\n    pass\nclass Sack(Purse):\n    pass\n"
    of_base, of_derived = MOVED.replace("OWNER", "Purse"), MOVED.replace("OWNER", "Sack")
    before, after = fingerprints(classes, of_base, of="Wallet")
    assert before != after
    for other in ("Wallet", "Purse"):  # which do not take what is a Sack's alone
        before, after = fingerprints(classes, of_derived, of=other)
        assert before == after


@pytest.mark.usefixtures("fresh_registry")
def test_an_event_class_elsewhere_that_is_made_a_member_is_seen() -> None:
    moved = MOVED.replace("OWNER", "Purse") + "\nPurse.Moved = Moved\n"
    assert fingerprints(moved) != fingerprints(moved.replace("+=", "-="))


@pytest.mark.usefixtures("fresh_registry")
def test_the_order_in_which_event_classes_elsewhere_are_defined_does_not_matter() -> None:
    moved = MOVED.replace("OWNER", "Purse")
    sources = [moved.replace("Moved", f"Moved{n}") for n in range(8)]
    assert fingerprints("".join(sources)) == fingerprints("".join(reversed(sources)))


# What a process may have done before it is asked for the fingerprint.
BEFORE = {
    "nothing": "",
    "made an object": "Purse.create(owner='Ann')",
    "made all events": """
one = Purse.create(owner='Ann')
one.fill(1)
one.give(1)
one._trigger(Purse.Emptied, why='x')
one.change_attribute('coins', 2)
one.discard()
""",
    "saved": "app.save(Purse.create(owner='Ann', id='x'))",
    "loaded": """
one = Purse.create(owner='Ann', id='x')
one.fill(1)
app.save(one)
app.repository['x']
""",
    "used it": """
import abc
abc.ABC.register(int)
one = Purse.create(owner='Ann')
one.worth(), one.take([]), one.take(7), one.take(True), one.label, one.shake()
Purse.KIND(1), Purse.Size(10), Purse.Way.IN | Purse.Way.OUT, hash(Purse.FEE), repr(Purse.FEE)
""",
    "made an event of a base": "AggregateRoot.create().discard()",
}
PROCESS = """
import sys, types
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.infrastructure.memory import MemoryRecordManager
from tests.domain.test_fingerprints import RICH, fingerprint_of, purse

sys.modules["purses"] = types.ModuleType("purses")
Purse = purse(RICH)
app = SimpleApplication(record_manager=MemoryRecordManager())
{}
print(fingerprint_of(Purse))
"""


def test_it_is_the_same_in_every_process_whatever_it_did_before() -> None:
    found = {
        name: printed_by(PROCESS.format(before), hash_seed=seed)
        for seed, (name, before) in enumerate(BEFORE.items(), 1)
    }
    assert set(found.values()) == {found["nothing"]}, found


def printed_by(code: str, hash_seed: int) -> str:
    """Return what a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()
