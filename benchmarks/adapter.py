"""What a workload asks of the library, or of the bare driver in its place."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

MODES = ("default", "wal", "walnormal", "off")
"""Of SQLite files: as the adapter makes them; WAL with synchronous FULL; WAL with NORMAL; OFF."""

PAYLOADS = ("small", "large")


@dataclass(frozen=True)
class Options:
    """What the command line of one run says.

    Attributes:
        db: The database's URI.
        mode: One of `MODES`.
        payload: One of `PAYLOADS`.
        n: How many commands; None for the workload's own number.
        sizes: Lengths of streams or stores, in events; empty for the workload's own.
        threads: How many of them write at once.
        procs: How many processes write at once, instead of threads; 0 for none.
        contend: Whether the threads write to one stream.
        seconds: How long they write to streams of their own.
    """

    workload: str
    db: str
    mode: str = "default"
    payload: str = "small"
    n: int | None = None
    sizes: tuple[int, ...] = ()
    threads: int = 1
    procs: int = 0
    contend: bool = False
    seconds: float = 3.0


class Adapter(ABC):
    """Saves and loads aggregates, which have an ``id``, a UUID, and the payload's ``qty``.

    Several threads may use one that is open.
    """

    name: ClassVar[str]
    table: ClassVar[str]
    id_form: ClassVar[Literal["text", "native"]]
    """Whether the table has ids as text, or as the database's own type for 16 bytes."""

    conflict: ClassVar[type[Exception]]
    """What `save` raises when another writer was quicker."""

    imports: ClassVar[Mapping[str, str]]
    """Statements: ``import``, with which a program begins, and what it comes to load later."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def open(self) -> None:
        """Connect, and create the table if it does not exist."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    @abstractmethod
    def create(self, i: int) -> Any:
        """Return a new aggregate with a pending event of the i-th payload."""

    @abstractmethod
    def change(self, aggregate: Any, i: int) -> None:
        """Add a pending event of the i-th payload."""

    @abstractmethod
    def take_pending(self, aggregate: Any) -> int:
        """Take the pending events off, and return how many there were."""

    @abstractmethod
    def save(self, aggregate: Any) -> None:
        """Store the pending events in one transaction, durably if the mode is."""

    @abstractmethod
    def load(self, originator_id: Any) -> Any:
        """Return the aggregate as its stored events make it."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
