"""Every test leaves the bus as it found it: empty."""

from collections.abc import Iterator

import pytest

from eventsourcing.domain.model.events import assert_event_handlers_empty


@pytest.fixture(autouse=True)
def _nothing_is_left_on_the_bus() -> Iterator[None]:
    assert_event_handlers_empty()
    yield
    assert_event_handlers_empty()
