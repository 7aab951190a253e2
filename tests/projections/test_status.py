"""An operator sees how all projections are doing."""

import io
from collections.abc import Iterator

import pytest

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.status import ProjectionMonitor, as_table
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.interface.commands import main
from tests.backends import Backend
from tests.projections.model import Sharded, Statement, filled, quick
from tests.projections.test_failures import Picky


@pytest.fixture
def app(sql_backend: Backend) -> Iterator[SimpleApplication]:
    """An application on each SQL backend."""
    Picky.refuses = True
    with SimpleApplication(sql_backend.uri) as app:
        yield app


def test_without_projections_there_is_nothing_to_see(app: SimpleApplication) -> None:
    assert ProjectionMonitor(app).read() == []


def test_the_status_says_how_far_each_is_and_who_works_on_it(app: SimpleApplication) -> None:
    filled(app)  # 18 events
    with (
        quick(app, Sharded()) as one,
        quick(app, Sharded()) as other,
        quick(app, Picky(), page_size=5, max_retries=0) as picky,
    ):
        for runner in (one, other, one, other):
            runner._renew_at = 0.0
            runner._renewed()
        monitor = ProjectionMonitor(app)
        picky.step()
        before = {each.name: each for each in monitor.read()}
        picky.catch_up()
        ProjectionControl(app, Sharded()).pause()
        after = {each.name: each for each in monitor.read()}

    assert before["picky"][:9] == ("picky", 1, True, False, 1, 1, 1, 5, 13)
    assert before["picky"].per_second == 0
    assert after["picky"][7:9] == (18, 0)
    assert after["picky"].per_second > 0
    assert after["picky"][10:12] == (1, 4)
    assert after["sharded"][2:8] == (True, True, 6, 6, 2, 0)


def test_the_table_is_text(app: SimpleApplication) -> None:
    filled(app)
    with quick(app, Statement()) as runner:
        runner.catch_up()

        assert as_table(ProjectionMonitor(app).read()) == (
            "projection  version  state  position  behind  a second  shards  workers  failed"
            "  set aside\n"
            "statement         1  live         18       0         0     1/1        1       0"
            "          0"
        )


def test_the_command_shows_the_table_as_often_as_is_asked(
    app: SimpleApplication, sql_backend: Backend
) -> None:
    filled(app)
    with quick(app, Statement()) as runner:
        runner.catch_up()
    shown = io.StringIO()

    arguments = ["projections", "--uri", sql_backend.uri or "", "--interval", "0.01"]
    assert main([*arguments, "--times", "2"], shown) == 0

    assert shown.getvalue().count("statement") == 2


def test_the_command_creates_no_table(sql_backend: Backend) -> None:
    shown = io.StringIO()

    assert main(["projections", "--uri", sql_backend.uri or "", "--times", "1"], shown) == 1

    assert "stored_events" in shown.getvalue()
