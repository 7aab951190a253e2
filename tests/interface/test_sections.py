"""The ids of sections, and sections as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing.exceptions import InvalidSectionID
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.interface.sections import (
    Section,
    SectionID,
    SectionItem,
    dump_section,
    load_section,
)
from tests.interface.model import STREAMS

MOST = 2**63 - 1
positions = st.integers(1, MOST) | st.integers(1, 100)
section_ids = st.tuples(positions, positions).map(sorted).map(lambda pair: SectionID(*pair))


@given(section_ids)
def test_an_id_comes_back_from_its_text(section_id: SectionID) -> None:
    assert SectionID.parse(str(section_id)) == section_id


BAD_IDS = [
    *("", ",", "1", "1,", ",1", "0,1", "2,1", "01,2", "1,02", "+1,2", "-1,2", "1,2,3", "1-2"),
    *(
        " 1,2",
        "1,2 ",
        "1, 2",
        "1,2\n",
        "1.0,2",
        "1e1,20",
        "1_0,20",
        "\u0661,\u0662",
        "\u00b2,\u00b3",
        "0x1,2",
    ),
    *(f"1,{MOST + 1}", "1," + "9" * 19, "1," + "9" * 5000, "current", "1,2\0", "a,b", "1;2"),
]


@pytest.mark.parametrize("text", BAD_IDS, ids=lambda text: repr(text[:10]))
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidSectionID):
        SectionID.parse(text)


@given(st.text(alphabet="0123456789,") | st.text())
def test_what_is_taken_is_the_one_text_of_its_id(text: str) -> None:
    try:
        found = SectionID.parse(text)
    except InvalidSectionID:
        return
    assert str(found) == text


@given(positions, st.integers(1, 1000))
def test_each_position_is_in_one_section_of_a_size(position: int, size: int) -> None:
    found = SectionID.around(position, size)
    assert found.first <= position <= found.last
    assert (found.first - 1) % size == 0
    assert found.size == size or found.last == MOST


@given(section_ids)
def test_the_sections_beside_one_leave_no_position_out(section_id: SectionID) -> None:
    before, after = section_id.previous, section_id.next
    assert section_id.first == (1 if before is None else before.last + 1)
    assert section_id.last == (MOST if after is None else after.first - 1)


def section(*at: int, first: int = 1, last: int = 10, is_archived: bool = True) -> Section:
    items = [
        SectionItem(position, StoredEvent("s", n, "topic", "{}", "e", "c"))
        for n, position in enumerate(at)
    ]
    return Section(SectionID(first, last), items, is_archived)


def test_a_section_is_json_as_it_is_documented() -> None:
    assert json.loads(dump_section(section(3, first=2, last=3))) == {
        "section_id": "2,3",
        "previous_id": "1,1",
        "next_id": "4,5",
        "is_archived": True,
        "items": [
            {
                "position": 3,
                "originator_id": "s",
                "originator_version": 0,
                "topic": "topic",
                "state": "{}",
                "event_id": "e",
                "correlation_id": "c",
                "causation_id": None,
            }
        ],
    }


@pytest.mark.parametrize("stream", STREAMS, ids=repr)
def test_the_id_of_a_stream_keeps_its_type(stream: Any) -> None:
    stored = StoredEvent(stream, 7, "t", '{"a":"\\u0000é"}', "", None, "cause")
    given = Section(SectionID(1, 1), [SectionItem(1, stored)], True)
    found = load_section(dump_section(given))
    assert found == given
    assert type(found.items[0].stored.originator_id) is type(stream)


@given(section_ids, st.booleans())
def test_a_section_comes_back_with_its_links(section_id: SectionID, is_archived: bool) -> None:
    given = Section(section_id, [], is_archived)
    found = load_section(dump_section(given))
    assert found == given
    assert (found.previous_id, found.next_id) == (given.previous_id, given.next_id)
    assert found.next_id == (section_id.next if is_archived else None)


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(dump_section(section(1, 5))), **changes}).encode()


def with_item(**changes: Any) -> bytes:
    return changed(items=[{**json.loads(dump_section(section(1)))["items"][0], **changes}])


def test_names_that_are_not_known_are_passed_over() -> None:
    assert load_section(changed(more=1)) == section(1, 5)
    assert load_section(with_item(more=1)) == section(1)


BAD_SECTIONS = {
    "empty": b"",
    "no JSON": b"<html>",
    "no object": b"[]",
    "cut": changed()[:-1],
    "two": changed() * 2,
    "no UTF-8": changed(section_id="1,10").replace(b"1,10", b"1,\xff"),
    "deep": b"[" * 100_000,
    "no section id": changed(section_id=None),
    "another section id": changed(section_id="1,11"),
    "a bad section id": changed(section_id="0,9"),
    "a wrong previous section": changed(previous_id="1,10"),
    "a wrong next section": changed(next_id="11,21"),
    "a next section that cannot be": changed(is_archived=False),
    "archived or not": changed(is_archived=1),
    "items in another order": dump_section(section(5, 1)),
    "an item twice": dump_section(section(1, 1)),
    "an item before the section": dump_section(section(1, first=2)),
    "an item after the section": dump_section(section(11)),
    "a position that is a text": with_item(position="1"),
    "a position that is a bool": with_item(position=True),
    "a version below 0": with_item(originator_version=-1),
    "a version above all": with_item(originator_version=2**63),
    "an id that is no text": with_item(originator_id=5),
    "an empty id": with_item(originator_id=""),
    "an id with too many digits": with_item(originator_id="#" + "9" * 5000),
    "an id in another form": with_item(originator_id="#05"),
    "a state that is no text": with_item(state={}),
    "a topic that is no text": with_item(topic=None),
    "a context that is no text": with_item(causation_id=1),
}


@pytest.mark.parametrize("data", BAD_SECTIONS.values(), ids=list(BAD_SECTIONS))
def test_what_is_no_section_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_section(data)
