"""All scenarios, in the order of the table."""

from collections.abc import Iterator
from importlib import import_module

from tests.faults.scenario import Scenario

__all__ = ["MODULES", "scenarios"]

MODULES = (
    "client_killed",
    "server_killed",
    "answer_cut",
    "powerloss",
    "fulldisk",
    "locks",
    "deadlocks",
    "hot_streams",
    "clock_stepped",
    "feed",
    "interruptions",
    "projections",
    "size",
    "quorum",
    "galera",
    "fuzzing",
)
"""In ``tests.faults.scenarios``; each has ``SCENARIOS``."""


def scenarios() -> Iterator[Scenario]:
    """Yield the scenarios of all modules."""
    for module in MODULES:
        yield from import_module(f"tests.faults.scenarios.{module}").SCENARIOS
