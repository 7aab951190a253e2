"""Payloads on each backend, by their contract."""

from tests.contracts.payloads import LargePayloadContract, PayloadContract, values

__all__ = ["TestLargePayload", "TestPayload", "values"]


class TestPayload(PayloadContract):
    """On every backend."""


class TestLargePayload(LargePayloadContract):
    """On every backend."""
