"""Reads the notification log section by section: here, or over HTTP (docs: how-to/feed)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from eventsourcing.exceptions import InvalidSectionID, ProgrammingError
from eventsourcing.infrastructure.feed import FeedPage
from eventsourcing.infrastructure.notificationlog import (
    Notification,
    NotificationLog,
    notifications_from_pages,
)
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.interface.sections import CURRENT, Section, SectionID, SectionItem

__all__ = ["LocalSections", "NotificationLogReader", "Sections"]


class Sections(Protocol):
    """A notification log in sections. May be used from several threads at once."""

    def section(self, section_id: str) -> Section:
        """Returns a section: ``current``, or positions such as ``1,10``.

        Raises:
            InvalidSectionID: there can be no such section.
            EventSourcingError: the section could not be read.
        """
        ...


class LocalSections:
    """The sections of an application's notification log.

    Args:
        notification_log: of the application.
        section_size: how many positions the current section has, and each other at most.

    Raises:
        ProgrammingError: the size is no positive int.
    """

    def __init__(self, notification_log: NotificationLog, section_size: int = 100) -> None:
        self._log = notification_log
        self._size = _checked_size(section_size)

    def section(self, section_id: str) -> Section:
        """See :meth:`Sections.section`.

        The current section is the first of those of ``section_size``, counted from 1, that is
        not archived. So it may have no items yet.

        Raises:
            InvalidSectionID: it stands for no section, or for one that is too large.
            ApplicationClosedError: the application has been closed.
            PersistenceError, DataIntegrityError: the section could not be read.
        """
        wanted = None if section_id == CURRENT else SectionID.parse(section_id)
        if wanted is not None and wanted.size > self._size:
            raise InvalidSectionID(f"a section has at most {self._size} positions here")
        # Before the items are read: what becomes safe while they are is left for another time.
        safe = self._log.safe_position()
        if wanted is None:
            wanted = SectionID.around(safe + 1, self._size)
        found = self._log.select_stored(wanted.first, min(wanted.last, safe))
        items = tuple(SectionItem(*pair) for pair in found)
        return Section(wanted, items, is_archived=wanted.last <= safe)


class NotificationLogReader:
    """Reads notifications out of sections, which may be local or remote.

    Args:
        sections: where from.
        mapper: decodes the events. By default, one that knows the event classes that are
            imported.
        section_size: how many positions to ask for at a time; not more than the sections may
            have.

    Raises:
        ProgrammingError: an argument cannot be used.
    """

    def __init__(
        self,
        sections: Sections,
        mapper: SequencedItemMapper | None = None,
        section_size: int = 100,
    ) -> None:
        self._sections = sections
        self._mapper = mapper or SequencedItemMapper()
        if self._mapper.item_class is not StoredEvent:
            raise ProgrammingError("a reader of sections takes a mapper of StoredEvent")
        self._size = _checked_size(section_size)

    def read(self, start: int = 1) -> Iterator[Notification]:
        """Reads the events from a position on, inclusive, up to where the feed is safe.

        Go on from the last one's position + 1.

        Returns:
            An iterator, to be used once, that holds one section at a time.

        Raises:
            ProgrammingError: the position is no positive int.
            InvalidSectionID: the sections are smaller than ``section_size``.
            TopicResolutionError, DataIntegrityError: a row cannot be read; has its ``position``.
            RemoteLogError, PersistenceError: a section could not be read.
        """
        if type(start) is not int or start < 1:
            raise ProgrammingError("start must be an int of at least 1")
        return notifications_from_pages(self._mapper.events_from_items, self._pages(start))

    def _pages(self, start: int) -> Iterator[FeedPage]:
        wanted: SectionID | None = SectionID.around(start, self._size)
        while wanted is not None:
            section = self._sections.section(str(wanted))
            found = [each for each in section.items if each.position >= start]
            positions, items = [each[0] for each in found], [each[1] for each in found]
            yield FeedPage(positions, items)
            wanted = section.next_id


def _checked_size(section_size: int) -> int:
    if type(section_size) is not int or section_size < 1:
        raise ProgrammingError("section_size must be an int of at least 1")
    return section_size
