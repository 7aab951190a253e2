"""Runs the command line of the interface layer."""

import sys

from eventsourcing.interface.commands import main

if __name__ == "__main__":
    sys.exit(main())
