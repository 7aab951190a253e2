"""A new version is built beside the old one, and readers never see anything in between."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, MetaData, String, Table, insert, update
from sqlalchemy.orm import Session

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import Projection, handles
from eventsourcing.application.projections.rebuilding import Progress, rebuild
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ProgrammingError, ProjectionBehind
from tests.backends import Backend
from tests.infrastructure.sqlalchemy.helpers import eventually, in_threads, run
from tests.projections.model import Account, Sharded, Statement, expected, filled, pay, quick


def balances(version: int) -> Table:
    return Table(
        f"balances_{version}",
        MetaData(),
        Column("account", String(100), primary_key=True),
        Column("balance" if version == 1 else "cents", BigInteger, nullable=False),
    )


class First(Projection):
    """The balance of each account."""

    name = "balances"
    table = balances(1)
    tables = (table,)
    views = {"balances": table}  # noqa: RUF012
    factor = 1

    @handles(Account.Created)
    def opened(self, event: Account.Created, session: Session) -> None:
        session.execute(insert(self.table).values([str(event.originator_id), 0]))

    @handles(Account.Paid)
    def paid(self, event: Account.Paid, session: Session) -> None:
        amount = self.table.c[1]
        mine = self.table.c.account == str(event.originator_id)
        change = {amount: amount + self.factor * event.amount}
        session.execute(update(self.table).where(mine).values(change))


class Second(First):
    """The same in cents, in a column of another name."""

    version = 2
    table = balances(2)
    tables = (table,)
    views = {"balances": table}  # noqa: RUF012
    factor = 100


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend, with the first version up to date."""
    with SimpleApplication(sql_backend.uri) as app:
        filled(app)
        with quick(app, First()) as runner:
            runner.catch_up()
        yield app


def seen(backend: Backend) -> list[tuple[Any, ...]]:
    return sorted(run(backend, "SELECT * FROM balances"))


def cents(app: SimpleApplication) -> list[tuple[str, int]]:
    return [(account, 100 * total) for account, total in expected(app)[1]]


def test_readers_see_the_first_version_before_and_the_second_after(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    with quick(app, Second(), page_size=5) as runner:
        runner.step()
    assert seen(sql_backend) == expected(app)[1]

    reports: list[Progress] = []
    rebuild(app, Second(), on_progress=reports.append)

    assert seen(sql_backend) == cents(app)
    assert reports[-1].position == reports[-1].end
    live = {each.version: each.is_live for each in ProjectionControl(app, First()).all_versions()}
    assert live == {1: False, 2: True}


def test_the_version_before_goes_on_and_can_be_shown_again(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    rebuild(app, Second())
    with quick(app, First()) as runner:
        pay(app, [app.repository.get("a1", Account)], 1)
        runner.catch_up()

    ProjectionControl(app, First()).go_live()

    assert seen(sql_backend) == expected(app)[1]


def test_a_version_that_is_not_live_can_be_dropped(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    control = ProjectionControl(app, First())
    with pytest.raises(ProgrammingError, match="is live"):
        control.drop()
    rebuild(app, Second())

    control.drop()

    assert {each.version for each in control.all_versions()} == {2}
    assert seen(sql_backend) == cents(app)


def test_a_rebuild_that_was_killed_goes_on_where_it_was(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    class Killed(Second):
        calls = 0

        def handler_of(self, event: Any) -> Any:
            self.calls += 1
            if self.calls == 13:
                raise KeyboardInterrupt
            return super().handler_of(event)

    with pytest.raises(KeyboardInterrupt):
        rebuild(app, Killed(), page_size=5)
    control = ProjectionControl(app, Second())
    assert control.position() == 10
    assert seen(sql_backend) == expected(app)[1]

    counted = Killed()
    counted.calls = 100
    rebuild(app, counted)

    assert counted.calls == 100 + 18 - 10
    assert seen(sql_backend) == cents(app)


def test_a_rebuild_with_dead_letters_is_not_shown(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    class Failing(Second):
        @handles(Account.Created)
        def opened(self, event: Account.Created, session: Session) -> None:
            raise ValueError

    with pytest.raises(ProgrammingError, match="dead letters"):
        rebuild(app, Failing(), max_retries=0)

    assert seen(sql_backend) == expected(app)[1]


def test_a_rebuild_under_load(app: SimpleApplication, sql_backend: Backend) -> None:
    accounts = [app.repository.get(f"a{number}", Account) for number in range(3)]
    is_over = threading.Event()
    columns: set[int] = set()

    def write() -> None:
        for _ in range(15):
            pay(app, accounts, 1)

    def read() -> None:
        while not is_over.is_set():
            columns.update(len(row) for row in seen(sql_backend))

    def build() -> None:
        try:
            rebuild(app, Second(), page_size=5)
        finally:
            is_over.set()

    assert in_threads(write, read, build) == [None] * 3

    with quick(app, Second()) as runner:
        runner.catch_up()
    assert columns == {2}
    assert seen(sql_backend) == cents(app)


def test_a_rebuild_comes_to_its_end_while_others_never_pause(
    app: SimpleApplication, sql_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it looks how far there is to go, there is one more event."""
    account, end = app.repository.get("a1", Account), ProjectionControl.end
    looks = iter(range(100))

    def end_of_what_grows(self: ProjectionControl) -> int:
        account.pay(next(looks))
        app.save(account)
        return end(self)

    monkeypatch.setattr(ProjectionControl, "end", end_of_what_grows)
    rebuild(app, Second(), page_size=5)
    monkeypatch.undo()

    control = ProjectionControl(app, Second())
    assert control.checkpoints()[0].is_live
    assert control.lag() <= 5
    with quick(app, Second()) as runner:
        runner.catch_up()
    assert seen(sql_backend) == cents(app)


def test_who_waits_for_a_save_can_read_it(app: SimpleApplication, sql_backend: Backend) -> None:
    account = app.repository.get("a1", Account)
    control = ProjectionControl(app, First())
    with quick(app, First(), poll_seconds=0.01) as runner:
        thread = threading.Thread(target=runner.run)
        thread.start()
        try:
            account.pay(7)
            app.save(account)
            control.wait_for(account)
            assert seen(sql_backend) == expected(app)[1]
        finally:
            runner.stop()
            thread.join()


def test_a_wait_that_is_in_vain_says_where_the_projection_is(app: SimpleApplication) -> None:
    control = ProjectionControl(app, First())
    reached = control.position()
    account = Account.create()
    app.save(account)

    with pytest.raises(ProjectionBehind) as caught:
        control.wait_for(account, timeout=0.01)

    assert caught.value.position == reached
    assert control.lag() == 1


def test_all_shards_are_waited_for(app: SimpleApplication) -> None:
    with quick(app, Sharded()) as one, quick(app, Sharded()) as two:
        for runner in (one, two, one, two):
            runner._renew_at = 0.0
            runner._renewed()
        control = ProjectionControl(app, Sharded())
        one.catch_up()
        assert control.position() == 0
        two.catch_up()
        eventually(lambda: control.lag() == 0)


def test_a_changed_number_of_shards_needs_a_new_version(app: SimpleApplication) -> None:
    class More(Statement):
        name = "balances"
        shards = 2

    with pytest.raises(ProgrammingError, match="has 1 shards, not 2"):
        quick(app, More())


def test_a_version_that_nobody_has_begun_is_at_the_beginning(app: SimpleApplication) -> None:
    control = ProjectionControl(app, Second())

    with pytest.raises(ProjectionBehind) as caught:
        control.wait(1, timeout=0.01)

    assert (caught.value.position, control.position(), control.lag()) == (0, 0, 18)
