"""How events change entities: mutate(), and what it refuses."""

from decimal import Decimal
from typing import Any

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.entity import VersionedEntity
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import (
    EntityIsDiscarded,
    EventFieldError,
    EventSourcingError,
    MismatchedEventError,
    OriginatorIDError,
    OriginatorVersionError,
    ProgrammingError,
)


class AddsNote:
    def mutate(self, obj: Any, /) -> Any:
        obj.amounts.append(self.amount)  # type: ignore[attr-defined]


class Account(AggregateRoot):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.amounts: list[Decimal] = []

    class Plain(AggregateRoot.Event):
        amount: Decimal

        def mutate(self, obj: Any, /) -> Any:
            obj.amounts.append(self.amount)

    class CallsSuper(AggregateRoot.Event):
        amount: Decimal

        def mutate(self, obj: Any, /) -> Any:
            super().mutate(obj)
            obj.amounts.append(self.amount)

    class CallsAndReturns(AggregateRoot.Event):
        amount: Decimal

        def mutate(self, obj: Any, /) -> Any:
            obj = super().mutate(obj)
            obj.amounts.append(self.amount)
            return obj

    class Mixed(AddsNote, AggregateRoot.Event):
        amount: Decimal

    class Overriding(Plain):
        def mutate(self, obj: Any, /) -> Any:
            super().mutate(obj)

    class Silent(AggregateRoot.Event):
        amount: Decimal

    class Failing(AggregateRoot.Event):
        def mutate(self, obj: Any, /) -> Any:
            raise ZeroDivisionError

    class Triggering(AggregateRoot.Event):
        def mutate(self, obj: Any, /) -> Any:
            obj.discard()

    class Nested(AggregateRoot.Event):
        def mutate(self, obj: Any, /) -> Any:
            Account.Failing(originator_id=obj.id, originator_version=obj.version).mutate(obj)


class Order(AggregateRoot):
    class Shipped(AggregateRoot.Event):
        pass


class Loose(AggregateRoot.Event):
    """Not nested in a class: an event that any aggregate may have."""


def position(of: AggregateRoot, **changed: Any) -> dict[str, Any]:
    return {"originator_id": of.id, "originator_version": of.version} | changed


@pytest.mark.parametrize("name", ["Plain", "CallsSuper", "CallsAndReturns", "Mixed", "Overriding"])
def test_mutate_need_not_call_super_nor_return_and_may_do_both(name: str) -> None:
    account = Account.create()

    account._trigger(getattr(Account, name), amount=Decimal(1))

    assert (account.amounts, account.version) == ([Decimal(1)], 2)


def test_an_event_without_mutate_is_counted() -> None:
    account = Account.create()

    account._trigger(Account.Silent, amount=Decimal(1))

    assert (account.amounts, account.version) == ([], 2)


def test_an_applied_event_returns_the_entity() -> None:
    account = Account.create()

    assert Account.Plain(**position(account), amount=Decimal(1)).mutate(account) is account
    assert account.version == 2


def test_a_created_event_makes_the_entity() -> None:
    created = Account.create(id="a").pending_events[0]

    copy = created.mutate(None)

    assert (type(copy), copy.id, copy.version) == (Account, "a", 1)


def test_a_discarded_event_returns_none() -> None:
    account = Account.create()

    assert Account.Discarded(**position(account)).mutate(account) is None


def test_replaying_all_events_makes_an_equal_entity() -> None:
    account = Account.create()
    account._trigger(Account.Plain, amount=Decimal(1))
    account.change_attribute("name", "Ann")

    copy: Any = None
    for happened in account.pending_events:
        copy = happened.mutate(copy)

    assert repr(copy) == repr(account)
    assert (copy.version, copy.created_on) == (account.version, account.created_on)
    assert copy.last_modified == account.last_modified


def test_an_event_of_another_entity_is_refused() -> None:
    account = Account.create(id="a")
    foreign = Account.Plain(originator_id="b", originator_version=1, amount=Decimal(1))

    with pytest.raises(OriginatorIDError, match=r"Account.Plain is of 'b', not of 'a'"):
        foreign.mutate(account)

    assert (account.amounts, account.version) == ([], 1)


@pytest.mark.parametrize("version", [0, 2, 7])
def test_an_event_at_another_position_is_refused(version: int) -> None:
    account = Account.create(id="a")
    event = Account.Plain(originator_id="a", originator_version=version, amount=Decimal(1))

    with pytest.raises(OriginatorVersionError, match=f"position {version}, but .* takes 1 next"):
        event.mutate(account)

    assert (account.amounts, account.version) == ([], 1)


