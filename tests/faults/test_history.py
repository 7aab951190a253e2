"""What clients log comes to the checker as it was, and a client that was killed knows nothing."""

from pathlib import Path

import pytest

from eventsourcing.application.simple import SimpleApplication
from tests.backends import sqlite_backend
from tests.faults.bank import Account, entries
from tests.faults.history import (
    Log,
    Logged,
    Rows,
    Tail,
    audit,
    hindered,
    read_logs,
    read_rows,
    too_few,
)
from tests.races.checker import Entry, Movement, Save

A0, B0 = Entry("a", "s", 0), Entry("b", "t", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(path: Path) -> Log:
    return Log(path)


def test_a_save_has_the_answer_that_was_logged_and_its_times(log: Log, path: Path) -> None:
    log.write("invoke", "1", [A0, B0])
    log.write("again", "1", "OutcomeUnknown")
    log.write("fail", "1", "ConcurrencyError")
    log.close()

    logged = read_logs([path])

    ((events, answer, invoked, answered),) = logged.saves
    assert (events, answer) == ((A0, B0), "fail")
    assert 0 < invoked < answered
    assert (logged.refusals, logged.repeats) == ({"ConcurrencyError": 1}, {"OutcomeUnknown": 1})


def test_a_save_without_an_answer_is_unknown(log: Log, path: Path) -> None:
    log.write("invoke", "1", [A0])
    log.write("invoke", "2", [B0])
    log.write("ok", "2")
    log.close()

    assert [(save.events, save.answer) for save in read_logs([path]).saves] == [
        ((B0,), "ok"),
        ((A0,), "unknown"),
    ]


def test_a_client_that_never_came_to_write_has_logged_nothing(path: Path) -> None:
    assert read_logs([path]).saves == []


def test_half_a_line_is_read_when_it_is_whole(path: Path) -> None:
    tail = Tail(path)
    path.write_text('["ok","1",7,null]\n["ok","2",')
    assert [line.key for line in tail.lines()] == ["1"]

    path.write_text('["ok","1",7,null]\n["ok","2",8,null]\n')

    assert [line.key for line in tail.lines()] == ["2"]


def test_what_each_part_of_the_checker_finds_is_found() -> None:
    logged = read_logs([])._replace(saves=[Save((A0,), "ok")], errors=["an error that surfaced"])
    rows = Rows([], [Movement("s", 0, 5, 7, 0, 1)], 0, [])

    assert audit(logged, rows) == [
        "an error that surfaced",
        f"acknowledged, but not stored: {(A0,)}",
        "lost update: s at 0 has 7, where 5 should be",
        "the movements add up to 5, where 0 should be",
        "the balances add up to 7, where 0 should be",
    ]


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    logged: Logged = read_logs([])._replace(saves=[Save((A0,), "ok")])

    assert audit(logged, Rows([A0], [Movement("s", 0, 0, 0, 0, 1)], 1, [1])) == []


def test_a_lost_update_of_one_account_is_found_among_what_is_stored(tmp_path: Path) -> None:
    backend = sqlite_backend(tmp_path / "events.db")
    account = Account.create(id="s")
    saves = []
    with SimpleApplication(uri=backend.uri) as app:
        for mark in (1, 2, 3):
            account.move(0, mark)
            saves.append(Save(entries(account), "ok"))
            app.save(account)
            if mark == 2:
                account.mark = 1  # as if the second save had not been seen
    logged = read_logs([])._replace(saves=saves)

    assert audit(logged, read_rows(backend)) == [
        "lost update: s at 3 follows the mark 1, where 2 was"
    ]


def test_all_that_keeps_writers_from_saving_but_rivals_is_found(log: Log, path: Path) -> None:
    log.write("unread", "", "DatabaseUnavailable")
    log.write("invoke", "1", [A0])
    for _ in range(2):
        log.write("again", "1", "LockTimeout")
    log.write("fail", "1", "DiskFull")
    log.write("invoke", "2", [B0])
    log.write("fail", "2", "ConcurrencyError")
    log.close()

    nothing_was_done = "where nothing was done to the database"
    assert list(hindered(read_logs([path]), "DiskFull")) == [
        f"repeated by LockTimeout, {nothing_was_done}: 2 times",
        f"kept from loading by DatabaseUnavailable, {nothing_was_done}: 1 times",
    ]


@pytest.mark.parametrize(("writers", "found"), [(1, 1), (2, 0)])
def test_more_conflicts_than_there_can_be_are_found(writers: int, found: int) -> None:
    saves = [Save((A0,), "ok"), Save((B0,), "fail"), Save((B0,), "fail")]

    assert len(list(too_few(read_logs([])._replace(saves=saves), writers))) == found
