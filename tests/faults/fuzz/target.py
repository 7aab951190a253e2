"""What a target of the fuzzer is, and what is wrong with one input."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil import tz

__all__ = ["Target", "Wrong", "probe", "text_of"]

# Zones of time are found in a package of data, if there is one.
_DATA = ("tzdata",)

# What these import when they find no zone is not of the input's choice.
with suppress(ZoneInfoNotFoundError):
    ZoneInfo("Europe/Nowhere")
tz.gettz("Europe/Nowhere")
# Nor is what unpacks Zstandard, which the library imports when it first meets it.
for module in ("compression.zstd", "backports.zstd"):
    with suppress(ImportError):
        import_module(module)


class Wrong(Exception):
    """The library took what it should not, or does not keep what it took."""


@dataclass(frozen=True)
class Target:
    """One way in for what others wrote.

    Attributes:
        name: a word, for the command line.
        read: gives an input to the library. The documented errors are caught here, and nothing
            else: whatever comes out of it is a finding.
        seeds: inputs to begin with, mostly such as the library takes.
        imports: packages of which an input may have modules imported.
    """

    name: str
    read: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    imports: tuple[str, ...] = ()


def probe(target: Target, data: bytes) -> None:
    """Gives an input to a target.

    Raises:
        Wrong: a module was imported that is not below the target's packages, or the target says so.
        Exception: what the target did not expect.
    """
    before = len(sys.modules), set(sys.modules)
    target.read(data)
    if len(sys.modules) == before[0]:
        return
    allowed = (*target.imports, *_DATA)
    for name in sys.modules.keys() - before[1]:
        if not any(name == package or name.startswith(f"{package}.") for package in allowed):
            raise Wrong(f"module {name} was imported")


def text_of(data: bytes) -> str:
    """Returns any bytes as text; those that are not UTF-8 become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")
