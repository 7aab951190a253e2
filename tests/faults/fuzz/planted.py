"""Targets with a protection taken out, each of which the fuzzer must find."""

from typing import Any
from unittest.mock import patch

from eventsourcing.utils import _general
from tests.faults.fuzz import tags, topics

__all__ = ["any_import", "memory", "untyped_error"]

_kept: dict[bytes, bytes] = {}


def untyped_error(data: bytes) -> None:
    """Reads tags, where what a decoder raises is let through."""
    with patch.object(_general, "_decode_tagged", _unguarded):
        tags.read(data)


def _unguarded(tag: str, data: dict[str, Any]) -> Any:
    return _general.DECODERS[tag](data[tag])


def memory(data: bytes) -> None:
    """Reads tags, with a cache that keeps something for every text."""
    _kept[data] = bytes([len(_kept) % 256]) * 1_000_000
    tags.read(data)


def any_import(data: bytes) -> None:
    """Reads topics, where every package is allowed."""
    everything = data.partition(b"#")[0].decode(errors="replace")
    with patch.object(topics, "SHOP", everything):
        topics.read(data)
