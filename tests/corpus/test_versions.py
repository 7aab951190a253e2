"""Rows of all versions of classes that have changed are read for ever."""

import json

import pytest

from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.utils.topic import get_stored_topic, split_topic
from tests.corpus import versions
from tests.corpus.versions import Shop

LINES = [json.loads(line) for line in versions.PATH.read_text().splitlines()]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["topic"])
def test_a_row_of_the_past_is_read_as_it_always_was(line: dict[str, str]) -> None:
    item = StoredEvent("s", 0, line["topic"], line["state"], "id")
    assert repr(SequencedItemMapper().event_from_item(item)) == line["repr"]


@pytest.mark.parametrize("name", ["Created", "Sold", "Noted", "Dropped"])
def test_the_corpus_has_rows_of_the_present_version(name: str) -> None:
    topic = get_stored_topic(getattr(Shop, name))
    assert split_topic(topic)[1] > 1
    assert topic in [line["topic"] for line in LINES]
