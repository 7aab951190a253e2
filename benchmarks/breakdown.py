"""Where each microsecond of W1 and W4 goes: ``python -m benchmarks.breakdown > tables.md``.

It prints Markdown tables for a SQLite file and for PostgreSQL, or for the database of ``--db``.
What a layer takes is measured by clocks around it (see `layers`), save by save. The events of a
replay are too many for that: there the clocks are around the pages, and what is done with their
rows is done once more from memory, each time with one step more. What is measured takes turns, so
that what the machine does meanwhile meets all of it alike; figures are medians.
"""

import cProfile
import gc
import io
import pstats
import statistics
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from time import perf_counter
from typing import Any

from benchmarks.adapter import MODES, PAYLOADS, Options
from benchmarks.bench import Bench
from benchmarks.layers import APPLICATION, CONNECTION, DOMAIN, DRIVER, SAVING, STATEMENTS, Clock
from benchmarks.library import LibraryAdapter
from benchmarks.plan import Case
from benchmarks.raw import RawAdapter
from benchmarks.run import databases
from eventsourcing.infrastructure.replaying import Replay

ITEMS = "items: a tuple for each row"
DECODING = "codec: JSON to values, by the types of the fields"
CHANGING = "events: the methods that change the aggregate"
LOOP = "replay: the loop, that each event follows, version and time of the aggregate"
LOADING = (DRIVER, CONNECTION, STATEMENTS, ITEMS, DECODING, CHANGING, LOOP)

WHOLE = "all of it, without a clock"
BARE = "the bare driver: all of it"

Seconds = Mapping[str, float]


@dataclass
class Subjects:
    """What is measured.

    Attributes:
        plain: The library.
        watched: The library, with clocks.
        raw: The bare driver.
        clock: Is around the layers of `watched`.
    """

    plain: LibraryAdapter
    watched: LibraryAdapter
    raw: RawAdapter
    clock: Clock


def one_save(on: Subjects, i: int) -> Seconds:
    """Save a new aggregate with one event, in all three ways."""
    took = {
        WHOLE: seconds(lambda: on.plain.save(on.plain.create(i))),
        BARE: seconds(lambda: on.raw.save(on.raw.create(i))),
    }
    clock, watched = on.clock, on.watched
    aggregate = clock.call(DOMAIN, watched.create, i)
    clock.call(APPLICATION, watched.save, aggregate)
    return took | clock.take()


