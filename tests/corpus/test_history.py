"""A chained store and its checkpoint that were written long ago."""

from typing import Any

import pytest

from eventsourcing.application.verifying import verify
from tests.corpus.history import SIGNING, Kept, opened, stored


def test_its_chains_and_its_checkpoint_hold() -> None:
    manager, checkpoint = stored()
    with opened(manager) as app:
        report = verify(app, [checkpoint], key=SIGNING.public)
        found: list[Any] = [app.repository.get(each, Kept) for each in ("ann", 7, "#8")]

    assert (report.events, report.found) == (9, 0)
    assert {(each.name, each.count) for each in found} == {("Zoë", 1)}


@pytest.mark.parametrize("column", ["correlation_id", "chain", "topic", "event_id"])
def test_control_a_change_is_found(column: str) -> None:
    manager, checkpoint = stored()
    changed: Any = manager._all[4]
    changed = changed._replace(**{column: "x"})
    manager._all[4] = manager._sequences["#7"][1] = changed
    with opened(manager) as app:
        assert verify(app, [checkpoint], key=SIGNING.public).found > 0
