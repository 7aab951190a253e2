"""No Python in the README or the documentation escapes being run."""

import re
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
