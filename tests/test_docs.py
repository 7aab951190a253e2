"""What the documentation promises: its Python is run, all of it, and the names that it calls public
are there.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# How a block of Python could be fenced so that the parser in conftest.py does not see it.
ESCAPES = re.compile(
    r"^[ >]*(?:`{3,}|~{3,}) *(?:(?:\{[\w-]+\} *)(?:py|python)|py|pycon|python3)\b"
    r"|^[ >]*(?:`{4,}|~{3,}) *python\b"
    r"|<!--.*skip",
    flags=re.MULTILINE | re.IGNORECASE,
)


def pages() -> Iterator[Path]:
    yield ROOT / "README.md"
    yield from (path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_is_marked_python(page: Path) -> None:
    assert ESCAPES.findall(page.read_text()) == []


@pytest.mark.parametrize(
    "text",
    ["```py\n", "```{code-block} python\n", "~~~python\n", "> ```pycon\n", "<!-- skip: next -->"],
)
def test_control_an_escaping_block_is_found(text: str) -> None:
    assert ESCAPES.search(f"Some text.\n\n{text}")


FORGETFUL = """
```python
from eventsourcing.application.simple import SimpleApplication
app = SimpleApplication(uri="sqlite://")
```

```python
assert "x" not in app.repository
```
"""
TIDY = """
```python
from eventsourcing.domain.model.events import assert_event_handlers_empty
assert_event_handlers_empty()
```
"""


def test_a_page_that_forgets_to_close_fails_and_no_other(tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(FORGETFUL)
    (tmp_path / "docs" / "b.md").write_text(TIDY)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", tmp_path, "docs"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert re.findall(r"^ERROR (\S+)", done.stdout, re.MULTILINE) == ["docs/a.md::line:7,column:1"]
    assert "3 passed, 1 error" in done.stdout


PUBLIC = re.findall(
    r"^\| `([\w.]+)` \| (`.*`) \|$", (ROOT / "docs/reference/api.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("module", "names"), PUBLIC, ids=[module for module, _ in PUBLIC])
def test_the_public_names_are_those_of_their_modules(module: str, names: str) -> None:
    exported = importlib.import_module(f"eventsourcing.{module}").__all__

    assert set(re.findall(r"\w+", names)) - set(exported) == set()
