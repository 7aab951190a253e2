"""One run of one workload: its options, its database, and its adapter."""

import multiprocessing
import traceback
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from benchmarks.adapter import Adapter, Options
from benchmarks.databases import database_for

R = TypeVar("R")

FORK = multiprocessing.get_context("fork")
BATCH = 100
"""Events that are saved at once, where it is not the size of a save that matters."""


class Bench:
    """What a workload runs on.

    Args:
        adapter_class: Whose cost is measured.
        options: Of the run.
    """

    def __init__(self, adapter_class: type[Adapter], options: Options) -> None:
        self.adapter_class = adapter_class
        self.options = options
        self.database = database_for(options.db)

    def adapter(self) -> Adapter:
        """Return a new adapter, to be used as a context manager."""
        return self.adapter_class(self.options)

    def count(self) -> int:
        """Return the number of events in the table, as a plain connection sees them."""
        return self.database.count(self.adapter_class.table)

    def prepare(self, *lengths: int) -> list[Any]:
        """Store a stream of each length, in a process of its own that does not wait for the disk.

        Returns:
            The streams' ids.
        """
        options = replace(self.options, db=self.database.hasty_uri)
        if self.database.name == "sqlite":
            options = replace(options, mode="off")

        def fill_all() -> list[Any]:
            with self.adapter_class(options) as adapter:
                return [fill(adapter, length) for length in lengths]

        return in_child(fill_all)


def build(adapter: Adapter, length: int) -> Any:
    """Return an aggregate with so many pending events, and the last one's number as ``qty``."""
    aggregate = adapter.create(0)
    for i in range(1, length):
        adapter.change(aggregate, i)
    return aggregate


def fill(adapter: Adapter, length: int) -> Any:
    """Store a stream of so many events, in batches, and return its id."""
    aggregate = adapter.create(0)
    for i in range(1, length):
        if i % BATCH == 0:
            adapter.save(aggregate)
        adapter.change(aggregate, i)
    adapter.save(aggregate)
    return aggregate.id


def in_child(function: Callable[[], R]) -> R:
    """Return what the function returns in a fork of this process.

    Raises:
        RuntimeError: It raised, or the child died.
    """
    receiver, sender = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_call, args=(function, sender))
    child.start()
    sender.close()
    try:
        result, problem = receiver.recv()
    except EOFError:
        result, problem = None, "it died"
    child.join()
    receiver.close()
    if problem:
        raise RuntimeError(f"in a child process: {problem}")
    answer: R = result
    return answer


def _call(function: Callable[[], Any], sender: "Connection[Any, Any]") -> None:
    try:
        sender.send((function(), None))
    except BaseException:
        sender.send((None, traceback.format_exc()))
