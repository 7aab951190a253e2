"""Events and aggregates go by further names, which older rows have for them."""

from typing import Any

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.domainentity import entity_classes
from eventsourcing.domain.model.events import DomainEvent, event_classes
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.utils.topic import get_topic


class Ledger(AggregateRoot, topic="aliased-ledger", aliases=("bank#Account", "accounts")):
    class Booked(AggregateRoot.Event, aliases=("bank#Account.PaidIn",)):
        amount: int

    class Closed(AggregateRoot.Event, topic="ledger-closed", aliases=["account-closed"]):
        pass

    @event("Renamed", aliases=("bank#Account.NameChanged",))
    def rename(self, name: str) -> None:
        self.name = name

    @event("Moved", topic="ledger-moved")
    def move(self, to: str) -> None:
        self.place = to


def test_an_event_is_found_by_its_topic_and_by_each_alias() -> None:
    topics = ("ledger-closed", "account-closed")
    assert [event_classes.resolve(topic) for topic in topics] == [Ledger.Closed] * 2


def test_an_aggregate_is_found_by_its_topic_and_by_each_alias() -> None:
    topics = ("aliased-ledger", "bank#Account", "accounts")
    assert [entity_classes.resolve(topic) for topic in topics] == [Ledger] * 3


@pytest.mark.parametrize("name", ["Booked", "Created", "Discarded", "AttributeChanged", "Event"])
def test_the_events_of_a_renamed_aggregate_have_aliases_after_its_own(name: str) -> None:
    topics = [f"{of}.{name}" for of in ("aliased-ledger", "bank#Account", "accounts")]
    assert [event_classes.resolve(topic) for topic in topics] == [getattr(Ledger, name)] * 3


def test_an_event_that_was_renamed_too_has_its_own_alias_besides() -> None:
    assert event_classes.resolve("bank#Account.PaidIn") is Ledger.Booked


def test_a_method_of_the_short_style_names_its_event() -> None:
    renamed = event_classes.resolve("bank#Account.NameChanged")
    assert get_topic(renamed) == "aliased-ledger.Renamed"
    assert get_topic(event_classes.resolve("ledger-moved")) == "ledger-moved"


def test_an_event_with_a_topic_of_its_own_is_not_named_after_the_aggregate() -> None:
    assert "bank#Account.Closed" not in event_classes.topics_of((DomainEvent,))


def test_all_topics_of_a_class_are_known() -> None:
    expected = {"aliased-ledger.Booked", "bank#Account.Booked", "accounts.Booked"}
    expected |= {"bank#Account.PaidIn", f"{__name__}#Ledger.Booked"}
    assert event_classes.topics_of((Ledger.Booked,)) == expected


def test_a_subclass_has_aliases_of_its_own_alone() -> None:
    class Special(Ledger.Closed):
        pass

    assert event_classes.topics_of((Special,)) == {get_topic(Special)}


def test_an_alias_that_is_the_topic_of_another_class_is_refused() -> None:
    with pytest.raises(ProgrammingError, match=r"'ledger-closed' of .*Rival is taken by .*Closed"):

        class Rival(DomainEvent, aliases=("ledger-closed",)):
            pass

    assert event_classes.resolve("ledger-closed") is Ledger.Closed


def test_a_topic_that_is_the_alias_of_another_class_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="'account-closed'"):

        class Rival(DomainEvent, topic="account-closed"):
            pass


def test_an_alias_that_is_the_alias_of_another_class_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="'account-closed'"):

        class Rival(DomainEvent, topic="fresh-topic", aliases=("account-closed",)):
            pass

    assert "fresh-topic" not in event_classes.topics_of((DomainEvent,))


def test_an_alias_that_is_the_alias_of_another_aggregate_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="'bank#Account'"):

        class Rival(AggregateRoot, aliases=("bank#Account",)):
            pass


@pytest.mark.parametrize("wrong", ["", 1, None, "paid@2", "@0", "paid@007"])
def test_what_cannot_be_a_topic_is_refused(wrong: Any) -> None:
    with pytest.raises(ProgrammingError, match="cannot be a topic of Odd"):
        type("Odd", (DomainEvent,), {}, aliases=(wrong,))
    if wrong is not None:
        with pytest.raises(ProgrammingError, match="cannot be a topic of Odd"):
            type("Odd", (AggregateRoot,), {}, topic=wrong)


@pytest.mark.parametrize("topic", ["paid@home", "paid@2x", "a@2.Paid", "paid@"])
def test_an_at_sign_elsewhere_is_no_matter(topic: str) -> None:
    cls: Any = type("Fine", (DomainEvent,), {}, topic=topic)
    assert event_classes.resolve(topic) is cls


def test_one_text_is_no_list_of_aliases() -> None:
    with pytest.raises(ProgrammingError, match="several topics"):
        type("Odd", (DomainEvent,), {}, aliases="paid")


def test_what_belongs_to_an_event_class_is_not_said_at_the_method() -> None:
    with pytest.raises(ProgrammingError, match="topic, aliases: to be given to the event class"):
        event(Ledger.Closed, topic="x", aliases=("y",))
