"""Walks a whole store, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.application.checkpoints import (
    Checkpoint,
    Proof,
    check_is_checkpoint,
    check_signs,
    entry_of,
)
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    DataIntegrityError,
    EventSourcingError,
    OpenerMissing,
    ProgrammingError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.feed import Feed, FeedBounds
from eventsourcing.infrastructure.recordmanager import EVERYTHING
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.merkle import MerkleProver, MerkleTree, leaf_hash
from eventsourcing.utils.signing import PublicKey, SigningKey

__all__ = ["Finding", "Report", "make_checkpoint", "prove", "verify"]

EVENTS = 10_000  # between two reports of progress
MOST_KEPT = 1_000  # findings of a report

_UNREADABLE = leaf_hash(b"")  # stands for a row whose entry cannot be told


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: ``missing`` (an event of a stream), ``disordered`` (the feed has it before the one
            that precedes it), ``unreadable`` (a row), ``broken chain`` (an event has another hash
            than is stored, see docs: how-to/integrity), ``changed`` (what a checkpoint covers).
        message: in words, without payloads.
        originator_id, originator_version: the stream, and the position in it, if it has one.
        position: in the feed, if it has one.
    """

    kind: str
    message: str
    originator_id: UUID | str | int | None = None
    originator_version: int | None = None
    position: int | None = None


@dataclass
class Report:
    """What was found.

    Attributes:
        events: how many there are.
        position: of the feed, up to which all was looked at.
        root: of the Merkle tree of all events, 32 bytes.
        found: how many things are wrong.
        findings: the first 1,000 of them.
        phase: what is looked at: ``events``, then ``gaps`` in streams, then the ``order`` of the
            feed; or ``done``.
    """

    events: int = 0
    position: int = 0
    root: bytes = b""
    found: int = 0
    findings: list[Finding] = field(default_factory=list)
    phase: str = "events"

    def add(self, finding: Finding) -> None:
        """Takes note of something that is wrong."""
        self.found += 1
        if len(self.findings) < MOST_KEPT:
            self.findings.append(finding)


def verify(
    application: SimpleApplication,
    checkpoints: Sequence[Checkpoint] = (),
    *,
    key: PublicKey | None = None,
    on_progress: Callable[[Report], Any] | None = None,
) -> Report:
    """Reads all events, and checks that each can be read, that streams have no gaps, that the feed
    has each stream in order, that chains are whole if the application has them, and that what
    checkpoints cover is unchanged.

    In memory that does not grow with the store. Others may go on saving; what they save meanwhile
    is looked at in part.

    Args:
        application: whose events these are. The modules of their classes are to be imported.
        checkpoints: that were made of this store, in any order.
        key: by which the checkpoints are signed.
        on_progress: is called as each phase begins, and every 10,000 events, with what was found
            so far.

    Raises:
        ProgrammingError: there is a checkpoint and no key, or the key is no public one; something
            is no checkpoint; or the store has no feed.
        DataIntegrityError: a checkpoint is not signed with the key.
        OpenerMissing: a checkpoint covers a row that is sealed, and the application has no key or
            ``Protection`` for it: so nobody can tell if it was changed. (Without checkpoints, such
            a row is a finding.)
        PersistenceError: the database could not be read.
    """
    waiting = _checked(checkpoints, key)
    feed = application.event_store.record_manager.feed()
    report, tree = Report(position=feed.high_water_mark().position), MerkleTree()
    show = on_progress or (lambda report: None)
    show(report)
    for row in _rows(application, feed, report.position):
        while waiting and waiting[0].position < row.position:
            _compare(report, waiting.pop(0), tree)
        if waiting and row.unopened is not None:
            raise row.unopened
        for finding in row.findings:
            report.add(finding)
        tree.append(row.leaf)
        report.events = tree.size
        if tree.size % EVENTS == 0:
            show(report)
    for checkpoint in waiting:
        _compare(report, checkpoint, tree)
    report.root = tree.root()
    for phase, found in (("gaps", _gaps(application, feed)), ("order", _disorder(feed))):
        report.phase = phase
        show(report)
        for finding in found:
            report.add(finding)
    report.phase = "done"
    return report


def make_checkpoint(application: SimpleApplication, key: SigningKey) -> Checkpoint:
    """Signs what the store is now.

    Keep the checkpoint where nobody who can write to the database can write. Verify the store
    against the checkpoint before this one first, or a change between the two becomes part of it.

    Raises:
        OpenerMissing: a row is sealed, and the application has no key or ``Protection`` for it.
        DataIntegrityError: a row cannot be opened. (Nothing is signed in any of these cases.)
        ProgrammingError: the key is none that signs; or the store has no feed.
        PersistenceError: the database could not be read.
    """
    check_signs(key)
    feed = application.event_store.record_manager.feed()
    end, tree = feed.high_water_mark().position, MerkleTree()
    for _, entry in _entries(application, feed, end):
        tree.append(leaf_hash(entry))
    return Checkpoint.signed(end, tree.size, tree.root(), key)


