"""This library as one driver of a comparison suite, whose ``common`` module is on PYTHONPATH.

The suite has the workloads; this module tells it how to do what they ask with this library. It is
run as a file, by its own path: ``python benchmarks/peers.py W1 --db URI``.
"""

import importlib
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

if __name__ == "__main__":
    # Not this directory, whose modules are those of a package.
    sys.path[0] = str(Path(__file__).parents[1])

from benchmarks import views
from benchmarks.databases import database_for
from benchmarks.items import Item
from benchmarks.library import settings
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError

common: Any = importlib.import_module("common")


class Driver(common.Adapter):  # type: ignore[misc]
    """What the suite asks of a library."""

    peer = "L"
    main_import = "import eventsourcing.application.simple"
    conflict_errors = (ConcurrencyError,)
    sqlite_default = "wal/full"
    app: SimpleApplication

    def open(self) -> None:
        self.app = SimpleApplication(settings=settings(self.uri, self.mode))

    def close(self) -> None:
        self.app.close()

    def create(self, i: int) -> Item:
        return Item.create(**common.payload(i))

    def change(self, item: Item, i: int) -> None:
        item.change(**common.payload(i))

    def save(self, item: Item) -> None:
        self.app.save(item)

    def load(self, originator_id: UUID) -> Any:
        return self.app.repository[originator_id]

    def drop_pending(self, item: Item) -> list[Any]:
        pending, item._es_pending = item._es_pending, []
        return pending

    def read_all(self) -> int:
        return sum(1 for _ in self.app.notification_log.select())

    def follow(self) -> tuple[int, dict[str, Any]]:
        done = views.follower(self.app, "dict")()
        return done.events, {"position": done.position}

    def clone(self, template: str, copies: int, length: int) -> None:
        database_for(self.uri).clone(self.events_table, "text", UUID(template), copies)


if __name__ == "__main__":
    common.main(Driver)
