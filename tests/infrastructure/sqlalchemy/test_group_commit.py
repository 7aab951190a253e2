"""Savers that share a transaction: who waits for whom, and what becomes of each.

Here the database is a function whose calls last as long as the test wants. What real databases
make of it is tested in :mod:`.test_shared_transactions` and :mod:`.test_interrupted_groups`.
"""

import gc
import os
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from time import monotonic
from typing import Any

import pytest

from eventsourcing.exceptions import (
    LockTimeout,
    OutcomeUnknown,
    SequencedItemConflict,
)
from eventsourcing.infrastructure.sqlalchemy import groupcommit
from eventsourcing.infrastructure.sqlalchemy.groupcommit import GroupCommit
from tests.infrastructure.sqlalchemy.helpers import SECONDS_TO_WAIT, eventually
from tests.infrastructure.sqlalchemy.test_forks import fork, succeeded

Item = tuple[Any, ...]


def save(stream: str, count: int = 1, state: str = "{}") -> tuple[Item, ...]:
    """Return the items of one save."""
    return tuple((stream, position, "t", state) for position in range(count))


class Database:
    """Stores items, in transactions that end when the test lets them.

    Attributes:
        transactions: the streams of each one that was stored, in order.
        begun: how many began.
        refused: streams of which nothing is stored, and why.
    """

    def __init__(self, is_open: bool = True) -> None:
        self.transactions: list[list[str]] = []
        self.begun = 0
        self.refused: dict[str, BaseException] = {}
        self.script: deque[Callable[[], None]] = deque()
        self._is_open = threading.Event()
        if is_open:
            self._is_open.set()

    def open(self) -> None:
        """Let the transactions end."""
        self._is_open.set()

    def record(self, items: Sequence[Item], is_shared: bool) -> None:
        """As a record manager does."""
        assert is_shared == (len({item[0] for item in items}) > 1)
        self.begun += 1
        if self.script:
            self.script.popleft()()
        assert self._is_open.wait(SECONDS_TO_WAIT)
        for item in items:
            if item[0] in self.refused:
                raise self.refused[item[0]]
        self.transactions.append([item[0] for item in items])


@pytest.fixture
def database() -> Database:
    return Database(is_open=False)


