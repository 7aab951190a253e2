"""A transaction that an interrupt has left behind does not keep SQLite's lock on the file."""

from typing import Any

import pytest

from eventsourcing.exceptions import LockTimeout
from eventsourcing.infrastructure.sqlalchemy import sqlite
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.recovery import Recovery
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import Note, application, saved_note, stored


def _save_while_an_interrupt_is_handled(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a transaction refused, and Ctrl-C pressed before it is rolled back; save, while whoever
    catches that holds on to its traceback.
    """
    monkeypatch.setattr(sqlite, "PARAMETERS", 0)  # else two rows are one statement

    def interrupted(self: Translator, error: BaseException) -> bool:
        raise KeyboardInterrupt

    with application(backend, lock_timeout=0.1) as app:
        late = saved_note(app)
        rival = app.repository.get(late.id, Note)
        rival.edit("rival")
        app.save(rival)
        late.edit("late")
        with monkeypatch.context() as patch:
            patch.setattr(Translator, "is_breaking", interrupted)
            with pytest.raises(KeyboardInterrupt) as caught:
                app.save(Note.create(), late)
        assert caught.tb is not None
        saved_note(app)


def test_an_interrupt_whose_traceback_is_known_locks_nobody_out(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save_while_an_interrupt_is_handled(sqlite_file, monkeypatch)

    assert stored(sqlite_file) == 3


def test_control_a_connection_that_is_closed_as_it_is_keeps_the_lock(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def abandon(self: Recovery, lent: Any, connection: Any, cursor: Any) -> None:
        lent.invalidate()

    monkeypatch.setattr(Recovery, "_abandon", abandon)

    with pytest.raises(LockTimeout):
        _save_while_an_interrupt_is_handled(sqlite_file, monkeypatch)
