"""A bank, whose customers' balances add up to nothing whatever happens."""

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from tests.races.checker import Entry

__all__ = ["Account", "entries"]


class Account(AggregateRoot):
    """An account, which may be overdrawn.

    An event says what the balance is after it, which its writer could only know from the event
    before it: a lost update shows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.balance = 0

    def move(self, amount: int) -> None:
        """Pay in, or out."""
        self._moved(amount, self.balance + amount)

    @event("Moved")
    def _moved(self, amount: int, balance: int) -> None:
        self.balance = balance


def entries(*accounts: Account) -> tuple[Entry, ...]:
    """Return what a save of these accounts is about to store."""
    return tuple(
        Entry(event.context.event_id, str(account.id), position)
        for account in accounts
        for position, event in enumerate(
            account.pending_events, account.version - len(account.pending_events)
        )
    )
