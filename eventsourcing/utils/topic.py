"""Topics: the text by which a stored row names a class.

A topic is ``module#Qualified.Name``, or a stable name that the class was given. Classes enter
the registry of their kind when they are defined; a topic that is not there is imported only
from below module prefixes that were allowed, and only if it then names a class of that kind.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Generic, TypeVar

from eventsourcing.exceptions import ProgrammingError, TopicResolutionError

__all__ = ["TopicRegistry", "get_topic"]

T = TypeVar("T")


def get_topic(cls: type) -> str:
    """Returns the stable name that ``cls`` was given, or ``module#Qualified.Name``."""
    stable = cls.__dict__.get("__topic__")
    return stable if stable is not None else f"{cls.__module__}#{cls.__qualname__}"


class TopicRegistry(Generic[T]):
    """The classes of one kind (``base`` and its subclasses), by topic."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._base: type[T] | None = None
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: type[T]) -> None:
        """Adds ``cls`` (the first one is the base of the kind) under its topic.

        A class that is defined again, as in a notebook, takes the place of the earlier one.

        Raises:
            ProgrammingError: the topic is that of another class, whose rows would be read as
                rows of this one.
        """
        if self._base is None:
            self._base = cls
        topic = get_topic(cls)
        taken = self._classes.get(topic)
        if taken is not None and not _is_same(taken, cls):
            raise ProgrammingError(
                f"topic {topic!r} of {cls.__module__}.{cls.__qualname__} is taken by"
                f" {taken.__module__}.{taken.__qualname__}"
            )
        self._classes[topic] = cls

    def resolve(self, topic: str, prefixes: Iterable[str] = ()) -> type[T]:
        """Returns the class that ``topic`` names.

        Args:
            topic: as returned by :func:`get_topic`.
            prefixes: names of packages or modules (``bank`` allows ``bank`` and all below it)
                from which an unknown class may be imported.

        Raises:
            TopicResolutionError: there is no such class, it may not be imported, or it is
                not of this registry's kind.
        """
        cls = self._classes.get(topic)
        if cls is None:
            module = topic.partition("#")[0]
            if not any(module == p or module.startswith(p + ".") for p in prefixes):
                raise TopicResolutionError(
                    f"no {self._kind} class with topic {topic!r} is known: import its module"
                    " first, or allow its package (topic_prefixes=) to be imported",
                    topic=topic,
                )
            cls = self._import(topic)
        return cls

    def topics_of(self, classes: tuple[type[T], ...]) -> frozenset[str]:
        """Returns the topics, known by now, of these classes and all their subclasses."""
        known = dict(self._classes)  # another thread may be defining a class
        return frozenset(topic for topic, cls in known.items() if issubclass(cls, classes))

    def _import(self, topic: str) -> type[T]:
        module, _, qualname = topic.partition("#")
        try:
            found: object = importlib.import_module(module)
            for name in qualname.split("."):
                found = getattr(found, name)
                if not isinstance(found, type):  # nor is it walked through
                    break
        except Exception as error:
            raise TopicResolutionError(
                f"topic {topic!r} cannot be imported: {error!r}", topic=topic
            ) from error
        if self._base is None or not (isinstance(found, type) and issubclass(found, self._base)):
            raise TopicResolutionError(
                f"topic {topic!r} names something that is not a {self._kind} class", topic=topic
            )
        self._classes[topic] = found
        return found


def _is_same(one: type, other: type) -> bool:
    """Whether one class is the other, defined again: its module may be run as a script too."""
    modules = {one.__module__, other.__module__}
    return one.__qualname__ == other.__qualname__ and len(modules - {"__main__"}) <= 1
