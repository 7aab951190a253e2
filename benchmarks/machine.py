"""The facts of the machine and the versions that a figure depends on."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.databases import database_for

PACKAGES = ("eventsourcing", "SQLAlchemy", "msgspec", "psycopg", "PyMySQL")
GIB = 2**30


def facts(uris: Mapping[str, str]) -> dict[str, str]:
    """Return the facts in words, by what they are about.

    Args:
        uris: The databases that are used.
    """
    known = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": _machine()}
    known["disk"] = f"{_filesystem(Path(tempfile.gettempdir()))} below the directory of the files"
    known["Python"] = f"{platform.python_implementation()} {platform.python_version()}"
    known["packages"] = ", ".join(_packages())
    known["databases"] = ", ".join(
        f"{name} {database_for(uri).version()}" for name, uri in uris.items()
    )
    if commit := _commit():
        known["commit"] = commit
    return known


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    system = f"{platform.system()} {platform.release()}"
    return f"{cores} cores ({platform.machine()}), {memory:.0f} GiB of memory, {system}"


def _filesystem(directory: Path) -> str:
    """Return the type of file system that a directory is on: on tmpfs, nothing is durable."""
    kinds = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        kinds[mounted] = kind
    resolved = directory.resolve()
    for place in (resolved, *resolved.parents):
        if str(place) in kinds:
            return kinds[str(place)]
    return "unknown"


def _packages() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return done.stdout.strip()
