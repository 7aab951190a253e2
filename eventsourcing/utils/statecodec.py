"""The stored state of an event: its attributes as one JSON object (stored format, version 1).

A field with a declared type holds that type's natural JSON form (``"price":"10.00"``), which the
annotation turns back. A value that is not exactly of the declared type stands in general form,
with its tags, in the reserved sub-object ``"$"``. Fields whose annotation says nothing (Any), and
further attributes of open states, stand beside them in general form.

There are two ways through each direction. The fast one lets msgspec do the whole state by the
types, and takes nothing that it could get wrong. The slow one takes the rest, field by field, and
names what is wrong. Both agree on every text that either one wrote.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict

import msgspec

from eventsourcing.exceptions import DecodeError, EncodeError
from eventsourcing.utils._classforms import default_of
from eventsourcing.utils._general import type_name
from eventsourcing.utils._typeleaves import row_is_exact
from eventsourcing.utils.picking import item_picker
from eventsourcing.utils.transcoding import decode_value, encode_value
from eventsourcing.utils.typespec import TypeSpec, compile_type

__all__ = ["StateCodec", "dump_json", "load_json", "split_state"]

Row = tuple[Any, ...]

_write = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder().decode
_typed_dict: Any = TypedDict  # called with fields that no type checker can know


class StateCodec:
    """Writes and reads the states of one event class.

    Args:
        fields: the resolved annotation of each attribute, by name, in the order of the text.
        open: whether states may have further attributes, as free-form events do.
        skip: attributes that are never part of the state, as they have columns of their own.
        defaults: makes the value of a field that an older state does not have.

    Raises:
        TypeError: an annotation holds a dataclass whose own annotations cannot be resolved.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        open: bool = False,
        skip: frozenset[str] = frozenset(),
        defaults: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        self._specs = {name: compile_type(a) for name, a in fields.items() if name not in skip}
        self._open = open
        self._skip = skip
        self._defaults = defaults or {}
        self.encode: Callable[[Mapping[str, Any]], str] = self._encode_each
        """Returns the state that holds the given values: an event's ``__dict__``, for one.

        Raises:
            EncodeError: a value that cannot be stored, is not what its annotation says, or is
                missing; an attribute that is unknown, or whose name is not an identifier.
        """
        self.decode: Callable[[str], dict[str, Any]] = self._decode_each
        """Returns the values that a text holds, by name: what was given to :attr:`encode`.

        Raises:
            DecodeError: the text is damaged, or is not the state of this event class.
        """
        self.read: Callable[[str], Any] | None = None
        """Does as :attr:`decode`, in less time, and returns an object that has the values as its
        attributes. None where that would be no quicker.
        """
        is_exact = None if open else row_is_exact(self._specs.values())
        if is_exact is not None:
            wires = [(name, spec.wire) for name, spec in self._specs.items()]
            make = msgspec.defstruct("State", wires, gc=False)
            self.encode = self._fast_encoder(make, is_exact)
            self.decode = self._fast_decoder()
            self.read = self._fast_reader(make)

    # -- the fast ways -------------------------------------------------------------------

    def _fast_encoder(
        self, make: Callable[..., Any], is_exact: Callable[[Row], bool]
    ) -> Callable[[Mapping[str, Any]], str]:
        encode_each, width = self._encode_each, len(self._specs)
        # The skipped attributes are picked too: with as many attributes as that, there is no other.
        pick, size = item_picker((*self._specs, *self._skip)), width + len(self._skip)

        def encode(values: Mapping[str, Any]) -> str:
            try:
                row = pick(values)[:width]
                if len(values) == size and is_exact(row):
                    return _write(make(*row)).decode()
            except (KeyError, UnicodeEncodeError):
                pass  # a field is missing; a lone surrogate
            return encode_each(values)

        return encode

    def _fast_decoder(self) -> Callable[[str], dict[str, Any]]:
        wires = {
            name: NotRequired[spec.wire] if name in self._defaults else spec.wire
            for name, spec in self._specs.items()
        }
        read = msgspec.json.Decoder(_typed_dict("State", wires)).decode
        complete, decode_each, width = self._complete, self._decode_each, len(wires)
        commas = self._fewest_commas()

        def decode(text: str) -> dict[str, Any]:
            try:
                state: dict[str, Any] = read(text)
                if text.count(",") == commas and len(state) == width:
                    return state
                # Writing it again tells of duplicate and unknown keys, at any depth.
                if _write(state).decode() == text:
                    return state if len(state) == width else complete(state)
            except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
                pass  # values in general form, or something is wrong: the slow way tells
            except Exception:
                decode_each(text)  # tells of a default_factory that fails
                raise  # else it came in between, as a job's time limit does
            return decode_each(text)

        return decode

    def _fast_reader(self, make: type[msgspec.Struct]) -> Callable[[str], Any]:
        read = msgspec.json.Decoder(make).decode  # refuses an object that lacks a field
        decode, commas = self.decode, self._fewest_commas()

        def read_state(text: str) -> Any:
            try:
                state = read(text)
                if text.count(",") == commas or _write(state).decode() == text:
                    return state
            except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
                pass  # as in decode(), which goes on with it
            except Exception:
                decode(text)
                raise
            return make(**decode(text))

        return read_state

    def _fewest_commas(self) -> int:
        """Returns how many commas a text has that holds all fields, and nothing else.

        An object of n members has n - 1 commas outside of its strings. Where all n fields were
        found, and there are no more commas than that, there is nothing else. -1 if that does not
        tell.
        """
        scalar = self._specs and all(spec.scalar for spec in self._specs.values())
        return len(self._specs) - 1 if scalar else -1

    def _complete(self, state: dict[str, Any]) -> dict[str, Any]:
        """Returns a state that was stored before its class had all of the fields."""
        return {
            name: state[name] if name in state else default_of(self._defaults, name, name)
            for name in self._specs
        }

    # -- the slow ways -------------------------------------------------------------------

    def _encode_each(self, values: Mapping[str, Any]) -> str:
        state: dict[str, Any] = {}
        tagged: dict[str, Any] = {}
        for name, spec in self._specs.items():
            value = _present(values, name)
            if spec.exact is not None and spec.exact(value):
                state[name] = value
                continue
            if not spec.check(value):
                raise EncodeError(_mistyped(name, spec, value), field=name)
            (state if spec.exact is None else tagged)[name] = encode_value(value, name)
        known = self._specs.keys() | self._skip
        for name in values:
            if name not in known:
                self._allow(name)
                state[name] = encode_value(values[name], name)
        if tagged:
            state["$"] = tagged
        try:
            return dump_json(state)
        except EncodeError:
            for name, value in (state | tagged).items():
                _dump_field(name, value)
            raise

    def _allow(self, name: str) -> None:
        if not self._open:
            raise EncodeError(f"{name}: unknown attribute", field=name)
        if not name.isidentifier():
            raise EncodeError("the name of an attribute is not an identifier", field=name)

    def _decode_each(self, text: str) -> dict[str, Any]:
        state, tagged = split_state(text)
        values = {
            name: self._field(name, spec, state, tagged) for name, spec in self._specs.items()
        }
        for name in state | tagged:
            if name not in self._specs:
                self._refuse_unknown(name, tagged)
                values[name] = decode_value(state[name], name)
        return values

    def _field(
        self, name: str, spec: TypeSpec, state: dict[str, Any], tagged: dict[str, Any]
    ) -> Any:
        if name in tagged:
            return _tagged_field(name, spec, tagged)
        if name not in state and name in self._defaults:
            return default_of(self._defaults, name, name)
        return _field(name, spec, state)

    def _refuse_unknown(self, name: str, tagged: dict[str, Any]) -> None:
        allowed = self._open and name.isidentifier() and name not in self._skip
        if not allowed or name in tagged:
            raise DecodeError(f"{name[:80]!r} is not a field", field=name[:80])


