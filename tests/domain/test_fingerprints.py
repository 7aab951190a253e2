"""Fingerprints of aggregates' classes: what changes them, and what does not."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

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
    names: dict[str, Any] = {"__name__": "purses"}
    exec(f"{IMPORTS}\n{source}", names)  # noqa: S102 - a source of the test's own
    return names["Purse"]


IMPORTS = """
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
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


def test_a_change_of_a_base_changes_it() -> None:
    first, second = purse(), purse(SOURCE.replace("LIMIT = 10", "LIMIT = 11"))
    wallets = [type("Wallet", (base,), {"__module__": "x"}) for base in (first, second)]
    found = set(map(fingerprint_of, wallets))
    assert len(found) == 2


def test_the_name_of_the_class_does_not_change_it() -> None:
    renamed: dict[str, Any] = {"__name__": "wallets"}
    exec(f"{IMPORTS}\n{SOURCE.replace('class Purse', 'class Wallet')}", renamed)  # noqa: S102
    assert fingerprint_of(renamed["Wallet"]) == fingerprint_of(purse())


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
    "made an event of a base": "AggregateRoot.create().discard()",
}
PROCESS = """
import sys, types
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.infrastructure.memory import MemoryRecordManager
from tests.domain.test_fingerprints import fingerprint_of, purse

sys.modules["purses"] = types.ModuleType("purses")
Purse = purse()
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
