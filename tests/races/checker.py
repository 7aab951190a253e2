"""Compares what writers were told with what is stored, and says what does not fit.

After Kingsbury's Jepsen: every writer logs what it was about to save and what it was told, and the
logs are compared with the store when all is over. An answer is one of:

- ``ok``: the save was acknowledged, so all of its events must be stored;
- ``fail``: it was refused, so none of them may be;
- ``unknown``: the answer was lost, so all or none are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

Answer = Literal["ok", "fail", "unknown"]


class Entry(NamedTuple):
    """An event: its id, and its place."""

    event_id: str
    stream: str
    position: int


class Save(NamedTuple):
    """One save of one writer.

    Attributes:
        invoked, answered: nanoseconds of a clock that all writers share.
    """

    events: tuple[Entry, ...]
    answer: Answer
    invoked: int = 0
    answered: int = 0


class Movement(NamedTuple):
    """What an event has moved on an account, and what it says that the balance is after it.

    Attributes:
        seen: the mark that its writer found on the account; 0 on one that nothing had moved on.
        mark: the one that it leaves there.
    """

    account: str
    position: int
    amount: int
    balance: int
    seen: int
    mark: int


def anomalies(saves: Sequence[Save], stored: Sequence[Entry]) -> list[str]:
    """Return what is wrong, in words.

    Args:
        saves: of all writers, in any order.
        stored: what is in the store when all is over, in the order of the feed.
    """
    return [
        *_lost_or_undone(saves, stored),
        *_twice(stored),
        *_from_nowhere(saves, stored),
        *_gaps(stored),
        *_two_winners(saves),
        *_out_of_order(saves, stored),
    ]


def feed_anomalies(
    saves: Iterable[Save],
    stored: Sequence[tuple[int, str, int]],
    read: Sequence[tuple[int, str, int]],
) -> list[str]:
    """Return what is wrong with what a reader of the feed has read, in words.

    Args:
        saves: of all writers, in any order.
        stored: the position in the feed, the stream and the position in that, of all events that
            are stored when all is over, by the first.
        read: the same of the events that were read, in their order.
    """
    return [*_misread(stored, read), *_feed_out_of_order(saves, read)]


def bank_anomalies(movements: Sequence[Movement]) -> list[str]:
    """Return what is wrong with a bank whose accounts began with nothing, in words.

    Every save moves from account to account, and so leaves the total as it is.

    Args:
        movements: all that are stored, in the order of the feed.
    """
    return [*_lost_updates(movements), *_total(movements)]


def _misread(
    stored: Sequence[tuple[int, str, int]], read: Sequence[tuple[int, str, int]]
) -> Iterator[str]:
    counts = Counter(read)
    for place in stored:
        if not counts[place]:
            yield f"missed: {place}"
    for place, count in counts.items():
        if count > 1:
            yield f"read {count} times: {place}"
    for place in counts.keys() - set(stored):
        yield f"read, but not stored: {place}"
    for before, after in pairwise(read):
        if before[0] > after[0]:
            yield f"read after what follows it: {after}"


def _feed_out_of_order(
    saves: Iterable[Save], read: Sequence[tuple[int, str, int]]
) -> Iterator[str]:
    """Yields the saves that began after a save was acknowledged, and were read before it."""
    acknowledged = {
        (event.stream, event.position): save
        for save in saves
        if save.answer == "ok"
        for event in save.events
    }
    answered = float("inf")  # the earliest answer to what was read later
    for position, stream, version in reversed(read):
        save = acknowledged.get((stream, version))
        if save is not None:
            if save.invoked > answered:
                yield f"position {position} was saved after what was read behind it"
            answered = min(answered, save.answered)


def _lost_updates(movements: Iterable[Movement]) -> Iterator[str]:
    balances: dict[str, int] = defaultdict(int)
    marks: dict[str, int] = defaultdict(int)
    for account, position, amount, balance, seen, mark in movements:
        where = f"lost update: {account} at {position}"
        expected = balances[account] + amount
        if balance != expected:
            yield f"{where} has {balance}, where {expected} should be"
        elif seen != marks[account]:
            yield f"{where} follows the mark {seen}, where {marks[account]} was"
        balances[account], marks[account] = balance, mark


def _total(movements: Iterable[Movement]) -> Iterator[str]:
    last = {movement.account: movement.balance for movement in movements}
    for what, total in (
        ("movements", sum(movement.amount for movement in movements)),
        ("balances", sum(last.values())),
    ):
        if total != 0:
            yield f"the {what} add up to {total}, where 0 should be"


def _lost_or_undone(saves: Iterable[Save], stored: Iterable[Entry]) -> Iterator[str]:
    found = {entry.event_id for entry in stored}
    for save in saves:
        count = sum(event.event_id in found for event in save.events)
        if save.answer == "ok" and count < len(save.events):
            yield f"acknowledged, but not stored: {save.events}"
        elif save.answer == "fail" and count > 0:
            yield f"refused, but stored: {save.events}"
        elif save.answer == "unknown" and 0 < count < len(save.events):
            yield f"stored in part: {save.events}"


def _twice(stored: Iterable[Entry]) -> Iterator[str]:
    positions = Counter((entry.stream, entry.position) for entry in stored)
    ids = Counter(entry.event_id for entry in stored)
    for what, counts in (("position", positions), ("event", ids)):
        for key, count in counts.items():
            if count > 1:
                yield f"{what} stored {count} times: {key}"


def _from_nowhere(saves: Iterable[Save], stored: Iterable[Entry]) -> Iterator[str]:
    written = {event for save in saves for event in save.events}
    for entry in stored:
        if entry not in written:
            yield f"stored, but never written there: {entry}"


def _gaps(stored: Iterable[Entry]) -> Iterator[str]:
    streams = defaultdict(list)
    for entry in stored:
        streams[entry.stream].append(entry.position)
    for stream, positions in streams.items():
        if positions != sorted(positions):
            yield f"the feed has {stream} out of order"
        if sorted(set(positions)) != list(range(len(set(positions)))):
            yield f"{stream} has gaps"


def _two_winners(saves: Iterable[Save]) -> Iterator[str]:
    won = Counter(
        (event.stream, event.position)
        for save in saves
        if save.answer == "ok"
        for event in save.events
    )
    for place, count in won.items():
        if count > 1:
            yield f"{count} winners of position {place}"


def _out_of_order(saves: Iterable[Save], stored: Iterable[Entry]) -> Iterator[str]:
    """Yields the saves that began after a save was acknowledged whose event follows theirs."""
    acknowledged = {
        event.event_id: save for save in saves if save.answer == "ok" for event in save.events
    }
    streams = defaultdict(list)
    for entry in stored:
        if entry.event_id in acknowledged:
            streams[entry.stream].append((entry.position, acknowledged[entry.event_id]))
    for stream, placed in streams.items():
        answered = float("inf")  # the earliest answer to what stands later in the stream
        for position, save in sorted(placed, key=_position, reverse=True):
            if save.invoked > answered:
                yield f"{stream} at {position} was saved after what follows it"
            answered = min(answered, save.answered)


def _position(placed: tuple[int, Save]) -> int:
    return placed[0]
