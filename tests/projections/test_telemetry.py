"""OpenTelemetry is told what a runner does, and not what events contain."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from eventsourcing.application.projections.telemetry import OpenTelemetry
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.context import unit_of_work
from tests.backends import Backend
from tests.projections.model import Statement, filled, quick
from tests.projections.test_failures import SECRET, Picky


@pytest.fixture
def app(sqlite_file: Backend) -> Iterator[SimpleApplication]:
    """An application with some events."""
    Picky.refuses = True
    with SimpleApplication(sqlite_file.uri) as app, unit_of_work("morning"):
        filled(app)
        yield app


def told(app: SimpleApplication, projection: Statement) -> tuple[list[Any], dict[str, Any]]:
    """Return the spans, and the last value of each metric, of catching up."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
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
    assert dict(metrics["projection.events"].attributes) == {
        "projection.name": "statement",
        "projection.version": 1,
    }


def test_errors_are_counted_and_their_texts_kept_out(app: SimpleApplication) -> None:
    spans, metrics = told(app, Picky())

    assert metrics["projection.errors"].attributes["error.type"] == "ValueError"
    assert metrics["projection.streams.set_aside"].value == 1
    assert SECRET not in "".join(span.to_json() for span in spans)


def test_without_the_api_nobody_is_told() -> None:
    program = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "opentelemetry" else find(name, *a)
from eventsourcing.application.projections.telemetry import Telemetry, telemetry_of
assert type(telemetry_of(None)) is Telemetry
import sys
assert "opentelemetry" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
