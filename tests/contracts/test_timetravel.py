"""The past of aggregates on each record manager, by its contract."""

from tests.contracts.timetravel import LongHistoryContract, TimeTravelContract


class TestTimeTravel(TimeTravelContract):
    """On every backend."""


class TestLongHistory(LongHistoryContract):
    """On every SQL backend."""
