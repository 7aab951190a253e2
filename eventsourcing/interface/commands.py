"""The command line: ``python -m eventsourcing``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from time import sleep
from typing import TextIO

from eventsourcing.application.projections.status import ProjectionMonitor, as_table
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import EventSourcingError
from eventsourcing.interface import feedcommand, keycommands, schemacommand, verifycommands
from eventsourcing.interface.storeoptions import add_table

__all__ = ["main"]

CLEAR = "\x1b[H\x1b[2J"
INTERRUPTED = 130  # as a shell has it for what Ctrl-C ended


def main(arguments: Sequence[str] | None = None, output: TextIO | None = None) -> int:
    """Runs a command.

    Args:
        arguments: by default those of the process.
        output: by default standard output.

    Returns:
        The status to exit with: 0; 1 if the command failed, and has said why; or 130 if it was
        interrupted before its work was done. (``verify`` has others.)
    """
    given = _parser().parse_args(arguments)
    screen = sys.stdout if output is None else output
    try:
        status: int = given.run(given, screen)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the work is not done\n")
        return INTERRUPTED
    except EventSourcingError as error:
        screen.write(f"{type(error).__name__}: {error}\n")
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eventsourcing")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "Watch how far projections have come, and who works on them, in a live table."
    command = commands.add_parser("projections", help=about, description=about)
    add_table(command)
    command.add_argument("--interval", type=float, default=2.0, help="in seconds; by default 2")
    command.add_argument("--times", type=int, help="to look; by default until you press Ctrl-C")
    command.set_defaults(run=_projections)
    feedcommand.add_commands(commands)
    keycommands.add_commands(commands)
    schemacommand.add_commands(commands)
    verifycommands.add_commands(commands)
    return parser


def _projections(given: argparse.Namespace, output: TextIO) -> int:
    with SimpleApplication(
        given.uri, table_name=given.table, schema=given.schema, setup_table=False
    ) as app:
        monitor = ProjectionMonitor(app)
        try:
            _watch(monitor, given.interval, given.times, output)
        except KeyboardInterrupt:
            if given.times is not None:
                raise
    return 0


def _watch(monitor: ProjectionMonitor, interval: float, times: int | None, output: TextIO) -> None:
    looked = 0
    while True:
        found = monitor.read()
        text = as_table(found) if found else "There is no projection."
        output.write(f"{CLEAR if output.isatty() else ''}{text}\n")
        output.flush()
        looked += 1
        if looked == times:
            return
        sleep(interval)
