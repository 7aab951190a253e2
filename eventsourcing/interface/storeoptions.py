"""The options by which commands are told of a store, of what protects it, and of its code."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.infrastructure.protection import KEY_VARIABLE, Protection, protection_of

__all__ = ["add_modules", "add_protection", "add_table", "protected_application"]


def add_table(command: argparse.ArgumentParser) -> None:
    """Adds the options that say where the events are."""
    command.add_argument("--uri", help="of the database; by default that of DB_URI")
    command.add_argument("--table", default="stored_events", help="of the events")
    command.add_argument("--schema", help="of the table of events")


def add_protection(command: argparse.ArgumentParser) -> None:
    """Adds the option that is needed, beside the keys in the environment, to open states."""
    command.add_argument(
        "--store-id",
        help=f"as the Protection has it, beside the keys of {KEY_VARIABLE}; by default the table",
    )


def add_modules(command: argparse.ArgumentParser, nargs: str) -> None:
    """Adds the modules that are to be imported, see
    :func:`eventsourcing.application.eventshapes.imported`.

    Args:
        nargs: ``+``, or ``*`` if there need be none.
    """
    command.add_argument("modules", nargs=nargs, metavar="MODULE", help="that defines events")


def protected_application(
    given: argparse.Namespace, topic_prefixes: Iterable[str] = (), chained: bool = False
) -> SimpleApplication:
    """Returns an application on the store that :func:`add_table` and :func:`add_protection` were
    told of. It opens whatever is compressed, and what is encrypted with keys of the environment.

    Raises:
        ProgrammingError: the options, or the keys, cannot be used.
        PersistenceError: the database cannot be reached.
    """
    name = given.table if given.schema is None else f"{given.schema}.{given.table}"
    store_id = name if given.store_id is None else given.store_id
    return SimpleApplication(
        given.uri,
        table_name=given.table,
        schema=given.schema,
        setup_table=False,
        protection=protection_of(None, None, store_id) or Protection(None, store_id=store_id),
        topic_prefixes=topic_prefixes,
        chained=chained,
    )
