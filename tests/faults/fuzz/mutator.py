"""Mutations that keep an input readable, so that more of them come past the JSON parser.

A few nodes of a part that is JSON are replaced by nodes of other inputs. libFuzzer makes the other
mutations, of single bytes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

from tests.faults.fuzz.rows import SEPARATOR

__all__ = ["Mutator"]

Mutate = Callable[[bytes, int], bytes]

_HOSTILE: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**63, 10**30, 0.5, -0.0, "", "$", "1e999999999", "nan", "0x1", "a" * 300),
    *([], [[]], {}, {"$": 1}, {"$int": "0x8000000000000000"}, {"$decimal": "1E+999999999"}),
    *({"$float": "nan"}, {"$tuple": []}, {"$dict": [[1, 2]]}, {"$enum": ["a#b", "c"]}),
)


class Mutator:
    """Mutates inputs.

    Args:
        seeds: whose nodes replace those of other inputs.
        mutate_bytes: makes the mutations of bytes.
    """

    def __init__(self, seeds: Iterable[bytes], mutate_bytes: Mutate) -> None:
        self._mutate_bytes = mutate_bytes
        parts = [part for seed in seeds for part in seed.split(SEPARATOR)]
        self._nodes: Sequence[Any] = [node for part in parts for node in _nodes(_parsed(part))]

    def __call__(self, data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        made = self._mutated_nodes(data, random) if random.random() < 0.5 else None
        return self._mutate_bytes(data, most) if made is None or len(made) > most else made

    def _mutated_nodes(self, data: bytes, random: Random) -> bytes | None:
        parts = data.split(SEPARATOR)
        at = random.randrange(len(parts))
        value = _parsed(parts[at])
        if value is None:
            return None
        for _ in range(random.choice((1, 1, 2, 3))):
            value = self._changed(value, random)
        parts[at] = json.dumps(value, separators=(",", ":")).encode()
        return SEPARATOR.join(parts)

    def _changed(self, value: Any, random: Random) -> Any:
        """Returns the value with one node replaced, or left out."""
        inner = _inner(value)
        if not inner or random.random() < 0.3:
            return self._replacement(value, random)
        key = random.choice(list(inner))
        changed = {**inner, key: self._changed(inner[key], random)}
        if random.random() < 0.05:
            del changed[key]
        return changed if isinstance(value, dict) else list(changed.values())

    def _replacement(self, value: Any, random: Random) -> Any:
        node = random.choice(random.choice((_HOSTILE, self._nodes)))
        if random.random() < 0.2:
            return {random.choice([*_inner(node), "$tuple", "$set"]): value}
        return node


def _inner(value: Any) -> dict[Any, Any]:
    """Returns what is inside of an object by key, or of an array by index."""
    if isinstance(value, dict):
        return value
    return dict(enumerate(value)) if isinstance(value, list) else {}


def _parsed(part: bytes) -> Any:
    """Returns what a text says; None if it is no JSON, or is deep."""
    try:
        value = json.loads(part)
        json.dumps(value)
    except (ValueError, RecursionError):
        return None
    return value


def _nodes(value: Any) -> Iterator[Any]:
    yield value
    for node in _inner(value).values():
        yield from _nodes(node)
