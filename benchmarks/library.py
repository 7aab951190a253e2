"""The library, with its default settings: ``python -m benchmarks.library W1 --db URI``."""

import sys
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from benchmarks import payloads, views
from benchmarks.adapter import Adapter, Options, Progress
from benchmarks.command import main
from benchmarks.databases import LIBRARY_TABLE
from benchmarks.items import Item, LargeItem
from eventsourcing.application.policies import SnapshottingPolicy
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings

ON_DEMAND = SnapshottingPolicy(every=None)


class LibraryAdapter(Adapter):
    """Saves and loads through an application."""

    peer = "L"
    table = LIBRARY_TABLE
    id_form = "text"
    conflict = ConcurrencyError
    imports: ClassVar = {
        "import": "import eventsourcing.application.simple",
        "first_use": "import eventsourcing.application.simple as simple;"
        " simple.SimpleApplication(uri='sqlite:///{file}').close()",
        "sqlalchemy": "import sqlalchemy",
    }

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        is_small = options.payload == "small"
        self._class: Any = Item if is_small else LargeItem
        self._values = payloads.small if is_small else payloads.large
        self.app: SimpleApplication

    def open(self) -> None:
        self.app = SimpleApplication(
            settings=settings(self.options.db, self.options.mode, self.options.group_commit),
            table_name=self.table,
            snapshotting_policy=ON_DEMAND if self.options.workload == "W4S" else None,
        )

    def close(self) -> None:
        self.app.close()

    def create(self, i: int) -> Any:
        return self._class.create(**self._values(i))

    def change(self, aggregate: Any, i: int) -> None:
        aggregate.change(**self._values(i))

    def take_pending(self, aggregate: Any) -> int:
        # There is no public way: an application takes them, and W5 has none.
        pending, aggregate._es_pending = aggregate._es_pending, []
        return len(pending)

    def save(self, aggregate: Any) -> None:
        self.app.save(aggregate)

    def load(self, originator_id: Any) -> Any:
        return self.app.repository[originator_id]

    def take_snapshot(self, originator_id: Any) -> None:
        self.app.take_snapshot(originator_id)

    def iterate(self, originator_id: Any) -> Iterator[Any]:
        return self.app.event_store.get_domain_events(originator_id)

    def read_feed(self) -> Iterator[Any]:
        return (notification.event for notification in self.app.notification_log.select())

    def follower(self) -> Callable[[], Progress]:
        return views.follower(self.app, self.options.view)


def settings(uri: str, mode: str, group_commit: bool | None = None) -> SQLAlchemySettings:
    """Return the settings for a mode, which is one of `MODES`."""
    if mode == "walnormal":
        return SQLAlchemySettings(uri=uri, sqlite_synchronous="NORMAL", group_commit=group_commit)
    if mode == "off":
        return SQLAlchemySettings(uri=uri, sqlite_synchronous="OFF", group_commit=group_commit)
    # WAL with synchronous FULL is the default
    return SQLAlchemySettings(uri=uri, group_commit=group_commit)


if __name__ == "__main__":
    sys.exit(main(LibraryAdapter))
