"""OpenTelemetry is told what a runner does, and not what events contain."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler

from eventsourcing.application.projections.telemetry import OpenTelemetry
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.tracing import current_traceparent
from eventsourcing.domain.model.context import unit_of_work
from tests.backends import Backend
from tests.projections.model import Account, Statement, filled, quick
from tests.projections.test_failures import SECRET, Picky


@pytest.fixture
def app(sqlite_file: Backend) -> Iterator[SimpleApplication]:
    """An application with some events."""
    Picky.refuses = True
    with SimpleApplication(sqlite_file.uri) as app, unit_of_work("morning"):
        filled(app)
        yield app


def told(
    app: SimpleApplication, projection: Statement, sampler: Sampler = ALWAYS_ON
) -> tuple[list[Any], dict[str, Any]]:
    """Return the spans, and the last value of each metric, of catching up."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(sampler), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    with quick(app, projection, max_retries=1, page_size=10) as runner:
        runner._writer.telemetry = OpenTelemetry(projection, tracers, meters)
        runner.catch_up()
    data: Any = reader.get_metrics_data()
    metrics = {
        metric.name: metric.data.data_points[-1]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    meters.shutdown()
    tracers.shutdown()
    return list(spans.get_finished_spans()), metrics


def test_there_is_a_span_for_each_page_and_in_it_one_for_each_event(
    app: SimpleApplication,
) -> None:
    spans, _ = told(app, Statement())

    pages = [span for span in spans if span.name == "projection page"]
    events = [span for span in spans if span.name == "projection event"]
    assert [page.attributes["page.events"] for page in pages] == [10, 8]
    assert [each.attributes["event.position"] for each in events] == list(range(1, 19))
    assert {each.attributes["event.correlation_id"] for each in events} == {"morning"}
    assert {each.parent.span_id for each in events} == {page.context.span_id for page in pages}


def test_the_metrics_count_events_and_say_how_far_behind_it_is(app: SimpleApplication) -> None:
    _, metrics = told(app, Statement())

    assert metrics["projection.events"].value == 18
    assert metrics["projection.lag"].value == 0
    assert metrics["projection.page.duration"].count == 2
    assert metrics["projection.leases"].value == 1
    assert dict(metrics["projection.events"].attributes) == {
        "projection.name": "statement",
        "projection.version": 1,
    }


def test_errors_are_counted_and_their_texts_kept_out(app: SimpleApplication) -> None:
    spans, metrics = told(app, Picky())

    assert metrics["projection.errors"].attributes["error.type"] == "ValueError"
    assert metrics["projection.streams.set_aside"].value == 1
    assert metrics["projection.dead_letters"].value == 4  # with those behind it
    assert SECRET not in "".join(span.to_json() for span in spans)


def test_an_event_that_fails_has_a_span_that_says_so(app: SimpleApplication) -> None:
    spans, _ = told(app, Picky())

    failed = [span for span in spans if "error.type" in span.attributes]
    assert {span.name for span in failed} == {"projection event"}
    assert {span.status.status_code for span in failed} == {trace.StatusCode.ERROR}
    assert {span.status.description for span in failed} == {None}


def test_a_runner_that_is_held_up_says_how_far_behind_it_is(app: SimpleApplication) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    with quick(app, Picky(), page_size=1) as runner:
        runner._writer.telemetry = OpenTelemetry(runner.projection, None, meters)
        while runner._suspect is None:
            runner.step()
        app.save(Account.create())
        runner.step()
        data: Any = reader.get_metrics_data()
    meters.shutdown()

    found = {each.name: each for each in data.resource_metrics[0].scope_metrics[0].metrics}
    assert found["projection.lag"].data.data_points[-1].value == 19 - (runner._suspect - 1)


# -- the trace that an event belongs to


@pytest.fixture
def tracer() -> Iterator[trace.Tracer]:
    """That of a program that saves."""
    tracers = TracerProvider()
    yield tracers.get_tracer("bank")
    tracers.shutdown()


def events_among(spans: list[Any]) -> list[Any]:
    return [span for span in spans if span.name == "projection event"]


def test_the_span_of_an_event_is_a_child_of_the_one_in_which_it_was_saved(
    sqlite_file: Backend, tracer: trace.Tracer
) -> None:
    with SimpleApplication(sqlite_file.uri) as app:
        with tracer.start_as_current_span("open") as cause, unit_of_work(current_traceparent()):
            app.save(Account.create())
        spans, _ = told(app, Statement())

    (page,) = [span for span in spans if span.name == "projection page"]
    (event,) = events_among(spans)
    assert (event.parent.trace_id, event.parent.span_id) == (
        cause.get_span_context().trace_id,
        cause.get_span_context().span_id,
    )
    assert event.parent.is_remote
    assert [link.context for link in event.links] == [page.context]


def test_a_correlation_id_of_ones_own_leaves_the_causation_id_for_the_trace(
    sqlite_file: Backend, tracer: trace.Tracer
) -> None:
    with SimpleApplication(sqlite_file.uri) as app:
        with (
            tracer.start_as_current_span("open") as cause,
            unit_of_work("morning", current_traceparent()),
        ):
            app.save(Account.create())
        spans, _ = told(app, Statement())

    (event,) = events_among(spans)
    assert event.parent.span_id == cause.get_span_context().span_id
    assert event.attributes["event.correlation_id"] == "morning"


def test_what_an_event_sets_off_is_of_the_same_trace(
    sqlite_file: Backend, tracer: trace.Tracer
) -> None:
    with SimpleApplication(sqlite_file.uri) as app:
        with tracer.start_as_current_span("open") as cause, unit_of_work(current_traceparent()):
            app.save(first := Account.create())
        (created,) = app.event_store.get_domain_events(first.id)
        with unit_of_work(caused_by=created):
            app.save(Account.create())
        spans, _ = told(app, Statement())

    trace_id = cause.get_span_context().trace_id
    assert [span.context.trace_id for span in events_among(spans)] == [trace_id] * 2


def test_a_trace_that_is_sampled_has_the_spans_of_its_events_whatever_pages_have(
    sqlite_file: Backend, tracer: trace.Tracer
) -> None:
    with SimpleApplication(sqlite_file.uri) as app:
        app.save(Account.create())
        with tracer.start_as_current_span("open"), unit_of_work(current_traceparent()):
            app.save(Account.create())
        spans, _ = told(app, Statement(), ParentBased(ALWAYS_OFF))

    assert [span.attributes["event.position"] for span in spans] == [2]


def test_ids_that_are_no_trace_context_leave_the_event_in_its_page(app: SimpleApplication) -> None:
    hostile = f"ff-{'0' * 32}-{'0' * 16}-01"
    with unit_of_work(hostile, "x" * 255):
        app.save(Account.create())
    spans, _ = told(app, Statement())

    assert {span.context.trace_id for span in events_among(spans)} == {
        span.context.trace_id for span in spans if span.name == "projection page"
    }


def test_without_a_span_there_is_no_traceparent() -> None:
    assert current_traceparent() is None


def test_without_the_api_nobody_is_told() -> None:
    program = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "opentelemetry" else find(name, *a)
from eventsourcing.application.projections.telemetry import Telemetry, telemetry_of
from eventsourcing.application.tracing import current_traceparent
assert type(telemetry_of(None)) is Telemetry
assert current_traceparent() is None
import sys
assert "opentelemetry" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
