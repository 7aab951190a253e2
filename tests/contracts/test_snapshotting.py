"""Snapshots on each record manager, by their contract."""

from tests.contracts.snapshotting import SnapshottingContract


class TestSnapshotting(SnapshottingContract):
    """On every backend."""
