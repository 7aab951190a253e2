"""The targets of the fuzzer take their own seeds, and what is planted is seen."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.fuzz import planted, rows
from tests.faults.fuzz.mutator import Mutator
from tests.faults.fuzz.target import Target, Wrong, probe
from tests.faults.fuzz.targets import CONTROLS, TARGETS
from tests.faults.scenario import Case
from tests.faults.scenarios import fuzzing


@pytest.fixture(autouse=True)
def colorsys_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_seeds_are_taken(target: Target) -> None:
    seeds = list(target.seeds())

    for seed in seeds:
        probe(target, seed)

    assert len(seeds) > 10


def test_the_seeds_of_rows_are_rows_of_all_classes() -> None:
    items = [rows.row_of(seed) for seed in rows.seeds()]

    events = [rows.mapper.event_from_item(item) for item in items]

    assert {type(event) for event in events} >= set(rows.CLASSES)


@pytest.mark.parametrize(
    ("control", "data", "error"),
    [
        (planted.untyped_error, b'{"$nothing": 1}', KeyError),
        (planted.any_import, b"colorsys#Event", Wrong),
    ],
)
def test_control_what_is_planted_is_seen(
    control: Callable[[bytes], None], data: bytes, error: type[Exception]
) -> None:
    (target,) = (target for target in CONTROLS if target.read is control)

    with pytest.raises(error):
        probe(target, data)


def test_the_same_is_no_finding_with_the_protections() -> None:
    by_name = {target.name: target for target in TARGETS}

    probe(by_name["tags"], b'{"$nothing": 1}')
    probe(by_name["topics"], b"colorsys#Event")


def test_mutations_are_made_of_the_seed_alone() -> None:
    seeds = [b'{"a":[1,{"b":2}]}', rows.SEPARATOR.join((b"\x02", b'{"value":{"$tuple":[1]}}'))]

    def mutations() -> list[bytes]:
        mutate = Mutator(seeds, lambda data, most: data[:most])
        return [mutate(seeds[n % 2], 50, n) for n in range(200)]

    made = mutations()

    assert made == mutations()
    assert len(set(made) - set(seeds)) > 30
    assert max(map(len, made)) <= 50


@pytest.mark.parametrize(("inputs", "found"), [(0, len(TARGETS)), (1, 0)])
def test_a_fuzzer_that_tried_no_input_is_an_anomaly(
    inputs: int, found: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = f"INFO: seed corpus\nstat::number_of_executed_units: {inputs}\n"
    monkeypatch.setattr(fuzzing, "fuzz", lambda case, target, seconds: (log, False))

    outcome = fuzzing.run(Case("none", 1, 7, tmp_path))

    assert len(outcome.anomalies) == found
