"""Topics: the text by which a stored row names a class.

A topic is ``module#Qualified.Name``, or a stable name that the class was given. Further names
that rows have for the class, from before it was renamed or moved, are its aliases. Classes enter
the registry of their kind when they are defined; a topic that is not there is imported only
from below module prefixes that were allowed, and only if it then names a class of that kind.

A stored row adds the schema version of the class to these, from 2 on: ``deposited@2``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from eventsourcing.exceptions import NewerSchemaVersion, ProgrammingError, TopicResolutionError

__all__ = [
    "TopicRegistry",
    "aliases_of",
    "get_stored_topic",
    "get_topic",
    "name_class",
    "split_topic",
    "upcasters_of",
    "version_of",
]

T = TypeVar("T")

_RESERVED = re.compile(r"@[0-9]+\Z")
_VERSION = re.compile(r"@([1-9][0-9]{0,8})\Z")


def get_topic(cls: type) -> str:
    """Returns the stable name that ``cls`` was given, or ``module#Qualified.Name``."""
    stable = cls.__dict__.get("__topic__")
    return stable if stable is not None else f"{cls.__module__}#{cls.__qualname__}"


def aliases_of(cls: type) -> tuple[str, ...]:
    """Returns the further topics by which stored rows name ``cls``."""
    aliases: tuple[str, ...] = cls.__dict__.get("__aliases__", ())
    return aliases


def upcasters_of(cls: type) -> tuple[Any, ...]:
    """Returns what makes states of version 1, 2, ... of ``cls`` those of the next version."""
    upcasters: tuple[Any, ...] = cls.__dict__.get("__upcasters__", ())
    return upcasters


def version_of(cls: type) -> int:
    """Returns the schema version of ``cls``: 1 for a class without upcasters."""
    return 1 + len(upcasters_of(cls))


def get_stored_topic(cls: type) -> str:
    """Returns the topic of new rows: that of ``cls``, and its version unless that is 1."""
    return _with_version(get_topic(cls), version_of(cls))


def split_topic(stored: str) -> tuple[str, int]:
    """Returns the topic of a class, and the version of a row, of what stands in the row."""
    found = _VERSION.search(stored)
    if found is None or (version := int(found[1])) == 1:
        return stored, 1
    return stored[: found.start()], version


def _with_version(topic: str, version: int) -> str:
    return topic if version == 1 else f"{topic}@{version}"


def name_class(cls: type, topic: str | None, aliases: Iterable[str]) -> None:
    """Gives ``cls`` a stable name, unless that is None, and aliases, if there are any.

    Raises:
        ProgrammingError: a name cannot be one.
    """
    if isinstance(aliases, str):
        raise ProgrammingError(f"aliases= of {cls.__qualname__} takes several topics, not a str")
    others = tuple(aliases)
    for name in (*others, *(() if topic is None else (topic,))):
        if not isinstance(name, str) or not name or _RESERVED.search(name):
            raise ProgrammingError(
                f"{name!r} cannot be a topic of {cls.__qualname__}: it must be a str that does not"
                " end in '@' and digits, by which stored rows tell the version of an event"
            )
    if topic is not None:
        cls.__topic__ = topic  # type: ignore[attr-defined]
    if others:
        cls.__aliases__ = others  # type: ignore[attr-defined]


class TopicRegistry(Generic[T]):
    """The classes of one kind (``base`` and its subclasses), by topic.

    Attributes:
        changes: how many classes were added so far: what depends on all of them may have changed
            when this has.
    """

    def __init__(self, kind: str) -> None:
        self.changes = 0
        self._kind = kind
        self._base: type[T] | None = None
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: type[T]) -> None:
        """Adds ``cls`` (the first one is the base of the kind) under its topic and aliases.

        A class that is defined again, as in a notebook, takes the place of the earlier one.

        Raises:
            ProgrammingError: one of them is that of another class, whose rows would be read as
                rows of this one.
        """
        if self._base is None:
            self._base = cls
        names = (get_topic(cls), *aliases_of(cls))
        versions = range(1, version_of(cls) + 1)
        topics = [_with_version(name, version) for name in names for version in versions]
        for topic in topics:
            taken = self._classes.get(topic)
            if taken is not None and not _is_same(taken, cls):
                raise ProgrammingError(
                    f"topic {topic!r} of {cls.__module__}.{cls.__qualname__} is taken by"
                    f" {taken.__module__}.{taken.__qualname__}"
                )
        self._classes.update(dict.fromkeys(topics, cls))
        self.changes += 1

    def resolve(self, topic: str, prefixes: Iterable[str] = ()) -> type[T]:
        """Returns the class that ``topic`` names.

        Args:
            topic: as returned by :func:`get_topic`, or :func:`get_stored_topic`.
            prefixes: names of packages or modules (``bank`` allows ``bank`` and all below it)
                from which an unknown class may be imported.

        Raises:
            TopicResolutionError: there is no such class, it may not be imported, or it is
                not of this registry's kind.
            NewerSchemaVersion: the row is of a later version than the class.
        """
        cls = self._classes.get(topic)
        if cls is None:
            name, version = split_topic(topic)
            cls = self._classes.get(name) or self._imported(topic, name, prefixes)
            if version > version_of(cls):
                raise NewerSchemaVersion(
                    f"topic {topic!r} is of schema version {version}, and this code knows"
                    f" {name!r} up to version {version_of(cls)}: newer code has written it",
                    topic=topic,
                    stored_version=version,
                    known_version=version_of(cls),
                )
            self._classes[topic] = cls
        return cls

    def topics_of(self, classes: tuple[type[T], ...]) -> frozenset[str]:
        """Returns the topics, known by now, of rows of these classes and all their subclasses:
        of all versions, under all names.
        """
        known = dict(self._classes)  # another thread may be defining a class
        return frozenset(topic for topic, cls in known.items() if issubclass(cls, classes))

    def defined_in(self, modules: Iterable[str]) -> list[type[T]]:
        """Returns the classes, known by now, that are defined in or below modules, by topic."""
        known = {get_topic(cls): cls for cls in dict(self._classes).values()}
        return [
            known[topic] for topic in sorted(known) if _is_below(known[topic].__module__, modules)
        ]

    def _imported(self, topic: str, name: str, prefixes: Iterable[str]) -> type[T]:
        module, _, qualname = name.partition("#")
        if not _is_below(module, prefixes):
            raise TopicResolutionError(
                f"no {self._kind} class with topic {topic!r} is known: import its module"
                " first, or allow its package (topic_prefixes=) to be imported",
                topic=topic,
            )
        try:
            found: object = importlib.import_module(module)
            for part in qualname.split("."):
                found = getattr(found, part)
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
        return found


def _is_below(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def _is_same(one: type, other: type) -> bool:
    """Whether one class is the other, defined again: its module may be run as a script too."""
    modules = {one.__module__, other.__module__}
    return one.__qualname__ == other.__qualname__ and len(modules - {"__main__"}) <= 1
