"""Topics, where one package is allowed to be imported."""

from collections.abc import Iterator

from eventsourcing.domain.model.events import DomainEvent, event_classes
from eventsourcing.exceptions import TopicResolutionError
from tests.faults.fuzz.target import Wrong, text_of

__all__ = ["SHOP", "read", "seeds"]

SHOP = "tests.faults.fuzz.shop"

# Modules that nothing here needs; nothing happens when they are imported.
_OTHERS = ("colorsys", "wave", "sndhdr", "nntplib", "tests.faults.fuzz.shops")


def read(data: bytes) -> None:
    topic = text_of(data)
    try:
        cls = event_classes.resolve(topic, (SHOP,))
    except TopicResolutionError as error:
        if error.topic != topic:
            raise Wrong(f"{error!r} does not name the topic") from error
        return
    if not issubclass(cls, DomainEvent):
        raise Wrong(f"{topic!r} gave {cls!r}")


def seeds() -> Iterator[bytes]:
    names = (
        "Order.Shipped",
        "Order.Created",
        "Order",
        "Order.ship",
        "Named.Created",
        "where",
        "os",
    )
    for module in ("orders", "broken", "nothing"):
        yield from (f"{SHOP}.{module}#{name}".encode() for name in names)
    yield from (f"{module}#Event".encode() for module in _OTHERS)
    yield from (b"", b"#", b"fuzzed-order.Created", f"{SHOP}#orders.Order.Shipped".encode())
