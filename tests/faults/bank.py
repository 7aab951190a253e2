"""A bank, whose customers' balances add up to nothing whatever happens."""

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from tests.races.checker import Entry

__all__ = ["Account", "entries"]


class Account(AggregateRoot):
    """An account, which may be overdrawn.

    An event says what the balance is after it, and which mark its writer saw on the account, which
    it could only know from the event before it: a lost update shows, even of nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.balance = self.mark = 0

    def move(self, amount: int, mark: int) -> None:
        """Pay in, or out, and leave a mark that nobody else leaves."""
        self._moved(amount, self.balance + amount, self.mark, mark)

    @event("Moved")
    def _moved(self, amount: int, balance: int, seen: int, mark: int) -> None:
        self.balance = balance
        self.mark = mark


def entries(*accounts: Account) -> tuple[Entry, ...]:
    """Return what a save of these accounts is about to store."""
    return tuple(
        Entry(event.context.event_id, str(account.id), position)
        for account in accounts
        for position, event in enumerate(
            account.pending_events, account.version - len(account.pending_events)
        )
    )
