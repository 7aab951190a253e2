"""Sections: hostile ids of sections, and what a remote log may answer.

What begins with a bracket is taken for a section in JSON, and anything else for an id.
"""

from collections.abc import Iterator

from eventsourcing.exceptions import InvalidSectionID
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.interface.sections import (
    Section,
    SectionID,
    SectionItem,
    dump_section,
    load_section,
)
from tests.faults.fuzz.target import Wrong, text_of

__all__ = ["read", "seeds"]

IDS = (
    "1,10",
    "11,20",
    "current",
    f"{2**63 - 1},{2**63 - 1}",
    "0,9",
    "10,1",
    "01,2",
    "1,2,3",
    "-1,+1",
)


def read(data: bytes) -> None:
    if data[:1] in (b"{", b"["):
        _read_section(data)
    else:
        _read_id(text_of(data))


def _read_id(text: str) -> None:
    try:
        found = SectionID.parse(text)
    except InvalidSectionID:
        return
    if str(found) != text or not 1 <= found.first <= found.last < 2**63:
        raise Wrong(f"{text!r} became {found!r}")
    if found.previous is not None and found.previous.last != found.first - 1:
        raise Wrong(f"{found.previous!r} is not before {found!r}")


def _read_section(data: bytes) -> None:
    try:
        section = load_section(data)
    except ValueError:
        return
    again = load_section(dump_section(section))
    if again != section:
        raise Wrong(f"{section!r} became {again!r}")
    positions = [item.position for item in section.items]
    bounds = range(section.id.first, section.id.last + 1)
    if positions != sorted({each for each in positions if each in bounds}):
        raise Wrong(f"{section.id} has {positions}")


def seeds() -> Iterator[bytes]:
    yield from (text.encode() for text in IDS)
    stored = StoredEvent("s", 0, "module#Name", '{"a":1}', "e" * 32, None, "c")
    ids: tuple[str | int, ...] = ("s", 5, -5, "#5", "'", "00000000-0000-0000-0000-000000000005")
    items = [SectionItem(2 * n, stored._replace(originator_id=id)) for n, id in enumerate(ids, 1)]
    for section_id, is_archived in ((SectionID(1, 20), True), (SectionID(2, 12), False)):
        yield dump_section(Section(section_id, items, is_archived))
        yield dump_section(Section(section_id, [], is_archived))
