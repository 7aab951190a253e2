"""What a workload asks of the library, or of the bare driver in its place."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from benchmarks.databases import Form

MODES = ("default", "wal", "walnormal", "off")
"""Of SQLite files: as the adapter makes them; WAL with synchronous FULL; WAL with NORMAL; OFF."""

PAYLOADS = ("small", "large")

VIEWS = ("dict", "table")
"""What a follower makes of the events."""


@dataclass(frozen=True)
class Options:
    """What the command line of one run says.

    Attributes:
        db: The database's URI.
        mode: One of `MODES`.
        payload: One of `PAYLOADS`.
        n: How many commands; 0 for the workload's own number.
        passes: How often a long stream is read.
        sizes: Lengths of streams or stores, in events; empty for the workload's own.
        threads: How many of them write at once.
        procs: How many processes write at once, instead of threads; 0 for none.
        contend: Whether the threads write to one stream.
        seconds: How long they write to streams of their own.
        view: One of `VIEWS`.
        group_commit: Whether the library's savers share transactions; None for its default.
    """

    workload: str
    db: str
    mode: str = "default"
    payload: str = "small"
    n: int = 0
    passes: int = 3
    sizes: tuple[int, ...] = ()
    threads: int = 1
    procs: int = 0
    contend: bool = False
    seconds: float = 4.0
    view: str = "dict"
    group_commit: bool | None = None


class Progress(NamedTuple):
    """What a follower has done.

    Attributes:
        events: How many the view has counted; in a table, each is a row.
        position: Where in the feed it is.
    """

    events: int
    position: int


class Adapter(ABC):
    """Saves and loads aggregates, which have an ``id``, a UUID, and the payload's ``qty``.

    Several threads may use one that is open.
    """

    peer: ClassVar[str]
    """What it is called in a line of results."""

    table: ClassVar[str]
    id_form: ClassVar[Form]

    conflict: ClassVar[type[Exception]]
    """What `save` raises when another writer was quicker."""

    imports: ClassVar[Mapping[str, str]]
    """Statements: ``import``, with which a program begins, and what that is compared with.

    The file of a database may be named in them, as ``{file}``.
    """

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

    def take_snapshot(self, originator_id: Any) -> None:  # noqa: B027
        """Have later loads of W4S begin with the aggregate as it is stored now, if that is to be
        had.
        """

    @abstractmethod
    def iterate(self, originator_id: Any) -> Iterator[Any]:
        """Yield the events of a stream."""

    @abstractmethod
    def read_feed(self) -> Iterator[Any]:
        """Yield the events of all streams, in one order."""

    @abstractmethod
    def follower(self) -> Callable[[], Progress]:
        """Return what handles all events of the feed, and notes durably how far it has come.

        It makes a view of them: a dict, or the table `VIEW_TABLE`, as the options say.
        """

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
