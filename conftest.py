"""Run every Python block of the README and of the documentation as a test.

The blocks of one page share a namespace and run in order, so a page reads and runs from top to
bottom. There is no way to leave one out. A page that leaves something open fails at its last block.
"""

import gc
import os
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.leftovers import refuse_leftovers


def end_of_page(namespace: dict[str, Any]) -> None:
    """Fail for what the page left open, and let go of its objects before another page begins."""
    try:
        refuse_leftovers()
    finally:
        namespace.clear()
        gc.collect()  # a connection that was not closed warns here, and not in some later test


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    teardown=end_of_page,
).pytest()

# Applications made without a URI use the one in this variable, which is the developer's.
os.environ.pop("DB_URI", None)
