"""A disk that forgets: what may be left of files after the power fails.

Made to last is what was written to a file before its last sync, and which files there are as of the
last sync of their directory. Of what was done since, any part may be left: a write whole, not at
all, or in some of its sectors, with rubbish in others; in any order; and of creations and deletions
the first few. Bytes beside those that were written stay as they are, which is what SQLite assumes
of a disk ("powersafe overwrite").
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.faults.recording import (
    Create,
    Delete,
    Mark,
    Open,
    Operation,
    Sync,
    SyncDirectory,
    Truncate,
    Write,
)

__all__ = ["Disk"]

SECTOR = 512
RUBBISH = 0.05  # of the sectors of a torn write


@dataclass
class _File:
    lasting: bytearray = field(default_factory=bytearray)
    since: list[Write | Truncate] = field(default_factory=list)


_Entry: TypeAlias = Create | Delete


class Disk:
    """What is on the disk, from the operations on it.

    Args:
        files: what is there in the beginning and lasts, by paths.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        given = files or {}
        self._files = {-n: _File(bytearray(data)) for n, data in enumerate(given.values(), 1)}
        self._entries = {path: -n for n, path in enumerate(given, 1)}
        self._entries_since: list[_Entry] = []

    def do(self, operation: Operation) -> None:
        """Carry out the operation that comes next."""
        match operation:
            case Create():
                self._files[operation.file] = _File()
                self._entries_since.append(operation)
            case Open():
                self._files[operation.file] = self._files[self._entries[operation.path]]
            case Delete():
                self._entries_since.append(operation)
            case Write() | Truncate():
                self._files[operation.file].since.append(operation)
            case Sync():
                file = self._files[operation.file]
                for done in file.since:
                    _carry_out(file.lasting, done)
                file.since.clear()
            case SyncDirectory():
                self._enter(self._entries, self._entries_since)
                self._entries_since.clear()
            case Mark():
                pass

    def after_power_loss(self, chance: random.Random) -> dict[str, bytes]:
        """Return the files that may be left if the power fails now, by their paths."""
        entries = dict(self._entries)
        kept = chance.randint(0, len(self._entries_since))
        self._enter(entries, self._entries_since[:kept])
        share = chance.choice((0.0, 0.5, 0.9, 1.0))
        return {
            path: bytes(_left(self._files[number], share, chance))
            for path, number in entries.items()
        }

    def _enter(self, entries: dict[str, int], done: list[_Entry]) -> None:
        for entry in done:
            if isinstance(entry, Create):
                entries[entry.path] = entry.file
            else:
                entries.pop(entry.path, None)


def _left(file: _File, share: float, chance: random.Random) -> bytearray:
    """Return what is left of a file, of whose latest operations about ``share`` took place."""
    content = bytearray(file.lasting)
    for operation in file.since:
        if chance.random() < share:
            _carry_out(content, operation)
        elif isinstance(operation, Write) and chance.random() < share:
            for torn in _sectors(operation, chance):
                _carry_out(content, torn)
    return content


def _sectors(write: Write, chance: random.Random) -> Iterator[Write]:
    """Yield writes of some of the sectors, a few of them rubbish."""
    start = write.offset
    end = write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        fate = chance.random()
        if fate < RUBBISH:
            yield Write(write.file, start, chance.randbytes(stop - start))
        elif fate < 0.5:
            at = start - write.offset
            yield Write(write.file, start, write.data[at : at + stop - start])
        start = stop


def _carry_out(content: bytearray, operation: Write | Truncate) -> None:
    if isinstance(operation, Truncate):
        del content[operation.size :]
        _fill_up(content, operation.size)
        return
    end = operation.offset + len(operation.data)
    _fill_up(content, operation.offset)
    content[operation.offset : end] = operation.data


def _fill_up(content: bytearray, size: int) -> None:
    content.extend(bytes(max(0, size - len(content))))
