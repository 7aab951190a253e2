"""Chains alone: whatever is done to a stream at random, but for cutting off its end, is found."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.verifying import make_checkpoint, verify
from eventsourcing.exceptions import DataIntegrityError
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditem import ChainedEvent
from eventsourcing.utils.signing import SigningKey
from tests.contracts.chaining import Items, application, items_of, kinds, moved, rewrite
from tests.contracts.model import Account

EVENTS, TRIALS = 12, 1_000
COLUMNS = ("topic", "state", "event_id", "correlation_id", "causation_id", "chain")
KEY = SigningKey(bytes(range(32)))


def edit(items: Items, chance: random.Random) -> tuple[Items, int]:
    at = chance.randrange(EVENTS)
    values: Any = {chance.choice(COLUMNS): f"{chance.random()}"}
    changed = items[at]._replace(**values)
    return [*items[:at], changed, *items[at + 1 :]], at


def swap(items: Items, chance: random.Random) -> tuple[Items, int]:
    one, other = sorted(chance.sample(range(EVENTS), 2))
    chains = items[one].chain, items[other].chain
    (first,), (last,) = moved([items[other]], one - other), moved([items[one]], other - one)
    if chance.random() < 0.5:  # leave the hashes where they were
        first, last = first._replace(chain=chains[0]), last._replace(chain=chains[1])
    return [*items[:one], first, *items[one + 1 : other], last, *items[other + 1 :]], one


def delete(items: Items, chance: random.Random) -> tuple[Items, int]:
    at = chance.randrange(EVENTS - 1)  # not the last one
    if chance.random() < 0.5:
        return items[:at] + items[at + 1 :], at + 1
    return items[:at] + moved(items[at + 1 :], -1), at


def insert(items: Items, chance: random.Random) -> tuple[Items, int]:
    at = chance.randint(0, EVENTS)
    new = chance.choice(items)._replace(originator_version=at, event_id=f"{chance.random()}")
    return [*items[:at], new, *moved(items[at:], 1)], at


@contextmanager
def two_streams(manager: MemoryRecordManager) -> Iterator[SimpleApplication]:
    """Give an application with two streams, of which the last saved is Ann's."""
    with application(manager) as app:
        for name in ("Bob", "Ann"):
            account = Account.create(id=name, owner=name)
            for amount in range(1, EVENTS):
                account.deposit(amount)
            app.save(account)
        yield app


@pytest.mark.parametrize("harm", [edit, swap, delete, insert])
def test_it_is_found_on_replay_and_by_verify_and_named(
    harm: Callable[[Items, random.Random], tuple[Items, int]],
) -> None:
    manager = MemoryRecordManager(ChainedEvent)
    with two_streams(manager) as app:
        whole = items_of(manager, "Ann")
        for seed in range(TRIALS // 4):
            items, version = harm(whole, random.Random(seed))
            rewrite(manager, "Ann", items)
            with pytest.raises(DataIntegrityError) as caught:
                app.repository["Ann"]
            named = caught.value.originator_id, caught.value.originator_version
            assert named == ("Ann", version), seed
            assert ("broken chain", "Ann", version) in kinds(verify(app)), seed
        rewrite(manager, "Ann", whole)  # the control
        assert (verify(app).found, app.repository.get("Ann", Account).version) == (0, EVENTS)


def test_that_the_end_was_cut_off_is_found_by_checkpoints_alone() -> None:
    manager = MemoryRecordManager(ChainedEvent)
    with two_streams(manager) as app:
        checkpoint = make_checkpoint(app, KEY)
        whole = items_of(manager, "Ann")
        for end in range(1, EVENTS + 1):
            rewrite(manager, "Ann", whole[:end])
            assert verify(app).found == 0
            report = verify(app, [checkpoint], key=KEY.public)
            assert report.found == (0 if end == EVENTS else 1)
