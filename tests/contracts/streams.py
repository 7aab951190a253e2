"""What every port promises of streams: the record manager's, and the event store's above it."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from uuid import UUID

import pytest

from eventsourcing.exceptions import ApplicationClosedError, InvalidOriginatorID
from tests.contracts.places import Id

PAGE = 1000
"""The most that any adapter reads at once."""

UUID_1 = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
DISTINCT_IDS: list[Id] = [
    *("a", "A", "a a", "a  a", "aa"),
    *("\u00e9", "e\u0301", "\u00c9", "e"),
    *("ss", "\u00df", "\u0130", "i", "\U0001f600", "\U0001f601"),
    *(5, "5", -5, "-5", "#5", "'5", "#", "'", "''", "'#5", "05", "#05"),
    *(0, "0", 2**63 - 1, -(2**63), str(2**63 - 1)),
    *(UUID_1, str(UUID_1), str(UUID_1).upper(), UUID_1.hex, f"'{UUID_1}", f"#{UUID_1}"),
    *("None", "NULL", "%", "_", "a%", "\\", '"', "--", "?", "%s", ":sequence"),
    *("x" * 255, "x" * 254, "\U0001f600" * 255),
]
REFUSED_IDS: list[Id] = [
    *("", " ", "a ", " a", "a\n", "a\0", "\ud800", "\u200b", "x" * 256),
    *(2**63, -(2**63) - 1, True),
]


class Port(Protocol):
    """The least that is common to the ports: append to streams, and read them."""

    @property
    def conflict(self) -> type[Exception]:
        """What a position that is taken raises."""

    @property
    def disorder(self) -> type[Exception]:
        """What a batch raises that has a position twice."""

    @property
    def overflow(self) -> type[Exception]:
        """What a position of more than 63 bits raises."""

    def append(self, *places: tuple[Id, int]) -> None:
        """Append one event at each place, a stream and a position, in one go."""

    def read(self, stream: Id, **bounds: Any) -> Iterator[tuple[Id, int]]:
        """Read a stream."""

    @property
    def close(self) -> Callable[[], None]:
        """Close the port."""


class StreamContract:
    """Streams that keep what they are given, in order. Subclasses give the fixture `port`."""

    # -- reading

    def test_a_stream_without_events_is_empty(self, port: Port) -> None:
        assert list(port.read("s")) == []

    def test_a_stream_is_read_by_ascending_position(self, port: Port) -> None:
        for position in (0, 1, 2):
            port.append(("s", position))
        assert positions(port) == [0, 1, 2]

    def test_a_stream_is_read_backwards(self, port: Port) -> None:
        fill(port, 3)
        assert positions(port, is_ascending=False) == [2, 1, 0]

    def test_a_read_is_an_iterator_to_be_used_once(self, port: Port) -> None:
        fill(port, 3)
        read = port.read("s")
        assert (len(list(read)), len(list(read))) == (3, 0)

    def test_any_bounds_limit_and_direction_give_what_they_say(self, port: Port) -> None:
        fill(port, 5)
        cases = list(every_bounds())
        found = {str(case): positions(port, **case) for case in cases}
        assert found == {str(case): within(range(5), **case) for case in cases}

    @pytest.mark.parametrize("is_ascending", [True, False])
    def test_a_limit_near_the_size_of_a_page_is_kept(self, port: Port, is_ascending: bool) -> None:
        fill(port, 2 * PAGE + 1)
        limits = [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 1, 2 * PAGE + 2, None]
        found = [positions(port, limit=n, is_ascending=is_ascending) for n in limits]
        everything = within(range(2 * PAGE + 1), is_ascending=is_ascending)
        assert found == [everything[:n] for n in limits]

    @pytest.mark.parametrize("is_ascending", [True, False])
    def test_bounds_hold_on_every_page(self, port: Port, is_ascending: bool) -> None:
        fill(port, 2 * PAGE + 1)
        bounds: dict[str, Any] = {"gt": 1, "lte": 2 * PAGE - 1, "is_ascending": is_ascending}
        assert positions(port, **bounds) == within(range(2 * PAGE + 1), **bounds)

    @pytest.mark.parametrize("far", [2**31, 2**63 - 1, 2**63, 2**64, 10**30])
    def test_bounds_may_be_far_beyond_any_position(self, port: Port, far: int) -> None:
        fill(port, 2)
        cases: list[dict[str, Any]] = [{name: n} for name in BOUNDS for n in (far, -far)]
        found = {str(case): positions(port, **case) for case in cases}
        assert found == {str(case): within(range(2), **case) for case in cases}

    def test_what_is_appended_while_a_stream_is_read_leaves_no_gap(self, port: Port) -> None:
        fill(port, PAGE + 1)
        read = port.read("s")
        next(read)
        port.append(("s", PAGE + 1), ("s", PAGE + 2))
        later = [position for _, position in read]
        assert later[:PAGE] == list(range(1, PAGE + 1))
        assert later == list(range(1, len(later) + 1))

    # -- ids

    def test_similar_ids_are_different_streams(self, port: Port) -> None:
        for n, stream in enumerate(DISTINCT_IDS):
            port.append((stream, n))
        found = [list(port.read(stream)) for stream in DISTINCT_IDS]
        assert found == [[(stream, n)] for n, stream in enumerate(DISTINCT_IDS)]

    def test_an_id_comes_back_with_its_type(self, port: Port) -> None:
        for stream in DISTINCT_IDS:
            port.append((stream, 0))
        found = [type(id_) for stream in DISTINCT_IDS for id_, _ in port.read(stream)]
        assert found == [type(stream) for stream in DISTINCT_IDS]

    @pytest.mark.parametrize("stream", REFUSED_IDS, ids=ascii)
    def test_what_is_no_id_is_not_read(self, port: Port, stream: Id) -> None:
        with pytest.raises(InvalidOriginatorID):
            list(port.read(stream))

    def test_what_is_no_id_is_not_stored(self, port: Port) -> None:
        refused = []
        for stream in REFUSED_IDS:
            try:
                port.append(("s", 0), (stream, 0))
            except InvalidOriginatorID:
                refused.append(stream)
        assert refused == REFUSED_IDS
        assert positions(port) == []

    # -- writing

    def test_nothing_may_be_appended(self, port: Port) -> None:
        port.append()
        assert positions(port) == []

    def test_a_position_is_taken_once(self, port: Port) -> None:
        fill(port, 2)
        with pytest.raises(port.conflict):
            port.append(("s", 1))
        assert positions(port) == [0, 1]

    def test_after_a_conflict_the_port_goes_on(self, port: Port) -> None:
        fill(port, 1)
        with pytest.raises(port.conflict):
            port.append(("s", 0), ("s", 1))
        port.append(("s", 1), ("s", 2))
        assert positions(port) == [0, 1, 2]

    @pytest.mark.parametrize("taken", [1, 2, 3], ids=["first", "middle", "last"])
    def test_a_batch_with_a_clash_leaves_nothing(self, port: Port, taken: int) -> None:
        port.append(("s", taken))
        with pytest.raises(port.conflict):
            port.append(("s", 1), ("s", 2), ("s", 3))
        assert positions(port) == [taken]

    @pytest.mark.parametrize("batch", [(0, 0), (0, 1, 1), (0, 1, 0, 2)], ids=str)
    def test_a_batch_that_clashes_with_itself_leaves_nothing(
        self, port: Port, batch: Sequence[int]
    ) -> None:
        with pytest.raises(port.disorder):
            port.append(*[("s", position) for position in batch])
        assert positions(port) == []

    def test_a_batch_may_be_of_several_streams(self, port: Port) -> None:
        port.append(("a", 0), ("b", 0), ("a", 1), (5, 7))
        assert [list(port.read(stream)) for stream in ("a", "b", 5)] == [
            [("a", 0), ("a", 1)],
            [("b", 0)],
            [(5, 7)],
        ]

    @pytest.mark.parametrize("taken", ["a", "b", "c"])
    def test_a_clash_in_one_stream_leaves_nothing_in_any(self, port: Port, taken: str) -> None:
        port.append((taken, 0))
        with pytest.raises(port.conflict):
            port.append(("a", 0), ("b", 0), ("c", 0))
        assert [stream for stream in "abc" if list(port.read(stream))] == [taken]

    def test_a_batch_may_be_longer_than_a_page(self, port: Port) -> None:
        fill(port, 3 * PAGE + 1)
        assert positions(port) == list(range(3 * PAGE + 1))

    # -- positions

    def test_positions_have_63_bits(self, port: Port) -> None:
        wide = [2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 2, 2**63 - 1]
        for position in wide:
            port.append(("s", position))
        assert positions(port) == wide
        assert positions(port, gt=2**63 - 2) == [2**63 - 1]

    @pytest.mark.parametrize("batch", [(2**63,), (0, 2**63), (0, 2**64, 1)], ids=str)
    def test_a_position_of_more_bits_is_refused(self, port: Port, batch: Sequence[int]) -> None:
        with pytest.raises(port.overflow):
            port.append(*[("s", position) for position in batch])
        assert positions(port) == []

    # -- the end

    def test_a_closed_port_refuses_to_work(self, port: Port) -> None:
        port.close()
        with pytest.raises(ApplicationClosedError):
            port.append(("s", 0))
        with pytest.raises(ApplicationClosedError):
            list(port.read("s"))

    def test_a_port_may_be_closed_twice(self, port: Port) -> None:
        port.close()
        port.close()


class DurableContract:
    """Events that outlive whoever stored them. Subclasses give the fixture `open_port`."""

    def test_what_was_stored_is_there_after_reopening(self, open_port: Callable[[], Port]) -> None:
        first = open_port()
        first.append(*[(stream, 0) for stream in DISTINCT_IDS])
        first.close()
        found = [list(open_port().read(stream)) for stream in DISTINCT_IDS]
        assert found == [[(stream, 0)] for stream in DISTINCT_IDS]

    def test_a_position_stays_taken_after_reopening(self, open_port: Callable[[], Port]) -> None:
        first = open_port()
        first.append(("s", 0))
        first.close()
        second = open_port()
        with pytest.raises(second.conflict):
            second.append(("s", 0))
        assert positions(second) == [0]

    def test_ports_of_one_place_see_each_others_events(self, open_port: Callable[[], Port]) -> None:
        first, second = open_port(), open_port()
        first.append(("s", 0))
        second.append(("s", 1))
        assert [positions(first), positions(second)] == [[0, 1], [0, 1]]


BOUNDS = ("gt", "gte", "lt", "lte")


def fill(port: Port, count: int) -> None:
    """Append ``count`` events to the stream "s", as one batch."""
    port.append(*[("s", position) for position in range(count)])


def positions(port: Port, **bounds: Any) -> list[int]:
    """Return the positions of the stream "s" within the bounds."""
    return [position for _, position in port.read("s", **bounds)]


def every_bounds() -> Iterator[dict[str, Any]]:
    """Yield combinations of all bounds, contradictory ones too, with limits and directions."""
    names = (*BOUNDS, "limit", "is_ascending")
    edges = [None, 1, 3]
    values: list[list[Any]] = [edges, edges, edges, edges, [None, 0, 1, 2, 9], [True, False]]
    for chosen in itertools.product(*values):
        yield dict(zip(names, chosen, strict=True))


def within(
    available: Sequence[int],
    gt: int | None = None,
    gte: int | None = None,
    lt: int | None = None,
    lte: int | None = None,
    limit: int | None = None,
    is_ascending: bool = True,
) -> list[int]:
    """Return those of the positions that a read with these bounds is to give."""
    found = [
        n
        for n in available
        if (gt is None or n > gt)
        and (gte is None or n >= gte)
        and (lt is None or n < lt)
        and (lte is None or n <= lte)
    ]
    return (found if is_ascending else found[::-1])[:limit]
