"""Applications in threads and in asyncio tasks: each has its own active ones."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import AmbiguousApplicationError, ApplicationClosedError
from tests.application.stores import Counter, memory_app, stored

T = TypeVar("T")


def in_a_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def count_to_three() -> Counter:
    counter = Counter.create()
    for _ in range(3):
        counter.increase()
        counter.save()
    return counter


def test_each_thread_has_the_application_of_its_own_block() -> None:
    both_are_open = threading.Barrier(2)
    both_are_done = threading.Barrier(2)

    def work(app: SimpleApplication) -> tuple[Counter, list[str]]:
        with app:
            both_are_open.wait()
            counter = count_to_three()
            both_are_done.wait()
            return counter, stored(app, counter)

    with ThreadPoolExecutor(2) as pool:
        (one, of_one), (other, of_other) = pool.map(work, [memory_app(), memory_app()])

    assert one.id != other.id
    assert of_one == of_other == ["Created", *["Increased"] * 3]


def test_a_block_of_one_thread_is_not_active_in_another() -> None:
    with (
        memory_app("first"),
        memory_app("second"),
        pytest.raises(AmbiguousApplicationError, match="first, second"),
    ):
        in_a_thread(count_to_three)


def test_a_thread_without_a_block_uses_the_only_open_application() -> None:
    with memory_app() as app:
        counter = in_a_thread(count_to_three)

        assert stored(app, counter) == ["Created", *["Increased"] * 3]


def test_an_aggregate_takes_its_application_along_into_another_thread() -> None:
    with memory_app() as app, memory_app(), app:
        counter = Counter.create()
        in_a_thread(counter.save)

        assert stored(app, counter) == ["Created"]


def test_threads_that_share_an_application_store_each_event_once() -> None:
    with memory_app() as app, ThreadPoolExecutor(8) as pool:
        counters = list(pool.map(lambda _: count_to_three(), range(32)))

        assert [len(stored(app, counter)) for counter in counters] == [4] * 32


# -- asyncio ------------------------------------------------------------------------------


async def count_slowly(app: SimpleApplication | None = None) -> Counter:
    """Counts to three, in the block of `app` if there is one, and lets others work between."""
    if app is not None:
        with app:
            counter = await count_slowly()
            assert stored(app, counter) == ["Created", *["Increased"] * 3]
            return counter
    counter = Counter.create()
    for _ in range(3):
        await asyncio.sleep(0)
        counter.increase()
        counter.save()
    return counter


def test_each_of_two_tasks_has_the_application_of_its_own_block() -> None:
    async def main() -> tuple[Counter, Counter]:
        return await asyncio.gather(count_slowly(memory_app()), count_slowly(memory_app()))

    one, other = asyncio.run(main())

    assert one.id != other.id


def test_a_task_has_the_application_of_the_block_in_which_it_was_started() -> None:
    async def main() -> None:
        with memory_app() as outer, memory_app() as inner:
            counters = await asyncio.gather(count_slowly(), count_slowly())

            assert [stored(inner, c) for c in counters] == [["Created", *["Increased"] * 3]] * 2
            assert [stored(outer, c) for c in counters] == [[], []]

    asyncio.run(main())


def test_a_block_inside_a_task_is_not_active_in_the_task_that_started_it() -> None:
    async def main() -> None:
        with memory_app() as mine:
            started = asyncio.create_task(count_slowly(memory_app()))
            await asyncio.sleep(0)
            counter = Counter.create()
            counter.save()
            await started

            assert stored(mine, counter) == ["Created"]

    asyncio.run(main())


def test_a_task_that_outlives_the_block_finds_its_application_closed() -> None:
    async def main() -> None:
        with memory_app("first"):
            task = asyncio.create_task(count_slowly())
            await asyncio.sleep(0)
        with pytest.raises(ApplicationClosedError, match="first, to which the aggregate belongs"):
            await task

    asyncio.run(main())


def test_a_task_that_is_started_in_a_block_and_runs_after_it_does_not_use_it() -> None:
    async def main() -> None:
        with memory_app("first"):
            task = asyncio.create_task(count_slowly())
        with memory_app("second") as second:
            counter = await task

            assert stored(second, counter) == ["Created", *["Increased"] * 3]

    asyncio.run(main())


def test_to_thread_takes_the_application_along() -> None:
    async def main() -> None:
        with memory_app() as app, memory_app() as inner:
            counter = await asyncio.to_thread(count_to_three)

            assert (len(stored(app, counter)), len(stored(inner, counter))) == (0, 4)

    asyncio.run(main())
