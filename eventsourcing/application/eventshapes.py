"""The shapes of event classes: what the schema lock keeps, and JSON Schema of the stored states."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from eventsourcing.domain.model.domainentity import entity_classes
from eventsourcing.domain.model.events import DomainEvent, event_classes, schema_of
from eventsourcing.domain.model.eventschema import POSITION_FIELDS, Field
from eventsourcing.exceptions import ProgrammingError
from eventsourcing.utils.stateschema import (
    PERSONAL,
    Form,
    form_of,
    object_form,
    state_schema,
    with_default,
)
from eventsourcing.utils.topic import aliases_of, get_stored_topic, get_topic, version_of

__all__ = ["json_schema", "schema_shapes"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_shapes(modules: Iterable[str]) -> dict[str, Any]:
    """Returns the shapes of the events and aggregates that are defined in modules.

    Args:
        modules: names of modules and packages, which are imported. A package stands for what
            is defined below it, in those modules that were imported by then.

    Returns:
        What JSON has: of each event, by topic, its version, its aliases and the schema of its
        fields, with the marks of those that are personal data; and the aliases of each aggregate,
        by topic.

    Raises:
        ProgrammingError: a module cannot be imported, or defines no events.
    """
    names = imported(modules)
    events = {
        get_topic(cls): {
            "version": version_of(cls),
            "aliases": sorted(aliases_of(cls)),
            "state": _form_of_event(cls),
        }
        for cls in event_classes.defined_in(names)
    }
    if not events:
        raise ProgrammingError(f"no event classes are defined in {', '.join(names)}")
    aggregates = {
        get_topic(cls): {"aliases": sorted(aliases_of(cls))}
        for cls in entity_classes.defined_in(names)
    }
    return {"aggregates": aggregates, "events": events}


def json_schema(modules: Iterable[str]) -> dict[str, Any]:
    """Returns a JSON Schema document: below ``$defs``, by the topics of their rows, the schemas of
    the states that events of the present versions have.

    Args:
        modules: as for :func:`schema_shapes`.

    Raises:
        ProgrammingError: a module cannot be imported.
    """
    names = imported(modules)
    return {
        "$schema": DIALECT,
        "$defs": {
            get_stored_topic(cls): {
                "title": cls.__qualname__,
                **state_schema(
                    {name: field.annotation for name, field in _fields_of(cls).items()},
                    _form_of_event(cls),
                ),
            }
            for cls in event_classes.defined_in(names)
        },
    }


def imported(modules: Iterable[str]) -> tuple[str, ...]:
    """Imports modules, and returns their names.

    Raises:
        ProgrammingError: one of them cannot be imported.
    """
    if isinstance(modules, str):
        raise ProgrammingError(f"modules= takes several names, not {modules!r} alone")
    names = tuple(modules)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise ProgrammingError(f"the module {name!r} cannot be imported: {error!r}") from error
    return names


def _fields_of(cls: type[DomainEvent]) -> dict[str, Field]:
    fields = schema_of(cls).fields
    return {name: field for name, field in fields.items() if name not in POSITION_FIELDS}


def _form_of_event(cls: type[DomainEvent]) -> Form:
    properties = {name: _form_of_field(field) for name, field in _fields_of(cls).items()}
    for name, mark in schema_of(cls).personal.items():
        properties[name] = {**properties[name], PERSONAL: mark.subject}
    return object_form(properties, additionalProperties=schema_of(cls).is_open)


def _form_of_field(field: Field) -> Form:
    form = form_of(field.annotation)
    if not field.has_default or field.name == "timestamp":  # now is not when it happened
        return form
    return with_default(form, field.default, field.default_factory)
