"""Clients that fork in the middle of their own traffic, or are interrupted at random points."""

import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ConcurrencyError
from tests.faults.applications import APPLICATIONS
from tests.faults.bank import Account
from tests.faults.client import Orders, Writer
from tests.faults.history import Log
from tests.infrastructure.sqlalchemy.helpers import checked_out
from tests.races.checker import Answer

__all__ = ["CHILD", "Breaker", "begin", "fork_in_traffic", "interrupt_saves"]

T = TypeVar("T")
Breaker = Callable[[], Any]
"""Takes a protection out of this process; for controls."""

CHILDREN_S_SAVES = 3
CHILD_HANGS = 20  # seconds after which a child hangs
LONGEST_PAUSE = 0.02  # seconds between forks
CHILD = 1_000  # the number of the first child's writer


def begin(work: Callable[..., None], orders: Orders, *arguments: object) -> BaseProcess:
    """Start one of the functions below in a process of its own."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.interrupted", "psycopg", "pymysql"])
    process = context.Process(target=work, args=(orders, *arguments), daemon=True)
    process.start()
    return process


@contextmanager
def _traffic(orders: Orders) -> Iterator[tuple[SimpleApplication, Log]]:
    """Have writers save in threads while the block lasts, and dump the stacks if it hangs."""
    os.setpgid(0, 0)  # so that it can be ended together with its children
    faulthandler.dump_traceback_later(orders.seconds, exit=True)
    log = Log(Path(orders.log))
    with APPLICATIONS[orders.application](orders.uri, orders.settings) as app:
        writers = [Writer(app, orders, log, number) for number in range(orders.threads)]
        threads = [threading.Thread(target=writer.work) for writer in writers]
        for thread in threads:
            thread.start()
        try:
            yield app, log
        finally:
            Path(orders.stop).touch()
            for thread in threads:
                thread.join()
        if left := checked_out(app):
            log.write("error", "", f"{left} connections were not given back")
    log.close()
    faulthandler.cancel_dump_traceback_later()


# -- forks -------------------------------------------------------------------------------


def fork_in_traffic(orders: Orders, forks: int, breaker: Breaker | None = None) -> None:
    """Fork so many times while writers save; each child saves a few times, and ends.

    A child that does not end well is the last one.
    """
    if breaker:
        breaker()
    chance = random.Random(orders.seed)
    with _traffic(orders) as (app, log):
        children = [_fork(app, orders, log, CHILD)]
        for number in range(1, forks):
            time.sleep(chance.uniform(0, LONGEST_PAUSE))
            children.append(_fork(app, orders, log, CHILD + number))
            if not _ended_well(children.pop(0), log):
                break
        for child in children:
            _ended_well(child, log)


def _fork(app: SimpleApplication, orders: Orders, log: Log, number: int) -> int:
    with warnings.catch_warnings():
        # From Python 3.12 on, that there are threads is worth a warning.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        # not a time-out of faulthandler's, which would wait for its thread in the parent
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(CHILD_HANGS)
        few = replace(orders, saves=CHILDREN_S_SAVES, stop="")
        Writer(app, few, log, number).work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
    raise AssertionError("a child has to end")


def _ended_well(child: int, log: Log) -> bool:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        log.write("error", "", f"a child of a fork ended with {status}")
    return status == 0


# -- interrupts --------------------------------------------------------------------------


def interrupt_saves(
    orders: Orders, interrupts: int, result: str, breaker: Breaker | None = None
) -> None:
    """Interrupt one of the writers so many times, and write down how often that was in a save.

    Args:
        result: the file to write the figures to.
    """
    if breaker:
        breaker()
    figures: dict[str, int] = {}
    with _traffic(orders) as (app, log):
        writer = InterruptedWriter(app, orders, log, CHILD)
        signal.signal(signal.SIGALRM, writer.interrupt)
        while writer.interrupts < interrupts:
            writer.work_once()
        figures = {"interrupts": writer.interrupts, "in a save": writer.in_saves}
    Path(result).write_text(json.dumps(figures))


class InterruptedWriter(Writer):
    """Is interrupted while it loads and saves, and then saves the same again."""

    def __init__(self, app: SimpleApplication, orders: Orders, log: Log, number: int) -> None:
        super().__init__(app, replace(orders, saves=1), log, number)
        self.interrupts = self.in_saves = 0
        self._turn = 0
        self._is_armed = False
        self._delay = 0.005  # seconds within which an interrupt is likely to hit

    def interrupt(self, number: int, frame: object) -> None:
        """Handle the signal."""
        if self._is_armed:
            self._is_armed = False
            self.interrupts += 1
            raise KeyboardInterrupt

    def work_once(self) -> None:
        """Load and save, once."""
        self._turn += 1
        self.work()

    def _save(self, key: str, *accounts: Account) -> None:
        super()._save(f"{key}.{self._turn}", *accounts)

    def _load(self, name: str) -> Account:
        try:
            return self._armed(lambda: super(InterruptedWriter, self)._load(name))
        except KeyboardInterrupt:
            return super()._load(name)

    def _try(self, key: str, accounts: Sequence[Account]) -> tuple[Answer, Exception | None]:
        once_more = super()._try
        began = time.monotonic()
        try:
            found = self._armed(lambda: once_more(key, accounts))
        except KeyboardInterrupt:
            self.in_saves += 1
            answer, error = once_more(key, accounts)
            # who finds no database now does not know what the interrupted save has done
            is_sure = answer == "ok" or isinstance(error, ConcurrencyError)
            return answer if is_sure else "unknown", error
        self._delay = 0.9 * self._delay + 0.1 * (time.monotonic() - began)
        return found

    def _armed(self, work: Callable[[], T]) -> T:
        """Do the work, which may be interrupted at any moment, once."""
        try:
            self._is_armed = True
            signal.setitimer(signal.ITIMER_REAL, self._chance.uniform(1e-6, 2 * self._delay))
            return work()
        finally:
            self._is_armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
