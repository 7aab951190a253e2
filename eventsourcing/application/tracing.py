"""Takes the trace context of OpenTelemetry into what is stored with events, and out of it again.

W3C Trace Context names a span in one text of 55 characters, the ``traceparent``. That is a good
correlation id, and as such it is stored with each event: no column of its own is needed.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from eventsourcing.domain.model.context import EventContext

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = ["current_traceparent", "has_opentelemetry", "trace_context_of"]

_NAME = "traceparent"


@cache
def has_opentelemetry() -> bool:
    """Tells whether OpenTelemetry's API is installed (the extra ``telemetry``)."""
    return find_spec("opentelemetry") is not None


def current_traceparent() -> str | None:
    """Returns the trace context of this thread or task, as W3C's ``traceparent``.

    Made the correlation id of a unit of work, it is stored with the events, and what is made of
    them later belongs to the same trace (docs: how-to/context)::

        with unit_of_work(current_traceparent()):
            app.save(account)

    Returns:
        55 printable characters; None if there is no span, or OpenTelemetry is not installed.
    """
    if not has_opentelemetry():
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_NAME)


def trace_context_of(context: EventContext) -> Context | None:
    """Returns the trace context that is stored with an event: its causation id's, or else its
    correlation id's, if that is a ``traceparent``. OpenTelemetry's API must be installed.
    """
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    for stored in (context.causation_id, context.correlation_id):
        if stored is not None:
            found = TraceContextTextMapPropagator().extract({_NAME: stored})
            if get_current_span(found).get_span_context().is_valid:
                return found
    return None
