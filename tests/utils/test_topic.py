"""A topic names one class."""

from json.decoder import JSONDecoder

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.exceptions import ProgrammingError, TopicResolutionError
from eventsourcing.utils.topic import TopicRegistry


def a_class(module: str, name: str) -> type:
    return type(name, (), {"__module__": module, "__qualname__": name, "__topic__": "taken"})


@pytest.fixture
def registry() -> TopicRegistry[object]:
    registry: TopicRegistry[object] = TopicRegistry("thing")
    registry.register(object)
    registry.register(a_class("bank", "Account"))
    return registry


@pytest.mark.parametrize(("module", "name"), [("bank", "Customer"), ("shop", "Account")])
def test_a_topic_that_another_class_has_is_refused(
    registry: TopicRegistry[object], module: str, name: str
) -> None:
    before = registry.resolve("taken")

    with pytest.raises(ProgrammingError, match=f"'taken' of {module}.{name} is taken by bank.Acc"):
        registry.register(a_class(module, name))

    assert registry.resolve("taken") is before


@pytest.mark.parametrize("module", ["bank", "__main__"])
def test_a_class_that_is_defined_again_takes_the_place_of_the_earlier_one(
    registry: TopicRegistry[object], module: str
) -> None:
    again = a_class(module, "Account")

    registry.register(again)

    assert registry.resolve("taken") is again


@pytest.mark.parametrize(
    "topic", ["json#decoder.JSONDecoder", "json.decoder#JSONDecoder.mro.__self__"]
)
def test_a_class_has_no_further_topics_through_what_is_no_class(
    registry: TopicRegistry[object], topic: str
) -> None:
    with pytest.raises(TopicResolutionError, match="not a thing class"):
        registry.resolve(topic, ["json"])

    assert registry.resolve("json.decoder#JSONDecoder", ["json"]) is JSONDecoder


def test_two_aggregate_classes_cannot_have_one_topic() -> None:
    class First(AggregateRoot, topic="test-topic/one"):
        pass

    with pytest.raises(ProgrammingError, match="test-topic/one"):

        class Second(AggregateRoot, topic="test-topic/one"):
            pass