def prove(application: SimpleApplication, checkpoint: Checkpoint, position: int) -> Proof:
    """Returns the proof that an event is among those of a checkpoint.

    Args:
        position: of the event in the feed.

    Raises:
        ProgrammingError: there is no such event before the checkpoint; or an argument is of the
            wrong type.
        DataIntegrityError: the store is not what it was at the checkpoint.
        OpenerMissing: as :func:`make_checkpoint` (one of the former).
        PersistenceError: the database could not be read.
    """
    check_is_checkpoint(checkpoint)
    if type(position) is not int:
        raise ProgrammingError(
            f"position= takes an int, the event's position in the feed, not {position!r}"
        )
    feed = application.event_store.record_manager.feed()
    before = sum(1 for _ in feed.get_items(FeedBounds(last=position - 1)))
    if not 0 < position <= checkpoint.position or before >= checkpoint.size:
        raise ProgrammingError(f"the checkpoint covers no event at position {position}")
    prover, found = MerkleProver(before, checkpoint.size), b""
    for at, entry in _entries(application, feed, checkpoint.position):
        prover.append(leaf_hash(entry))
        if at == position:
            found = entry
    if not found:
        raise ProgrammingError(f"there is no event at position {position} of the feed")
    try:
        proof = Proof(before, found, tuple(prover.proof()))
    except ValueError as error:
        raise DataIntegrityError(
            f"the store is not what it was at the checkpoint: {error}"
        ) from error
    proof.check(checkpoint)
    return proof


def _checked(checkpoints: Sequence[Checkpoint], key: PublicKey | None) -> list[Checkpoint]:
    """Returns the checkpoints by position."""
    if isinstance(checkpoints, str | Checkpoint) or not isinstance(checkpoints, Iterable):
        raise ProgrammingError(
            f"checkpoints= takes a sequence of Checkpoints, not one {type(checkpoints).__name__}"
        )
    checkpoints = tuple(checkpoints)
    for checkpoint in checkpoints:
        check_is_checkpoint(checkpoint)
        if key is None:
            raise ProgrammingError("a checkpoint is worth nothing without the key that signed it")
        checkpoint.check(key)
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.position)


def _entries(application: SimpleApplication, feed: Feed, end: int) -> Iterator[tuple[int, bytes]]:
    unsealed = application.event_store.mapper.unsealed
    for position, item in feed.get_items(FeedBounds(last=end)):
        (plain,) = unsealed((item,))
        yield position, entry_of(position, plain)


class _Row(NamedTuple):
    """A row of the feed.

    Attributes:
        position: in the feed.
        leaf: its hash.
        findings: what is wrong with it; with the first row of a stream also what is wrong with
            the stream's chain.
        unopened: why its hash cannot be told, if all that is wrong may be that a key is missing.
    """

    position: int
    leaf: bytes
    findings: Iterable[Finding]
    unopened: OpenerMissing | None = None


def _rows(application: SimpleApplication, feed: Feed, end: int) -> Iterator[_Row]:
    last = 0
    while last < end:
        try:
            for position, item in feed.get_items(FeedBounds(first=last + 1, last=end)):
                last = position
                row = _row(application.event_store.mapper, position, item)
                if item[1] == 0:
                    breaks = _breaks(application, item[0])
                    row = row._replace(findings=chain(row.findings, breaks))
                yield row
            return
        except DataIntegrityError as error:  # the id of the row's stream is none
            if error.position is None:
                raise
            last = error.position
            yield _Row(last, _UNREADABLE, (_unreadable(error, last),))


def _row(mapper: SequencedItemMapper, position: int, item: tuple[Any, ...]) -> _Row:
    leaf = _UNREADABLE
    try:
        (plain,) = mapper.unsealed((item,))
        leaf = leaf_hash(entry_of(position, plain))
        mapper.event_from_item(item)
    except (DataIntegrityError, TopicResolutionError) as error:
        unopened = error if leaf is _UNREADABLE and isinstance(error, OpenerMissing) else None
        return _Row(position, leaf, (_unreadable(error, position),), unopened)
    return _Row(position, leaf, ())


def _breaks(application: SimpleApplication, stream: Any) -> Iterator[Finding]:
    hashes = application.event_store.chain
    if hashes is not None:
        for item, what in hashes.breaks(stream):
            yield Finding("broken chain", what, stream, item[1])


def _unreadable(error: EventSourcingError, position: int) -> Finding:
    return Finding(
        "unreadable",
        str(error),
        getattr(error, "originator_id", None),
        getattr(error, "originator_version", None),
        position,
    )


def _compare(report: Report, checkpoint: Checkpoint, tree: MerkleTree) -> None:
    if (checkpoint.size, checkpoint.root) == (tree.size, tree.root()):
        return
    what = f"{tree.size} events, where there were {checkpoint.size}"
    if tree.size == checkpoint.size:
        what = "other events than there were"
    report.add(
        Finding(
            "changed",
            f"up to position {checkpoint.position} of the feed there are {what} at the checkpoint"
            f" of {checkpoint.at:%Y-%m-%d %H:%M:%S} UTC",
            position=checkpoint.position,
        )
    )


def _gaps(application: SimpleApplication, feed: Feed) -> Iterator[Finding]:
    manager = application.event_store.record_manager
    for stream in feed.incomplete_sequences():
        expected = 0
        with suppress(DataIntegrityError):  # the row was found to be unreadable before
            for item in manager.get_items(stream, EVERYTHING):
                if item[1] != expected:
                    yield _gap(stream, expected, item[1] - 1)
                    if expected == 0:
                        yield from _breaks(application, stream)
                expected = item[1] + 1


def _gap(stream: Any, first: int, last: int) -> Finding:
    events = f"event {first} is" if first == last else f"events {first} to {last} are"
    return Finding("missing", f"{events} missing in the stream of {stream!r}", stream, first)


def _disorder(feed: Feed) -> Iterator[Finding]:
    for stream, version in feed.disordered_items():
        yield Finding(
            "disordered",
            f"the feed has event {version} of {stream!r} before the one that precedes it",
            stream,  # type: ignore[arg-type]
            version,
        )