def test_an_event_of_another_class_of_aggregates_is_refused() -> None:
    account = Account.create(id="a")

    with pytest.raises(
        MismatchedEventError,
        match=r"Order.Shipped is an event of Order, and 'a' is a Account",
    ):
        account._trigger(Order.Shipped)

    assert (account.version, len(account.pending_events)) == (1, 1)


def test_an_event_that_belongs_to_no_class_may_be_triggered_by_any() -> None:
    account = Account.create()

    account._trigger(Loose)

    assert account.version == 2


def test_a_class_that_is_no_event_of_an_entity_cannot_be_triggered() -> None:
    with pytest.raises(ProgrammingError, match="DomainEvent is no event of an entity"):
        Account.create()._trigger(DomainEvent)


@pytest.mark.parametrize("name", ["originator_id", "originator_version"])
def test_a_command_cannot_say_where_its_event_stands(name: str) -> None:
    with pytest.raises(EventFieldError, match=f"field '{name}' is filled by the entity itself"):
        Account.create()._trigger(Account.Silent, amount=Decimal(1), **{name: 1})


def test_a_second_created_event_is_refused() -> None:
    account = Account.create(id="a")
    again = account.pending_events[0]

    with pytest.raises(OriginatorVersionError, match="Account 'a' exists already"):
        again.mutate(account)


def test_a_command_cannot_create_the_entity_again() -> None:
    account = Account.create(id="a")
    topic = vars(account.pending_events[0])["originator_topic"]

    with pytest.raises(OriginatorVersionError, match="Account 'a' exists already"):
        account._trigger(Account.Created, originator_topic=topic)
    with pytest.raises(EventSourcingError):
        account._trigger(Account.Created)

    assert (account.version, len(account.pending_events)) == (1, 1)


def test_another_event_than_created_cannot_be_the_first() -> None:
    first = Account.Silent(originator_id="a", originator_version=0, amount=Decimal(1))

    with pytest.raises(OriginatorVersionError, match=r"a Account.Silent cannot be the first event"):
        first.mutate(None)


def test_a_created_event_at_another_position_than_0_is_refused() -> None:
    topic = vars(Account.create().pending_events[0])["originator_topic"]
    created = Account.Created(originator_id="a", originator_version=1, originator_topic=topic)

    with pytest.raises(OriginatorVersionError, match="has position 1, but Account 'a' takes 0"):
        created.mutate(None)


def test_a_discarded_entity_refuses_commands_and_events() -> None:
    account = Account.create(id="a")
    account.discard()

    with pytest.raises(EntityIsDiscarded, match="Account 'a' has been discarded"):
        account.change_attribute("name", "Ann")
    with pytest.raises(EntityIsDiscarded, match="Account 'a' has been discarded"):
        account.discard()
    with pytest.raises(EntityIsDiscarded, match="Account 'a' has been discarded"):
        Account.Plain(**position(account), amount=Decimal(1)).mutate(account)

    assert (account.version, len(account.pending_events)) == (2, 2)


def test_a_mutate_that_raises_leaves_no_event() -> None:
    account = Account.create()

    with pytest.raises(ZeroDivisionError):
        account._trigger(Account.Failing)

    assert (account.version, len(account.pending_events)) == (1, 1)


def test_a_mutate_that_triggers_another_event_is_refused() -> None:
    account = Account.create()

    with pytest.raises(ProgrammingError, match=r"Account.Triggering is being applied: what an ev"):
        account._trigger(Account.Triggering)

    assert (account.version, len(account.pending_events)) == (1, 1)


def test_a_mutate_that_applies_another_event_is_refused() -> None:
    account = Account.create()

    with pytest.raises(ProgrammingError, match=r"Account.Nested is being applied, and cannot app"):
        account._trigger(Account.Nested)


def test_a_constructor_that_triggers_an_event_is_refused() -> None:
    class Eager(AggregateRoot):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self._trigger(self.Event, what="started")

    with pytest.raises(ProgrammingError, match="Created is being applied"):
        Eager.create()


def test_a_constructor_may_use_a_command_as_a_plain_method() -> None:
    class Named(AggregateRoot):
        def __init__(self, name: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.rename(name)

        @event("Renamed")
        def rename(self, name: str) -> None:
            self.name = name.strip()

    named = Named.create(name=" Ann ")

    assert (named.name, named.version) == ("Ann", 1)


def test_a_free_form_event_takes_any_fields() -> None:
    account = VersionedEntity.create()

    account._trigger(account.Event, what="renamed", by=3)

    assert account.version == 2
