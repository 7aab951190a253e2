"""Attributes that are worked out when they are asked for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["lazy"]

T = TypeVar("T")


class lazy(Generic[T]):
    """Makes an attribute of a method: its result, worked out once for each object, and kept.

    Takes no lock, unlike ``functools.cached_property`` of Python 3.11, whose lock is one for all
    objects: taken by another thread at the moment of a fork, it would stay taken in the child for
    ever. So threads that ask at once may each call the method, and all get the same result.
    """

    def __init__(self, method: Callable[[Any], T]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        found: T = vars(instance).setdefault(self._name, self._method(instance))
        return found
