"""The notification log in sections, here and over HTTP, on every backend."""

from collections.abc import Iterator
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ApplicationClosedError,
    InvalidSectionID,
    ProgrammingError,
    TopicResolutionError,
)
from eventsourcing.infrastructure.sequenceditem import SequencedItem, StoredEvent
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.interface.notificationlog import LocalSections, NotificationLogReader, Sections
from eventsourcing.interface.remotelog import RemoteSections
from eventsourcing.interface.sections import Section, SectionID, SectionItem
from tests.backends import Backend
from tests.contracts.places import SQLAlchemyPlace
from tests.infrastructure.sqlalchemy.helpers import run
from tests.infrastructure.sqlalchemy.interleavings import INTERLEAVINGS, Interleaving, writers_on
from tests.interface.model import (
    application_on,
    compared,
    served,
    store,
    store_of_each_kind,
)


@pytest.fixture
def app(backend: Backend) -> Iterator[SimpleApplication]:
    with application_on(backend) as app:
        yield app


@pytest.fixture
def sections(app: SimpleApplication) -> LocalSections:
    return LocalSections(app.notification_log, section_size=10)


def positions(section: Section) -> list[int]:
    return [item.position for item in section.items]


def ids(section: Section) -> tuple[str, str, str]:
    return str(section.previous_id), str(section.id), str(section.next_id)


# -- sections


def test_the_current_section_of_an_empty_feed_is_the_first_one(sections: LocalSections) -> None:
    found = sections.section("current")
    assert (ids(found), positions(found)) == (("None", "1,10", "None"), [])
    assert not found.is_archived


def test_a_section_is_archived_once_its_last_position_is_safe(
    app: SimpleApplication, sections: LocalSections
) -> None:
    store(app, 9)
    before = sections.section("1,10")
    store(app, 1, first=9)
    after = sections.section("1,10")
    assert (positions(before), before.is_archived) == (list(range(1, 10)), False)
    assert (positions(after), after.is_archived) == (list(range(1, 11)), True)


def test_the_section_after_a_full_one_is_the_current_one(
    app: SimpleApplication, sections: LocalSections
) -> None:
    store(app, 10)
    assert ids(sections.section("current")) == ("1,10", "11,20", "None")
    assert ids(sections.section("1,10")) == ("None", "1,10", "11,20")


def test_links_lead_from_each_end_to_the_other(
    app: SimpleApplication, sections: LocalSections
) -> None:
    store(app, 25)
    assert walk(sections, "1,10", "next_id") == list(range(1, 26))
    assert walk(sections, "current", "previous_id") == [
        *range(21, 26),
        *range(11, 21),
        *range(1, 11),
    ]


def walk(sections: Sections, section_id: str, link: str) -> list[int]:
    found = []
    while section_id != "None":
        section = sections.section(section_id)
        found += positions(section)
        section_id = str(getattr(section, link))
    return found


def test_a_section_may_begin_anywhere(app: SimpleApplication, sections: LocalSections) -> None:
    store(app, 12)
    assert positions(sections.section("5,7")) == [5, 6, 7]
    assert ids(sections.section("5,7")) == ("2,4", "5,7", "8,10")


def test_a_section_behind_the_end_is_empty(sections: LocalSections) -> None:
    found = sections.section(f"{2**63 - 1},{2**63 - 1}")
    assert (positions(found), found.is_archived) == ([], False)


@pytest.mark.parametrize("section_id", ["", "0,9", "10,1", "1,11", "latest", "1,10 "])
def test_what_can_be_no_section_is_refused(sections: LocalSections, section_id: str) -> None:
    with pytest.raises(InvalidSectionID):
        sections.section(section_id)


@pytest.mark.parametrize("size", [0, -1, 1.0, True, "10"])
def test_a_size_that_is_none_is_refused(app: SimpleApplication, size: Any) -> None:
    with pytest.raises(ProgrammingError, match="section_size"):
        LocalSections(app.notification_log, size)


def test_an_item_is_what_is_stored(app: SimpleApplication, sections: LocalSections) -> None:
    store_of_each_kind(app)
    found = [item.stored for item in sections.section("1,10").items]
    manager = app.event_store.record_manager
    assert found == [
        next(stored for stored in manager.get_items(each[0]) if stored[1] == each[1])
        for each in found
    ]


def test_a_closed_application_has_no_sections(app: SimpleApplication) -> None:
    sections = LocalSections(app.notification_log)
    app.close()
    with pytest.raises(ApplicationClosedError):
        sections.section("current")