def split_state(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the forms of a state's fields by name; those apart that are not of their type.

    Raises:
        DecodeError: the text is no state of any event class.
    """
    state = load_json(text)
    if type(state) is not dict:
        raise DecodeError("the state is not a JSON object")
    tagged = state.pop("$", {})
    if type(tagged) is not dict or not tagged.keys().isdisjoint(state):
        raise DecodeError("'$' is not an object of further fields", field="$")
    return state, tagged


def _present(values: Mapping[str, Any], name: str) -> Any:
    try:
        return values[name]
    except KeyError:
        raise EncodeError(f"{name}: missing", field=name) from None


def _mistyped(name: str, spec: TypeSpec, value: Any) -> str:
    return f"{name}: expected {spec.name}, found {type_name(type(value))}"


def _dump_field(name: str, value: Any) -> None:
    try:
        dump_json(value)
    except EncodeError as error:
        raise EncodeError(f"{name}: {error}", field=name) from error


def _field(name: str, spec: TypeSpec, state: dict[str, Any]) -> Any:
    """Returns a field's value from its natural form.

    Or else from its general form: it may have been written when the field was declared as Any.
    """
    if name not in state:
        raise DecodeError(f"{name}: missing", field=name)
    if spec.read is None:
        return _tagged_field(name, spec, state)
    try:
        return spec.read(state[name])
    except DecodeError as error:
        path = name + error.field
        refusal = DecodeError(f"{path}: {error}", field=path)
    value = decode_value(state[name], name)
    if not spec.check(value):
        raise refusal
    return value


def _tagged_field(name: str, spec: TypeSpec, tagged: dict[str, Any]) -> Any:
    value = decode_value(tagged[name], name)
    if not spec.check(value):
        raise DecodeError(_mistyped(name, spec, value), field=name)
    return value


# -- JSON text ---------------------------------------------------------------------------


def dump_json(data: Any) -> str:
    """Returns ``data`` as JSON text without white space, readable: only what must be escaped is.

    Lone surrogates have no UTF-8 form: a text with any is written in ASCII, with escapes.

    Raises:
        EncodeError: a string holds both halves of a surrogate pair as two characters, which
            JSON reads as one.
    """
    try:
        return _write(data).decode()
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(data)
        if _SPLIT_PAIR.search(json.dumps(plain, ensure_ascii=False)):
            raise EncodeError("a str with a surrogate pair as two characters") from None
        return json.dumps(plain, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise EncodeError("nested too deeply") from None


_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def load_json(text: str) -> Any:
    """Returns what ``text`` says, with duplicate keys and non-finite numbers refused.

    Raises:
        DecodeError: the text is not such JSON.
    """
    try:
        data = _read(text)
        if _write(data).decode() == text:  # or else a duplicate key may have been dropped
            return data
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        pass  # the slow reader takes lone surrogates as well, and tells what is wrong
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite
        )
    except DecodeError:
        raise
    except json.JSONDecodeError as error:
        # "from None", here and below: the cause holds the payload.
        raise DecodeError(f"not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise DecodeError(f"not JSON that can be read ({type(error).__name__})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise DecodeError("an object has the same key twice")
    return data


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise DecodeError("a number is not finite")
    return number
