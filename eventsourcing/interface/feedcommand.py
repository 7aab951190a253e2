"""Serves the feed to programs on this machine: ``python -m eventsourcing feed``."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import Any, TextIO

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.interface.notificationlog import LocalSections
from eventsourcing.interface.server import SectionsServer
from eventsourcing.interface.storeoptions import add_table

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Adds the command to the parsers of the command line."""
    about = (
        "Serve the feed of all events in sections, over HTTP, to programs on this machine, until"
        " you press Ctrl-C. Whoever can reach the port reads all events."
    )
    command = commands.add_parser("feed", help=about, description=about)
    add_table(command)
    command.add_argument("--host", default="127.0.0.1", help="an address of the loopback network")
    command.add_argument("--port", type=int, default=0, help="by default any that is free")
    command.add_argument("--section-size", type=int, default=100, help="positions, at most")
    command.set_defaults(run=_serve)


def _serve(given: argparse.Namespace, output: TextIO) -> int:
    with SimpleApplication(
        given.uri, table_name=given.table, schema=given.schema, setup_table=False
    ) as app:
        app.notification_log.safe_position()  # says at once if there is no such table
        sections = LocalSections(app.notification_log, given.section_size)
        try:
            server = SectionsServer(sections, given.port, given.host)
        except (OSError, OverflowError) as error:
            output.write(f"nothing can be served on port {given.port} of {given.host}: {error}\n")
            return 1
        with server, suppress(KeyboardInterrupt):
            output.write(f"{server.url}\n")
            output.flush()
            server.serve_forever()
    return 0
