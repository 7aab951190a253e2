"""What a user gives is never taken for personal data that was sealed."""

from typing import Annotated, Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.events import EventWithOriginatorID, EventWithOriginatorVersion
from eventsourcing.domain.model.personal import personal
from eventsourcing.infrastructure.erasure import Erasure
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.subjectkeys import MemorySubjectKeys
from eventsourcing.utils.cipher import CipherKey, Keyring
from tests.utils.strategies import identical

KEY = CipherKey("mine", bytes(range(32)))
ROW = ["ann", "AAAA", "x"]


class Looks(EventWithOriginatorID, EventWithOriginatorVersion, topic="lookalike"):
    texts: dict[str, str] | None
    lists: dict[str, list[str]]
    rows: dict[str, tuple[str, str, str]]
    maybe: Optional[dict[str, list[str]]]  # noqa: UP045 - as people write it
    nested: dict[str, dict[str, list[str]]]
    inside: list[dict[str, list[str]]]
    other: Any
    marked: Annotated[dict[str, list[str]], personal({"$personal": ROW})]


class Free(EventWithOriginatorID, EventWithOriginatorVersion, topic="lookalike-free"):
    pass


class Thing(AggregateRoot, topic="lookalike-thing"):
    looks: Any = None

    class Looked(AggregateRoot.Event):
        looks: dict[str, list[str]]

        def mutate(self, obj: Any) -> None:
            obj.looks = self.looks


keys = st.sampled_from(["$personal", "$personal", "$", "$dict", "a"])
words = st.sampled_from(["ann", "gone", "AAAA", "A" * 40, "", '{"$personal":'])
lists = st.just(ROW) | st.lists(words, max_size=4)
of_lists = st.dictionaries(keys, lists, max_size=2)
values = st.fixed_dictionaries(
    {
        "texts": st.none() | st.dictionaries(keys, words, max_size=2),
        "lists": of_lists,
        "rows": st.dictionaries(keys, st.tuples(words, words, words), max_size=2),
        "maybe": st.none() | of_lists,
        "nested": st.dictionaries(keys, of_lists, max_size=2),
        "inside": st.lists(of_lists, max_size=2),
        "other": of_lists | st.dictionaries(keys, of_lists, max_size=2),
    }
)


def mapper(*, has_key: bool) -> SequencedItemMapper:
    """Return a mapper that knows somebody who is forgotten."""
    if not has_key:
        return SequencedItemMapper()
    erasure = Erasure(MemorySubjectKeys(), Keyring(KEY), "events")
    erasure.forget("gone")
    return SequencedItemMapper(erasure=erasure)


def in_order(event: Any) -> list[tuple[str, Any]]:
    """Return the attributes of an event, whichever way it was made."""
    return sorted(vars(event).items(), key=lambda item: item[0])


@given(given=values, marked=of_lists)
def test_any_value_comes_back(given: dict[str, Any], marked: dict[str, list[str]]) -> None:
    place: dict[str, Any] = {"originator_id": "s", "originator_version": 0}
    looks, free = Looks(**place, **given, marked=marked), Free(**place, **given)

    one, other = mapper(has_key=True), mapper(has_key=False)
    (found,) = one.events_from_items([one.item_from_event(looks)])
    assert identical(in_order(found), in_order(looks))
    for writing, reading in ((one, one), (one, other), (other, one), (other, other)):
        (found,) = reading.events_from_items([writing.item_from_event(free)])
        assert identical(in_order(found), in_order(free))


@pytest.mark.parametrize("key", [None, KEY.text], ids=["plain", "sealed"])
@pytest.mark.parametrize("row", [ROW, ["gone", "AAAA", "x"], ["x"], []], ids=str)
def test_an_aggregate_comes_back_by_events_and_by_a_snapshot(
    key: str | None, row: list[str]
) -> None:
    policy = SnapshottingPolicy(every=None)
    manager = MemoryRecordManager()
    with SimpleApplication(
        record_manager=manager, cipher_key=key, snapshotting_policy=policy
    ) as app:
        if key is not None:
            app.forget("gone")
        thing = Thing.create()
        thing._trigger(Thing.Looked, looks={"$personal": row})
        app.save(thing)
        assert app.repository.get(thing.id, Thing).looks == {"$personal": row}
        assert app.take_snapshot(thing.id) == 2
        assert manager.snapshots().newest(thing.id, None) is not None
        assert app.repository.get(thing.id, Thing).looks == {"$personal": row}


@pytest.mark.parametrize("value", ['"x"', '["ann"]', '["ann","AAAA","x","y"]', '["#x","",""]'])
def test_what_is_not_of_the_form_is_left_as_it_is(value: str) -> None:
    protection = Protection(Keyring(KEY), store_id="events")
    erasure = Erasure(MemorySubjectKeys(), Keyring(KEY), protection.store_id)
    text = f'{{"looks": {{"$personal":{value}}}}}'

    (item,) = erasure.opened([("s", 0, "lookalike", text)])

    assert item[3] == text
