"""A child of a fork uses its parent's application, and parent and child both go on."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.event import listen

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model import eventschema
from eventsourcing.domain.model.events import DomainEvent, schema_of
from eventsourcing.infrastructure.sqlalchemy.connections import OwnEngine
from eventsourcing.infrastructure.sqlalchemy.forks import ForkGate
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import (
    SECONDS_TO_WAIT,
    Note,
    application,
    engine_of,
    eventually,
    saved_note,
    stored,
)

FORKS = 5


def fork(work: Callable[[], object]) -> int:
    """Run `work` in a child of a fork, that ends as multiprocessing does, and return its id."""
    with warnings.catch_warnings():
        # From Python 3.12 on, that there are threads is worth a warning.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
    raise AssertionError("a child has to end")


def succeeded(pid: int) -> bool:
    """Wait for the child's end."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def edited(app: SimpleApplication, note: Note, text: str) -> None:
    """Load the note, change it, save it, and check that it can be loaded again."""
    copy = app.repository.get(note.id, Note)
    copy.edit(text)
    app.save(copy)
    assert app.repository.get(note.id, Note).text == text


def test_parent_and_child_both_go_on(sql_backend: Backend) -> None:
    with application(sql_backend) as app:
        a, b = saved_note(app), saved_note(app)

        children = [fork(lambda: edited(app, a, "by the child"))]
        edited(app, b, "by the parent")
        outcome = [succeeded(child) for child in children]

        edited(app, b, "after the child")
        texts = [app.repository.get(note.id, Note).text for note in (a, b)]
    assert (outcome, texts) == ([True], ["by the child", "after the child"])
    assert stored(sql_backend) == 5


def test_an_application_on_a_given_engine_is_no_different(sql_backend: Backend) -> None:
    with engine_of(sql_backend) as engine, SimpleApplication(engine=engine) as app:
        note = saved_note(app)

        assert succeeded(fork(lambda: edited(app, note, "by the child")))

        edited(app, note, "by the parent")
    assert stored(sql_backend) == 3


def test_a_childs_end_ends_nothing_of_the_parents(server_backend: Backend) -> None:
    with application(server_backend, pool_size=1, max_overflow=0) as app:
        note = saved_note(app)
        before = _session_number(app, server_backend)

        def use_and_close() -> None:
            edited(app, note, "by the child")
            app.close()

        assert succeeded(fork(use_and_close))
        assert succeeded(fork(lambda: None))

        assert _session_number(app, server_backend) == before
        edited(app, note, "by the parent")


def _session_number(app: SimpleApplication, backend: Backend) -> object:
    """Return what the server calls the application's connection."""
    manager = app.event_store.record_manager
    sql = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT connection_id()"}
    return manager.datastore.fetch(sql[backend.name], ())[0][0]  # type: ignore[attr-defined]


def test_threads_may_save_while_the_parent_forks(sql_backend: Backend) -> None:
    with application(sql_backend) as app:
        is_stopping = threading.Event()
        notes = [saved_note(app) for _ in range(3)]
        childs = saved_note(app)
        saves = [0] * len(notes)

        def save(i: int) -> None:
            while not is_stopping.is_set():
                notes[i].edit(str(saves[i]))
                app.save(notes[i])
                saves[i] += 1

        threads = [threading.Thread(target=save, args=(i,)) for i in range(len(notes))]
        for thread in threads:
            thread.start()
        outcomes = []
        for turn in range(FORKS):
            next_save = sum(saves) + 1
            eventually(partial(_reached, saves, next_save))
            outcomes.append(succeeded(fork(partial(edited, app, childs, str(turn)))))
        is_stopping.set()
        for thread in threads:
            thread.join()

        versions = [app.repository.get(note.id, Note).version for note in (*notes, childs)]
    assert outcomes == [True] * FORKS
    assert versions == [*(count + 1 for count in saves), FORKS + 1]


def _reached(saves: list[int], count: int) -> bool:
    return sum(saves) >= count


LEAVE_REGULARLY = """
    import os, sys
    from eventsourcing.application.simple import SimpleApplication
    from tests.infrastructure.sqlalchemy.helpers import Note, saved_note

    app = SimpleApplication(uri=sys.argv[1])
    note = saved_note(app)
    pid = os.fork()
    app.repository.get(note.id, Note)
    if pid == 0:
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    note.edit("second")
    app.save(note)
    app.close()
    """


