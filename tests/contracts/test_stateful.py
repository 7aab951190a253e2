"""An application does what a dictionary of lists would do, whatever is done to it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import (
    ApplicationClosedError,
    ConcurrencyError,
    EntityIsDiscarded,
    EventSourcingError,
    ProgrammingError,
    RepositoryKeyError,
    WrongApplicationError,
)
from eventsourcing.infrastructure.memory import MemoryRecordManager
from tests.backends import Backend
from tests.contracts.broken import BrokenPlace, HalfBatches, LastOneWins, LosesTheLast
from tests.contracts.model import Account
from tests.contracts.places import Place
from tests.utils.strategies import identical, supported_values

Fact = tuple[str, Any]
"""What the model knows of an event: the attribute that it sets or raises, and by what."""

_namespaces = itertools.count()


@dataclass
class Copy:
    """An aggregate in somebody's hands.

    Attributes:
        seen: how many of its facts were stored when it was last in step with the store.
        pending: the facts since then.
    """

    account: Account
    app: SimpleApplication
    seen: int
    facts: list[Fact]
    pending: list[Fact] = field(default_factory=list)

    @property
    def is_discarded(self) -> bool:
        return ("discarded", None) in [*self.facts, *self.pending]


class ApplicationMachine(RuleBasedStateMachine):
    """Does the same to an application and to a dictionary of lists of facts."""

    place: Place
    is_durable: bool
    copies: Bundle[Copy] = Bundle("copies")

    def __init__(self) -> None:
        super().__init__()
        self.namespace = next(_namespaces)
        self.stored: dict[str, list[Fact]] = {}
        self.app = self._open()

    def _open(self) -> SimpleApplication:
        return SimpleApplication(record_manager=self.place.open()).__enter__()

    def teardown(self) -> None:
        try:
            for name in "abc":
                self._check(f"{self.namespace} {name}")
        finally:
            self.app.__exit__(None, None, None)

    # -- what is done

    @rule(target=copies, name=st.sampled_from("abc"), owner=st.text(max_size=3))
    def create(self, name: str, owner: str) -> Copy:
        account = Account.create(id=f"{self.namespace} {name}", owner=owner)
        return Copy(account, self.app, 0, [], [("owner", owner)])

    @rule(target=copies, name=st.sampled_from("abc"))
    def load(self, name: str) -> Any:
        id_ = f"{self.namespace} {name}"
        self._check(id_)
        if id_ not in self.app.repository:
            return self.create(name, "nobody")
        facts = list(self.stored[id_])
        return Copy(self.app.repository.get(id_, Account), self.app, len(facts), facts)

    @rule(copy=copies, amount=st.integers(-(2**70), 2**70))
    def deposit(self, copy: Copy, amount: int) -> None:
        if copy.is_discarded:
            with pytest.raises(EntityIsDiscarded):
                copy.account.deposit(amount)
        else:
            copy.account.deposit(amount)
            copy.pending.append(("balance", amount))

    @rule(copy=copies, value=supported_values(3))
    def note(self, copy: Copy, value: Any) -> None:
        if not copy.is_discarded:
            copy.account.change_attribute(name="note", value=value)
            copy.pending.append(("note", value))

    @rule(copy=copies)
    def discard(self, copy: Copy) -> None:
        if not copy.is_discarded:
            copy.account.discard()
            copy.pending.append(("discarded", None))

    @rule(copy=copies)
    def save(self, copy: Copy) -> None:
        if copy.pending and copy.app is not self.app:
            with pytest.raises(ApplicationClosedError):
                copy.account.save()
        elif self._conflict([copy]) is None:
            copy.account.save()
            self._stored([copy])
        else:
            with pytest.raises(ConcurrencyError) as caught:
                copy.account.save()
            self._check_conflict([copy], caught.value)

    @rule(several=st.lists(copies, min_size=2, max_size=3, unique_by=id))
    def save_together(self, several: list[Copy]) -> None:
        accounts = [copy.account for copy in several]
        if any(copy.app is not self.app for copy in several):
            with pytest.raises(WrongApplicationError):
                self.app.save(*accounts)
        elif not self._is_in_order(several):
            with pytest.raises(ProgrammingError):
                self.app.save(*accounts)
        elif self._conflict(several) is None:
            self.app.save(*accounts)
            self._stored(several)
        else:
            with pytest.raises(ConcurrencyError) as caught:
                self.app.save(*accounts)
            self._check_conflict(several, caught.value)

    @precondition(lambda self: self.is_durable)
    @rule()
    def reopen(self) -> None:
        self.app.__exit__(None, None, None)
        self.app = self._open()

    # -- what the model says

    def _conflict(self, copies: Sequence[Copy]) -> tuple[object, int, int] | None:
        """Return the stream, the expected and the actual version of the first clash."""
        taken = {(id_, n) for id_, facts in self.stored.items() for n in range(len(facts))}
        for copy in copies:
            for n in range(copy.seen, copy.seen + len(copy.pending)):
                id_ = str(copy.account.id)
                if (id_, n) in taken:
                    return id_, n, len(self.stored.get(id_, ()))
        return None

    def _is_in_order(self, copies: Sequence[Copy]) -> bool:
        """Tell whether what the copies of one account have pending goes on without a gap."""
        ends: dict[object, int] = {}
        for copy in copies:
            if copy.pending:
                if ends.get(copy.account.id, copy.seen) != copy.seen:
                    return False
                ends[copy.account.id] = copy.seen + len(copy.pending)
        return True

    def _stored(self, copies: Sequence[Copy]) -> None:
        for copy in copies:
            self.stored.setdefault(str(copy.account.id), []).extend(copy.pending)
            copy.facts += copy.pending
            copy.seen += len(copy.pending)
            copy.pending = []
            assert copy.account.pending_events == ()

    def _check_conflict(self, copies: Sequence[Copy], error: ConcurrencyError) -> None:
        found = (error.originator_id, error.expected_version, error.actual_version)
        assert found == self._conflict(copies)
        pending = [len(copy.account.pending_events) for copy in copies]
        assert pending == [len(copy.pending) for copy in copies]

    def _check(self, id_: str) -> None:
        """Compare what is stored with the model."""
        facts = self.stored.get(id_, [])
        stream: Iterator[Any] = self.app.event_store.get_domain_events(id_)
        assert [event.originator_version for event in stream] == list(range(len(facts)))
        if not facts or facts[-1][0] == "discarded":
            assert id_ not in self.app.repository
            with pytest.raises(RepositoryKeyError):
                self.app.repository[id_]
            return
        assert id_ in self.app.repository
        account = self.app.repository.get(id_, Account)
        assert account.version == len(facts)
        assert account.owner == facts[0][1]
        assert account.balance == sum(value for name, value in facts if name == "balance")
        notes = [value for name, value in facts if name == "note"]
        assert identical(getattr(account, "note", None), notes[-1] if notes else None)


def run(place: Place, is_durable: bool, **options: Any) -> None:
    class Machine(ApplicationMachine):
        pass

    Machine.place, Machine.is_durable = place, is_durable
    run_state_machine_as_test(Machine, settings=settings(stateful_step_count=40, **options))


def test_an_application_does_what_its_model_does(backend: Backend, place: Place) -> None:
    run(place, backend.is_sql, max_examples=15)


@pytest.mark.parametrize("fault", [LastOneWins, HalfBatches, LosesTheLast])
def test_a_fault_of_the_adapter_is_found(fault: type[MemoryRecordManager]) -> None:
    """The control."""
    with pytest.raises((AssertionError, EventSourcingError, pytest.fail.Exception)):
        run(
            BrokenPlace(fault),
            is_durable=False,
            max_examples=200,
            derandomize=True,
            phases=[Phase.generate],
            report_multiple_bugs=False,
        )
