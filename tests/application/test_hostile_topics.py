"""Topics in rows never choose what is imported or called."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.exceptions import DataIntegrityError, TopicResolutionError
from eventsourcing.infrastructure.eventsourcedrepository import EventSourcedRepository
from eventsourcing.infrastructure.eventstore import EventStore
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from tests.application.hostile import BAD, GOOD, outcome, tamper, topic, two_accounts, where
from tests.backends import Backend

TOPICS = [
    "",
    "#",
    "##",
    ".",
    "nowhere",
    "nowhere#Nothing",
    "os#system",
    "builtins#eval",
    "builtins#exec",
    "subprocess#Popen",
    "decimal#Decimal",
    "antigravity#fly",
    "turtle#Turtle",
    "this#s",
    "pickle#loads",
    "eventsourcing.domain.model.events#publish",
    "eventsourcing.domain.model.events#DomainEvent.__init__",
    topic("Account"),
    topic("Account.deposit"),
    topic("Account.Deposited.mutate"),
    topic("two_accounts"),
    topic("Account.Deposited") + " ",
    topic("account.deposited"),
    topic("Account.Deposited").replace("#", "."),
    "/etc/passwd",
    "ü" * 100,
    "x" * 200,
]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was called of what the topics name."""
    made: list[Any] = []
    monkeypatch.setattr(os, "system", made.append)
    return made


@pytest.fixture
def app(sqlite_file: Backend) -> Iterator[SimpleApplication]:
    with two_accounts(sqlite_file) as app:
        yield app


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_that_names_no_event_class_is_refused(
    app: SimpleApplication, sqlite_file: Backend, name: str, calls: list[Any]
) -> None:
    modules = set(sys.modules)
    tamper(sqlite_file, "topic", name)

    error = outcome(app)

    assert type(error) is TopicResolutionError
    assert (error.topic, *where(error)) == (name, BAD, 1)
    assert (set(sys.modules) - modules, calls) == (set(), [])


@pytest.mark.parametrize("name", ["os#system", "builtins#eval", "decimal#Decimal"])
def test_even_an_allowed_prefix_gives_nothing_but_event_classes(
    sqlite_file: Backend, name: str, calls: list[Any]
) -> None:
    prefixes = ("os", "builtins", "decimal")
    with (
        two_accounts(sqlite_file),
        SimpleApplication(uri=sqlite_file.uri, topic_prefixes=prefixes) as app,
    ):
        tamper(sqlite_file, "topic", name)

        error = outcome(app)

    assert "names something that is not a domain event class" in str(error)
    assert where(error) == (BAD, 1)
    assert calls == []


@pytest.mark.parametrize("name", ["os#system", "builtins#eval", "nowhere#Nothing"])
def test_a_hostile_topic_is_refused_on_every_database(
    sql_backend: Backend, name: str, calls: list[Any]
) -> None:
    with two_accounts(sql_backend) as app:
        tamper(sql_backend, "topic", name)

        error = outcome(app)

    assert type(error) is TopicResolutionError
    assert (where(error), calls) == ((BAD, 1), [])


def test_asking_whether_the_aggregate_is_there_raises_the_same_error(
    app: SimpleApplication, sqlite_file: Backend
) -> None:
    tamper(sqlite_file, "topic", "os#system", version=2)

    with pytest.raises(TopicResolutionError, match=r"event 2 of 'bad'.*topic 'os#system'"):
        assert BAD in app.repository
    assert GOOD in app.repository


# -- what may be imported -----------------------------------------------------------------

SHOP = """
from eventsourcing.domain.model.aggregate import AggregateRoot

class Order(AggregateRoot):
    class Shipped(AggregateRoot.Event):
        pass
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a package that is not imported yet, with modules `orders` and `broken`."""
    package = tmp_path / "shop_of_topics"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "orders.py").write_text(SHOP)
    (package / "broken.py").write_text("1 / 0")
    (tmp_path / "shop_of_topics_too.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)
    yield package.name
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def read(backend: Backend, name: str, *prefixes: str) -> Any:
    with (
        two_accounts(backend),
        SimpleApplication(uri=backend.uri, topic_prefixes=prefixes) as app,
    ):
        tamper(backend, "topic", name)
        tamper(backend, "state", '{"timestamp":"2024-01-01T00:00:00Z"}')
        try:
            return list(app.event_store.get_domain_events(BAD))[1]
        except (DataIntegrityError, TopicResolutionError) as error:
            return error


def test_a_class_below_an_allowed_prefix_is_imported(sqlite_file: Backend, shop: str) -> None:
    event = read(sqlite_file, f"{shop}.orders#Order.Shipped", "elsewhere", shop)

    assert (type(event).__module__, type(event).__name__) == (f"{shop}.orders", "Shipped")


def test_the_class_of_an_aggregate_is_imported_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"shop_{uuid4().hex}"  # which no class is known of, however often this runs
    (tmp_path / f"{name}.py").write_text(SHOP)
    monkeypatch.syspath_prepend(tmp_path)
    store = EventStore(MemoryRecordManager(), SequencedItemMapper(topic_prefixes=[name]))
    (created,) = AggregateRoot.create(id="o").pending_events
    created.__dict__["originator_topic"] = f"{name}#Order"
    store.store(created)

    order = EventSourcedRepository(store)["o"]

    assert (type(order).__module__, type(order).__name__) == (name, "Order")
    del sys.modules[name]


@pytest.mark.parametrize(
    "prefixes",
    [(), ("shop",), ("shop_of_topic",), ("shop_of_topics.order",), ("shop_of_topics.",), ("",)],
)
def test_nothing_is_imported_that_is_not_below_an_allowed_prefix(
    sqlite_file: Backend, shop: str, prefixes: tuple[str, ...]
) -> None:
    error = read(sqlite_file, f"{shop}.orders#Order.Shipped", *prefixes)

    assert where(error) == (BAD, 1)
    assert f"{shop}.orders" not in sys.modules


def test_a_module_whose_name_only_begins_with_the_prefix_is_not_imported(
    sqlite_file: Backend, shop: str
) -> None:
    error = read(sqlite_file, f"{shop}_too#Order.Shipped", shop)

    assert where(error) == (BAD, 1)
    assert f"{shop}_too" not in sys.modules


@pytest.mark.parametrize(
    "name", ["nothing#Event", "orders#Order.Nothing", "orders#", "orders", "broken#Event"]
)
def test_an_import_that_fails_is_a_typed_error(sqlite_file: Backend, shop: str, name: str) -> None:
    error = read(sqlite_file, f"{shop}.{name}", shop)

    assert type(error) is TopicResolutionError
    assert where(error) == (BAD, 1)
