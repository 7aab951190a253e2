"""The date, the machine and the versions that a run depends on."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Mapping

from benchmarks import machine
from tests.servers.locate import Program, mariadbd, postgres

__all__ = ["facts"]

_SERVERS: Mapping[str, Callable[[], Program]] = {"postgresql": postgres, "mariadb": mariadbd}


def facts(backends: Iterable[str]) -> dict[str, str]:
    """Return the facts in words, by what they are about."""
    known = machine.facts({})
    known["databases"] = ", ".join(
        f"SQLite {sqlite3.sqlite_version}" if name == "sqlite" else _version(_SERVERS[name]())
        for name in ("sqlite", *_SERVERS)
        if name in backends
    )
    return known


def _version(program: Program) -> str:
    done = subprocess.run(program.command("--version"), capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix(str(program.path)).strip()
