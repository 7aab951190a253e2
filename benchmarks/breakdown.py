"""Where each microsecond of W1 and W4 goes: ``python -m benchmarks.breakdown --db URI``.

The layers are timed by hand, from the driver outwards: each step does what the step before it did
and one layer more, so that the difference is what the layer costs. All steps take turns, so that
what the machine does meanwhile meets them alike. Then follows a profile of the whole, which shows
the functions, but inflates those that make many calls.
"""

import cProfile
import gc
import io
import pstats
import statistics
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

from benchmarks.adapter import MODES, PAYLOADS, Options
from benchmarks.bench import Bench
from benchmarks.library import LibraryAdapter
from benchmarks.raw import RawAdapter
from benchmarks.storage import Storage, storage_for

Step = tuple[str, Callable[[], float]]
"""A name, and what does it once and returns the seconds that it took."""


def save_steps(library: LibraryAdapter, raw: RawAdapter) -> Iterator[Step]:
    """Yield the steps of saving a new aggregate with one event."""
    store = library.app.event_store

    def clocked(command: Callable[[Any], object], thing: Any) -> float:
        began = perf_counter()
        command(thing)
        return perf_counter() - began

    def item() -> Any:
        return store.mapper.item_from_event(library.create(0).pending_events[0])

    yield "bare driver: create and save", lambda: clocked(lambda i: raw.save(raw.create(i)), 0)
    yield (
        "record manager: SQL, pool, driver, database",
        lambda: clocked(store.record_manager.record, [item()]),
    )
    yield (
        "event store: encoding",
        lambda: clocked(store.store, library.create(0).pending_events[0]),
    )
    yield "application: checks, publishing", lambda: clocked(library.save, library.create(0))
    yield (
        "aggregate: event, mutation",
        lambda: clocked(lambda i: library.save(library.create(i)), 0),
    )


def load_steps(
    library: LibraryAdapter, raw: RawAdapter, storage: Storage, library_id: Any, raw_id: UUID
) -> Iterator[Step]:
    """Yield the steps of loading a stream."""
    store = library.app.event_store

    def clocked(read: Callable[[], object]) -> float:
        gc.collect()
        began = perf_counter()
        read()
        return perf_counter() - began

    def exhaust(iterable: Any) -> None:
        for _ in iterable:
            pass

    def rows() -> None:
        exhaust(storage.select(raw_id))

    yield "bare driver: rows", lambda: clocked(rows)
    yield "bare driver: load", lambda: clocked(lambda: raw.load(raw_id))
    yield (
        "record manager: SQL, pool, driver, database, items",
        lambda: clocked(lambda: exhaust(store.record_manager.get_items(library_id))),
    )
    yield (
        "event store: decoding",
        lambda: clocked(lambda: exhaust(store.get_domain_events(library_id))),
    )
    yield "repository: mutation", lambda: clocked(lambda: library.load(library_id))


def take_turns(steps: Sequence[Step], rounds: int) -> dict[str, float]:
    """Return the median seconds of each step, after a round that does not count."""
    durations: dict[str, list[float]] = {name: [] for name, _ in steps}
    for i in range(rounds + 1):
        for name, step in steps:
            seconds = step()
            if i:
                durations[name].append(seconds)
    return {name: statistics.median(each) for name, each in durations.items()}


def table(medians: dict[str, float], events: int, per: str) -> str:
    """Return a Markdown table of the steps' times, and of what each adds to the one before."""
    lines = [f"| up to and with this layer | µs {per} | of it this layer |", "|---|--:|--:|"]
    before = 0.0
    for name, seconds in medians.items():
        microseconds = seconds * 1e6 / events
        if name.startswith("bare driver"):
            lines.append(f"| *{name}* | {microseconds:.2f} | |")
        else:
            lines.append(f"| {name} | {microseconds:.2f} | {microseconds - before:.2f} |")
            before = microseconds
    return "\n".join(lines)


def profile(command: Callable[[], object], lines: int) -> str:
    """Return the functions in which a command spends most time, by their own time."""
    profiler = cProfile.Profile()
    profiler.enable()
    command()
    profiler.disable()
    output = io.StringIO()
    pstats.Stats(profiler, stream=output).strip_dirs().sort_stats("tottime").print_stats(lines)
    return output.getvalue().strip()


def main() -> None:
    """Print both breakdowns."""
    parser = ArgumentParser(description="Print where the time of W1 and W4 goes.")
    parser.add_argument("--db", default="", help="URI; by default a temporary SQLite file")
    parser.add_argument("--mode", choices=MODES, default="walnormal", help="of SQLite files")
    parser.add_argument("--payload", choices=PAYLOADS, default="small")
    parser.add_argument("--saves", type=int, default=2000)
    parser.add_argument("--events", type=int, default=10_000, help="of the stream that is loaded")
    parser.add_argument("--loads", type=int, default=15)
    parser.add_argument("--lines", type=int, default=25, help="of each profile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eventsourcing-bench-") as directory:
        _print(given, given.db or f"sqlite:///{Path(directory, 'events.db')}")


def _print(given: Namespace, uri: str) -> None:
    options = Options("W4", uri, given.mode, given.payload)
    benches = [Bench(LibraryAdapter, options), Bench(RawAdapter, options)]
    benches[0].database.wipe()
    library_id, raw_id = [bench.prepare(given.events)[0] for bench in benches]
    with (
        LibraryAdapter(options) as library,
        RawAdapter(options) as raw,
        closing(storage_for(uri, given.mode)) as storage,
    ):
        print(f"\n## W1: {given.saves} saves of one event\n")
        medians = take_turns(list(save_steps(library, raw)), given.saves)
        print(table(medians, 1, "a save"))
        print(f"\n## W4: {given.loads} loads of {given.events} events\n")
        steps = load_steps(library, raw, storage, library_id, raw_id)
        medians = take_turns(list(steps), given.loads)
        print(table(medians, given.events, "an event"))

        print("\n## Profile of W1\n\n```text")
        print(profile(lambda: _save_all(library, given.saves), given.lines))
        print("```\n\n## Profile of W4\n\n```text")
        print(profile(lambda: library.load(library_id), given.lines))
        print("```")


def _save_all(library: LibraryAdapter, n: int) -> None:
    for i in range(n):
        library.save(library.create(i))


if __name__ == "__main__":
    main()
