"""Run every Python block of the README and of the documentation as a test.

The blocks of one page share a namespace and run in order, so a page reads and runs from top to
bottom. There is no way to leave one out.
"""

import os

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md", "docs/**/*.md"],
).pytest()

# Applications made without a URI use the one in this variable, which is the developer's.
os.environ.pop("DB_URI", None)