def test_a_child_that_exits_without_closing_does_not_disturb_its_parent(
    sql_backend: Backend,
) -> None:
    program = textwrap.dedent(LEAVE_REGULARLY)

    done = subprocess.run(
        [sys.executable, "-c", program, str(sql_backend.uri)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert stored(sql_backend) == 2


class Planned(DomainEvent):
    """An event of no entity, whose codec is made when it is asked for."""

    what: str


class Delayed(DomainEvent):
    """Another one."""

    what: str


def test_a_child_makes_a_codec_that_another_thread_was_making(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def wait(*_: object, **__: object) -> None:
        begun.set()
        may_end.wait(SECONDS_TO_WAIT)

    with monkeypatch.context() as patch:
        patch.setattr(eventschema, "StateCodec", wait)
        thread = threading.Thread(target=lambda: schema_of(Planned).codec)
        thread.start()
        begun.wait(SECONDS_TO_WAIT)

    def work() -> None:
        signal.alarm(int(SECONDS_TO_WAIT))  # which ends a child that waits for a thread it has not
        assert schema_of(Delayed).codec

    try:
        assert succeeded(fork(work))
    finally:
        may_end.set()
        thread.join()


def test_a_database_in_memory_is_a_copy_in_the_child() -> None:
    with SimpleApplication(uri="sqlite://") as app:
        note = saved_note(app)

        assert succeeded(fork(lambda: edited(app, note, "by the child")))

        assert app.repository.get(note.id, Note).text == "first"
        edited(app, note, "by the parent")


def _keep_what_the_child_saves_after_the_parent_has_closed(backend: Backend) -> int:
    """Have a child save before and after its parent closes the file; return how many are left."""
    to_child, from_child = os.pipe(), os.pipe()

    def work() -> None:
        os.close(to_child[1])
        note = saved_note(app, "child")
        os.write(from_child[1], b".")
        os.read(to_child[0], 1)
        for n in range(10):
            edited(app, note, str(n))

    app = application(backend)
    saved_note(app)
    child = fork(work)
    os.read(from_child[0], 1)
    app.close()
    os.close(to_child[1])
    assert succeeded(child)
    for end in (to_child[0], *from_child):
        os.close(end)
    return stored(backend)


def test_what_a_child_saves_survives_its_parents_close(sqlite_file: Backend) -> None:
    assert _keep_what_the_child_saves_after_the_parent_has_closed(sqlite_file) == 12


def test_control_a_child_that_inherits_an_open_file_loses_what_it_saves(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnEngine, "before_fork", lambda self: None)

    assert _keep_what_the_child_saves_after_the_parent_has_closed(sqlite_file) < 12


def _child_inherits_a_lock_of_who_connects(backend: Backend, is_given: bool) -> bool:
    """Fork while another thread connects, and a library has a lock of its own for that."""
    library = threading.Lock()
    is_connecting, may_connect = threading.Event(), threading.Event()

    def connect(*arguments: object) -> None:
        with library:
            is_connecting.set()
            may_connect.wait(SECONDS_TO_WAIT)

    with (
        engine_of(backend) as engine,
        SimpleApplication(engine=engine) if is_given else application(backend) as app,
    ):
        note = saved_note(app)
        connections = app.event_store.record_manager.datastore._connections  # type: ignore[attr-defined]
        connections.engine.dispose()
        listen(connections.engine, "do_connect", connect)
        reader = threading.Thread(target=app.repository.get, args=(note.id, Note))
        reader.start()
        is_connecting.wait(SECONDS_TO_WAIT)
        has_forked = threading.Event()

        def let_it_connect() -> None:
            gates = (connections._gate, connections._connecting)
            eventually(lambda: has_forked.is_set() or any(gate._held for gate in gates))
            may_connect.set()

        helper = threading.Thread(target=let_it_connect)
        helper.start()
        child = fork(lambda: os._exit(7 if library.locked() else 0))
        has_forked.set()
        for thread in (helper, reader):
            thread.join()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 7)
    return status == 7


@pytest.mark.parametrize("is_given", [False, True], ids=["own", "given"])
def test_a_fork_waits_for_who_is_connecting(sql_backend: Backend, is_given: bool) -> None:
    assert not _child_inherits_a_lock_of_who_connects(sql_backend, is_given)


@pytest.mark.parametrize("is_given", [False, True], ids=["own", "given"])
def test_control_a_fork_that_does_not_wait_takes_a_held_lock_along(
    sql_backend: Backend, is_given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnEngine, "before_fork", lambda self: None)

    assert _child_inherits_a_lock_of_who_connects(sql_backend, is_given)


def test_a_fork_waits_for_those_inside_and_keeps_others_out() -> None:
    gate = ForkGate()
    order: list[str] = []
    is_inside, may_leave = threading.Event(), threading.Event()

    def first() -> None:
        with gate.lock:
            is_inside.set()
            may_leave.wait()
            order.append("first")

    def shut() -> None:
        gate.shut()
        order.append("fork")
        gate.open()

    def second() -> None:
        with gate.lock:
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, shut, second)]
    threads[0].start()
    is_inside.wait()
    threads[1].start()
    eventually(lambda: bool(gate._held))
    threads[2].start()
    may_leave.set()
    for thread in threads:
        thread.join()

    assert order == ["first", "fork", "second"]


def test_a_fork_from_inside_does_not_wait_for_itself() -> None:
    gate = ForkGate()

    def go_on_in_the_child() -> None:
        gate.reset()
        with gate.lock:
            pass

    with gate.lock:
        gate.shut()
        outcome = succeeded(fork(go_on_in_the_child))
        gate.open()

    assert outcome
