"""The feed on each record manager, by its contract."""

from tests.contracts.feed import DurableFeedContract, FeedContract


class TestFeed(FeedContract):
    """On every backend."""


class TestDurableFeed(DurableFeedContract):
    """On every SQL backend."""
