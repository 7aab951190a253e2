"""Leaves out the tests that need a server, make up their input, take long, or run only once."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

SERVERS = re.compile("postgresql|mariadb|.*server.*")  # not what is only named like one
LONG = re.compile(
    "processes|threads|savers_at_once|no_more_memory|_megabyte|_page|any_iterable|any_bounds"
    "|TestGaplessRecordManager|test_setting_up|flipped"
)


def is_left_out(item: pytest.Item) -> bool:
    """Tell whether a mutant need not survive a test."""
    fixtures: list[str] = getattr(item, "fixturenames", [])
    spec: Any = getattr(item, "callspec", None)
    params = {} if spec is None else spec.params
    names = [*fixtures, *(value for name, value in params.items() if name.endswith("backend"))]
    return (
        any(map(SERVERS.fullmatch, names))
        or LONG.search(item.nodeid.rpartition(".py::")[2]) is not None
        or getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect them."""
    config.hook.pytest_deselected(items=[item for item in items if is_left_out(item)])
    items[:] = [item for item in items if not is_left_out(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep temporary files where they can be removed: mutmut's processes do not clear up."""
    config.option.basetemp = Path(tempfile.gettempdir(), f"mutant-{os.getpid()}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove them."""
    shutil.rmtree(config.option.basetemp, ignore_errors=True)
