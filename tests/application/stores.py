"""Applications in memory, and what they hold."""

from typing import Any

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.infrastructure.memory import MemoryRecordManager


class Counter(AggregateRoot):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = 0

    @event("Increased")
    def increase(self) -> None:
        self.count += 1


class Lamp(AggregateRoot):
    @event("Switched")
    def switch(self) -> None:
        pass


def memory_app(name: str = "app", **options: Any) -> SimpleApplication:
    return SimpleApplication(record_manager=MemoryRecordManager(), name=name, **options)


def stored(app: SimpleApplication, *aggregates: AggregateRoot) -> list[str]:
    """Returns the names of the events that `app` holds of the aggregates, in order."""
    return [
        type(found).__name__
        for aggregate in aggregates
        for found in app.event_store.get_domain_events(aggregate.id)
    ]
