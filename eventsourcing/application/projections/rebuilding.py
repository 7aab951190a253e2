"""Builds a new version of a projection while the one before it is being read."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, NamedTuple

from eventsourcing.application.projections.control import ProjectionControl
from eventsourcing.application.projections.definition import Projection
from eventsourcing.application.projections.runner import ProjectionRunner
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import ProgrammingError

__all__ = ["Progress", "rebuild"]

SECONDS = 1.0  # between two reports


class Progress(NamedTuple):
    """How far a rebuild has come.

    Attributes:
        position: in the feed, up to which all is done.
        end: of the feed, as far as it is safe now.
        per_second: positions, since this rebuild began or went on; 0 at the beginning.
        seconds_left: at this rate; None at the beginning.
    """

    position: int
    end: int
    per_second: float
    seconds_left: float | None


def rebuild(
    application: SimpleApplication,
    projection: Projection,
    *,
    on_progress: Callable[[Progress], Any] | None = None,
    page_size: int = 500,
    lease_seconds: float = 10.0,
    max_retries: int = 5,
) -> None:
    """Builds the tables of a version from the first event on, and then shows it to readers.

    The version before goes on meanwhile, and is neither stopped nor dropped. If the process is
    killed, do it again: it goes on where it was. Runners of the new version in other processes
    help. While events are saved without a pause, it is shown once it is no further behind than
    what is saved during one page.

    Args:
        on_progress: is called about once a second, and at the end.
        page_size, lease_seconds, max_retries: see :class:`ProjectionRunner`.

    Raises:
        ProgrammingError: an event failed, so that the version would lack a stream. See its dead
            letters; after that, do it again.
        PersistenceError: the database refused, or is not there. Do it again.
    """
    control = ProjectionControl(application, projection)
    with ProjectionRunner(
        application,
        projection,
        page_size=page_size,
        lease_seconds=lease_seconds,
        max_retries=max_retries,
    ) as runner:
        began = _Mark(control)
        report_at = monotonic() + SECONDS
        is_near = False
        while (behind := (end := control.end()) - control.position()) > 0 and not is_near:
            is_near = behind <= page_size  # nearer it does not come, while others go on saving
            while control.position() < end:
                if not runner.step():
                    sleep(min(0.1, lease_seconds / 10))  # others have the rest
                if on_progress is not None and monotonic() >= report_at:
                    on_progress(began.progress(control))
                    report_at = monotonic() + SECONDS
        if control.dead_letters(limit=1):
            raise ProgrammingError(
                f"version {projection.version} of {projection.name!r} has dead letters, and is not"
                " shown to readers yet"
            )
        control.go_live()
        if on_progress is not None:
            on_progress(began.progress(control))


class _Mark:
    """Where a rebuild began, and when."""

    def __init__(self, control: ProjectionControl) -> None:
        self._position = control.position()
        self._time = monotonic()

    def progress(self, control: ProjectionControl) -> Progress:
        end = control.end()
        position = min(control.position(), end)
        seconds = monotonic() - self._time
        rate = (position - self._position) / seconds if seconds else 0.0
        return Progress(position, end, rate, (end - position) / rate if rate else None)
