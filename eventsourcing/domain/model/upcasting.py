"""Schema versions of event classes: the states of the past are made states of the present.

An *upcaster* is one step. It takes the stored state of one version, and returns that of the next::

    def in_cents(state):
        state["cents"] = state.pop("euros") * 100
        return state

    class Deposited(AggregateRoot.Event, upcasters={1: in_cents}):    # is version 2
        cents: int

A state is what the row holds, read as JSON: a dict of ``str``, ``int``, ``float``, ``bool``, None,
lists and dicts. A class without upcasters is version 1. Rows are never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any, TypeVar

from eventsourcing.exceptions import DecodeError, EncodeError, ProgrammingError
from eventsourcing.utils.statecodec import dump_json, load_json, split_state

__all__ = ["Upcaster", "checked_upcasters", "upcasting"]

R = TypeVar("R")
State = dict[str, Any]
Upcaster = Callable[[State], State]

_MISSING = object()


def checked_upcasters(name: str, given: Mapping[int, Upcaster]) -> tuple[Upcaster, ...]:
    """Returns the upcasters of a class in their order, the one from version 1 first.

    Raises:
        ProgrammingError: a step is missing, or is no function.
    """
    if not isinstance(given, Mapping):
        raise ProgrammingError(f"upcasters= of {name} takes a dict, as in {{1: to_version_2}}")
    versions = range(1, len(given) + 1)
    for version in versions:
        if not callable(given.get(version)):
            raise ProgrammingError(
                f"{name} has upcasters from versions {sorted(given, key=repr)}, and none from"
                f" {version}: there must be a function for each of 1 to the last but one"
            )
    return tuple(given[version] for version in versions)


def upcasting(
    decode: Callable[[str], R],
    fields: Container[str],
    steps: tuple[Upcaster, ...],
    first: int,
) -> Callable[[str], R]:
    """Returns what decodes states of an older version.

    Args:
        decode: decodes states of the present version.
        fields: those of the present version that have a type.
        steps: the upcasters from that version on.
        first: the older version.
    """

    def decode_older(text: str) -> R:
        state, tagged = split_state(text)
        state |= tagged
        for version, step in enumerate(steps, first):
            state = _next(version, step, state)
        # What is not of its field's type stays apart, where no upcaster has touched it.
        kept = {n: v for n, v in tagged.items() if n in fields and state.get(n, _MISSING) is v}
        if kept:
            state = {**{n: v for n, v in state.items() if n not in kept}, "$": kept}
        return decode(_text_of(state))

    return decode_older


def _next(version: int, step: Upcaster, state: State) -> State:
    try:
        state = step(state)
    except MemoryError:
        raise
    except Exception as error:
        raise DecodeError(
            f"the upcaster from version {version} raised {type(error).__name__}"
        ) from error
    if type(state) is not dict or "$" in state:
        raise DecodeError(f"the upcaster from version {version} returned no state")
    return state


def _text_of(state: State) -> str:
    """Writes a state, which must be what JSON has: other things would be altered silently."""
    try:
        text = dump_json(state)
        if load_json(text) == state:
            return text
    except (EncodeError, DecodeError, ValueError, TypeError, RecursionError):
        pass  # the cause may show the payload
    raise DecodeError("the upcasters made a state that is not JSON")
