"""Snapshots of other code, and of processes that have imported other modules, are not used."""

import subprocess
import sys
from pathlib import Path

import pytest

ACCOUNTS = """
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event

class Account(AggregateRoot, topic="changed.account"):
    RATES = (1, 2)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.balance = self.steps = 0

    @event("Deposited")
    def deposit(self, amount: int) -> None:
        self.balance += amount * self.RATES[0]
"""
MOVES = """
from accounts import Account

class Moved(Account.Event):
    steps: int

    def mutate(self, account):
        account.steps += self.steps
"""
PROCESS = """
import logging, sys
from accounts import Account
from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication

logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
for name in ("sqlalchemy", "protection"):
    logging.getLogger(f"eventsourcing.infrastructure.{name}").setLevel("ERROR")
app = SimpleApplication(
    uri="sqlite:///bank.db",
    snapshotting_policy=SnapshottingPolicy(every=4),
    topic_prefixes=["moves"],
)

def write(steps):
    account = Account.create(id="ann")
    for _ in range(5):
        account.deposit(1)
        if steps:
            from moves import Moved
            account._trigger(Moved, steps=1)
    app.save(account)

def load():
    account = app.repository["ann"]
    print(account.balance, account.steps)
"""
LOADED = ["5 5"]
NOT_USED = "the snapshot of version 11 of 'ann' is not used: Account has changed since"


class Bank:
    """Code in a directory, and a database beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.put("accounts", ACCOUNTS)
        self.put("moves", MOVES)

    def put(self, module: str, source: str) -> None:
        (self.folder / f"{module}.py").write_text(source)

    def run(self, code: str) -> list[str]:
        """Return the lines that a new process prints."""
        done = subprocess.run(
            [sys.executable, "-B", "-c", f"{PROCESS}\n{code}"],
            cwd=self.folder,
            env={"PYTHONPATH": ":".join([str(self.folder), *sys.path])},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.splitlines()


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path)
    bank.run("write(steps=True)")
    assert bank.run("import moves\nload()") == LOADED
    assert bank.run("import moves\nload()") == LOADED
    return bank


def test_a_constant_that_has_changed_is_heeded(bank: Bank) -> None:
    bank.put("accounts", ACCOUNTS.replace("(1, 2)", "(3, 2)"))
    assert bank.run("import moves\nload()\nload()") == [NOT_USED, "15 5", "15 5"]


CHANGED = MOVES.replace("+= self.steps", "+= 10 * self.steps")


def test_an_event_class_elsewhere_that_has_changed_is_heeded(bank: Bank) -> None:
    bank.put("moves", CHANGED)
    assert bank.run("import moves\nload()\nload()") == [NOT_USED, "5 50", "5 50"]


def test_one_that_is_imported_by_the_load_is_heeded(bank: Bank) -> None:
    bank.put("moves", CHANGED)
    assert bank.run("load()\nload()") == [NOT_USED, "5 50", "5 50"]


def test_one_that_is_imported_later_is_heeded_and_the_snapshot_is_used_again(bank: Bank) -> None:
    assert bank.run("load()\nimport moves\nload()\nload()") == [NOT_USED, *LOADED * 3]
    assert bank.run("import moves\nload()\nload()") == LOADED * 2


def test_one_of_which_there_is_no_event_does_not_keep_snapshots_from_being_used(
    tmp_path: Path,
) -> None:
    bank = Bank(tmp_path)
    bank.run("write(steps=False)\nload()")
    loaded = ["5 0"]
    assert bank.run("load()\nload()") == loaded * 2
    not_used = NOT_USED.replace("11", "6")
    assert bank.run("load()\nimport moves\nload()\nload()") == [*loaded, not_used, *loaded * 2]
    assert bank.run("import moves\nload()\nload()") == loaded * 2
