"""Rows of the past on each record manager, by their contract."""

from tests.contracts.evolution import EvolutionContract


class TestEvolution(EvolutionContract):
    """On every backend."""
