"""The application on each record manager, by its contract."""

from tests.contracts.application import ApplicationContract, DurableApplicationContract


class TestApplication(ApplicationContract):
    """On every backend."""


class TestDurableApplication(DurableApplicationContract):
    """On every SQL backend."""
