"""The command for the schemas of events: ``python -m eventsourcing schema``."""

from __future__ import annotations

import argparse
import json
from typing import Any, TextIO

from eventsourcing.application.eventshapes import json_schema
from eventsourcing.application.schemalock import check_schema_lock, write_schema_lock
from eventsourcing.interface.storeoptions import add_modules

__all__ = ["add_commands"]

LOCK = "schema.lock.json"


def add_commands(commands: Any) -> None:
    """Adds the command to the parsers of the command line."""
    about = "Write the shapes of all events to a file, or check that they are what the file says."
    command = commands.add_parser("schema", help=about, description=about)
    add_modules(command, "+")
    command.add_argument("--lock", default=LOCK, help=f"the file; by default {LOCK}")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing")
    what.add_argument("--json-schema", action="store_true", help="print JSON Schema of the states")
    command.set_defaults(run=_schema)


def _schema(given: argparse.Namespace, output: TextIO) -> int:
    if given.json_schema:
        output.write(f"{json.dumps(json_schema(given.modules), indent=2)}\n")
    elif given.check:
        check_schema_lock(given.lock, given.modules)
        output.write(f"{given.lock} is what the code says\n")
    else:
        output.write(f"{given.lock} knows {write_schema_lock(given.lock, given.modules)} events\n")
    return 0
