"""Which workloads run on which databases, and how near to the bare driver they are to come."""

from collections.abc import Iterator
from dataclasses import dataclass

SERVERS = ("postgresql", "mariadb")
RATES = (("", "events_per_s"),)
REPLAYS = (("1,000 events", "events_per_s_1000"), ("10,000 events", "events_per_s_10000"))
MEMORY = (("1,000 events", "peak_mb_1000"), ("10,000 events", "peak_mb_10000"))
LONG = (("replay", "peak_mb_replay"), ("iteration", "peak_mb_iteration"))
GROWTH = (("save", "w1_ratio"), ("load", "w4_ratio"))
LIMITED = ("W4L", "W4S", "W9", "W10")
"""Workloads whose goal is a limit: what they measure is to be at most so large."""

TITLES = {
    "W1": "new aggregate, one event a save",
    "W2": "one aggregate, one event a save",
    "W3": "100 events a save",
    "W4": "replay",
    "W4L": "long stream",
    "W4S": "snapshot",
    "W5": "events without a database",
    "W6": "feed of all events",
    "W7": "savers at once",
    "W8": "a view, library by the page, bare driver by the event",
    "W9": "growth of the store",
    "W10": "import",
}

FLAT = 32
"""MB: two pages of a stream, which hold 16 MB at most."""

QUICK = {
    "W1": ("--n", "100"),
    "W2": ("--n", "100"),
    "W3": ("--n", "5"),
    "W4L": ("--sizes", "20000"),
    "W4S": ("--sizes", "100,1000"),
    "W5": ("--n", "2000"),
    "W7": ("--seconds", "0.5", "--n", "48"),
    "W6": ("--n", "20"),
    "W8": ("--n", "1000"),
    "W9": ("--sizes", "5000,20000", "--n", "50"),
    "W10": ("--n", "2"),
}
"""Arguments that make a workload short; its figures say little then."""


@dataclass(frozen=True)
class Case:
    """One row of the plan: it is run for the library and for the bare driver.

    Attributes:
        database: One of SERVERS, ``sqlite``, or ``none``.
        mode: Of SQLite files.
        arguments: Further ones of the command line.
        note: What they say, in words.
        goal: The least ratio of the library's throughput to the bare driver's; for W4L the most MB
            by which its peak may grow, for W4S how many times as long as a short stream a long one
            may take, for W9 how many times slower it may become, and for W10 how many times
            `import sqlalchemy` it may take. None for no goal.
        memory: How many KB an event of a replay may take.
    """

    workload: str
    database: str
    mode: str = "default"
    arguments: tuple[str, ...] = ()
    note: str = ""
    goal: float | None = None
    memory: float | None = None

    def judge(self, value: float, unit: str = "") -> str:
        """Return the goal, and whether the value reaches it; nothing if there is no goal."""
        if self.goal is None:
            return ""
        if self.workload in LIMITED:
            return _judged(f"at most {self.goal:g}{unit}", value <= self.goal)
        return _judged(f"at least {self.goal:g}{unit}", value >= self.goal)

    def judge_memory(self, kilobytes: float) -> str:
        """Return the goal for an event, and whether so many KB reach it."""
        if self.memory is None:
            return ""
        return _judged(f"under {self.memory:g} KB an event", kilobytes < self.memory)

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it another case than the others."""
        return (self.workload, self.database, self.mode, *self.arguments)

    @property
    def place(self) -> str:
        """The database and its mode, in words."""
        modes = {"wal": ", synchronous FULL", "walnormal": ", synchronous NORMAL", "default": ""}
        names = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB", "none": ""}
        return names[self.database] + modes[self.mode]

    @property
    def name(self) -> str:
        """The workload and the database, in words."""
        return ", ".join(filter(None, (self.title, self.place)))

    @property
    def title(self) -> str:
        """The workload, in words."""
        words = TITLES[self.workload]
        return f"{self.workload} {words}" + (f", {self.note}" if self.note else "")


def _judged(goal: str, is_reached: bool) -> str:
    return f"{goal}: {'reached' if is_reached else '**missed**'}"


def cases() -> Iterator[Case]:
    """Yield the whole plan."""
    for workload in ("W1", "W2"):
        yield Case(workload, "sqlite", "wal", goal=0.75)
        yield Case(workload, "sqlite", "walnormal", goal=0.5)
        yield Case(workload, "postgresql", goal=0.8)
        if workload == "W1":
            yield Case(workload, "mariadb", goal=0.75)
    yield Case("W3", "sqlite", "wal", goal=0.6)
    yield Case("W3", "postgresql", goal=0.6)
    yield Case("W3", "mariadb", goal=0.5)
    yield Case("W4", "sqlite", "wal", goal=0.5, memory=1)
    yield Case("W4", "postgresql", goal=0.6, memory=1)
    yield Case("W4", "mariadb", goal=0.5, memory=1)
    yield Case("W4L", "sqlite", "wal", ("--passes", "1"), goal=FLAT)
    yield Case("W4L", "postgresql", "default", ("--passes", "1"), goal=FLAT)
    yield Case("W4S", "sqlite", "wal", goal=3)
    for server in SERVERS:
        yield Case("W4S", server, goal=3)
    yield from _large()
    yield Case("W5", "none", goal=0.4)
    yield from _feed()
    yield from _concurrent()
    yield Case("W9", "sqlite", "wal", goal=1.15)
    yield Case("W9", "postgresql", goal=1.15)
    yield Case("W10", "none", goal=1.25)


def _large() -> Iterator[Case]:
    arguments, note = ("--payload", "large"), "4 KB each"
    for workload in ("W1", "W3", "W4"):
        yield Case(workload, "sqlite", "wal", arguments, note)
        for server in SERVERS:
            yield Case(workload, server, "default", arguments, note)


def _feed() -> Iterator[Case]:
    into_table = ("--view", "table")
    # The goals of W8 are ten times what the quickest of the libraries compared (see `peers`) reach,
    # of the same bare driver: 0.56 of it on SQLite, and 0.48 on PostgreSQL.
    for database, mode, goal in (
        ("sqlite", "wal", 5.6),
        ("postgresql", "default", 4.8),
        ("mariadb", "default", None),
    ):
        yield Case("W6", database, mode, goal=None if goal is None else 0.5)
        yield Case("W8", database, mode, note="a dict", goal=goal)
        yield Case("W8", database, mode, into_table, "a table")


def _concurrent() -> Iterator[Case]:
    for k, goal in ((1, None), (4, 1.2), (16, 2.0)):
        yield Case("W7", "sqlite", "wal", ("--threads", str(k)), _threads(k), goal)
    for k, goal in ((1, None), (4, 0.9), (16, 1.5)):
        yield Case("W7", "postgresql", "default", ("--threads", str(k)), _threads(k), goal)
    yield Case("W7", "mariadb", "default", ("--threads", "16"), _threads(16))
    alone = ("--threads", "16", "--group-commit", "0")
    yield Case("W7", "sqlite", "wal", alone, f"{_threads(16)}, group commit off")
    yield Case("W7", "postgresql", "default", alone, f"{_threads(16)}, group commit off")
    for k, goal in ((4, None), (16, 0.6)):
        arguments, note = ("--threads", str(k), "--contend", "1"), f"{_threads(k)} on one stream"
        yield Case("W7", "postgresql", "default", arguments, note, goal)
    yield Case("W7", "sqlite", "wal", ("--procs", "4"), "4 processes")
    yield Case("W7", "postgresql", "default", ("--procs", "4"), "4 processes")


def _threads(k: int) -> str:
    return "1 thread" if k == 1 else f"{k} threads"
