"""What a save of events is to the checker."""

from collections.abc import Sequence

from tests.contracts.model import Happened
from tests.races.checker import Entry

__all__ = ["entries_of"]


def entries_of(events: Sequence[Happened]) -> tuple[Entry, ...]:
    """Return the events as the checker knows them."""
    return tuple(
        Entry(event.context.event_id, str(event.originator_id), event.originator_version)
        for event in events
    )
