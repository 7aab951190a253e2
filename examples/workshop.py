"""Workshops with a limited number of seats: the application of the tutorial."""

from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event, retry
from eventsourcing.exceptions import ConcurrencyError


class FullyBooked(Exception):
    """All seats are taken."""


class Workshop(AggregateRoot, topic="workshop"):
    def __init__(self, title: str, seats: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.title = title
        self.seats = seats
        self.participants: list[str] = []

    def book(self, name: str) -> None:
        if name in self.participants:
            return
        if len(self.participants) == self.seats:
            raise FullyBooked(f"{self.title} has no seat left for {name}")
        self._book(name)

    def cancel(self, name: str) -> None:
        if name in self.participants:
            self._cancel(name)

    @event("Booked")
    def _book(self, name: str) -> None:
        self.participants.append(name)

    @event("Cancelled")
    def _cancel(self, name: str) -> None:
        self.participants.remove(name)


class Workshops(SimpleApplication):
    def announce(self, title: str, seats: int) -> UUID:
        workshop_id = uuid4()
        self.save(Workshop.create(id=workshop_id, title=title, seats=seats))
        return workshop_id

    @retry(ConcurrencyError, max_retries=5)
    def book(self, workshop_id: UUID, name: str) -> None:
        workshop = self.repository.get(workshop_id, Workshop)
        workshop.book(name)
        self.save(workshop)

    @retry(ConcurrencyError, max_retries=5)
    def cancel(self, workshop_id: UUID, name: str) -> None:
        workshop = self.repository.get(workshop_id, Workshop)
        workshop.cancel(name)
        self.save(workshop)

    def participants(self, workshop_id: UUID) -> list[str]:
        return self.repository.get(workshop_id, Workshop).participants


if __name__ == "__main__":
    with Workshops(uri="sqlite:///workshops.db") as workshops:
        bread = workshops.announce("Baking bread", seats=2)
        workshops.book(bread, "Ann")
        workshops.book(bread, "Bob")
        print(workshops.participants(bread))
