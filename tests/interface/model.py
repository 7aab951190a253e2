"""A feed to be read in sections."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from uuid import UUID

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.notificationlog import Notification
from eventsourcing.interface.notificationlog import LocalSections
from eventsourcing.interface.server import SectionsServer
from tests.backends import Backend
from tests.contracts.eventstore import happened

STREAMS = (UUID(int=5), "5", "#5", str(UUID(int=5)), "'", "é", 5, -(2**63), 2**63 - 1)
"""Ids that are easily taken for each other."""

Compared = tuple[Notification, Any, type]


def application_on(backend: Backend) -> SimpleApplication:
    if backend.uri is None:
        return SimpleApplication(record_manager=MemoryRecordManager())
    return SimpleApplication(backend.uri)


def store(app: SimpleApplication, count: int, stream: Any = "s", first: int = 0) -> None:
    """Store events of one stream, one after the other."""
    for position in range(first, first + count):
        app.event_store.store(happened(stream, position))


def store_of_each_kind(app: SimpleApplication) -> None:
    for stream in STREAMS:
        with unit_of_work("a request", "a message"):
            app.event_store.store([happened(stream, 0), happened(stream, 1)])


def compared(notifications: Iterator[Notification]) -> list[Compared]:
    """Return all that has to be equal."""
    return [(each, each.context, type(each.originator_id)) for each in notifications]


@contextmanager
def served(app: SimpleApplication, section_size: int = 100) -> Iterator[str]:
    """Give the URL of a server for the sections of an application."""
    with serving(SectionsServer(LocalSections(app.notification_log, section_size))) as url:
        yield url


@contextmanager
def serving(server: Any) -> Iterator[str]:
    """Run a server of the standard library in a thread; give its URL."""
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
