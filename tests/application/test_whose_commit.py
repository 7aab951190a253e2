"""Who commits a save: the library at once, or somebody else later, who then has to be asked."""

from collections.abc import Callable
from typing import Any

import pytest

from eventsourcing.application.policies import PersistencePolicy
from eventsourcing.domain.model.bus import subscribe, unsubscribe
from eventsourcing.domain.model.stores import open_store
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from tests.application.stores import Counter

Callbacks = list[tuple[Callable[[], None], Callable[[], None] | None]]


class Later:
    """Commits some time after a save."""

    waiting: Callbacks

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        self.waiting.append((callback, or_else))


class LaterManager(Later, MemoryRecordManager):
    def __init__(self) -> None:
        super().__init__()
        self.commits = False


class LaterStore(Later, EventStore):
    pass


class LaterPolicy(Later, PersistencePolicy):
    pass


def policy_of(later: str) -> tuple[PersistencePolicy, Callbacks]:
    """Return a policy of whose parts one commits later, and the callbacks that wait for it."""
    manager = LaterManager() if later == "manager" else MemoryRecordManager()
    make_store = LaterStore if later == "store" else EventStore
    store = make_store(manager, SequencedItemMapper())
    policy = (LaterPolicy if later == "policy" else PersistencePolicy)(store)
    parts: dict[str, Any] = {"manager": manager, "store": store, "policy": policy}
    waiting: Callbacks = []
    if later:
        parts[later].waiting = waiting
    return policy, waiting


@pytest.mark.parametrize("later", ["manager", "store", "policy"])
def test_subscribers_and_aggregates_wait_for_the_commit_of_whoever_makes_it(later: str) -> None:
    policy, waiting = policy_of(later)
    heard: list[Any] = []
    subscribe(heard.append)
    try:
        counter = Counter.create()
        counter.save()
        ((told, undo),) = waiting
        assert heard == []
        assert counter._es_pending == []
        assert undo is not None
        undo()
        assert len(counter._es_pending) == 1
        told()
        assert len(heard) == 1
    finally:
        unsubscribe(heard.append)
        policy.close()


def test_the_librarys_own_commit_is_not_asked_for() -> None:
    policy, waiting = policy_of("")
    try:
        Counter.create().save()
        assert policy.commits
        assert waiting == []
    finally:
        policy.close()


def test_a_store_that_does_not_say_who_commits_is_not_given_events() -> None:
    class Silent:
        name = "silent"
        stored = 0

        def accepts(self, event: object) -> bool:
            return True

        def store(self, events: object) -> None:
            self.stored += 1

    silent: Any = Silent()
    open_store(silent)
    try:
        counter = Counter.create()
        with pytest.raises(AttributeError, match="commits"):
            counter.save()
        assert silent.stored == 0
        assert len(counter._es_pending) == 1
    finally:
        PersistencePolicy.close(silent)
