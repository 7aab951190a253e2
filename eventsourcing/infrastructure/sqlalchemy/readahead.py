"""Reads what comes next while its reader is busy with what came before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    ends by itself, whether or not somebody waits for the rows, and no exit waits for it.
    """
    thread = _Fetching(fetch)
    try:
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
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._rows = self._context.run(self._fetch)
        except BaseException as error:
            self._error = error

    def rows(self) -> Sequence[Any]:
        self.join()
        try:
            if self._error is not None:
                raise self._error
        finally:
            self._error = None  # whose traceback leads here
        # none in the child of a fork, where the thread does not run
        return self._fetch() if self._rows is None else self._rows