class Loads:
    """Loads a stream, and does parts of that with rows from memory.

    Args:
        on: What is measured.
        stream: The library's.
        raw_stream: The bare driver's, of the same length.
    """

    def __init__(self, on: Subjects, stream: Any, raw_stream: Any) -> None:
        self._on, self._stream, self._raw_stream = on, stream, raw_stream
        store: Any = on.plain.app.event_store
        self._manager = store.record_manager
        self._fetch = self._manager.datastore.fetch
        self._pages: list[Sequence[Any]] = []
        self._manager.datastore.fetch = self._remembering
        replay = Replay(store.record_manager, store.mapper)
        self._aggregate = replay.run(stream)
        self._manager.datastore.fetch = self._fetch
        self._steps = {topic: step for topic, step in replay._steps.items() if step}

    def one(self, i: int) -> Seconds:
        """Load it in all three ways, and do the parts."""
        clock = self._on.clock
        gc.collect()
        took = {
            WHOLE: seconds(lambda: self._on.plain.load(self._stream)),
            BARE: seconds(lambda: self._on.raw.load(self._raw_stream)),
        }
        clock.call(LOOP, self._on.watched.load, self._stream)
        took |= clock.take()
        for layer, part in (
            (ITEMS, lambda: exhaust(self._items())),
            (DECODING, self._decode),
            (CHANGING, self._change),
            (LOOP, self._load_from_memory),
        ):
            took[layer] = seconds(part)
        return took

    @staticmethod
    def apart(took: Seconds) -> Seconds:
        """Return the figures of `one`, of whose parts each holds those before it, without these."""
        parts = (ITEMS, DECODING, CHANGING, LOOP)
        return {**took} | {part: took[part] - took[done] for done, part in pairwise(parts)}

    def _remembering(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        self._pages.append(self._fetch(sql, parameters))
        return self._pages[-1]

    def _items(self) -> Iterator[Any]:
        manager = self._manager
        return chain.from_iterable(
            manager._statements.items(self._stream, rows, tuple) for rows in self._pages
        )

    def _decode(self) -> None:
        steps = self._steps
        for item in self._items():
            if item[2] in steps:  # all but the first one
                steps[item[2]].read(item[3])

    def _change(self) -> None:
        steps, aggregate = self._steps, self._aggregate
        for item in self._items():
            if item[2] in steps:
                _, read, pick, body = steps[item[2]]
                body(aggregate, *pick(read(item[3])))

    def _load_from_memory(self) -> None:
        pages = iter(self._pages)
        self._manager.datastore.fetch = lambda sql, parameters: next(pages)
        try:
            self._on.plain.load(self._stream)
        finally:
            self._manager.datastore.fetch = self._fetch


def seconds(function: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = perf_counter()
    function()
    return perf_counter() - began


def exhaust(iterable: Iterable[Any]) -> None:
    for _ in iterable:
        pass


def medians(measure: Callable[[int], Seconds], rounds: int) -> Seconds:
    """Return the median of each figure, after a round that does not count."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    measure(0)
    for i in range(rounds):
        for name, took in measure(i).items():
            found[name].append(took)
    return {name: statistics.median(each) for name, each in found.items()}


def table(took: Seconds, layers: Sequence[str], events: int, per: str) -> str:
    """Return a Markdown table."""
    lines = [f"| Layer | µs {per} | Share |", "|---|--:|--:|"]
    total = sum(took[layer] for layer in layers)
    for layer in layers:
        lines.append(f"| {layer} | {took[layer] * 1e6 / events:.2f} | {took[layer] / total:.0%} |")
    for name, value in (
        ("sum", total),
        (WHOLE, took[WHOLE]),
        (BARE, took[BARE]),
    ):
        lines.append(f"| *{name}* | {value * 1e6 / events:.2f} | |")
    return "\n".join(lines)


def profile(command: Callable[[], object], lines: int) -> str:
    """Return the functions in which a command spends most time, by their own time."""
    profiler = cProfile.Profile()
    profiler.enable()
    command()
    profiler.disable()
    output = io.StringIO()
    pstats.Stats(profiler, stream=output).strip_dirs().sort_stats("tottime").print_stats(lines)
    return f"```text\n{output.getvalue().strip()}\n```"


def main() -> None:
    """Print the tables."""
    parser = ArgumentParser(description="Print where the time of W1 and W4 goes.")
    parser.add_argument("--db", default="", help="URI; a SQLite file and PostgreSQL by default")
    parser.add_argument("--mode", choices=MODES, default="walnormal", help="of SQLite files")
    parser.add_argument("--payload", choices=PAYLOADS, default="small")
    parser.add_argument("--saves", type=int, default=2000)
    parser.add_argument("--events", type=int, default=10_000, help="of the stream that is loaded")
    parser.add_argument("--loads", type=int, default=15)
    parser.add_argument(
        "--lines", type=int, default=0, help="of a profile by functions, which inflates small ones"
    )
    given = parser.parse_args()
    if given.db:
        _print(given, given.db)
        return
    with databases(("sqlite", "postgresql")) as uris:
        for uri in uris.values():
            _print(given, uri)


def _print(given: Namespace, uri: str) -> None:
    options = Options("W4", uri, given.mode, given.payload)
    benches = [Bench(LibraryAdapter, options), Bench(RawAdapter, options)]
    database = benches[0].database
    database.wipe()
    streams = [bench.prepare(given.events)[0] for bench in benches]
    place = Case("W4", database.name, given.mode if database.name == "sqlite" else "default").place
    clock = Clock()
    with (
        LibraryAdapter(options) as plain,
        LibraryAdapter(options) as watched,
        RawAdapter(options) as raw,
    ):
        clock.watch(watched.app)
        on = Subjects(plain, watched, raw, clock)
        print(f"\n### W1, {place}: a save of one event, {given.saves:,} times\n")
        saves = medians(lambda i: one_save(on, i), given.saves)
        print(table(saves, SAVING, 1, "a save"))
        print(f"\n### W4, {place}: a load of {given.events:,} events, {given.loads} times\n")
        loads = Loads.apart(medians(Loads(on, *streams).one, given.loads))
        print(table(loads, LOADING, given.events, "an event"))
        if given.lines:
            print(f"\nW1:\n\n{profile(lambda: _save_all(plain, given.saves), given.lines)}")
            print(f"\nW4:\n\n{profile(lambda: plain.load(streams[0]), given.lines)}")


def _save_all(library: LibraryAdapter, n: int) -> None:
    for i in range(n):
        library.save(library.create(i))


if __name__ == "__main__":
    main()
