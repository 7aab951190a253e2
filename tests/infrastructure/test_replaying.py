"""An aggregate is the same whether its events are made objects of, or only their values read."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.applying import applied_by
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.personal import personal
from eventsourcing.domain.model.recipes import body_for
from eventsourcing.exceptions import EventSourcingError
from eventsourcing.infrastructure import replaying
from eventsourcing.infrastructure.erasure import Erasure
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.recordmanager import EVERYTHING, Bounds, RecordManager
from eventsourcing.infrastructure.replaying import Replay
from eventsourcing.infrastructure.sequenceditemmapper import SequencedItemMapper
from eventsourcing.infrastructure.subjectkeys import MemorySubjectKeys
from eventsourcing.utils.cipher import CipherKey, Keyring
from tests.backends import Backend
from tests.contracts.places import SQLAlchemyPlace

Item = Any
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Account(AggregateRoot):
    def __init__(self, owner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner = owner
        self.balance = Decimal(0)
        self.log: list[Any] = []

    @event("Deposited")
    def deposit(self, amount: Decimal, note: str = "") -> None:
        if note == "refused":
            raise ValueError("never shown")
        self.balance += amount
        self.log.append((note, self.version, self.last_modified))

    @event("Tagged")
    def tag(self, tags: list[str]) -> None:
        self.log.append(tags)

    @event("Emptied")
    def empty(self) -> None:
        self.balance = Decimal(0)

    @event("Noted")
    def note(self, what: Any) -> None:
        self.log.append(what)

    @event("Raised")
    def raise_limit(self, limit: int | None) -> None:
        self.limit = limit

    class Counted(AggregateRoot.Event):
        count: int

        def mutate(self, obj: Any, /) -> None:
            obj.log.append((self.count, self.context.event_id))

    class Called(AggregateRoot.Event):
        name: Annotated[str, personal("")]

        def mutate(self, obj: Any, /) -> None:
            obj.owner = self.name

    class Restarted(AggregateRoot.Created):
        reason: str

    @event(Restarted)
    def restart(self, reason: str) -> None:
        self.log.append(reason)


class Savings(Account):
    @event("Promoted")
    def promote(self) -> None:
        self.__class__ = Gold

    @event("Frozen")
    def freeze(self) -> None:
        self.__class__ = Order  # type: ignore[assignment]


class Gold(Savings):
    @event("Emptied")
    def empty(self) -> None:
        self.balance = Decimal(-1)


class Order(AggregateRoot):
    @event("Shipped")
    def ship(self, to: str) -> None:
        self.to = to


class ByObjects(SequencedItemMapper):
    """A mapper with a way of its own to make events, so that they have to be made."""

    def events_from_items(self, items: Any) -> Iterator[Any]:
        yield from super().events_from_items(items)


class Given(MemoryRecordManager):
    """Gives these items, of which all but the first few may be brief."""

    def __init__(self, items: list[Item], whole: int = 1) -> None:
        super().__init__()
        self.items, self.whole = items, whole
        self.at = 0  # where somebody stopped to read

    def get_items(self, sequence_id: object, bounds: Bounds = EVERYTHING) -> Iterator[Item]:
        yield from self.items[self.at if bounds.gt is not None else 0 :]

    def get_states(
        self,
        sequence_id: object,
        bounds: Bounds = EVERYTHING,
        are_enough: Callable[[], bool] = lambda: True,
    ) -> Iterator[Item]:
        for self.at, item in enumerate(self.items):  # noqa: B020
            yield item[:4] if self.at >= self.whole and are_enough() else item


class Replayed:
    """What a replay came to: an aggregate's class and attributes, or an error's."""

    def __init__(self, manager: RecordManager, mapper: SequencedItemMapper, stream: Any) -> None:
        self.replay = Replay(manager, mapper)
        self.found: Any
        try:
            found = self.replay.run(stream)
        except (EventSourcingError, ValueError) as error:
            self.found = type(error), str(error), repr(error.__cause__), vars(error)
        else:
            self.found = None if found is None else (type(found), vars(found))

    @property
    def objects(self) -> int:
        """How many events were made objects of."""
        return self.replay._objects


def both(manager: RecordManager, stream: Any) -> tuple[Replayed, Replayed]:
    return tuple(Replayed(manager, m(), stream) for m in (SequencedItemMapper, ByObjects))  # type: ignore[return-value]


def agrees(manager: RecordManager, stream: Any) -> bool:
    quick, by_objects = both(manager, stream)
    return bool(quick.found == by_objects.found)


texts = st.text(max_size=4) | st.sampled_from([",", '","', "a,b", "\0", "\ud800"])
amounts = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-9, max_value=9)
commands: st.SearchStrategy[tuple[str, tuple[Any, ...]]] = st.one_of(
    st.tuples(st.just("deposit"), st.tuples(amounts)),
    st.tuples(st.just("deposit"), st.tuples(amounts, texts)),
    st.tuples(st.just("tag"), st.tuples(st.lists(texts, max_size=2))),
    st.tuples(st.just("note"), st.tuples(texts | st.integers() | st.none())),
    st.tuples(st.just("raise_limit"), st.tuples(st.none() | st.integers())),
    st.tuples(st.just("change_attribute"), st.tuples(st.just("colour"), texts)),
    st.tuples(st.sampled_from(["empty", "promote", "count", "discard"]), st.just(())),
)


def items_of(steps: list[tuple[str, tuple[Any, ...]]], owner: str = "Ann") -> list[Item]:
    """Returns the items of a new account on which these methods were called."""
    account = Savings.create(owner=owner)
    for name, arguments in steps:
        if name == "count":
            account._trigger(Account.Counted, count=account.version)
        elif name != "promote" or type(account) is Savings:
            getattr(account, name)(*arguments)
        if name == "discard":
            break
    return list(map(SequencedItemMapper().item_from_event, account.pending_events))


@given(st.lists(commands, max_size=12), st.integers(1, 12))
@few
def test_any_stream_makes_the_same_aggregate(steps: Any, whole: int) -> None:
    items = items_of(steps)
    assert agrees(Given(items, whole), items[0][0])


@given(st.lists(commands, max_size=8))
@few
def test_any_stream_makes_the_same_aggregate_in_memory_and_on_sqlite(
    tmp_path_factory: pytest.TempPathFactory, steps: Any
) -> None:
    items = items_of([*[("deposit", (Decimal(n), "")) for n in range(100)], *steps])
    path = tmp_path_factory.mktemp("replay") / "events.db"
    for manager in (MemoryRecordManager(), SQLAlchemyPlace(f"sqlite:///{path}").open()):
        manager.record(items)
        assert agrees(manager, items[0][0])
        manager.close()


DAMAGE: dict[str, Callable[[Item], Item]] = {
    "a later position": lambda item: item._replace(originator_version=item[1] + 1),
    "an earlier position": lambda item: item._replace(originator_version=item[1] - 1),
    "a text cut off": lambda item: item._replace(state=item[3][:-2]),
    "no text": lambda item: item._replace(state=None),
    "a member twice": lambda item: item._replace(state=item[3][:-1] + "," + item[3][1:]),
    "no member": lambda item: item._replace(state="{}"),
    "a stranger's event": lambda item: item._replace(topic=f"{__name__}#Order.Shipped"),
    "another event": lambda item: item._replace(topic=f"{__name__}#Account.Deposited"),
    "a second beginning": lambda item: item._replace(topic=f"{__name__}#Account.Restarted"),
    "an unknown event": lambda item: item._replace(topic="nowhere#Nothing"),
    "no topic": lambda item: item._replace(topic=7),
    "a stranger's id": lambda item: item._replace(originator_id=uuid4()),
    "a body that raises": lambda item: item._replace(
        topic=f"{__name__}#Account.Deposited",
        state='{"timestamp":"2026-01-01T00:00:00Z","amount":"1","note":"refused"}',
    ),
}


@given(st.lists(commands, min_size=1, max_size=6), st.sampled_from(sorted(DAMAGE)), st.data())
@settings(few, max_examples=200)
def test_any_damage_is_told_alike(steps: Any, damage: str, data: Any) -> None:
    items = items_of(steps)
    at = data.draw(st.integers(1, len(items) - 1))
    damaged: Any = [*items[:at], DAMAGE[damage](items[at]), *items[at + 1 :]]
    assert agrees(Given(damaged, data.draw(st.integers(1, 3))), items[0][0])


@pytest.mark.parametrize("whole", [1, 3])
@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damage_is_told_alike_wherever_it_is(damage: str, whole: int) -> None:
    items = items_of([("deposit", (Decimal(1), "")), ("note", ("x",)), ("empty", ())])
    for at in range(1, len(items)):
        damaged: Any = [*items[:at], DAMAGE[damage](items[at]), *items[at + 1 :]]
        assert agrees(Given(damaged, whole), items[0][0])


def test_an_aggregate_that_takes_another_class_is_changed_as_that_is() -> None:
    items = items_of([("empty", ()), ("promote", ()), ("empty", ())])
    quick, by_objects = both(Given(items), items[0][0])
    assert quick.found == by_objects.found
    assert (quick.found[0], quick.found[1]["balance"]) == (Gold, Decimal(-1))


def test_an_aggregate_that_takes_a_strangers_class_takes_no_events_of_the_former_one() -> None:
    items = items_of([("empty", ()), ("empty", ()), ("freeze", ())])
    (late,) = items_of([*[("empty", ())] * 4])[-1:]
    last = late._replace(originator_id=items[0][0])
    quick, by_objects = both(Given([*items, last]), items[0][0])
    assert quick.found == by_objects.found
    assert issubclass(quick.found[0], EventSourcingError)


SOUND = items_of([("deposit", (Decimal(n), "")) for n in range(1, 4)])
STRANGER = [*SOUND[:2], DAMAGE["a stranger's event"](SOUND[2])]
STRANGER[2] = STRANGER[2]._replace(state='{"timestamp":"2026-01-01T00:00:00Z","to":"Rome"}')


def test_only_the_first_event_of_the_short_style_is_made_an_object_of() -> None:
    quick, by_objects = both(Given(SOUND), SOUND[0][0])
    assert (quick.objects, by_objects.objects) == (1, len(SOUND))


def test_how_an_event_is_applied_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counting(entity_class: type, event_class: Any) -> Any:
        asked.append(event_class.__name__)
        return body_for(entity_class, event_class)

    monkeypatch.setattr(replaying, "body_for", counting)
    Replay(Given(SOUND), SequencedItemMapper()).run(SOUND[0][0])
    assert asked == ["Deposited"]


class Brief(MemoryRecordManager):
    """Gives only the first fields wherever they are enough."""

    briefs = 0

    def get_states(
        self,
        sequence_id: object,
        bounds: Bounds = EVERYTHING,
        are_enough: Callable[[], bool] = lambda: True,
    ) -> Iterator[Item]:
        for item in self.get_items(sequence_id, bounds):
            is_brief = are_enough()
            self.briefs += is_brief
            yield item[:4] if is_brief else item


def test_once_the_first_event_is_there_the_first_fields_are_enough() -> None:
    manager = Brief()
    manager.record(SOUND)
    Replay(manager, SequencedItemMapper()).run(SOUND[0][0])
    assert manager.briefs == len(SOUND) - 1


@pytest.mark.parametrize("version", [None, 4])
def test_what_needs_an_object_is_read_again_with_all_fields(version: int | None) -> None:
    items = items_of([("empty", ()), ("empty", ()), ("count", ()), ("deposit", (Decimal(1),))])
    manager = Brief()
    manager.record([*items, *SOUND])
    replay = Replay(manager, SequencedItemMapper())
    account = replay.run(items[0][0], version)
    assert (account.version, replay._objects) == (version or 5, 2)
    assert account.log[0] == (3, items[3].event_id)


@pytest.mark.parametrize("mapper_class", [SequencedItemMapper, ByObjects])
def test_a_replay_knows_of_personal_data(mapper_class: type[SequencedItemMapper]) -> None:
    keyring = Keyring(CipherKey("key", bytes(32)))
    mapper = mapper_class(erasure=Erasure(MemorySubjectKeys(), keyring, "events"))
    account = Account.create(owner="nobody")
    account._trigger(Account.Called, name="Ann")
    items = [*map(mapper.item_from_event, account.pending_events)]
    assert "Ann" not in items[1][3]
    replay = Replay(Given(items, whole=2), mapper)
    assert replay.run(account.id).owner == "Ann"
    assert replay.has_personal_data


@pytest.mark.parametrize("items", [STRANGER, [*SOUND, *SOUND[1:2]]], ids=["stranger", "twice"])
def test_what_does_not_follow_is_refused(items: list[Item]) -> None:
    quick, by_objects = both(Given(items), SOUND[0][0])
    assert quick.found == by_objects.found
    assert issubclass(quick.found[0], EventSourcingError)


def test_control_without_its_conditions_a_strangers_event_is_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def careless(entity_class: type, event_class: Any) -> Any:
        by = applied_by(event_class.mutate)
        return by and by.body and (by.body, by.parameters)

    monkeypatch.setattr(replaying, "body_for", careless)
    assert not agrees(Given(STRANGER), SOUND[0][0])


def test_control_an_event_that_is_counted_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(entity_class: type, event_class: Any) -> Any:
        by = applied_by(event_class.mutate)
        if by is None or by.body is None:
            return None
        body = by.body
        return lambda *values: (body(*values), body(*values)), by.parameters

    monkeypatch.setattr(replaying, "body_for", twice)
    assert not agrees(Given(SOUND), SOUND[0][0])


class Meddler(AggregateRoot):
    @event("Meddled")
    def meddle(self, how: str) -> None:
        if how == "trigger":
            self.discard()
        elif how == "apply":
            Order.Shipped(  # type: ignore[attr-defined]
                originator_id=self.id, originator_version=1, timestamp=self.created_on, to=""
            ).mutate(self)
        elif how == "interrupt":
            raise KeyboardInterrupt


def meddled(how: str) -> list[Item]:
    meddler = Meddler.create()
    mapper = SequencedItemMapper()
    created, done = (
        meddler.pending_events[0],
        Meddler.Meddled(  # type: ignore[attr-defined]
            originator_id=meddler.id, originator_version=1, timestamp=datetime.now(UTC), how=how
        ),
    )
    return [mapper.item_from_event(created), mapper.item_from_event(done)]


@pytest.mark.parametrize("how", ["nothing", "trigger", "apply"])
def test_what_a_body_may_not_do_is_refused_in_the_same_words(how: str) -> None:
    items = meddled(how)
    quick, by_objects = both(Given(items), items[0][0])
    assert quick.found == by_objects.found
    assert (quick.objects, by_objects.objects) == ((1, 2) if how == "nothing" else (1, 1))


def test_an_interrupted_replay_leaves_nothing_being_applied() -> None:
    items = meddled("interrupt")
    replay = Replay(Given(items), SequencedItemMapper())
    with pytest.raises(KeyboardInterrupt):
        replay.run(items[0][0])
    assert (replay.state.version, replay.state._es_applying) == (1, None)


def test_a_wrapped_mutate_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    deposited: Any = Account.Deposited  # type: ignore[attr-defined]
    original = deposited.mutate

    def wrapper(self: Any, obj: Any) -> Any:
        seen.append(self.amount)
        return original(self, obj)

    monkeypatch.setattr(deposited, "mutate", wrapper)
    assert agrees(Given(SOUND), SOUND[0][0])
    assert seen == [1, 2, 3] * 2


def renamed(state: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in state.items() if name != "told"}, "what": "renamed"}


class Older(AggregateRoot):
    @event("Told", upcasters={1: renamed})
    def tell(self, what: Any) -> None:
        self.told = what

    @event("Grown")
    def grow(self, by: int, why: str = "none, given") -> None:
        self.grown = (by, why)


def test_a_state_without_a_later_field_gets_its_default() -> None:
    older = Older.create()
    older.grow(1)
    items: list[Item] = [*map(SequencedItemMapper().item_from_event, older.pending_events)]
    created, grown = items
    text = grown[3].replace(',"why":"none, given"', "")
    assert text != grown[3]
    manager = Given([created, grown._replace(state=text)])
    quick, by_objects = both(manager, older.id)
    assert quick.found == by_objects.found
    assert quick.found[1]["grown"] == (1, "none, given")


def test_an_older_state_that_is_not_read_quicker_is_upcast() -> None:
    older = Older.create()
    older.tell("now")
    items: list[Item] = [*map(SequencedItemMapper().item_from_event, older.pending_events)]
    created, told = items
    former = told[3].replace("what", "told")
    manager = Given([created, told._replace(topic=f"{__name__}#Older.Told", state=former)])
    quick, by_objects = both(manager, older.id)
    assert quick.found == by_objects.found
    assert quick.found[1]["told"] == "renamed"


def test_the_columns_that_are_not_needed_are_not_read(sql_backend: Backend) -> None:
    count = 300
    manager = SQLAlchemyPlace(str(sql_backend.uri)).open()
    items = items_of([("deposit", (Decimal(n), "")) for n in range(count)])
    manager.record(items)
    seen: list[int] = []

    def enough() -> bool:
        seen.append(1)
        return len(seen) > 1

    found = list(manager.get_states(items[0][0], are_enough=enough))
    manager.close()
    assert found[:100] == items[:100]
    assert found[100:] == [item[:4] for item in items[100:]]
