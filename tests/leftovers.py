"""What neither a test nor a page of the documentation may leave behind."""

from eventsourcing.domain.model import bus
from eventsourcing.domain.model.stores import close_store, open_stores


def refuse_leftovers() -> None:
    """Raise if an application is open or a handler subscribed. Clear up in either case."""
    try:
        bus.assert_event_handlers_empty()
    finally:
        for store in open_stores():
            close_store(store)
        bus._subscriptions = ()
