"""What is left on the disk after the power fails, and what SQLite really asks of it."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.faults.disk import Disk
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
    recording,
)

NEW: list[Operation] = [Create("f", 0), SyncDirectory()]
TRIES = 200


def left(*operations: Operation) -> set[tuple[tuple[str, bytes], ...]]:
    """Return all that was left in many power losses."""
    disk = Disk()
    for operation in operations:
        disk.do(operation)
    return {
        tuple(sorted(disk.after_power_loss(random.Random(seed)).items())) for seed in range(TRIES)
    }


def test_what_was_synced_is_left() -> None:
    operations: list[Operation] = [
        *NEW,
        Write(0, 0, b"ab"),
        Write(0, 1, b"xy"),
        Truncate(0, 2),
        Sync(0),
    ]
    assert left(*operations) == {(("f", b"ax"),)}


def test_what_was_not_synced_may_be_left_or_not() -> None:
    whole = {(("f", b"old"),), (("f", b"new"),)}
    assert left(*NEW, Write(0, 0, b"old"), Sync(0), Write(0, 0, b"new")) >= whole


def test_later_writes_may_be_left_without_earlier_ones() -> None:
    operations: list[Operation] = [*NEW, Write(0, 0, b"1"), Write(0, 1, b"2")]
    assert (("f", b"\0002"),) in left(*operations)


def test_a_write_may_be_torn_between_sectors() -> None:
    torn = (("f", bytes(512) + b"b" * 512),)
    assert torn in left(*NEW, Write(0, 0, b"a" * 512 + b"b" * 512))


def test_a_file_may_be_gone_if_only_the_file_was_synced() -> None:
    operations: list[Operation] = [Create("f", 0), Write(0, 0, b"a"), Sync(0)]
    assert left(*operations) == {(), (("f", b"a"),)}


def test_a_deleted_file_may_come_back_until_the_directory_is_synced() -> None:
    assert left(*NEW, Delete("f")) == {(), (("f", b""),)}
    assert left(*NEW, Delete("f"), SyncDirectory()) == {()}


def test_what_was_there_before_is_left_unless_it_is_written_to() -> None:
    disk = Disk({"a": b"old", "b": b"old"})
    for operation in (Open("b", 0), Write(0, 0, b"new"), Sync(0)):
        disk.do(operation)
    assert disk.after_power_loss(random.Random(0)) == {"a": b"old", "b": b"new"}


def record(path: Path, synchronous: str) -> list[Operation]:
    """Return what SQLite does to insert a row, and to close the file."""
    with recording() as record:
        uri = f"file:{path}?vfs={record.vfs}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("CREATE TABLE t (a)")
            record.mark("insert")
            connection.execute("INSERT INTO t VALUES (1)")
            record.mark("close")
    return record.operations


def test_a_commit_of_sqlites_ends_with_a_sync_if_it_is_to_last(tmp_path: Path) -> None:
    endings = {}
    for synchronous in ("FULL", "NORMAL", "OFF"):
        done = record(tmp_path / synchronous, synchronous)
        endings[synchronous] = type(done[done.index(Mark("close")) - 1])
    assert endings == {"FULL": Sync, "NORMAL": Write, "OFF": Write}


def test_the_operations_add_up_to_the_files_that_are_there(tmp_path: Path) -> None:
    disk = Disk()
    for operation in record(tmp_path / "events.db", "FULL"):
        disk.do(operation)
    disk.do(SyncDirectory())

    found = disk.after_power_loss(random.Random(0))

    real = {str(path): path.read_bytes() for path in tmp_path.iterdir()}
    assert found == real
    assert len(found) == 1
