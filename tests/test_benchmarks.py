"""The benchmarks run, and notice when what is stored is not what was saved. No time is judged."""

import dataclasses
import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import layers, plan, report
from benchmarks.adapter import Adapter, Options
from benchmarks.bench import Bench
from benchmarks.breakdown import BARE, LOADING, WHOLE, table
from benchmarks.command import main, parser, run
from benchmarks.databases import database_for
from benchmarks.layers import SAVING, STATEMENTS, Clock
from benchmarks.library import LibraryAdapter
from benchmarks.payloads import Order, large
from benchmarks.plan import Case
from benchmarks.raw import RawAdapter
from benchmarks.results import Campaign, Outcome
from tests.backends import Backend

ROOT = Path(__file__).parents[1]
ADAPTERS = [LibraryAdapter, RawAdapter]
SHORT: dict[str, dict[str, Any]] = {
    "W1": {"n": 3},
    "W2": {"n": 3},
    "W3": {"n": 2},
    "W4": {"sizes": (5, 150)},
    "W4L": {"sizes": (1000,), "passes": 1},
    "W4S": {"sizes": (5, 150), "n": 2},
    "W5": {"n": 200},
    "W6": {"n": 3},
    "W7": {"threads": 2, "seconds": 0.02},
    "W7 on one stream": {"threads": 2, "contend": True, "n": 4},
    "W7 in processes": {"procs": 2, "seconds": 0.02},
    "W8": {"n": 200},
    "W8 into a table": {"n": 200, "view": "table"},
    "W9": {"sizes": (200, 500), "n": 2},
    "W10": {"n": 1},
}

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

each_adapter = pytest.mark.parametrize("adapter_class", ADAPTERS, ids=lambda each: each.__name__)


def options(name: str, backend: Backend, **others: Any) -> Options:
    return Options(name.split()[0], str(backend.uri), **SHORT[name], **others)


def check(adapter_class: type[Adapter], given: Options) -> dict[str, Any]:
    """Run a workload; the rows that it reports must be in the table."""
    figures = run(adapter_class, given)

    assert figures["verified"]
    assert figures.get("errors", 0) == 0
    if "rows" in figures:
        assert database_for(given.db).count(adapter_class.table) == figures["rows"]
    return figures


@each_adapter
@pytest.mark.parametrize("name", SHORT)
def test_a_workload_runs_on_sqlite(
    adapter_class: type[Adapter], name: str, sqlite_file: Backend
) -> None:
    figures = check(adapter_class, options(name, sqlite_file, mode="walnormal"))

    assert json.loads(json.dumps(figures))["workload"] == name.split()[0]


@each_adapter
@pytest.mark.parametrize(
    "name", ["W1", "W3", "W4", "W4L", "W4S", "W6", "W8", "W8 into a table", "W9"]
)
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_workload_runs_on_a_server(
    adapter_class: type[Adapter], name: str, server: str, request: pytest.FixtureRequest
) -> None:
    check(adapter_class, options(name, request.getfixturevalue(server)))


@each_adapter
@pytest.mark.parametrize("name", ["W1", "W3", "W4"])
def test_a_workload_runs_with_the_large_payload(
    adapter_class: type[Adapter], name: str, sqlite_file: Backend
) -> None:
    check(adapter_class, options(name, sqlite_file, payload="large"))


def test_the_large_payload_has_20_fields_and_4_kb() -> None:
    sizes = [len(msgspec.json.encode(large(i))) for i in range(64)]

    assert len(dataclasses.fields(Order)) == 20
    assert 3_900 < min(sizes) <= max(sizes) < 4_300


@each_adapter
def test_an_aggregate_comes_back_with_the_values_it_was_saved_with(
    adapter_class: type[Adapter], sqlite_file: Backend
) -> None:
    with adapter_class(Options("W1", str(sqlite_file.uri), payload="large")) as adapter:
        item = adapter.create(7)
        adapter.save(item)

        copy = adapter.load(item.id)

    assert (copy.qty, copy.order) == (7, large(7)["order"])


