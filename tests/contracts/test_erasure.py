"""Personal data on each record manager, by its contract."""

from tests.contracts.erasure import DurableErasureContract, ErasureContract


class TestErasure(ErasureContract):
    """On every backend."""


class TestDurableErasure(DurableErasureContract):
    """On every SQL backend."""
