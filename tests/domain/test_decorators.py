"""retry and mutator."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from eventsourcing.domain.model.decorators import mutator, retry
from eventsourcing.domain.model.events import DomainEvent
from eventsourcing.exceptions import ConcurrencyError, ProgrammingError


class Raised(DomainEvent):
    by: int


class Lowered(DomainEvent):
    by: int


class Failing:
    """A command that fails a given number of times."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left = failures
        self.error = error
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error
        return args, kwargs


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept, instead of sleeping. Chance takes the upper bound."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("random.uniform", lambda low, high: (low, high)[1])
    return slept


def conflict() -> ConcurrencyError:
    return ConcurrencyError("somebody was quicker")


def test_a_command_that_succeeds_is_called_once(naps: list[float]) -> None:
    command = Failing(0, conflict())

    assert retry(ConcurrencyError)(command)(1, b=2) == ((1,), {"b": 2})
    assert (command.calls, naps) == (1, [])


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_command_that_fails_is_repeated(failures: int, naps: list[float]) -> None:
    command = Failing(failures, conflict())

    assert retry(ConcurrencyError, max_retries=3)(command)("a") == (("a",), {})
    assert (command.calls, len(naps)) == (failures + 1, failures)


def test_after_max_retries_the_last_error_is_raised(naps: list[float]) -> None:
    command, error = Failing(99, (error := conflict())), error

    with pytest.raises(ConcurrencyError) as caught:
        retry(ConcurrencyError, max_retries=3)(command)()

    assert caught.value is error
    assert (command.calls, len(naps)) == (4, 3)


def test_max_retries_0_calls_once(naps: list[float]) -> None:
    command = Failing(1, conflict())

    with pytest.raises(ConcurrencyError):
        retry(ConcurrencyError, max_retries=0)(command)()

    assert (command.calls, naps) == (1, [])


def test_another_error_is_raised_at_once(naps: list[float]) -> None:
    command = Failing(1, ValueError())

    with pytest.raises(ValueError, match=r"^$"):
        retry(ConcurrencyError)(command)()

    assert (command.calls, naps) == (1, [])


def test_several_classes_of_errors_may_be_given(naps: list[float]) -> None:
    command = Failing(1, ValueError())

    retry((ConcurrencyError, ValueError))(command)()

    assert command.calls == 2


def test_the_longest_wait_doubles_each_time(naps: list[float]) -> None:
    with pytest.raises(ConcurrencyError):
        retry(ConcurrencyError, max_retries=4, wait=0.5)(Failing(9, conflict()))()

    assert naps == [0.5, 1.0, 2.0, 4.0]


def test_the_wait_is_anything_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    ranges: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return 0.0

    monkeypatch.setattr("random.uniform", uniform)
    retry(ConcurrencyError, max_retries=2, wait=0.5)(Failing(2, conflict()))()

    assert ranges == [(0, 0.5), (0, 1.0)]


def test_the_decorated_command_keeps_its_name_and_works_as_a_method(naps: list[float]) -> None:
    class Service:
        calls = 0

        @retry(ConcurrencyError)
        def work(self, amount: int) -> int:
            """Works."""
            self.calls += 1
            if self.calls < 3:
                raise conflict()
            return amount

    service = Service()

    assert service.work(5) == 5
    assert (Service.work.__name__, Service.work.__doc__) == ("work", "Works.")


@pytest.mark.parametrize(
    "use",
    [
        lambda: retry(lambda: None),  # type: ignore[arg-type]
        lambda: retry([ConcurrencyError]),  # type: ignore[arg-type]
        lambda: retry((ConcurrencyError, 3)),  # type: ignore[arg-type]
        lambda: retry("ConcurrencyError"),  # type: ignore[arg-type]
    ],
)
def test_retry_takes_exception_classes(use: Callable[[], Any]) -> None:
    with pytest.raises(ProgrammingError, match="@retry takes exception classes, as in"):
        use()


@pytest.mark.parametrize("arguments", [{"max_retries": -1}, {"wait": -0.1}])
def test_retry_takes_no_negative_numbers(arguments: dict[str, Any]) -> None:
    with pytest.raises(ProgrammingError, match="cannot be negative"):
        retry(ConcurrencyError, **arguments)


def test_retry_refuses_a_coroutine_which_it_could_not_repeat() -> None:
    async def coroutine() -> None: ...

    with pytest.raises(ProgrammingError, match="plain functions, not onto coroutines"):
        retry(ConcurrencyError)(coroutine)


@mutator
def level(state: int, event: DomainEvent) -> int:
    raise NotImplementedError(type(event))


@level.register(Raised)
def _raise(state: int, event: Raised) -> int:
    return state + event.by


@level.register(Lowered)
def _lower(state: int, event: Lowered) -> int:
    return state - event.by


def test_a_mutator_has_a_case_for_each_class_of_event() -> None:
    assert functools.reduce(level, [Raised(by=5), Lowered(by=2)], 0) == 3


def test_a_mutator_takes_an_event_of_a_subclass_by_the_case_of_its_base() -> None:
    class RaisedALot(Raised):
        pass

    assert level(1, RaisedALot(by=9)) == 10


def test_a_mutator_without_a_case_does_what_the_function_says() -> None:
    with pytest.raises(NotImplementedError, match="DomainEvent"):
        level(0, DomainEvent())