class Forgetful(RawAdapter):
    """Acknowledges every third save without storing anything."""

    saves = 0

    def save(self, aggregate: Any) -> None:
        self.saves += 1
        if self.saves % 3 == 0:
            self.take_pending(aggregate)
        else:
            super().save(aggregate)


@pytest.mark.parametrize("name", ["W1", "W2", "W3", "W4", "W7", "W9"])
def test_control_a_save_that_stores_nothing_is_noticed(name: str, sqlite_file: Backend) -> None:
    given = options(name, sqlite_file, mode="walnormal")
    if name == "W3":
        given = dataclasses.replace(given, n=4)
    if name == "W4":
        given = dataclasses.replace(given, sizes=(500,))

    assert not run(Forgetful, given)["verified"]


@pytest.mark.parametrize("adapter_class", ADAPTERS)
def test_copies_of_a_stream_are_streams_of_as_many_events(
    adapter_class: type[Adapter], sql_backend: Backend
) -> None:
    bench = Bench(adapter_class, options("W9", sql_backend))
    (template,) = bench.prepare(3)

    bench.database.clone(adapter_class.table, adapter_class.id_form, template, 4)

    lengths = bench.database.execute(
        f"SELECT count(*) FROM {adapter_class.table} GROUP BY originator_id"
    )
    assert [tuple(row) for row in lengths] == [(3,)] * 5


def test_a_file_with_other_tables_is_left_alone(sqlite_file: Backend) -> None:
    with closing(sqlite_file.connect()) as connection:
        connection.execute("CREATE TABLE customers (name text)")

    with pytest.raises(ValueError, match="customers"):
        run(RawAdapter, options("W1", sqlite_file))

    with closing(sqlite_file.connect()) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("customers",)]


