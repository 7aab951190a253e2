"""Takes several values out of something at once, in the order of their names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["attribute_picker", "item_picker"]


def item_picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Returns what takes the values of these keys, or raises ``KeyError``."""
    if len(names) > 1:
        return operator.itemgetter(*names)
    return _tupled(list(map(operator.itemgetter, names)))


def attribute_picker(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Returns what takes the attributes of these names, or raises ``AttributeError``."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return _tupled(list(map(operator.attrgetter, names)))


def _tupled(pickers: Sequence[Callable[[Any], Any]]) -> Callable[[Any], tuple[Any, ...]]:
    if not pickers:
        return lambda values: ()
    (pick,) = pickers
    return lambda values: (pick(values),)