@pytest.fixture
def threads(database: Database) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as threads:
        yield threads
        database.open()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody loses patience, unless a test is about that."""
    monkeypatch.setattr(groupcommit, "PATIENCE", SECONDS_TO_WAIT)


def waiting(groups: GroupCommit) -> int:
    """Return how many saves wait in groups that have not begun."""
    return sum(
        len(group.saves) for group in groups._lanes if group.began == groupcommit.NEVER
    ) - sum(group.is_over and group.began == groupcommit.NEVER for group in groups._lanes)


def queue(
    threads: ThreadPoolExecutor, groups: GroupCommit, database: Database, *streams: str
) -> list[Future[None]]:
    """Have the first save under way, and the others wait for it, in their order."""
    begun = database.begun
    futures = [threads.submit(groups.record, save(streams[0]))]
    eventually(lambda: database.begun == begun + 1)
    for count, stream in enumerate(streams[1:], start=1):
        futures.append(threads.submit(groups.record, save(stream)))
        eventually(lambda count=count: waiting(groups) == count)  # type: ignore[misc]
    return futures


def errors(futures: Sequence[Future[None]]) -> list[type[BaseException] | None]:
    """Return what each save raised."""
    raised = [future.exception(SECONDS_TO_WAIT) for future in futures]
    return [None if error is None else type(error) for error in raised]


# -- who shares what ---------------------------------------------------------------------


def test_who_is_alone_stores_at_once() -> None:
    database = Database()
    groups = GroupCommit(database.record)

    groups.record(save("a", 2))
    groups.record(save("b"))

    assert database.transactions == [["a", "a"], ["b"]]


def test_those_who_come_meanwhile_share_the_next_transaction(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b", "c", "d")

    assert not any(future.done() for future in futures)
    database.open()

    assert errors(futures) == [None] * 4
    assert database.transactions == [["a"], ["b", "c", "d"]]


def test_nobody_waits_while_a_lane_is_free(database: Database, threads: ThreadPoolExecutor) -> None:
    groups = GroupCommit(database.record, lanes=2)
    futures = [threads.submit(groups.record, save(stream)) for stream in "ab"]

    eventually(lambda: database.begun == 2)

    database.open()
    assert errors(futures) == [None, None]


def test_who_finds_all_lanes_busy_waits_for_the_last_but_one(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """Not for the first to be done: so more of them come together, in fewer groups at once."""
    groups = GroupCommit(database.record, lanes=4)
    database.open()
    ends = {stream: threading.Event() for stream in "abcd"}
    futures = {}
    for count, (stream, end) in enumerate(ends.items(), start=1):
        database.script.append(lambda end=end: end.wait(SECONDS_TO_WAIT))  # type: ignore[misc]
        futures[stream] = threads.submit(groups.record, save(stream))
        eventually(lambda count=count: database.begun == count)  # type: ignore[misc]
    last = [threads.submit(groups.record, save(stream)) for stream in "ef"]
    eventually(lambda: waiting(groups) == 2)

    for stream in "abd":
        ends[stream].set()
        futures[stream].result(SECONDS_TO_WAIT)
        assert waiting(groups) == 2

    ends["c"].set()
    assert errors([futures["c"], *last]) == [None] * 3
    assert [set(streams) for streams in database.transactions[3:]] == [{"c"}, {"e", "f"}]


def test_two_saves_to_one_stream_do_not_share(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b")
    futures.append(threads.submit(groups.record, save("b")))
    database.open()

    assert errors(futures) == [None] * 3
    assert database.transactions == [["a"], ["b"], ["b"]]


@pytest.mark.parametrize(
    "large",
    [save("c", count=groupcommit.MOST_ROWS), save("c", state="x" * groupcommit.MOST_CHARACTERS)],
    ids=["many", "long"],
)
def test_a_large_save_goes_by_itself(
    database: Database, threads: ThreadPoolExecutor, large: tuple[Item, ...]
) -> None:
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b")
    futures.append(threads.submit(groups.record, large))
    database.open()

    assert errors(futures) == [None] * 3
    assert [set(streams) for streams in database.transactions] == [{"a"}, {"b"}, {"c"}]


# -- what is wrong with one --------------------------------------------------------------


def _hurt_by_a_conflict(database: Database, threads: ThreadPoolExecutor) -> list[str]:
    """Return who is refused if c, in the middle of a group, has to be."""
    groups = GroupCommit(database.record)
    database.refused["c"] = SequencedItemConflict("taken")
    futures = queue(threads, groups, database, "a", "b", "c", "d")
    database.open()
    return [
        stream
        for stream, error in zip("abcd", errors(futures), strict=True)
        if error is SequencedItemConflict
    ]


def test_a_conflict_in_the_middle_hurts_no_other(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    assert _hurt_by_a_conflict(database, threads) == ["c"]
    assert sorted(database.transactions) == [["a"], ["b"], ["d"]]


def test_control_without_going_alone_it_hurts_the_whole_group(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def part(self: GroupCommit, group: object, rows: object) -> None:
        raise SequencedItemConflict("of somebody")

    monkeypatch.setattr(GroupCommit, "_part", part)

    assert _hurt_by_a_conflict(database, threads) == ["b", "c", "d"]


@pytest.mark.parametrize(("shares", "is_long"), [(True, True), (True, False), (False, True)])
def test_who_has_waited_for_a_common_lock_in_vain_does_not_wait_again(
    database: Database,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    shares: bool,
    is_long: bool,
) -> None:
    groups = GroupCommit(database.record, shares_lock_timeouts=shares)
    futures = queue(threads, groups, database, "a", "b", "c")
    database.refused["c"] = LockTimeout("locked")
    if is_long:
        monkeypatch.setattr(groupcommit, "PATIENCE", 0)
    database.open()

    is_everybodys = shares and is_long
    assert errors(futures) == [None, LockTimeout if is_everybodys else None, LockTimeout]
    assert database.begun == (2 if is_everybodys else 4)


def test_an_id_that_cannot_be_hashed_is_no_problem_of_the_others(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a")
    futures.append(threads.submit(groups.record, (([], 0, "t", "{}"),)))
    eventually(lambda: waiting(groups) == 1)
    futures.append(threads.submit(groups.record, save("b")))
    database.open()

    assert errors(futures) == [None, TypeError, None]  # the test's database looks ids up


def test_nothing_that_may_be_large_is_held_after_a_failure(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    def refuse() -> None:
        raise SequencedItemConflict("taken")

    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a")
    texts = []
    for stream in "bc":
        texts.append(weakref.ref(text := Text("x")))
        futures.append(threads.submit(groups.record, ((stream, 0, "t", text),)))
        del text
        eventually(lambda: waiting(groups) == len(texts))
    database.script.extend([lambda: None, refuse])
    database.script.popleft()
    database.open()
    assert errors(futures) == [None] * 3
    assert database.begun == 4

    futures.clear()
    database.transactions.clear()
    eventually(lambda: gc.collect() >= 0 and [text() for text in texts] == [None, None])


# -- leaders that are gone ---------------------------------------------------------------


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, TimeoutError, OutcomeUnknown])
def test_if_the_leader_is_interrupted_the_others_hear_that_the_outcome_is_unknown(
    database: Database, threads: ThreadPoolExecutor, interrupt: type[BaseException]
) -> None:
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b", "c", "d")
    database.refused["b"] = interrupt("in the middle")
    database.open()

    assert errors(futures) == [None, interrupt, OutcomeUnknown, OutcomeUnknown]
    groups.record(save("e"))
    assert database.transactions == [["a"], ["e"]]


def test_if_the_leader_never_begins_the_others_go_alone(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = GroupCommit._lead

    def interrupted(self: GroupCommit, group: Any) -> None:
        if group.saves[0][0][0] == "b":
            group.before.wait(SECONDS_TO_WAIT)
            raise KeyboardInterrupt
        lead(self, group)

    monkeypatch.setattr(GroupCommit, "_lead", interrupted)
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b", "c", "d")
    database.open()

    assert errors(futures) == [None, KeyboardInterrupt, None, None]
    assert sorted(database.transactions) == [["a"], ["c"], ["d"]]


def test_that_a_leader_is_gone_is_noticed_without_being_told(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b", "c")
    monkeypatch.setattr(groupcommit._Group, "end", interrupted)
    database.open()

    assert errors(futures) == [KeyboardInterrupt, KeyboardInterrupt, None]
    assert database.transactions == [["a"], ["b", "c"]]


def check_that_a_group_begins_beside_another(
    groups: GroupCommit, database: Database, threads: ThreadPoolExecutor
) -> None:
    futures = [threads.submit(groups.record, save("a"))]
    eventually(lambda: database.begun == 1)
    futures.append(threads.submit(groups.record, save("b")))

    eventually(lambda: database.begun == 2)

    database.open()
    assert errors(futures) == [None, None]


def test_a_leader_that_takes_long_holds_nobody_up_for_ever(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "PATIENCE", 0.05)
    check_that_a_group_begins_beside_another(GroupCommit(database.record), database, threads)


@pytest.mark.parametrize("lock_timeout", [0.0, 0.5])
def test_who_is_to_wait_for_a_lock_for_a_short_time_waits_less_for_others(
    database: Database, threads: ThreadPoolExecutor, lock_timeout: float
) -> None:
    """PATIENCE, which is without end here, would make it several times the lock time-out."""
    groups = GroupCommit(database.record, lock_timeout=lock_timeout)
    check_that_a_group_begins_beside_another(groups, database, threads)


def test_who_has_waited_for_a_short_lock_time_out_in_vain_does_not_wait_again(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_for_a_lock() -> None:
        time.sleep(0.2)
        raise LockTimeout("locked")

    monkeypatch.setattr(groupcommit, "PATIENCE_OF_LOCKS", 1e6)  # until all have come together
    groups = GroupCommit(database.record, shares_lock_timeouts=True, lock_timeout=0.2)
    futures = queue(threads, groups, database, "a", "b", "c")
    database.script.append(wait_for_a_lock)
    database.open()

    assert errors(futures) == [None, LockTimeout, LockTimeout]
    assert database.begun == 2


def test_a_group_does_not_begin_while_a_save_is_being_taken_in(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, is_taking, may_take = groupcommit._Group.take, threading.Event(), threading.Event()

    def slowly(self: Any, other: Any) -> bool:
        is_taking.set()
        assert may_take.wait(SECONDS_TO_WAIT)
        return take(self, other)

    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b")
    monkeypatch.setattr(groupcommit._Group, "take", slowly)
    futures.append(threads.submit(groups.record, save("c")))
    assert is_taking.wait(SECONDS_TO_WAIT)
    database.open()
    eventually(futures[0].done)
    time.sleep(0.05)  # in which b could begin
    assert database.begun == 1
    may_take.set()

    assert errors(futures) == [None] * 3
    assert database.transactions == [["a"], ["b", "c"]]


def test_savers_find_their_groups_one_after_the_other(threads: ThreadPoolExecutor) -> None:
    database = Database()
    groups = GroupCommit(database.record)
    with groups._changing:
        future = threads.submit(groups.record, save("a"))
        time.sleep(0.05)
        assert database.begun == 0
    assert errors([future]) == [None]


# -- followers that go -------------------------------------------------------------------


def _stored_after_the_interrupt_of_a_follower(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> list[list[str]]:
    wait = groupcommit._Group.wait

    def interrupted(self: Any, *args: float) -> None:
        if len(self.saves) == 2 and args == (2 * groupcommit.PATIENCE,):
            raise KeyboardInterrupt
        wait(self, *args)

    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b")
    monkeypatch.setattr(groupcommit._Group, "wait", interrupted)
    follower = threads.submit(groups.record, save("c"))
    assert errors([follower]) == [KeyboardInterrupt]
    monkeypatch.undo()
    database.open()
    assert errors(futures) == [None, None]
    return database.transactions


def test_a_follower_that_is_interrupted_takes_its_save_along(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _stored_after_the_interrupt_of_a_follower(database, threads, monkeypatch)

    assert found == [["a"], ["b"]]


def test_a_follower_whose_time_is_up_goes_alone(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b")
    monkeypatch.setattr(groups, "_patience", 0.05)  # not for b, which waits already
    futures.append(threads.submit(groups.record, save("c")))

    eventually(lambda: database.begun == 2)

    database.open()
    assert errors(futures) == [None] * 3
    assert sorted(database.transactions) == [["a"], ["b"], ["c"]]


def test_a_follower_does_not_wait_for_ever_for_a_group_that_has_begun(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_held, may_go_on = threading.Event(), threading.Event()

    def hang() -> None:
        is_held.set()
        assert may_go_on.wait(SECONDS_TO_WAIT)

    monkeypatch.setattr(groupcommit, "LONGEST", 0.05)
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b")
    monkeypatch.setattr(groups, "_patience", 0.5)  # not for b, which waits already
    futures.append(threads.submit(groups.record, save("c")))
    eventually(lambda: waiting(groups) == 2)
    database.script.append(hang)
    database.open()
    assert is_held.wait(SECONDS_TO_WAIT)

    eventually(futures[2].done)
    may_go_on.set()

    assert errors(futures) == [None, None, OutcomeUnknown]
    assert database.transactions == [["a"], ["b", "c"]]


# -- what comes in between ---------------------------------------------------------------


def test_a_signal_handler_may_save_while_its_thread_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groupcommit, "PATIENCE", 0.05)
    database = Database()
    groups = GroupCommit(database.record)
    database.script.append(lambda: groups.record(save("handler's")))
    before = signal.signal(signal.SIGUSR1, lambda *_: groups.record(save("signal's")))
    try:
        database.script.append(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        started = monotonic()
        groups.record(save("a"))
        assert monotonic() - started < SECONDS_TO_WAIT
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert sorted(stream for (stream,) in database.transactions) == ["a", "handler's", "signal's"]


def test_a_signal_handler_may_save_while_its_thread_looks_for_a_group(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = groupcommit._Group.measure

    def with_a_save_of_the_handlers(self: Any) -> None:
        monkeypatch.setattr(groupcommit._Group, "measure", measure)
        groups.record(save("handler's"))
        measure(self)

    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a")
    monkeypatch.setattr(groupcommit._Group, "measure", with_a_save_of_the_handlers)
    futures.append(threads.submit(groups.record, save("b")))
    eventually(lambda: waiting(groups) == 1)
    database.open()

    assert errors(futures) == [None, None]
    assert sorted(stream for (stream,) in database.transactions) == ["a", "b", "handler's"]


@pytest.mark.parametrize("is_joining", [False, True], ids=["", "while one joins"])
def test_a_child_of_a_fork_does_not_wait_for_its_parents_threads(
    database: Database, threads: ThreadPoolExecutor, is_joining: bool
) -> None:
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a", "b")

    def child() -> None:
        database.open()
        started = monotonic()
        groups.record(save("c"))
        assert database.transactions == [["c"]]
        assert monotonic() - started < groupcommit.PATIENCE

    with groups._changing if is_joining else nullcontext():
        is_well = threads.submit(lambda: succeeded(fork(child))).result(SECONDS_TO_WAIT)
    assert is_well
    database.open()
    assert errors(futures) == [None, None]


def test_control_the_child_would_wait_as_long_as_its_patience(
    database: Database, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groupcommit, "PATIENCE", 0.2)
    groups = GroupCommit(database.record)
    futures = queue(threads, groups, database, "a")
    monkeypatch.setattr(GroupCommit, "after_fork_in_child", lambda self: None)

    def child() -> None:
        database.open()
        started = monotonic()
        with suppress(LockTimeout):
            groups.record(save("c"))
        assert monotonic() - started >= 0.2

    assert succeeded(fork(child))
    database.open()
    assert errors(futures) == [None]
