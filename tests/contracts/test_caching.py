"""The cache of aggregates on each record manager, by its contract."""

from tests.contracts.caching import CachingContract, DurableCachingContract


class TestCaching(CachingContract):
    """On every backend."""


class TestDurableCaching(DurableCachingContract):
    """On every SQL backend."""
