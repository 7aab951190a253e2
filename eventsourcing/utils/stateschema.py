"""JSON Schema of stored states: which JSON stands in a state for which annotation.

What has a natural form is described whole. General forms name their Python types in their tags,
so of them only the annotation is said, and what it is made of (``x-parts``, ``x-members``).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from eventsourcing.exceptions import EncodeError
from eventsourcing.utils._classforms import is_namedtuple
from eventsourcing.utils.topic import get_topic
from eventsourcing.utils.transcoding import encode_value
from eventsourcing.utils.typespec import PERSONAL_TAG, compile_type, hints_of, unwrap

__all__ = ["PERSONAL", "Form", "form_of", "object_form", "state_schema", "with_default"]

Form = dict[str, Any]

PERSONAL = "x-personal"
"""In the schema of a field that is personal data: the name of the field with the person's id."""

_MISSING: Any = dataclasses.MISSING
_BESIDE = ("default", "x-factory", PERSONAL)  # what is said of a field, and not of its form
_SEALED: Form = {
    "type": "object",
    "properties": {
        PERSONAL_TAG: {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "string", "contentEncoding": "base64"}],
            "minItems": 3,
            "maxItems": 3,
            "description": "subject, encrypted value, fallback in general form",
        }
    },
    "required": [PERSONAL_TAG],
    "additionalProperties": False,
}
_LEAVES: dict[Any, Form] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    UUID: {"type": "string", "format": "uuid"},
    Decimal: {"type": "string", "description": "Decimal"},
    dt.datetime: {"type": "string", "description": "ISO 8601 date and time"},
    dt.date: {"type": "string", "format": "date"},
    dt.time: {"type": "string", "description": "ISO 8601 time"},
    dt.timedelta: {"type": "string", "description": "ISO 8601 duration"},
}
# Of these each value has the natural form, so that none ever stands in general form.
_ALWAYS_NATURAL = (type(None), bool, str, bytes, UUID, Decimal, dt.timedelta)


def form_of(annotation: Any, outer: frozenset[Any] = frozenset()) -> Form:
    """Returns the schema of the form that values of a resolved annotation have in a state."""
    annotation = unwrap(annotation)
    if annotation in outer:
        return {"description": f"{annotation.__qualname__}, as around it"}
    spec = compile_type(annotation)
    args = typing.get_args(annotation)
    if spec.exact is None:
        return {"description": f"general form of {spec.name}", **_parts_of(annotation, outer)}
    match typing.get_origin(annotation):
        case None if annotation in _LEAVES:
            return _LEAVES[annotation]
        case None if isinstance(annotation, enum.EnumMeta):
            return {"enum": [member.value for member in _members(annotation)]}
        case None:
            return _class_form(annotation, outer)
        case typing.Literal:
            return {"enum": list(args)}
        case typing.Union | types.UnionType:
            inner = next(arg for arg in args if arg is not type(None))
            return {"anyOf": [form_of(inner, outer), {"type": "null"}]}
        case origin if origin is dict:
            return {"type": "object", "additionalProperties": form_of(args[1], outer)}
        case origin if origin is tuple and args[1:] != (...,):
            items = [form_of(arg, outer) for arg in args]
            size = {"minItems": len(items), "maxItems": len(items)}
            return {"type": "array", **({"prefixItems": items} if items else {}), **size}
        case _:
            return {"type": "array", "items": form_of(args[0], outer)}


def object_form(properties: Mapping[str, Form], **more: Any) -> Form:
    """Returns the schema of an object. What has no default is required."""
    required = [n for n, form in properties.items() if not form.keys() & {"default", "x-factory"}]
    return {"type": "object", **more, "properties": dict(properties), "required": required}


def with_default(form: Form, default: Any, factory: Callable[[], Any] | None) -> Form:
    """Returns the schema of a field that has a default, or something that makes it."""
    if factory is not None:
        return {**form, "x-factory": getattr(factory, "__qualname__", type(factory).__qualname__)}
    try:
        return {**form, "default": encode_value(default)}
    except EncodeError:
        return {**form, "x-factory": type(default).__qualname__}


def state_schema(annotations: Mapping[str, Any], form: Form) -> Form:
    """Returns the schema of whole states, as the rows have them.

    Args:
        annotations: those of the fields.
        form: the schema of the object that the fields are. A field with :data:`PERSONAL` may stand
            there encrypted, or as it is, from before it was marked.
    """
    properties = {n: _or_sealed(f) if PERSONAL in f else f for n, f in form["properties"].items()}
    form = {**form, "properties": properties}
    natural = [n for n in annotations if compile_type(annotations[n]).exact is not None]
    apart = [n for n in natural if unwrap(annotations[n]) not in _ALWAYS_NATURAL]
    if not apart:
        return form
    # A value that is not exactly of its type stands in the object "$", in general form.
    tagged = {"type": "object", "properties": dict.fromkeys(apart, True), "minProperties": 1}
    either = [
        {"anyOf": [{"required": [n]}, {"properties": {"$": {"required": [n]}}, "required": ["$"]}]}
        for n in form["required"]
        if n in apart
    ]
    return {
        **form,
        "properties": {**properties, "$": {**tagged, "additionalProperties": False}},
        "required": [n for n in form["required"] if n not in apart],
        "allOf": either,
    }


def _or_sealed(form: Form) -> Form:
    beside = {key: form[key] for key in _BESIDE if key in form}
    plain = {key: value for key, value in form.items() if key not in beside}
    return {"anyOf": [plain, _SEALED], **beside}


def _parts_of(annotation: Any, outer: frozenset[Any]) -> Form:
    """Returns what an annotation without a natural form is made of."""
    if isinstance(annotation, enum.EnumMeta):
        return {"title": get_topic(annotation), "x-members": list(annotation.__members__)}
    if is_namedtuple(annotation) or dataclasses.is_dataclass(annotation):
        return {"x-parts": [_class_form(annotation, outer)]}
    if typing.get_origin(annotation) is typing.Literal:
        return {}
    parts = [arg for arg in typing.get_args(annotation) if arg is not ...]
    return {"x-parts": [form_of(part, outer) for part in parts]} if parts else {}


def _members(cls: Any) -> Iterator[enum.Enum]:
    return iter(cls)


def _class_form(cls: Any, outer: frozenset[Any]) -> Form:
    hints = hints_of(cls) or {}
    properties = {}
    for name, default, factory in _fields_of(cls):
        form = form_of(hints.get(name, Any), outer | {cls})
        has_default = default is not _MISSING or factory is not None
        properties[name] = with_default(form, default, factory) if has_default else form
    return object_form(properties, title=get_topic(cls), additionalProperties=False)


def _fields_of(cls: Any) -> Iterator[tuple[str, Any, Callable[[], Any] | None]]:
    if is_namedtuple(cls):
        for name in cls._fields:
            yield name, cls._field_defaults.get(name, _MISSING), None
        return
    for field in dataclasses.fields(cls):
        factory: Any = field.default_factory
        yield field.name, field.default, None if factory is _MISSING else factory
