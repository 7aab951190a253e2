"""What the README has to show, and where. Its Python blocks are run too, see conftest.py."""

import hashlib
import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()
SYNOPSIS = "17c05c95854dcde9550e52eb1edd25b0b4a1a5ad8c412580bed0c29c977b643f"


def test_the_first_block_is_the_synopsis_to_the_letter() -> None:
    first = re.search(r"```python\n.*?```", README, re.DOTALL)

    assert first is not None
    assert hashlib.sha256(first.group().encode()).hexdigest() == SYNOPSIS


def test_the_two_commands_follow_the_synopsis() -> None:
    _, _, after = README.partition("## Synopsis")
    section = after.split("\n## ")[1]

    assert re.findall(r"^ {4}(make \w+)$", section, re.MULTILINE) == ["make demo", "make test"]


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)

    assert links
    assert [link for link in links if not (Path(__file__).parents[1] / link).exists()] == []
