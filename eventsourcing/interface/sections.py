"""Sections of the notification log, and their form in JSON (docs: reference/sections).

A section is of positions in the feed, both ends inclusive: ``1,10`` has what stands at the
positions 1 to 10. As positions have gaps, it may have fewer events than positions, or none. It is
archived once all its positions are safe. Then its events never change, and neither do their states
but for those that are encrypted or compressed, which may be written again (how-to/encryption).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import msgspec

from eventsourcing.exceptions import InvalidOriginatorID, InvalidSectionID
from eventsourcing.infrastructure.protection import is_sealed
from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.utils.ids import id_from_text, id_to_text

__all__ = ["CURRENT", "Section", "SectionID", "SectionItem", "dump_section", "load_section"]

CURRENT = "current"
"""The id of the section that has not ended yet."""

_ID = re.compile(r"([1-9][0-9]{0,18}),([1-9][0-9]{0,18})")


class SectionID(NamedTuple):
    """Positions in the feed, both inclusive. Its text is as in ``1,10``."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> SectionID:
        """Returns the id that a text stands for. Each id has one text.

        Raises:
            InvalidSectionID: it stands for none.
        """
        match = _ID.fullmatch(text)
        if match is None:
            raise InvalidSectionID("the id of a section is two positions, such as 1,10")
        found = cls(int(match[1]), int(match[2]))
        if not found.first <= found.last <= MAX_POSITION:
            raise InvalidSectionID("a section goes from a position to one that is not lower")
        return found

    @classmethod
    def around(cls, position: int, size: int) -> SectionID:
        """Returns which of the sections of ``size`` positions, counted from 1, has a position."""
        first = (position - 1) // size * size + 1
        return cls(first, min(first + size - 1, MAX_POSITION))

    @property
    def size(self) -> int:
        """How many positions there are."""
        return self.last - self.first + 1

    @property
    def previous(self) -> SectionID | None:
        """The section of the same size before this one, or what there is before; or None."""
        return SectionID(max(1, self.first - self.size), self.first - 1) if self.first > 1 else None

    @property
    def next(self) -> SectionID | None:
        """The section of the same size after this one, or None at the last of all positions."""
        if self.last == MAX_POSITION:
            return None
        return SectionID(self.last + 1, min(self.last + self.size, MAX_POSITION))

    def __str__(self) -> str:
        return f"{self.first},{self.last}"


class SectionItem(NamedTuple):
    """A stored event and its position in the feed.

    Attributes:
        position: in the feed.
        stored: the event as it is stored: its state is not decoded.
    """

    position: int
    stored: StoredEvent


class Section(NamedTuple):
    """What stands at some positions of the feed.

    Attributes:
        id: the positions.
        items: in ascending order of their positions; as far as the feed is safe.
        is_archived: whether all positions are safe, and the section will always have these events.
    """

    id: SectionID
    items: Sequence[SectionItem]
    is_archived: bool

    @property
    def is_final(self) -> bool:
        """Whether the section can be kept: it is archived, and no state is sealed, which may be
        written again under another key.
        """
        return self.is_archived and not any(is_sealed(item.stored.state) for item in self.items)

    @property
    def previous_id(self) -> SectionID | None:
        """The section before this one; None for the first."""
        return self.id.previous

    @property
    def next_id(self) -> SectionID | None:
        """The section after this one; None as long as this one is not archived."""
        return self.id.next if self.is_archived else None


class _Item(msgspec.Struct):
    position: int
    originator_id: str
    originator_version: int
    topic: str
    state: str
    event_id: str
    correlation_id: str | None = None
    causation_id: str | None = None


class _Section(msgspec.Struct):
    section_id: str
    previous_id: str | None
    next_id: str | None
    is_archived: bool
    items: list[_Item]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Section).decode


def dump_section(section: Section) -> bytes:
    """Returns a section as JSON, in UTF-8."""
    items = [
        _Item(position, id_to_text(stored[0]), *stored[1:]) for position, stored in section.items
    ]
    links = (_text(section.previous_id), _text(section.next_id))
    return _encode(_Section(str(section.id), *links, section.is_archived, items))


def load_section(data: bytes) -> Section:
    """Returns the section that JSON stands for. Names that are not known are passed over.

    Raises:
        ValueError: it stands for none, or the section contradicts itself.
    """
    try:
        found = _decode(data)
        items = [SectionItem(each.position, _stored(each)) for each in found.items]
        section = Section(SectionID.parse(found.section_id), items, found.is_archived)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"it is not the JSON of a section: {type(error).__name__}") from None
    if (found.previous_id, found.next_id) != (_text(section.previous_id), _text(section.next_id)):
        raise ValueError("the links are not those of the section")
    bounds = [section.id.first - 1, *(item.position for item in items), section.id.last + 1]
    if not all(one < other for one, other in pairwise(bounds)):
        raise ValueError("an item is not in its place")
    return section


def _stored(item: _Item) -> StoredEvent:
    sequence_id: UUID | str | int = id_from_text(item.originator_id)
    if id_to_text(sequence_id) != item.originator_id:
        raise InvalidOriginatorID("an originator_id is not in the form in which ids are stored")
    if not 0 <= item.originator_version <= MAX_POSITION:
        raise ValueError("an originator_version is no position in a stream")
    context = (item.event_id, item.correlation_id, item.causation_id)
    return StoredEvent(sequence_id, item.originator_version, item.topic, item.state, *context)


def _text(section_id: SectionID | None) -> str | None:
    return None if section_id is None else str(section_id)
