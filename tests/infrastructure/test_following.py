"""What a subscription does next, without a feed and without a clock."""

import pytest

from eventsourcing.exceptions import DatabaseUnavailable, ReadOnlyDatabase
from eventsourcing.infrastructure.following import Following, Pause


@pytest.fixture
def following() -> Following:
    return Following(start=5, shortest=1, longest=10)


def test_it_begins_at_its_start(following: Following) -> None:
    assert (following.position, following.next_position) == (4, 5)


def test_it_goes_on_behind_what_was_handed_on(following: Following) -> None:
    following.handed_on(7)
    assert following.next_position == 8


def test_it_goes_on_behind_what_was_read_though_nothing_was_wanted(following: Following) -> None:
    following.read_to(9)
    assert following.next_position == 10


def test_it_never_goes_back(following: Following) -> None:
    following.handed_on(7)
    following.read_to(3)
    assert following.next_position == 8


def test_who_finds_nothing_waits_longer_and_longer(following: Following) -> None:
    pauses = [following.read_to(4) for _ in range(6)]
    assert pauses == [Pause(seconds, True) for seconds in (1, 2, 4, 8, 10, 10)]


def test_news_makes_it_look_often_again(following: Following) -> None:
    for _ in range(6):
        following.read_to(4)
    following.heard_news()
    assert following.read_to(4) == Pause(1, True)


def test_who_finds_something_waits_for_a_moment_whatever_comes(following: Following) -> None:
    for _ in range(6):
        following.read_to(4)
    following.handed_on(5)
    assert [following.read_to(5), following.read_to(5)] == [Pause(1, False), Pause(1, True)]


def test_what_fails_is_tried_again_with_longer_and_longer_pauses(following: Following) -> None:
    error = DatabaseUnavailable()
    pauses = [following.failed(error) for _ in range(5)]
    assert pauses == [Pause(seconds, False) for seconds in (1, 2, 4, 5, 5)]
    assert following.error is error
    assert following.next_position == 5


def test_a_success_ends_the_failures(following: Following) -> None:
    following.failed(DatabaseUnavailable())
    following.failed(DatabaseUnavailable())
    following.read_to(4)
    assert following.error is None
    assert following.failed(DatabaseUnavailable()) == Pause(1, False)


def test_an_error_that_does_not_pass_is_raised(following: Following) -> None:
    error = ReadOnlyDatabase()
    with pytest.raises(ReadOnlyDatabase) as caught:
        following.failed(error)
    assert caught.value is error
