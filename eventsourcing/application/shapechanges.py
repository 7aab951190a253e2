"""What has changed in the shapes of events so that older rows would be read wrongly, or personal
data would be stored in the clear.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eventsourcing.utils.stateschema import PERSONAL, Form

__all__ = ["changes_of"]

_FALLBACKS = ("default", "x-factory")


def changes_of(locked: dict[str, Any], present: dict[str, Any]) -> Iterator[str]:
    """Yields what has changed so that rows of ``locked`` could not be read by ``present``, or
    what was personal data is none any more; and what to write instead. Both are of
    :func:`eventsourcing.application.eventshapes.schema_shapes`.
    """
    for kind in ("aggregates", "events"):
        by_name = {
            name: topic
            for topic, shape in present[kind].items()
            for name in (topic, *shape["aliases"])
        }
        for topic, shape in locked[kind].items():
            yield from _of_names(topic, shape["aliases"], by_name)
            if kind == "events" and topic in by_name:
                now = present[kind][by_name[topic]]
                yield from (f"{topic} {change}" for change in _of_event(shape, now))
                yield from (f"{topic} {change}" for change in _of_marks(shape, now))


def _of_names(topic: str, aliases: list[str], by_name: dict[str, str]) -> Iterator[str]:
    """Yields which names have come to no class, or to several: all of them are in rows of one."""
    now = by_name.get(topic)
    if now is None:
        yield (
            f"{topic} is gone. Keep its class; or give it to the class that its rows are to be read"
            f" as: aliases=({topic!r},)"
        )
    for name in aliases:
        if name not in by_name:
            yield (
                f"{name} is gone, an alias of {topic} under which rows are stored. Give it back to"
                f" the class of {now or topic}: aliases=({name!r},)"
            )
        elif now is not None and by_name[name] != now:
            other = by_name[name]
            yield (
                f"{name} was an alias of {topic}, and is now {_role(name, other)}: rows that are"
                f" stored under it as {topic} would be read as {other}. Take the name {name!r} from"
                f" the class of {other}, and give it back to that of {now}: aliases=({name!r},)"
            )


def _role(name: str, topic: str) -> str:
    return "the topic of another class" if name == topic else f"one of {topic}"


def _of_event(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    version = old["version"]
    if new["version"] < version:
        yield (
            f"was version {version}, and is version {new['version']}. Rows of version {version} may"
            " be stored: put the upcasters back"
        )
    elif new["version"] == version:
        changes = list(_of_object(old["state"], new["state"], ""))
        if changes:
            yield (
                f"(version {version}) {'; '.join(changes)}. Make it version {version + 1}, with a"
                f" function that takes the state of version {version} and returns that of"
                f" {version + 1}: upcasters={{{_known(version)}{version}: from_{version}}}; or undo"
                " the change"
            )


def _of_marks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    before, after = old["state"]["properties"], new["state"]["properties"]
    for name, form in before.items():
        if PERSONAL in form and name in after and PERSONAL not in after[name]:
            yield (
                f"{name}: is not marked as personal data any more. New values would be stored in"
                " the clear, and could not be erased. Put personal(...) back into its annotation;"
                f' or, if that is meant, take "{PERSONAL}" of the field out of the lock by hand'
            )


def _known(version: int) -> str:
    return "".join(f"{n}: ..., " for n in range(1, version))


def _of_object(old: Form, new: Form, path: str) -> Iterator[str]:
    if old.get("title") != new.get("title"):
        yield f"{path[:-1]}: has become {new.get('title')}, and was {old.get('title')}"
    if old.get("additionalProperties") is True and new.get("additionalProperties") is False:
        yield "is not free-form any more"
    before, after = old["properties"], new["properties"]
    for name, form in before.items():
        where = f"{path}{name}"
        if name not in after:
            yield f"{where}: is gone"
            continue
        yield from _of_form(form, after[name], where)
        if _fallback(form) and not _fallback(after[name]):
            yield f"{where}: has lost its default, which rows from before it was added need"
        elif _fallback(form) and _fallback(form) != _fallback(after[name]):
            yield f"{where}: has another default, and rows from before it was added had the old one"
    for name in after.keys() - before.keys():
        if not _fallback(after[name]):
            yield f"{path}{name}: is new, and has no default for the rows that lack it"


def _of_form(old: Form, new: Form, path: str) -> Iterator[str]:
    old, new = _plain(old), _plain(new)
    if old == new:
        return
    if "anyOf" in new:  # it may be None now, or could be before
        old, new = old.get("anyOf", [old])[0], new["anyOf"][0]
        yield from _of_form(old, new, path)
    elif "properties" in old and "properties" in new:
        yield from _of_object(old, new, f"{path}.")
    elif (words := _words_lost(old, new)) is not None:
        if words:
            yield f"{path}: has lost {', '.join(map(repr, words))}"
    elif (pairs := _inner(old, new)) is not None:
        for one, other in pairs:
            yield from _of_form(one, other, f"{path}[]")
    else:
        yield f"{path}: is {_said(new)}, and was {_said(old)}"


def _words_lost(old: Form, new: Form) -> list[Any] | None:
    """Returns which members of an enum are gone; None if there is more to it."""
    for key in ("enum", "x-members"):
        if key in old and key in new and _without(old, key) == _without(new, key):
            return [word for word in old[key] if word not in new[key]]
    return None


def _inner(old: Form, new: Form) -> list[tuple[Form, Form]] | None:
    """Returns the forms inside of two forms that differ in nothing else."""
    for key in ("items", "prefixItems", "additionalProperties", "x-parts"):
        one, other = old.get(key), new.get(key)
        if _without(old, key) != _without(new, key):
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            return [(one, other)]
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            return list(zip(one, other, strict=True))
    return None


def _said(form: Form) -> str:
    if "anyOf" in form:
        return f"{_said(form['anyOf'][0])} or null"
    if "enum" in form:
        return f"one of {form['enum']}"
    about = form.get("format") or form.get("contentEncoding") or form.get("description")
    about = about or form.get("title")
    name = form.get("type")
    return f"{name} ({about})" if name and about else str(name or about)


def _fallback(form: Form) -> Form:
    return {key: form[key] for key in _FALLBACKS if key in form}


def _plain(form: Form) -> Form:
    return {key: value for key, value in form.items() if key not in (*_FALLBACKS, PERSONAL)}


def _without(form: Form, key: str) -> Form:
    return {name: value for name, value in form.items() if name != key}
