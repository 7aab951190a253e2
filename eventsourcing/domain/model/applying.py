"""How an event of an entity is applied: checked, counted and shielded. Part of the domain layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from eventsourcing.exceptions import ProgrammingError

__all__ = ["Applied", "applied", "applied_by", "name_of"]

Mutate = Callable[[Any, Any], Any]


class Applied(NamedTuple):
    """What a ``mutate`` does once an event is known to follow its entity.

    Attributes:
        mutate: the ``mutate`` itself. A wrapper has got hold of the attributes of what it wraps,
            as :func:`functools.wraps` copies them; this tells the two apart.
        change: what somebody wrote to change the entity: takes the event and the entity.
        body: does the same, taking the entity and the values of the fields; None if nothing does.
        parameters: the names of these fields, in their order.
    """

    mutate: Mutate
    change: Mutate
    body: Callable[..., Any] | None
    parameters: tuple[str, ...]


def applied_by(mutate: object) -> Applied | None:
    """Returns what a ``mutate`` does, or None if :func:`applied` did not make it."""
    found = getattr(mutate, "_es_applied", None)
    return found if isinstance(found, Applied) and found.mutate is mutate else None


def applied(
    change: Mutate, body: Callable[..., Any] | None = None, parameters: tuple[str, ...] = ()
) -> Mutate:
    """Makes a ``mutate`` of what somebody wrote to change the entity.

    What they wrote need neither check that the event follows the entity, nor count it, nor
    call ``super()``, nor return anything.
    """

    @wraps(change)
    def mutate(self: Any, obj: Any) -> Any:
        if obj is not None and obj._es_applying is not None:
            if obj._es_applying is not self:
                raise ProgrammingError(
                    f"{name_of(obj._es_applying)} is being applied, and cannot apply a"
                    f" {type(self).__qualname__} in turn"
                )
            change(self, obj)  # an overriding mutate() calls super()
            return obj
        if obj is None or self._begins:
            obj = self._originator(obj)
        elif (
            self.originator_id is not obj._es_id
            or self._of_class is not type(obj)
            or (obj._es_versioned and self.originator_version != obj._es_version)
            or obj._es_discarded
        ):
            obj._check_follows(self)
        obj._es_applying = self
        try:
            change(self, obj)
        finally:
            obj._es_applying = None
        obj._es_version += 1
        if obj._es_timestamped:
            obj._es_last_modified = self.timestamp
        return None if obj._es_discarded else obj

    mutate._es_applied = Applied(mutate, change, body, parameters)  # type: ignore[attr-defined]
    return mutate


def name_of(applying: object) -> str:
    """Returns what the event that is being applied is called. It may be there as its class alone,
    see :attr:`DomainEntity._es_applying`.
    """
    return (applying if isinstance(applying, type) else type(applying)).__qualname__
