"""Encrypts personal data under the keys of those whose data it is, and forgets them.

In the stored state, the value of a personal field is ``{"$personal":[subject, sealed, fallback]}``
(docs: reference/stored-format). That is undone before anything else looks at the state. No value
of a user's is stored so; what is not of that form is left as it is, for the codec to read or to
refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from eventsourcing.domain.model.personal import Personal
from eventsourcing.exceptions import (
    CipherKeyMissing,
    DataIntegrityError,
    DecodeError,
    EncodeError,
    InvalidOriginatorID,
    ProgrammingError,
)
from eventsourcing.infrastructure.protection import from_base64, to_base64, unreadable
from eventsourcing.infrastructure.subjectkeys import SubjectKey, SubjectKeys
from eventsourcing.utils.cipher import CipherKey, Keyring, framed
from eventsourcing.utils.ids import id_from_text, id_to_text
from eventsourcing.utils.statecodec import dump_json, load_json
from eventsourcing.utils.transcoding import encode_value
from eventsourcing.utils.typespec import PERSONAL_TAG as _TAG

__all__ = ["Erasure", "KeysInUse"]

Item = tuple[Any, ...]
State = dict[str, Any]
KeysInUse: TypeAlias = dict[str, CipherKey | None]
"""The keys that one operation has asked for, by subject; None for those who are forgotten. It is
not empty once there was personal data."""

MOST_KEYS = 1_000
"""So many at most are kept within an operation."""

_SIGN = f'"{_TAG}":'  # stands in no JSON string, where quotes are escaped
_KEY_ID = "subject"
_make_item = tuple.__new__


class Erasure:
    """Seals the personal data in states, opens it, and forgets subjects.

    Args:
        keys: of the subjects.
        keyring: encrypts those keys.
        store_id: what the data is bound to, besides the place of its row.
    """

    def __init__(self, keys: SubjectKeys, keyring: Keyring, store_id: str) -> None:
        self._keys = keys
        self._keyring = keyring
        self._store_id = store_id

    def seal(
        self, text: str, fields: Mapping[str, Personal], values: Mapping[str, Any], place: Item
    ) -> str:
        """Returns a state with its personal data encrypted.

        Args:
            fields: the personal ones.
            values: of the event.
            place: id of the stream, position, topic.

        Raises:
            EncodeError: a subject has been forgotten.
            InvalidOriginatorID: the value that names a subject is no id.
            CipherKeyMissing: the keyring lacks the key by which that of a subject is encrypted.
        """
        state: State = load_json(text)
        made: dict[str, CipherKey] = {}
        for name, mark in fields.items():
            subject = id_to_text(values[mark.subject])
            if subject not in made:
                made[subject] = self._key_to_seal(subject, name)
            inner = state if name in state else state["$"]
            plain = dump_json(inner[name]).encode()
            sealed = made[subject].encrypt(plain, self._bound_to(subject, name, place))
            inner[name] = {_TAG: [subject, to_base64(sealed), encode_value(mark.fallback, name)]}
        return dump_json(state)

    def opened(self, items: Iterable[Item], keys: KeysInUse | None = None) -> Iterator[Item]:
        """Yields items with the personal data in their states decrypted, or its fallback where the
        subject has been forgotten.

        Args:
            keys: those that an operation has asked for, which are not asked for again, and to which
                others are added. By default, they are asked for again with each item: who forgets
                a subject between two steps of this iterator is heeded by the second.

        Raises:
            DataIntegrityError: it is not what was encrypted for this place.
            CipherKeyMissing: a key is lost.
        """
        for item in items:
            text = item[3]
            if type(text) is not str or _SIGN not in text:
                yield item
                continue
            try:
                state = self._opened(text, item[:3], {} if keys is None else keys)
            except DecodeError as error:
                raise unreadable((*item[:3], None), error) from error
            except DataIntegrityError as error:
                error.originator_id, error.originator_version = item[:2]
                error.args = (f"event {item[1]} of {item[0]!r} cannot be read: {error}",)
                raise
            yield _make_item(type(item), (*item[:3], state, *item[4:]))

    def forget(self, subject: object) -> None:
        """Destroys the key of a subject, and records that.

        Raises:
            InvalidOriginatorID: no subject can have such an id.
            PersistenceError: the database refused. To repeat it does no harm.
        """
        self._keys.forget(id_to_text(subject))

    def is_forgotten(self, subject: object) -> bool:
        """Tells whether a subject has been forgotten."""
        found = self._keys.find(id_to_text(subject))
        return found is not None and found.key is None

    def rewrap(self, failed: Callable[[DataIntegrityError], None] | None = None) -> int:
        """Encrypts with the current key the keys of subjects that are encrypted with another one,
        and returns how many. To be stopped and repeated as one likes.

        Args:
            failed: is told of those that cannot be read, which stay; by default the first one is
                raised.

        Raises:
            CipherKeyMissing, DataIntegrityError: a key of a subject cannot be read.
        """
        count = 0
        for each in self._keys.all():
            if each.key is None or each.key.partition(":")[0] == self._keyring.current.id:
                continue
            try:
                secret = self._unwrapped(each).secret
            except DataIntegrityError as error:
                if failed is None:
                    raise
                failed(error)
            else:
                self._keys.exchange(each, self._wrapped(each.subject, secret))
                count += 1
        return count

    def _opened(self, text: str, place: Item, keys: KeysInUse) -> str:
        state = load_json(text)
        if type(state) is not dict:
            raise DecodeError("the state is not a JSON object")
        is_same = True
        for inner in (state, state.get("$")):
            if type(inner) is dict:
                for name, value in inner.items():
                    if _is_sealed(value):
                        inner[name] = self._value(value[_TAG], name, place, keys)
                        is_same = False
        return text if is_same else dump_json(state)

    def _value(self, row: list[Any], name: str, place: Item, keys: KeysInUse) -> Any:
        subject, body, fallback = row
        if subject not in keys:
            if len(keys) >= MOST_KEYS:
                keys.clear()
            keys[subject] = self._key_to_open(subject)
        key = keys[subject]
        if key is None:
            return fallback
        plain = key.decrypt(from_base64(body), self._bound_to(subject, name, place))
        return load_json(plain.decode())

    def _key_to_seal(self, subject: str, field: str) -> CipherKey:
        stored = self._keys.find(subject)
        if stored is None:
            new = CipherKey.new(_KEY_ID)
            if self._keys.add(subject, self._wrapped(subject, new.secret)):
                return new
            stored = self._keys.find(subject)  # somebody was quicker
        if stored is None or stored.key is None:
            raise EncodeError(
                f"{field}: personal data of {subject!r}, who has been forgotten, cannot be stored",
                field=field,
            )
        return self._unwrapped(stored)

    def _key_to_open(self, subject: str) -> CipherKey | None:
        stored = self._keys.find(subject)
        if stored is None:
            raise CipherKeyMissing(
                f"it has personal data of {subject!r}, of whom there is no key, and no record of"
                " having been forgotten"
            )
        return None if stored.key is None else self._unwrapped(stored)

    def _wrapped(self, subject: str, secret: bytes) -> str:
        key = self._keyring.current
        return f"{key.id}:{to_base64(key.encrypt(secret, framed(_TAG, subject)))}"

    def _unwrapped(self, stored: SubjectKey) -> CipherKey:
        key_id, _, body = str(stored.key).partition(":")
        key = self._keyring.get(key_id)
        if key is None:
            raise CipherKeyMissing(
                f"the key of {stored.subject!r} is encrypted with the key {key_id!r}, which this"
                " application does not have",
                key_id=key_id,
            )
        try:
            return CipherKey(_KEY_ID, key.decrypt(from_base64(body), framed(_TAG, stored.subject)))
        except (DecodeError, ProgrammingError) as error:
            raise DataIntegrityError(
                f"the key of {stored.subject!r} cannot be read: {error}"
            ) from error

    def _bound_to(self, subject: str, name: str, place: Item) -> bytes:
        originator_id, version, topic = place
        stream = id_to_text(originator_id)
        return framed(_TAG, self._store_id, stream, str(version), str(topic), subject, name)


def _is_sealed(value: object) -> bool:
    """Tells whether it has the form of what stands for personal data."""
    if type(value) is not dict or len(value) != 1:
        return False
    row = value.get(_TAG)
    return type(row) is list and len(row) == 3 and type(row[1]) is str and _is_subject(row[0])


def _is_subject(text: object) -> bool:
    try:
        return isinstance(text, str) and id_to_text(id_from_text(text)) == text
    except InvalidOriginatorID:
        return False
