"""Random chains of versions: rows of each one are read as what they say."""

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from eventsourcing.domain.model.events import EventWithOriginatorID, EventWithOriginatorVersion
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.topic import get_stored_topic

State = dict[str, Any]

NAMES = "abcdefgh"
MOMENT = dt.datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),  # also those that have no natural form
    float: st.floats(allow_nan=False) | st.integers(-(2**50), 2**50),
    str: st.text(),
    Decimal: st.decimals(allow_nan=False),
    dt.datetime: st.just(MOMENT) | st.datetimes(timezones=st.just(dt.UTC)),
    list[int]: st.lists(st.integers(), max_size=3),
    Any: st.none() | st.tuples(st.integers()) | st.decimals(allow_nan=False),
}


class Step(NamedTuple):
    """What one version changes: a field is renamed, dropped, added or made a text."""

    kind: str
    name: str
    other: str

    def fields(self, fields: State) -> State:
        """Return the annotations of the next version."""
        return self._changed(fields, str)

    def values(self, values: State) -> State:
        """Return what an event says in the next version."""
        return self._changed(values, "new" if self.kind == "add" else "text")

    def __call__(self, state: State) -> State:
        """Is the upcaster."""
        return self.values(state)

    def _changed(self, given: State, new: Any) -> State:
        changed = dict(given)
        if self.kind == "rename":
            changed[self.other] = changed.pop(self.name)
        elif self.kind == "drop":
            del changed[self.name]
        else:
            changed[self.other if self.kind == "add" else self.name] = new
        return changed


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[State], list[Step]]:
    """The fields of each version, and the steps between."""
    fields = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*VALUES]), max_size=4))
    versions, steps = [fields], []
    for _ in range(draw(st.integers(1, 5))):
        present = sorted(versions[-1])
        free = sorted(set(NAMES) - set(present))  # none, once as many were added
        kinds = [*["add"] * bool(free), *["drop", "retype"] * bool(present)]
        step = Step(
            draw(st.sampled_from(kinds + ["rename"] * bool(free and present))),
            draw(st.sampled_from(present)) if present else "",
            draw(st.sampled_from(free)) if free else "",
        )
        steps.append(step)
        versions.append(step.fields(versions[-1]))
    return versions, steps


def event_class(fields: State, steps: list[Step]) -> Any:
    """Return the class of a version. It takes the place of the one before it, as new code does."""
    body = {"__annotations__": fields, "__module__": __name__, "__qualname__": "Changing"}
    bases = (EventWithOriginatorID, EventWithOriginatorVersion)
    upcasters = dict(enumerate(steps, 1))
    return type("Changing", bases, body, topic="test-chains/changing", upcasters=upcasters)


@given(data=st.data(), chain=chains())
def test_rows_of_each_version_are_read_as_what_they_say(
    data: st.DataObject, chain: tuple[list[State], list[Step]]
) -> None:
    versions, steps = chain
    rows: list[StoredEvent] = []
    expected: list[State] = []
    for number, fields in enumerate(versions):
        values = {name: data.draw(VALUES[annotation]) for name, annotation in fields.items()}
        cls = event_class(fields, steps[:number])
        event = cls(originator_id="stream", originator_version=number, **values)
        rows.append(StoredEvent(*SequencedItemMapper().item_from_event(event)))
        for step in steps[number:]:
            values = step.values(values)
        expected.append(values | {"originator_id": "stream", "originator_version": number})
    assert [row.topic.partition("@")[2] for row in rows] == [
        "" if n == 0 else str(n + 1) for n in range(len(versions))
    ]
    found = list(SequencedItemMapper().events_from_items(rows))
    assert [vars(event) for event in found] == expected
    assert {get_stored_topic(type(event)) for event in found} == {rows[-1].topic}