@pytest.mark.parametrize(("name", "peer"), [("library", "L"), ("raw", "E")])
def test_the_command_prints_one_line_of_json(name: str, peer: str) -> None:
    command = [sys.executable, "-W", "error", "-m", f"benchmarks.{name}", "W1", "--n", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert {"peer": peer, "n": 2, "rows": 22, "verified": True}.items() <= json.loads(line).items()


@pytest.mark.parametrize("database", ["sqlite_file", "postgresql", "mariadb"])
def test_the_breakdown_has_a_time_for_every_layer(
    database: str, request: pytest.FixtureRequest
) -> None:
    uri = str(request.getfixturevalue(database).uri)
    sizes = ["--saves", "3", "--events", "1500", "--loads", "1", "--lines", "3"]
    command = [sys.executable, "-W", "error", "-m", "benchmarks.breakdown", "--db", uri, *sizes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    found = re.findall(r"^\| ([^*|]+) \| -?\d+\.\d\d \|", done.stdout, flags=re.MULTILINE)
    assert found == [*SAVING, *LOADING]


def test_control_a_layer_that_is_passed_by_has_no_time() -> None:
    took = dict.fromkeys([*SAVING, WHOLE, BARE], 1.0)
    del took[STATEMENTS]

    with pytest.raises(KeyError, match="statements"):
        table(took, SAVING, 1, "a save")


def test_the_time_of_a_layer_is_without_those_that_it_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    clock._inside = clock._outside = 0.0  # what a clock itself takes
    monkeypatch.setattr(layers, "perf_counter", iter([0.0, 1.0, 4.0, 10.0]).__next__)

    clock.call("outer", lambda: clock.call("inner", lambda: None))

    assert clock.take() == {"inner": 3.0, "outer": 7.0}


def test_every_case_of_the_plan_is_a_command_that_runs() -> None:
    for case in plan.cases():
        quick = plan.QUICK.get(case.workload, ())
        given = parser().parse_args([case.workload, *case.arguments, *quick])
        assert given.workload == case.workload


def campaign() -> Campaign:
    own = {"events_per_s": 100.0, "p50_us": 1.0, "p99_us": 2.0}
    raw = {"events_per_s": 400.0, "p50_us": 1.0, "p99_us": 2.0}
    fast = {**own, "events_per_s": 200.0}
    pairs = [(own, raw), (fast, raw), (own, raw)]
    case = Case("W1", "sqlite", "wal", ("--n", "3"), goal=0.75)
    return Campaign({"date": "2026-01-01"}, [Outcome(case, pairs, ["it rained"])])


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    (outcome,) = campaign().outcomes

    assert outcome.ratio("events_per_s") == (0.25, 0.25, 0.5)


def test_the_page_shows_ratio_goal_facts_and_problems() -> None:
    page = report.page(campaign())

    assert "| **0.25** (0.25 to 0.50) | at least 0.75: **missed** |" in page
    assert "- Date: 2026-01-01" in page
    assert "it rained" in page


def test_the_page_shows_what_a_snapshot_saves() -> None:
    own = {"sizes": [100, 10_000], "short_ms": 0.5, "long_ms": 0.9, "times": 1.8}
    case = Case("W4S", "sqlite", "wal", goal=3)
    page = report.page(Campaign({}, [Outcome(case, [(own, {**own, "times": 88.0})])]))

    assert "| W4S snapshot, 100 and 10,000 events | SQLite, synchronous FULL | 0.5 | 0.9 |" in page
    assert "| **1.80** (1.80 to 1.80) | at most 3: reached | 88 |" in page


def test_control_a_long_stream_without_its_snapshot_takes_all_events(
    sqlite_file: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[object] = []

    class Counting(LibraryAdapter):
        def load(self, originator_id: Any) -> Any:
            found = self.app.event_store.record_manager.snapshots(False).newest(originator_id, None)
            looked_up.append(None if found is None else found.originator_version)
            return super().load(originator_id)

    check(Counting, options("W4S", sqlite_file))

    assert looked_up == [100, None, 100, None, 100]


def test_a_campaign_comes_back_from_its_file(tmp_path: Path) -> None:
    campaign().write(tmp_path / "build" / "results.jsonl")

    assert Campaign.read(tmp_path / "build" / "results.jsonl") == campaign()


def test_a_part_that_is_measured_again_replaces_its_rows_alone() -> None:
    earlier = campaign()
    kept = Outcome(Case("W2", "sqlite", "wal"), [({"events_per_s": 9.0}, {"events_per_s": 10.0})])
    dropped = Outcome(Case("W3", "sqlite", "wal"))
    earlier.outcomes += [kept, dropped]
    again = campaign()
    again.facts["date"] = "2026-01-02"
    again.outcomes[0].problems = []
    now = [dataclasses.replace(earlier.outcomes[0].case, goal=0.1), kept.case]

    merged = again.over(earlier, now)

    assert merged.outcomes == [dataclasses.replace(again.outcomes[0], case=now[0]), kept]
    assert merged.facts == {"date": "2026-01-02 (W1 as measured again); 2026-01-01"}
    assert merged.repetitions == "1 to 3"


def test_no_two_cases_of_the_plan_are_taken_for_one() -> None:
    keys = [case.key for case in plan.cases()]

    assert len(set(keys)) == len(keys)


def test_a_failure_is_a_line_of_json_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(RawAdapter, ["W1", "--db", f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}"])

    printed = capsys.readouterr()
    assert status == 1
    assert "unable to open" in json.loads(printed.out)["failed"]
    assert "Traceback" in printed.err


@pytest.mark.parametrize(
    ("workload", "reached", "missed"), [("W1", 0.75, 0.7), ("W4L", 32, 33), ("W9", 1.1, 1.2)]
)
def test_a_goal_is_a_least_or_a_most(workload: str, reached: float, missed: float) -> None:
    case = next(case for case in plan.cases() if case.workload == workload)

    assert case.judge(reached).endswith(": reached")
    assert case.judge(missed).endswith(": **missed**")


def test_memory_has_a_goal_for_the_small_payload_only() -> None:
    replays = [case for case in plan.cases() if case.workload == "W4"]

    assert {(case.note, case.memory) for case in replays} == {("", 1), ("4 KB each", None)}


@pytest.mark.parametrize("is_on", [False, True])
def test_group_commit_can_be_switched(is_on: bool, sqlite_file: Backend) -> None:
    given = options("W7", sqlite_file, group_commit=is_on)

    with LibraryAdapter(given) as adapter:
        manager: Any = adapter.app.event_store.record_manager
        assert manager.datastore.commits_groups is is_on
