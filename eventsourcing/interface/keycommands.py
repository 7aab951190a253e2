"""The commands for keys: ``python -m eventsourcing keys``."""

from __future__ import annotations

import argparse
from typing import Any, TextIO

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.protection import KEY_VARIABLE, Protection
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.resealing import Resealing, reseal
from eventsourcing.interface.storeoptions import add_protection, add_table, protected_application
from eventsourcing.utils.cipher import CipherKey

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Adds the commands to the parsers of the command line."""
    about = "Make keys for encryption, and write stored states again under a new key."
    family = commands.add_parser("keys", help=about, description=about)
    actions = family.add_subparsers(required=True, metavar="ACTION")
    about = "Print a new key. Its text is a secret: keep it where you keep passwords."
    command = actions.add_parser("new", help=about, description=about)
    command.add_argument("--id", help="of the key; by default the date, and random digits")
    command.set_defaults(run=_new)
    about = (
        f"Encrypt with the first key of {KEY_VARIABLE} all states of events and snapshots, and keys"
        " of subjects, that are encrypted with another one. May be stopped and repeated, while"
        " others read and write."
    )
    command = actions.add_parser("reseal", help=about, description=about)
    add_table(command)
    add_protection(command)
    command.add_argument("--plain-too", action="store_true", help="encrypt plain states too")
    command.add_argument("--compression", choices=("zlib", "zstd"), help="of what is written")
    command.add_argument("--start", type=int, default=1, help="position in the feed to begin with")
    command.set_defaults(run=_reseal)


def _new(given: argparse.Namespace, output: TextIO) -> int:
    output.write(f"{CipherKey.new(given.id).text}\n")
    return 0


def _reseal(given: argparse.Namespace, output: TextIO) -> int:
    def show(done: Resealing) -> None:
        snapshots = f", {done.snapshots} snapshots" if done.snapshots else ""
        rows = f"{done.looked_at} rows, {done.written} written"
        output.write(f"position {done.position}: {rows}{snapshots}\n")
        output.flush()

    with protected_application(given) as app:
        own = app.event_store.mapper.protection
        manager = app.event_store.record_manager
        if own is None or own.keys is None or not isinstance(manager, SQLAlchemyRecordManager):
            raise ProgrammingError(f"the environment variable {KEY_VARIABLE} has no keys")
        protection = Protection(own.keys, store_id=own.store_id, compression=given.compression)
        done = reseal(
            manager, protection, start=given.start, plain_too=given.plain_too, progress=show
        )
    for failure in done.failures:
        output.write(f"{failure}\n")
    written = f"{done.written} states, {done.snapshots} snapshots and {done.subjects} keys"
    output.write(f"{written} of subjects written, {done.unreadable} could not be read\n")
    return 1 if done.unreadable else 0
