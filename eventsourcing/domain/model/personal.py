"""Personal data: fields of events that can be erased without changing the events.

A field is marked in its annotation. The event, the aggregate and all who handle them see its
value, until the person is forgotten: then they see the fallback::

    class Registered(AggregateRoot.Event):
        name: Annotated[str, personal("(erased)")]
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

__all__ = ["Personal", "personal", "personal_in"]


@dataclass(frozen=True)
class Personal:
    """Marks a field as personal data.

    Attributes:
        fallback: what the field is read as once its subject has been forgotten.
        subject: the name of the event's attribute that is the id of the person.
    """

    fallback: Any
    subject: str = "originator_id"


def personal(fallback: Any, subject: str = "originator_id") -> Personal:
    """Returns what marks a field as personal data, within ``Annotated``.

    Args:
        fallback: what the field is read as once the subject has been forgotten. It must be of the
            field's type. It is stored with each event.
        subject: the name of the attribute of the event whose value, a UUID, string or int, says
            whose data it is. By default the aggregate's id.
    """
    return Personal(fallback, subject)


def personal_in(annotation: Any) -> Personal | None:
    """Returns the mark in an annotation, or None."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return None
    return next((m for m in annotation.__metadata__ if isinstance(m, Personal)), None)
