"""The schema lock: a file in the repository that knows the shapes of all events that may be stored.

Code that has come to another shape without a new version would read the rows of the old shape
wrongly, or not at all. The lock finds that before the code is deployed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eventsourcing.application.eventshapes import schema_shapes
from eventsourcing.application.shapechanges import changes_of
from eventsourcing.exceptions import ProgrammingError, SchemaLockError

__all__ = ["check_schema_lock", "write_schema_lock"]

FORMAT = 1

Shapes = dict[str, Any]


def check_schema_lock(path: str | Path, modules: Iterable[str]) -> None:
    """Checks that events are what the lock says. Made to be called by a test, too.

    Args:
        path: of the lock.
        modules: names of the modules and packages that define the events; they are imported. See
            :func:`eventsourcing.application.eventshapes.schema_shapes`.

    Raises:
        SchemaLockError: rows could not be read any more; or nothing is wrong, but the lock
            does not know of all changes yet.
        ProgrammingError: there is no lock, or a module cannot be imported.
    """
    locked, present = _read(Path(path)), schema_shapes(modules)
    _refuse(locked, present)
    if locked != present:
        changed = tuple(_differing(locked, present))
        raise SchemaLockError(
            f"{path} does not know yet, and nothing is wrong with it: {', '.join(changed)}. Write"
            " the lock again, and commit it",
            changes=changed,
            is_safe=True,
        )


def write_schema_lock(path: str | Path, modules: Iterable[str]) -> int:
    """Writes the lock, unless rows of what it says so far could not be read any more.

    Args:
        path, modules: as for :func:`check_schema_lock`.

    Returns:
        How many events it knows.

    Raises:
        SchemaLockError: rows could not be read. Nothing is written.
        ProgrammingError: what is there is no lock, or a module cannot be imported.
    """
    path, present = Path(path), schema_shapes(modules)
    if path.exists():
        _refuse(_read(path), present)
    text = json.dumps({"format": FORMAT, **present}, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")
    return len(present["events"])


def _read(path: Path) -> Shapes:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProgrammingError(f"there is no schema lock {path}: write it first") from error
    except ValueError as error:
        raise ProgrammingError(f"{path} is no schema lock: {error}") from error
    if type(found) is not dict or found.pop("format", None) != FORMAT:
        raise ProgrammingError(f"{path} is no schema lock of format {FORMAT}")
    return found


def _refuse(locked: Shapes, present: Shapes) -> None:
    changes = tuple(changes_of(locked, present))
    if changes:
        raise SchemaLockError(
            "stored rows could not be read any more:\n" + "\n".join(f"- {c}" for c in changes),
            changes=changes,
        )


def _differing(locked: Shapes, present: Shapes) -> Iterator[str]:
    for kind in ("aggregates", "events"):
        for topic in sorted({*locked[kind], *present[kind]}):
            if locked[kind].get(topic) != present[kind].get(topic):
                yield topic
