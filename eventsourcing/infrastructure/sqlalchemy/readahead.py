"""Reads what comes next while its reader is busy with what came before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeAlias

__all__ = ["Fetch", "fetch_ahead"]

Fetch: TypeAlias = Callable[[], Sequence[Any]]


def fetch_ahead(fetch: Fetch) -> Fetch:
    """Begins to fetch rows, and returns what waits for them: it returns or raises as ``fetch``.

    A thread does it, which gives up the interpreter's lock for the first time when it waits for
    the server's answer. So the query is mostly on its way when this returns, the server works on
    it while this process works on the rows before, and the thread goes on when that is done. It
    ends with its query, whether or not somebody waits for the rows, and no exit waits for it.

    What went wrong meanwhile may be over when the rows are asked for: then they are fetched anew.
    """
    try:
        thread = _Fetching(fetch)
        thread.start()
    except RuntimeError:  # no thread can be started
        return fetch
    return thread.rows


class _Fetching(Thread):
    def __init__(self, fetch: Fetch) -> None:
        super().__init__(name="eventsourcing-fetch-ahead", daemon=True)
        self._fetch = fetch
        self._context = copy_context()
        self._rows: Sequence[Any] | None = None

    def run(self) -> None:
        with suppress(BaseException):  # who asks for the rows will see whether it is still so
            self._rows = self._context.run(self._fetch)

    def rows(self) -> Sequence[Any]:
        self.join()
        # none after an error, or in the child of a fork, where the thread does not run
        return self._fetch() if self._rows is None else self._rows
