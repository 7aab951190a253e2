"""The schema lock: a file in the repository that knows the shapes of all events that may be stored.

Code that has come to another shape without a new version would read the rows of the old shape
wrongly, or not at all; and a mark that was lost would leave personal data in the clear. The lock
finds that before the code is deployed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from eventsourcing.application.eventshapes import schema_shapes
from eventsourcing.application.shapechanges import changes_of
from eventsourcing.exceptions import ProgrammingError, SchemaLockError

__all__ = ["check_schema_lock", "write_schema_lock"]

FORMAT = 1

_RESTORE = "Restore it from version control"

Shapes = dict[str, Any]


def check_schema_lock(path: str | Path, modules: Iterable[str]) -> None:
    """Checks that events are what the lock says. Made to be called by a test, too.

    Args:
        path: of the lock.
        modules: names of the modules and packages that define the events; they are imported. See
            :func:`eventsourcing.application.eventshapes.schema_shapes`.

    Raises:
        SchemaLockError: rows could not be read any more, or what was personal data would be stored
            in the clear; or nothing is wrong, but the lock does not know of all changes yet.
        ProgrammingError: there is no lock, or it cannot be read, or a module cannot be imported.
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
    """Writes the lock, unless the code does not go together with what it says so far.

    Args:
        path, modules: as for :func:`check_schema_lock`.

    Returns:
        How many events it knows.

    Raises:
        SchemaLockError: rows could not be read any more, or what was personal data would be stored
            in the clear. Nothing is written.
        ProgrammingError: what is there is no lock, the file cannot be written, or a module cannot
            be imported.
    """
    path, present = Path(path), schema_shapes(modules)
    if path.exists():
        _refuse(_read(path), present)
    text = json.dumps({"format": FORMAT, **present}, indent=2)
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ProgrammingError(f"{path} cannot be written: {error.strerror}") from error
    return len(present["events"])


def _read(path: Path) -> Shapes:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProgrammingError(f"there is no schema lock {path}: write it first") from error
    except OSError as error:
        raise ProgrammingError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ProgrammingError(f"{path} is no schema lock: {error}") from error
    if type(found) is not dict or found.pop("format", None) != FORMAT:
        raise ProgrammingError(f"{path} is no schema lock of format {FORMAT}")
    for kind, is_entry in (("aggregates", _is_named), ("events", _is_event)):
        entries = found.get(kind)
        if type(entries) is not dict:
            raise ProgrammingError(f"{path} is damaged: it has no {kind!r}. {_RESTORE}")
        for topic, entry in entries.items():
            if not is_entry(entry):
                raise ProgrammingError(f"{path} is damaged below {topic!r}. {_RESTORE}")
    return found


def _is_named(entry: Any) -> bool:
    return type(entry) is dict and _is_list(entry.get("aliases"), lambda name: type(name) is str)


def _is_event(entry: Any) -> bool:
    return (
        _is_named(entry)
        and type(entry.get("version")) is int
        and type(entry.get("state")) is dict
        and "properties" in entry["state"]
        and _is_form(entry["state"])
    )


def _is_form(form: Any) -> bool:
    """Whether what is looked into, when forms are compared, is there as it is expected."""
    if type(form) is not dict:
        return False
    properties, others = form.get("properties", {}), form.get("additionalProperties", True)
    return (
        (type(properties) is dict and all(map(_is_form, properties.values())))
        and (type(others) is bool or _is_form(others))
        and ("items" not in form or _is_form(form["items"]))
        and all(_is_list(form.get(key, []), _is_form) for key in ("prefixItems", "x-parts"))
        and all(_is_list(form.get(key, []), lambda word: True) for key in ("enum", "x-members"))
        and ("anyOf" not in form or bool(form["anyOf"]))
        and _is_list(form.get("anyOf", []), _is_form)
    )


def _is_list(found: Any, is_member: Callable[[Any], bool]) -> bool:
    return type(found) is list and all(map(is_member, found))


def _refuse(locked: Shapes, present: Shapes) -> None:
    changes = tuple(changes_of(locked, present))
    if changes:
        raise SchemaLockError(
            "the code does not go together with what the lock says of stored rows:\n"
            + "\n".join(f"- {c}" for c in changes),
            changes=changes,
        )


def _differing(locked: Shapes, present: Shapes) -> Iterator[str]:
    for kind in ("aggregates", "events"):
        for topic in sorted({*locked[kind], *present[kind]}):
            if locked[kind].get(topic) != present[kind].get(topic):
                yield topic
