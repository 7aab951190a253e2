"""The short style: one decorated method is command, event class and mutator."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import EventFieldError, ProgrammingError


class Account(AggregateRoot):
    def __init__(self, balance: Decimal = Decimal(0), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.balance = balance
        self.notes: list[str] = []

    @event("Deposited")
    def deposit(self, amount: Decimal, note: str = "", *, quiet: bool = False) -> None:
        """Puts money in."""
        if amount < 0:
            raise ValueError("negative")
        self.balance += amount
        if note:
            self.annotate(note)

    @event("Annotated")
    def annotate(self, note: str) -> None:
        self.notes.append(note)

    @event("Emptied")
    def empty(self) -> None:
        self.balance = Decimal(0)

    class Renamed(AggregateRoot.Event):
        name: str
        by: str = "nobody"

    @event(Renamed)
    def rename(self, name: str) -> None:
        self.name = name

    class Moved(AggregateRoot.Event):
        to: str
        origin: str

    @event(Moved)
    def move(self, origin: str, to: str) -> None:
        self.moved = (origin, to)

    @event("Paired")
    def pair(self, left: str, right: str) -> None:
        self.paired = (left, right)

    @event("Labelled")
    def label(self, label: str | int | None = None) -> None:
        self.labelled = label

    @event("Untyped")
    def untyped(self, anything, event_class=1):  # type: ignore[no-untyped-def]  # noqa: ANN001
        self.anything = anything


class Generous(Account):
    @event("DepositedWithBonus")
    def deposit(self, amount: Decimal, note: str = "", *, quiet: bool = False) -> None:
        super().deposit(amount + 1, note)

    def annotate(self, note: str) -> None:
        super().annotate(note.upper())


class Named:
    name: str = ""

    @event("NameGiven")
    def give_name(self, name: str) -> None:
        self.name = name


class Person(Named, AggregateRoot):
    pass


class Employee(Person):
    pass


class Robot(Named, AggregateRoot):
    pass


def last_event(aggregate: AggregateRoot) -> Any:
    return aggregate.pending_events[-1]


@pytest.mark.parametrize(
    "call",
    [
        lambda account: account.deposit(Decimal(5)),
        lambda account: account.deposit(amount=Decimal(5)),
        lambda account: account.deposit(Decimal(5), ""),
        lambda account: account.deposit(Decimal(5), quiet=False, note=""),
    ],
)
def test_a_command_takes_arguments_by_position_by_name_and_by_default(
    call: Callable[[Account], None],
) -> None:
    account = Account.create()

    call(account)

    deposited = last_event(account)
    assert (type(deposited).__qualname__, account.balance) == ("Account.Deposited", Decimal(5))
    assert (deposited.amount, deposited.note, deposited.quiet) == (Decimal(5), "", False)


def test_arguments_reach_the_body_by_their_names_in_whatever_order_they_are_given() -> None:
    account = Account.create()

    account.pair(right="b", left="a")

    assert account.paired == ("a", "b")
    assert (last_event(account).left, last_event(account).right) == ("a", "b")


def test_the_fields_of_a_written_event_may_stand_in_another_order_than_the_parameters() -> None:
    account = Account.create()

    account.move("a", "b")

    assert account.moved == ("a", "b")
    assert (last_event(account).origin, last_event(account).to) == ("a", "b")


@pytest.mark.parametrize("label", ["a", 1, None])
def test_a_parameter_of_several_types_takes_each_of_them(label: Any) -> None:
    account = Account.create()

    account.label(label)

    assert (account.labelled, last_event(account).label) == (label, label)


def test_a_parameter_of_several_types_takes_no_other() -> None:
    with pytest.raises(EventFieldError, match=r"'label' takes .*, not Decimal"):
        Account.create().label(Decimal(1))  # type: ignore[arg-type]


def test_the_defaults_that_apply_are_kept_in_the_event() -> None:
    account = Account.create()

    account.label()

    assert vars(account.pending_events[0])["balance"] == Decimal(0)
    assert vars(last_event(account))["label"] is None


def test_an_event_class_derived_from_a_made_one_changes_the_entity_as_it_says_itself() -> None:
    class Unpaired(Account.Paired):  # type: ignore[name-defined, misc]
        def mutate(self, obj: Any, /) -> None:
            super().mutate(obj)
            obj.paired = (self.right, self.left)

    account = Account.create()

    account._trigger(Unpaired, left="a", right="b")

    assert account.paired == ("b", "a")


def test_a_command_without_parameters_makes_an_event_without_fields() -> None:
    account = Account.create(balance=Decimal(1))

    account.empty()

    assert account.balance == Decimal(0)
    assert vars(last_event(account)).keys() == {"originator_id", "originator_version", "timestamp"}


def test_the_command_keeps_its_name_and_docstring() -> None:
    assert (Account.deposit.__name__, Account.deposit.__doc__) == ("deposit", "Puts money in.")


def test_the_made_class_is_an_event_of_the_aggregate() -> None:
    made = Account.Deposited  # type: ignore[attr-defined]

    assert issubclass(made, Account.Event)
    assert (made.__name__, made.__module__) == ("Deposited", __name__)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "missing field 'amount'"),
        ({"amount": 5}, "field 'amount' takes Decimal, not int"),
        ({"amount": Decimal(5), "x": 1}, "unknown field 'x'; it has: .*amount, note, quiet"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, Any], message: str) -> None:
    account = Account.create()

    with pytest.raises(EventFieldError, match=f"^Account.Deposited: {message}"):
        account.deposit(**arguments)

    assert account.version == 1


def test_too_many_positional_arguments_are_refused() -> None:
    with pytest.raises(EventFieldError, match=r"deposit\(\) takes 2 positional arguments, not 3"):
        Account.create().deposit(Decimal(1), "", True)  # type: ignore[call-arg]


def test_an_argument_given_twice_is_refused() -> None:
    with pytest.raises(EventFieldError, match=r"Account.deposit\(\) got 'amount' twice"):
        Account.create().deposit(Decimal(1), amount=Decimal(1))  # type: ignore[misc]


def test_a_body_that_raises_leaves_no_event_and_the_version_as_it_was() -> None:
    account = Account.create()

    with pytest.raises(ValueError, match="negative"):
        account.deposit(Decimal(-1))

    assert (account.version, len(account.pending_events)) == (1, 1)
    account.deposit(Decimal(1))
    assert account.version == 2


def test_a_decorated_method_called_in_a_body_is_part_of_that_event() -> None:
    account = Account.create()

    account.deposit(Decimal(1), note="salary")

    assert account.notes == ["salary"]
    assert [type(e).__name__ for e in account.pending_events] == ["Created", "Deposited"]


def test_an_overriding_decorated_method_has_an_event_of_its_own_and_may_call_super() -> None:
    account = Generous.create()

    account.deposit(Decimal(1))

    assert account.balance == Decimal(2)
    assert [type(e).__name__ for e in account.pending_events] == ["Created", "DepositedWithBonus"]


def test_an_overriding_plain_method_triggers_the_event_through_super() -> None:
    account = Generous.create()

    account.annotate("hello")

    assert account.notes == ["HELLO"]
    assert last_event(account).note == "HELLO"


def test_a_written_event_class_may_be_named_instead() -> None:
    account = Account.create()

    account.rename("Ann")

    assert account.name == "Ann"
    assert last_event(account) == Account.Renamed(
        originator_id=account.id,
        originator_version=1,
        timestamp=account.last_modified,
        name="Ann",
    )


def test_parameters_without_annotations_take_anything() -> None:
    account = Account.create()

    account.untyped({"a": 1}, event_class="x")

    assert account.anything == {"a": 1}


def test_a_plain_mixin_brings_its_commands_to_each_class() -> None:
    person, robot = Person.create(), Robot.create()

    person.give_name("Ann")
    robot.give_name("R2")

    assert (person.name, robot.name) == ("Ann", "R2")
    assert type(last_event(person)).__qualname__ == "Person.NameGiven"
    assert type(last_event(robot)).__qualname__ == "Robot.NameGiven"


def test_a_subclass_shares_the_event_that_its_base_has_from_a_mixin() -> None:
    employee = Employee.create()

    employee.give_name("Ann")

    assert type(last_event(employee)) is Person.NameGiven  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [lambda self: None, "not a name", "", 3, None, int, object])
def test_the_decorator_takes_the_name_of_an_event_class(name: Any) -> None:
    with pytest.raises(ProgrammingError, match="@event takes the name of an event class"):
        event(name)


def test_the_decorator_goes_onto_a_plain_method() -> None:
    async def coroutine(self: Any) -> None:
        pass

    for function in (property(lambda self: None), staticmethod(print), print, coroutine):
        with pytest.raises(ProgrammingError, match="@event goes onto a plain method"):
            event("Done")(function)  # type: ignore[arg-type]


def test_parameters_that_no_field_can_stand_for_are_refused() -> None:
    with pytest.raises(ProgrammingError, match=r"\*args: int cannot be a field of an event"):

        @event("Done")
        def several(self: Any, *args: int) -> None: ...

    with pytest.raises(ProgrammingError, match=r"\*\*kwargs: int cannot be a field of an event"):

        @event("Done")
        def named(self: Any, **kwargs: int) -> None: ...


@pytest.mark.parametrize(
    "name", ["originator_id", "originator_version", "timestamp", "context", "mutate"]
)
def test_a_parameter_cannot_have_the_name_of_what_every_event_has(name: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def do(self, {name}): pass", namespace)
    cls: Any = type("Doer", (AggregateRoot,), {"do": event("Done")(namespace["do"])})

    with pytest.raises(ProgrammingError, match=f"Doer.Done: .*'{name}'"):
        cls.create().do(1)


def test_two_commands_cannot_make_the_same_event() -> None:
    with pytest.raises(ProgrammingError, match=r"Twice.Done is defined twice"):

        class Twice(AggregateRoot):
            @event("Done")
            def one(self) -> None: ...

            @event("Done")
            def other(self) -> None: ...


def test_a_command_cannot_make_an_event_that_is_written_already() -> None:
    with pytest.raises(ProgrammingError, match=r"Clash.Done is defined twice"):

        class Clash(AggregateRoot):
            class Done(AggregateRoot.Event):
                pass

            @event("Done")
            def do(self) -> None: ...


def test_a_written_event_class_cannot_have_a_mutate_besides_the_body() -> None:
    with pytest.raises(ProgrammingError, match=r"Done has a mutate\(\) besides .*Both.do\(\)"):

        class Both(AggregateRoot):
            class Done(AggregateRoot.Event):
                def mutate(self, obj: Any, /) -> Any: ...

            @event(Done)
            def do(self) -> None: ...


def test_a_written_event_class_must_be_an_event_of_an_entity() -> None:
    class Plain(AggregateRoot):
        class Done(DomainEvent):
            pass

        @event(Done)
        def do(self) -> None: ...

    with pytest.raises(ProgrammingError, match="Done is no event of an entity"):
        Plain.create().do()
