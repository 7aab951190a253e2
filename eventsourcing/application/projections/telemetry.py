"""Tells OpenTelemetry what runners do, where its API is installed (the extra ``telemetry``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING

from eventsourcing.application.projections.definition import BaseProjection
from eventsourcing.application.tracing import has_opentelemetry, trace_context_of
from eventsourcing.infrastructure.notificationlog import Notification

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["OpenTelemetry", "Telemetry", "telemetry_of"]

_SCOPE = "eventsourcing.projections"


class Telemetry:
    """Is told what a runner does, and tells nobody."""

    def page(self, events: int, position: int, lag: int) -> AbstractContextManager[None]:
        """Surrounds the work on a page.

        Args:
            events: how many it has.
            position: where it ends.
            lag: by how many positions the projection is behind once it is done.
        """
        return nullcontext()

    def event(self, notification: Notification) -> AbstractContextManager[None]:
        """Surrounds the call of a method for an event."""
        return nullcontext()

    def failed(self, error: Exception) -> None:
        """Is called for each attempt of an event that fails."""

    def set_aside(self, streams: int, events: int) -> None:
        """Is called when dead letters are stored.

        Args:
            streams: how many are set aside from now on.
            events: how many letters there are, those behind in their streams included.
        """

    def holds(self, leases: int) -> None:
        """Is called when leases were renewed, with how many shards the runner works on."""

    def is_behind(self, lag: int) -> None:
        """Is called with by how many positions the projection is behind, as it looks for more."""


class OpenTelemetry(Telemetry):
    """Makes spans for pages and for events, and keeps metrics.

    The span of an event belongs to the trace that is stored with the event, if there is one
    (docs: how-to/context), with a link to its page; else to that of its page. It has the ids of
    the event's context, and none of the event's values.

    Args:
        tracer_provider, meter_provider: by default those of the process.
    """

    def __init__(
        self,
        projection: BaseProjection,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        from opentelemetry.metrics import get_meter
        from opentelemetry.trace import get_tracer

        self._attributes: dict[str, str | int] = {
            "projection.name": projection.name,
            "projection.version": projection.version,
        }
        self._tracer = get_tracer(_SCOPE, tracer_provider=tracer_provider)
        meter = get_meter(_SCOPE, meter_provider=meter_provider)
        self._events = meter.create_counter("projection.events", description="events handled")
        self._seconds = meter.create_histogram("projection.page.duration", "s", "time for a page")
        self._lag = meter.create_gauge("projection.lag", description="positions of the feed")
        self._errors = meter.create_counter("projection.errors", description="failed attempts")
        self._aside = meter.create_counter("projection.streams.set_aside")
        self._letters = meter.create_counter(
            "projection.dead_letters", description="events set aside"
        )
        self._leases = meter.create_gauge(
            "projection.leases", description="shards that this runner works on"
        )
        self._span: Span | None = None

    @contextmanager
    def page(self, events: int, position: int, lag: int) -> Iterator[None]:
        """See :class:`Telemetry`."""
        attributes = self._attributes | {"page.events": events, "page.position": position}
        began = perf_counter()
        with self._tracer.start_as_current_span(
            "projection page", attributes=attributes, record_exception=False
        ) as self._span:
            try:
                yield
            finally:
                self._span = None
                self._seconds.record(perf_counter() - began, self._attributes)
        self._events.add(events, self._attributes)
        self.is_behind(lag)

    def event(self, notification: Notification) -> AbstractContextManager[None]:
        """See :class:`Telemetry`."""
        page = self._span
        if page is None or not page.get_span_context().is_valid:
            return nullcontext()  # nobody collects spans
        cause = trace_context_of(notification.context)
        if cause is None and not page.is_recording():
            return nullcontext()
        return self._event(notification, cause, page)

    def failed(self, error: Exception) -> None:
        """See :class:`Telemetry`."""
        self._errors.add(1, self._attributes | {"error.type": type(error).__qualname__})

    def set_aside(self, streams: int, events: int) -> None:
        """See :class:`Telemetry`."""
        if events:
            self._aside.add(streams, self._attributes)
            self._letters.add(events, self._attributes)

    def holds(self, leases: int) -> None:
        """See :class:`Telemetry`."""
        self._leases.set(leases, self._attributes)

    def is_behind(self, lag: int) -> None:
        """See :class:`Telemetry`."""
        self._lag.set(lag, self._attributes)

    @contextmanager
    def _event(
        self, notification: Notification, cause: Context | None, page: Span
    ) -> Iterator[None]:
        from opentelemetry.trace import Link, StatusCode

        context = notification.context
        attributes: dict[str, str | int] = {
            **self._attributes,
            "event.topic": notification.topic,
            "event.position": notification.position,
            "event.id": context.event_id,
            "event.correlation_id": context.correlation_id or "",
            "event.causation_id": context.causation_id or "",
        }
        with self._tracer.start_as_current_span(
            "projection event",
            context=cause,
            links=None if cause is None else [Link(page.get_span_context())],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                # Without its text, which may show what the event contains.
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise


def telemetry_of(projection: BaseProjection) -> Telemetry:
    """Returns what a runner tells of itself to."""
    return OpenTelemetry(projection) if has_opentelemetry() else Telemetry()