@pytest.fixture(params=["postgresql", "mariadb"])
def server_backend(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("interleaving", INTERLEAVINGS)
def test_an_archived_section_never_changes(
    server_backend: Backend, interleaving: Interleaving
) -> None:
    with writers_on(server_backend) as writers, application_on(server_backend) as app:
        assert changed_sections(LocalSections(app.notification_log), writers, interleaving) == []


def test_control_a_section_that_does_not_wait_for_late_commits_changes(
    postgresql: Backend,
) -> None:
    class Hasty(LocalSections):
        """Takes all for safe that is not above the greatest position."""

        def section(self, section_id: str) -> Section:
            found = super().section(section_id)
            ((greatest,),) = run(postgresql, "SELECT coalesce(max(id), 0) FROM stored_events")
            rows = run(
                postgresql,
                "SELECT id FROM stored_events WHERE id BETWEEN %s AND %s",
                *found.id,
            )
            items = [SectionItem(row[0], StoredEvent("", 0, "", "", "")) for row in rows]
            return found._replace(items=items, is_archived=found.id.last <= greatest)

    with writers_on(postgresql) as writers, application_on(postgresql) as app:
        sections = Hasty(app.notification_log)
        changed = [changed_sections(sections, writers, INTERLEAVINGS[0])]
    assert changed != [[]]


def changed_sections(
    sections: Sections, writers: Any, interleaving: Interleaving
) -> list[SectionID]:
    """Return which sections changed after they were archived."""
    archived: dict[str, Section] = {}
    changed = []
    for _ in interleaving(writers):
        for first in range(1, 8):
            found = sections.section(f"{first},{first + 1}")
            before = archived.get(str(found.id))
            if before is not None and before != found:
                changed.append(found.id)
            if found.is_archived:
                archived[str(found.id)] = found
    return changed


# -- readers


def test_a_local_and_a_remote_reader_give_what_the_log_gives(app: SimpleApplication) -> None:
    store_of_each_kind(app)
    expected = compared(app.notification_log.select())
    local = NotificationLogReader(LocalSections(app.notification_log, 3), section_size=3)
    with served(app, section_size=3) as url:
        remote = NotificationLogReader(RemoteSections(url), section_size=3)
        assert compared(remote.read()) == expected
    assert compared(local.read()) == expected
    assert len(expected) == 18


@pytest.mark.parametrize("start", [1, 2, 10, 11, 25, 26, 1000])
def test_a_reader_begins_where_it_is_told(
    app: SimpleApplication, sections: LocalSections, start: int
) -> None:
    store(app, 25)
    reader = NotificationLogReader(sections, section_size=10)
    assert [each.position for each in reader.read(start)] == list(range(start, 26))


@pytest.mark.parametrize("start", [0, -1, 1.0, True, "1"])
def test_a_start_that_is_no_position_is_refused(sections: LocalSections, start: Any) -> None:
    with pytest.raises(ProgrammingError, match="start"):
        NotificationLogReader(sections).read(start)


def test_a_reader_asks_for_a_section_only_when_it_is_needed(app: SimpleApplication) -> None:
    store(app, 25)
    asked = []

    class Asked(LocalSections):
        def section(self, section_id: str) -> Section:
            asked.append(section_id)
            return super().section(section_id)

    reading = NotificationLogReader(Asked(app.notification_log), section_size=10).read()
    for _ in range(11):
        next(reading)
    assert asked == ["1,10", "11,20"]


def test_a_mapper_of_other_items_is_refused(sections: LocalSections) -> None:
    with pytest.raises(ProgrammingError, match="StoredEvent"):
        NotificationLogReader(sections, SequencedItemMapper(SequencedItem))


def test_items_without_a_context_are_read_as_well(sqlite_file: Backend) -> None:
    place = SQLAlchemyPlace(str(sqlite_file.uri))
    with SimpleApplication(record_manager=place.open(SequencedItem)) as app:
        store(app, 2)
        reader = NotificationLogReader(LocalSections(app.notification_log))
        assert compared(reader.read()) == compared(app.notification_log.select())


def test_an_event_that_cannot_be_read_is_named_by_its_position(sqlite_file: Backend) -> None:
    with application_on(sqlite_file) as app:
        store(app, 3)
        run(sqlite_file, "UPDATE stored_events SET topic = 'nowhere#Event' WHERE id = 2")
        with served(app) as url:
            reading = NotificationLogReader(RemoteSections(url)).read()
            assert next(reading).position == 1
            with pytest.raises(TopicResolutionError, match="position 2 of the feed") as caught:
                next(reading)
    assert caught.value.position == 2
