"""Data directories that are made once, for a run that starts many servers: the others copy them."""

import fcntl
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

__all__ = ["begin", "password", "templates"]

VARIABLE = "TEST_SERVER_TEMPLATES"
PREFIX = "eventsourcing-templates-"  # and the process id of the run


@contextmanager
def templates() -> Iterator[None]:
    """Have servers begin with copies while the block lasts, those of child processes too."""
    _clear_up()
    with TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        Path(folder, "password").write_text(secrets.token_hex(8))
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def _clear_up() -> None:
    """Remove what runs have left that were killed."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays


def password() -> str:
    """Return the password for a new server, which copies have in common."""
    folder = os.environ.get(VARIABLE)
    return Path(folder, "password").read_text() if folder else secrets.token_hex(8)


def begin(kind: str, data: Path, initialise: Callable[[], None]) -> None:
    """Have a data directory: a copy of one of its kind, if that was made before.

    Args:
        initialise: creates it.
    """
    folder = os.environ.get(VARIABLE)
    if folder is None:
        initialise()
        return
    template = Path(folder, kind)
    with template.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            initialise()
            new = template.with_suffix(".new")
            _copy(data, new)
            new.rename(template)
            return
    _copy(template, data)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--archive", source, target], check=True)
