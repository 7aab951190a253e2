"""The checker sees what it is for: each kind of fault, planted into a history without one."""

import pytest

from tests.races.checker import (
    Entry,
    Movement,
    Save,
    anomalies,
    bank_anomalies,
    feed_anomalies,
)

A0, A1, A2 = Entry("a", "s", 0), Entry("b", "s", 1), Entry("c", "s", 2)
RIVAL = Entry("r", "s", 0)

SAVES = [
    Save((A0,), "ok", invoked=1, answered=4),
    Save((RIVAL,), "fail", invoked=2, answered=5),
    Save((A1, A2), "ok", invoked=6, answered=7),
]
STORED = [A0, A1, A2]


def test_a_history_without_faults_has_no_anomalies() -> None:
    assert anomalies(SAVES, STORED) == []


def test_nothing_at_all_has_no_anomalies() -> None:
    assert anomalies([], []) == []


def test_a_lost_save_is_seen() -> None:
    assert anomalies(SAVES, [A0]) == [f"acknowledged, but not stored: {(A1, A2)}"]


def test_a_save_lost_in_part_is_seen() -> None:
    assert anomalies(SAVES, [A0, A1]) == [f"acknowledged, but not stored: {(A1, A2)}"]


def test_a_refused_save_that_is_stored_is_seen() -> None:
    saves = [*SAVES[:2], Save((A1, A2), "fail")]
    assert anomalies(saves, STORED) == [f"refused, but stored: {(A1, A2)}"]


def test_an_unanswered_save_may_be_stored_or_not() -> None:
    saves = [*SAVES[:2], Save((A1, A2), "unknown")]
    assert anomalies(saves, STORED) == []
    assert anomalies(saves, [A0]) == []


def test_an_unanswered_save_that_is_stored_in_part_is_seen() -> None:
    saves = [*SAVES[:2], Save((A1, A2), "unknown")]
    assert anomalies(saves, [A0, A1]) == [f"stored in part: {(A1, A2)}"]


def test_two_events_at_one_position_are_seen() -> None:
    saves = [SAVES[0], Save((RIVAL,), "unknown"), SAVES[2]]
    assert anomalies(saves, [A0, RIVAL, A1, A2]) == ["position stored 2 times: ('s', 0)"]


def test_an_event_stored_twice_is_seen() -> None:
    again = A2._replace(position=3)
    saves = [*SAVES, Save((again,), "unknown")]
    assert anomalies(saves, [*STORED, again]) == ["event stored 2 times: c"]


def test_an_event_that_nobody_wrote_is_seen() -> None:
    alien = Entry("x", "t", 0)
    assert anomalies(SAVES, [*STORED, alien]) == [f"stored, but never written there: {alien}"]


def test_an_event_at_another_position_is_seen() -> None:
    moved = A2._replace(position=3)
    assert anomalies(SAVES, [A0, A1, moved]) == [
        f"stored, but never written there: {moved}",
        "s has gaps",
    ]


def test_a_gap_is_seen() -> None:
    assert anomalies(SAVES[2:], [A1, A2]) == ["s has gaps"]


def test_a_stream_out_of_order_in_the_feed_is_seen() -> None:
    assert anomalies(SAVES, [A1, A0, A2]) == ["the feed has s out of order"]


def test_two_winners_are_seen_where_one_overwrote_the_other() -> None:
    saves = [SAVES[0], Save((RIVAL,), "ok", invoked=2, answered=5), SAVES[2]]
    assert anomalies(saves, STORED) == [
        f"acknowledged, but not stored: {(RIVAL,)}",
        "2 winners of position ('s', 0)",
    ]


def test_a_save_before_what_was_acknowledged_earlier_is_seen() -> None:
    saves = [Save((A0,), "ok", invoked=8, answered=9), SAVES[2]]
    assert anomalies(saves, STORED) == ["s at 0 was saved after what follows it"]


def test_streams_do_not_depend_on_each_other() -> None:
    other = Entry("o", "t", 0)
    saves = [*SAVES, Save((other,), "ok", invoked=8, answered=9)]
    assert anomalies(saves, [other, *STORED]) == []


# -- a bank ------------------------------------------------------------------------------

BANK = [
    Movement("a", 1, -30, -30, seen=0, mark=71),
    Movement("b", 1, 30, 30, seen=0, mark=72),
    Movement("b", 2, -10, 20, seen=72, mark=73),
    Movement("a", 2, 10, -20, seen=71, mark=74),
]


def test_a_bank_whose_balances_follow_from_each_other_has_no_anomalies() -> None:
    assert bank_anomalies(BANK) == []


def test_a_lost_update_is_seen() -> None:
    """Both transfers were made of the balances of 0, and the second forgot the first."""
    second = [Movement("b", 2, -10, -10, 0, 73), Movement("a", 2, 10, 10, 0, 74)]

    assert bank_anomalies([*BANK[:2], *second]) == [
        "lost update: b at 2 has -10, where 20 should be",
        "lost update: a at 2 has 10, where -20 should be",
    ]


def test_a_lost_update_that_leaves_its_mark_on_the_total_is_seen() -> None:
    found = bank_anomalies([*BANK[:3], Movement("a", 2, 10, 10, 0, 74)])

    assert found == [
        "lost update: a at 2 has 10, where -20 should be",
        "the balances add up to 30, where 0 should be",
    ]


def test_a_lost_update_that_leaves_all_balances_right_is_seen() -> None:
    nothing = [Movement("c", 1, 0, 0, 0, 1), Movement("c", 2, 0, 0, 1, 2)]
    stale = Movement("c", 3, 0, 0, seen=1, mark=3)

    assert bank_anomalies([*BANK, *nothing]) == []
    assert bank_anomalies([*BANK, *nothing, stale]) == [
        "lost update: c at 3 follows the mark 1, where 2 was"
    ]


def test_half_of_a_transfer_is_seen() -> None:
    assert bank_anomalies(BANK[:3]) == [
        "the movements add up to -10, where 0 should be",
        "the balances add up to -10, where 0 should be",
    ]


# -- readers of the feed -----------------------------------------------------------------

PLACES = [(1, "s", 0), (2, "t", 0), (4, "s", 1), (5, "s", 2)]


def test_a_reader_that_meets_each_event_once_in_order_has_no_anomalies() -> None:
    assert feed_anomalies(SAVES, PLACES, PLACES) == []


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ([*PLACES[:1], *PLACES[2:]], ["missed: (2, 't', 0)"]),
        (
            [*PLACES, PLACES[1]],
            ["read 2 times: (2, 't', 0)", "read after what follows it: (2, 't', 0)"],
        ),
        ([*PLACES, (6, "s", 3)], ["read, but not stored: (6, 's', 3)"]),
        (
            [PLACES[1], PLACES[0], *PLACES[2:]],
            ["read after what follows it: (1, 's', 0)"],
        ),
    ],
    ids=["skipped", "twice", "from nowhere", "backwards"],
)
def test_a_reader_that_goes_wrong_is_seen(
    read: list[tuple[int, str, int]], found: list[str]
) -> None:
    assert feed_anomalies([], PLACES, read) == found


def test_a_save_that_is_read_before_what_was_acknowledged_earlier_is_seen() -> None:
    later = Save((Entry("o", "t", 0),), "ok", invoked=9, answered=10)

    assert feed_anomalies([*SAVES, later], PLACES, PLACES) == [
        "position 2 was saved after what was read behind it"
    ]
